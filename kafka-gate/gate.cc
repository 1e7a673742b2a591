#include "kafka-gate/gate.h"

#include <algorithm>

#include "common/rules.h"

namespace bmpha::gate {
namespace {

constexpr std::size_t kTurn = 64;                          // copies of one router before the next one's turn
constexpr std::uint64_t kLeastWindow = 256u << 10;         // a session's credit however many routers there are
constexpr Nanos kHelloInterval = std::chrono::seconds(1);  // until ALIVE confirms
constexpr Nanos kForgetInterval = std::chrono::seconds(10);
constexpr Nanos kForgetAfter = std::chrono::hours(1);
constexpr std::size_t kMaxOldReceivers = 64;

}  // namespace

HeldRecords& Gate::at(const RouterId& router, BootTime now) {
  const auto at = routers_.find(router);
  if (at != routers_.end()) return at->second;
  urgent_ = true;
  HeldRecords& r = routers_.emplace(router, HeldRecords(router, settings_.held)).first->second;
  if (roles_) r.roles(*roles_, nullptr, now);  // a router that the roles do not name stands by
  return r;
}

template <class F>
void Gate::touch(HeldRecords& r, F&& f) {
  const std::uint64_t before = r.bytes();
  f(r);
  bytes_ += r.bytes() - before;
  flow_dirty_.insert(r.router());
  status_dirty_.insert(r.router());
  if (r.has_unsent() && ready_set_.insert(r.router()).second) ready_.push_back(r.router());
  if (r.take_replay_wanted()) replay_wanted_ = true;
}

// --- inputs

void Gate::receiver_is(std::uint64_t recv_inc) {
  if (recv_inc == recv_inc_) return;
  if (recv_inc_ != 0) {
    if (old_recv_.size() >= kMaxOldReceivers) old_recv_.erase(old_recv_.begin());
    old_recv_.insert(recv_inc_);
  }
  recv_inc_ = recv_inc;
  confirmed_ = false;
  for (auto& [id, r] : routers_) touch(r, [](HeldRecords& h) { h.receiver_changed(); });
}

void Gate::record(const Envelope& e, Body body, BootTime now) {
  if (old_recv_.contains(e.session.recv_inc)) {
    ++old_receiver_;
    return;
  }
  receiver_is(e.session.recv_inc);
  reserved_ -= std::min<std::uint64_t>(reserved_, kEnvelopeSize + e.payload_size);
  touch(at(e.router, now), [&](HeldRecords& h) { h.record(e, std::move(body), now); });
}

void Gate::alive(const Alive& table, BootTime now) {
  if (table.recv_inc == 0 || old_recv_.contains(table.recv_inc)) return;
  receiver_is(table.recv_inc);
  confirmed_ = table.gate_inc == settings_.gate_inc;
  if (!confirmed_) return;
  alive_at_ = now;
  std::vector<const AliveSession*> rows;
  rows.reserve(table.sessions.size());
  for (const AliveSession& s : table.sessions) rows.push_back(&s);
  std::sort(rows.begin(), rows.end(), [](const AliveSession* a, const AliveSession* b) {
    return std::tie(a->router, a->session) < std::tie(b->router, b->session);
  });
  std::map<RouterId, std::vector<SessionId>> listed;
  for (const AliveSession* s : rows) {
    listed[s->router].push_back(s->session);
    touch(at(s->router, now), [&](HeldRecords& h) { h.alive(*s); });
  }
  static const std::vector<SessionId> kNone;
  for (auto& [id, r] : routers_) {
    const auto l = listed.find(id);
    const std::vector<SessionId>& mine = l != listed.end() ? l->second : kNone;
    touch(r, [&](HeldRecords& h) { h.alive_done(table.recv_inc, mine); });
  }
}

void Gate::roles(const Roles& table, BootTime now) {
  std::unordered_map<RouterId, const RoleRouter*, HashOf> rows;
  for (const RoleRouter& row : table.routers) {
    rows[row.router] = &row;
    if (row.role == Role::kActive) at(row.router, now);  // a router in nobody's table can still be declared down here
    if (!row.reset_session.is_none()) resets_[row.router] = row.reset_session;
  }
  roles_ = table;
  roles_->routers.clear();
  for (auto& [id, r] : routers_) {
    const auto row = rows.find(id);
    touch(r, [&](HeldRecords& h) { h.roles(table, row != rows.end() ? row->second : nullptr, now); });
  }
}

void Gate::answered(const Ticket& ticket, bool delivered) {
  const auto r = routers_.find(ticket.router);
  if (r != routers_.end()) touch(r->second, [&](HeldRecords& h) { h.answered(ticket, delivered); });
}

void Gate::producer_lost() {
  for (auto& [id, r] : routers_) touch(r, [](HeldRecords& h) { h.producer_lost(); });
}

void Gate::tick(BootTime now) {
  for (auto& [id, r] : routers_)
    if (r.role() == Role::kReleasing) touch(r, [now](HeldRecords& h) { h.tick(now); });
  hold_limit();
  if (now - forget_at_ >= kForgetInterval) {
    forget_at_ = now;
    forget_gone(now);
  }
}

// --- sending

bool Gate::pump(BootTime now, std::size_t budget, const std::function<Handed(const Copy&)>& hand_over) {
  while (budget > 0 && !ready_.empty()) {
    const RouterId id = ready_.front();
    const auto found = routers_.find(id);
    bool more = false;
    bool full = false;
    if (found != routers_.end()) {
      HeldRecords& r = found->second;
      std::size_t turn = std::min(kTurn, budget);
      for (; turn > 0; --turn, --budget) {
        const std::optional<Copy> copy = r.next(now);
        if (!copy) break;
        const Handed handed = hand_over(*copy);
        if (handed == Handed::kFull) {
          full = true;
          break;
        }
        r.sent(*copy);
        if (handed == Handed::kRefused) r.answered(copy->ticket, false);
      }
      more = turn == 0;
      status_dirty_.insert(id);
      flow_dirty_.insert(id);
    }
    if (full) return false;
    ready_.pop_front();
    if (more)
      ready_.push_back(id);
    else
      ready_set_.erase(id);
  }
  return true;
}

// --- byte limit (G6)

// Three quarters of the limit are for whoever needs them, what was granted and is still to come included; the last
// quarter belongs to the routers in equal shares, so that a stuck one cannot take the others' window.
std::uint64_t Gate::share() const {
  const std::uint64_t n = std::max<std::uint64_t>(routers_.size(), 1);
  return settings_.bytes_limit / 4 / n;
}

// Credit of one session while there is room.
std::uint64_t Gate::window() const {
  const std::uint64_t n = std::max<std::uint64_t>(routers_.size(), 1);
  return std::clamp(settings_.bytes_limit / 8 / n, kLeastWindow, std::max(settings_.window, kLeastWindow));
}

// What is to be freed so that credit can go on.
std::uint64_t Gate::excess() const {
  const std::uint64_t soft = soft_limit();
  const std::uint64_t wanted = bytes_ + std::min(reserved_ + window(), soft / 3);
  return wanted > soft ? wanted - soft : 0;
}

void Gate::count_reserved() {
  reserved_ = 0;
  for (auto& [id, r] : routers_)
    r.each_flow([this](const HeldRecords::SessionFlow& f) {
      if (!f.closed) reserved_ += f.granted - std::min(f.granted, f.received);
    });
}

void Gate::hold_limit() {
  count_reserved();
  if (excess() == 0) return;
  if (rule_on("G6-free")) free_acknowledged(excess());
  if (excess() > 0 && rule_on("G6-tear")) tear_dumps();
}

void Gate::free_acknowledged(std::uint64_t want) {
  std::vector<std::pair<std::uint64_t, HeldRecords*>> largest;
  for (auto& [id, r] : routers_)
    if (r.role() == Role::kActive) largest.emplace_back(r.bytes(), &r);
  std::sort(largest.begin(), largest.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [b, r] : largest) {
    if (want == 0) return;
    const std::uint64_t before = bytes_;
    touch(*r, [want](HeldRecords& h) { h.free_acknowledged(want); });
    want -= std::min(want, before - bytes_);
  }
}

void Gate::tear_dumps() {
  std::vector<std::pair<std::uint64_t, HeldRecords*>> largest;
  for (auto& [id, r] : routers_)
    if (r.can_tear()) largest.emplace_back(r.bytes(), &r);
  std::sort(largest.begin(), largest.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [b, r] : largest) {
    if (excess() == 0) return;
    touch(*r, [](HeldRecords& h) { h.tear(); });
  }
}

// Credit that a session may have now.
std::uint64_t Gate::room_for(const HeldRecords& r, std::uint64_t outstanding) const {
  // The same measure as hold_limit()'s: what can be freed is freed before any credit stops.
  if (excess() == 0 || !rule_on("G6-credit")) return window();
  // Little room: only a router that holds less than its share goes on, however small the shares of many are.
  const std::uint64_t least = std::min(kLeastWindow, share() / 2);
  return r.bytes() + outstanding + least <= share() && rule_on("G6-share") ? least : 0;
}

std::vector<ControlEntry> Gate::take_control() {
  std::vector<ControlEntry> out;
  std::set<RouterId> again;
  for (const RouterId& id : flow_dirty_) {
    const auto found = routers_.find(id);
    if (found == routers_.end()) continue;
    HeldRecords& r = found->second;
    r.each_flow([&](HeldRecords::SessionFlow& f) {
      const std::uint64_t outstanding = f.granted - std::min(f.granted, f.received);
      if (!f.closed && outstanding < window() / 2) {
        const std::uint64_t room = room_for(r, outstanding);
        if (outstanding < room / 2) {
          reserved_ += room - outstanding;
          f.granted = f.received + room;
        } else {
          again.insert(id);  // until there is room
        }
      }
      if (f.release_seq == f.told_release && f.granted == f.told_granted) return;
      f.told_release = f.release_seq;
      f.told_granted = f.granted;
      out.push_back({id, f.id, f.release_seq, f.granted, false});
    });
  }
  flow_dirty_ = std::move(again);
  for (const auto& [id, session] : resets_) out.push_back({id, session, 0, 0, true});
  resets_.clear();
  return out;
}

// --- towards the others

bool Gate::wants_hello(BootTime now) {
  const bool needed = !confirmed_ || now - alive_at_ >= settings_.recv_silent || replay_wanted_;
  if (!needed || now - hello_at_ < kHelloInterval) return false;
  hello_at_ = now;
  replay_wanted_ = false;
  for (auto& [id, r] : routers_) {
    r.restart_flow();
    flow_dirty_.insert(id);
  }
  return true;
}

GateStatus Gate::status(BootTime now, bool kafka_ok) {
  GateStatus s;
  s.gate_inc = settings_.gate_inc;
  s.recv_inc = recv_inc_;
  s.recv_alive = recv_alive(now);
  s.n = ++status_n_;
  s.sent = now;
  s.kafka_ok = kafka_ok;
  s.retain = std::chrono::duration_cast<Millis>(settings_.held.retain);
  s.routers.reserve(routers_.size());
  for (const auto& [id, r] : routers_) s.routers.push_back(r.status());
  return s;
}

std::vector<Note> Gate::take_notes() {
  std::vector<Note> out;
  for (const RouterId& id : status_dirty_) {
    const auto found = routers_.find(id);
    if (found == routers_.end()) continue;
    const GateRouter g = found->second.status();
    const Seen now{g.session, g.up, g.torn, g.blocked, g.in_dump, g.role, g.epoch};
    Seen& before = seen_[id];
    if (now != before) urgent_ = true;
    before = now;
    for (Note& n : found->second.take_notes()) out.push_back(n);
  }
  status_dirty_.clear();
  return out;
}

bool Gate::is_idle() const {
  return std::all_of(routers_.begin(), routers_.end(), [](const auto& r) { return r.second.role() == Role::kStandby; });
}

void Gate::forget_gone(BootTime now) {
  for (auto r = routers_.begin(); r != routers_.end();) {
    if (!r->second.is_empty()) {
      empty_since_.erase(r->first);
      ++r;
      continue;
    }
    const BootTime since = empty_since_.emplace(r->first, now).first->second;
    if (now - since < kForgetAfter) {
      ++r;
      continue;
    }
    empty_since_.erase(r->first);
    seen_.erase(r->first);
    r = routers_.erase(r);
  }
}

}  // namespace bmpha::gate
