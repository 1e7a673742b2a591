// Several deciders in virtual time: each with a simple gate, all with one store that follows the rules of the scripts.
// Every node has a clock of its own (hosts boot at different times); blobs and claims travel as texts.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ha-arbiter/decider.h"
#include "ha-arbiter/join_guard.h"
#include "ha-arbiter/memory_store.h"
#include "ha-arbiter/node_blob.h"

namespace bmpha::arbiter::sim {

inline RouterId router_id(std::uint8_t n) {
  RouterId r;
  r.bytes[0] = 0xaa;
  r.bytes[15] = n;
  return r;
}

// One router in a node's gate. Records are not simulated: what is read at t is there at t, and acknowledged at once
// while active.
struct GateSim {
  struct Router {
    GateRouter row;
    std::optional<BootTime> releasing_until;
    bool silent = false;  // nothing is read
  };
  std::uint64_t inc = 1;
  std::uint64_t recv_inc = 77;
  bool kafka_ok = true;
  bool hung = false;
  Nanos release_takes = Millis(20);
  Nanos retain = Millis(5000);
  std::map<RouterId, Router> routers;
  std::uint64_t n = 0;
  bool changed = false;
  std::vector<Roles> heard;
  BootTime roles_at;
  bool any_roles = false;
  std::map<RouterId, std::vector<SessionId>> resets;

  Router& dial(const RouterId& id, std::uint64_t number, BootTime now) {
    Router& r = routers[id];
    r.row.router = id;
    r.row.name = "r" + std::to_string(id.bytes[15]);
    r.row.session = {recv_inc, number};
    r.row.up = true;
    r.row.in_dump = true;
    r.row.last_read = now;
    r.row.brackets.push_back({r.row.session, now, std::nullopt});
    if (r.row.records == 0) r.row.front_is_opener = true;
    r.row.records = 1;
    r.row.blocked = r.row.role == Role::kActive && r.row.claimed_session != r.row.session;
    changed = true;
    return r;
  }
  void synced(const RouterId& id, BootTime now) {
    GateRouter& g = routers[id].row;
    g.in_dump = false;
    if (!g.brackets.empty()) g.brackets.back().synced = now;
    changed = true;
  }
  void lose_session(const RouterId& id, bool tail) {
    GateRouter& g = routers[id].row;
    g.up = g.in_dump = false;
    g.unsent_tail = tail;
    changed = true;
  }
  void roles(const Roles& m, BootTime now) {
    if (hung) return;
    heard.push_back(m);
    roles_at = now;
    any_roles = true;
    std::map<RouterId, const RoleRouter*> rows;
    for (const RoleRouter& row : m.routers) {
      rows[row.router] = &row;
      if (row.role == Role::kActive) routers[row.router].row.router = row.router;
      if (!row.reset_session.is_none()) resets[row.router].push_back(row.reset_session);
    }
    for (auto& [id, r] : routers) {
      GateRouter& g = r.row;
      const auto row = rows.find(id);
      if (row == rows.end() || row->second->role != Role::kActive) {
        if (g.role == Role::kActive) {
          g.role = Role::kReleasing;
          r.releasing_until = now + release_takes;
        }
        if (row != rows.end() && g.role == Role::kStandby && row->second->cover)
          trim(g, *row->second->cover + (m.by_age ? retain : Nanos{0}));
        continue;
      }
      const RoleRouter& wanted = *row->second;
      if (g.role != Role::kActive || g.epoch != wanted.epoch || g.claimed_session != wanted.session) {
        g.w = step_back(g.brackets, wanted.start);
        changed = true;
      }
      g.role = Role::kActive;
      g.solo = m.solo;
      g.epoch = wanted.epoch;
      g.claimed_session = wanted.session;
      g.blocked = g.claimed_session != g.session && g.up;
      g.emitted = std::max(g.emitted, static_cast<std::uint8_t>(wanted.emit));
      if (wanted.cover) trim(g, *wanted.cover);
    }
  }
  void trim(GateRouter& g, BootTime cover) const {
    const BootTime line = cover - retain;
    if (g.in_dump || line <= g.trimmed_to) return;
    if (!g.brackets.empty() && g.brackets.front().synced && *g.brackets.front().synced < line) g.brackets.clear();
    if (!g.brackets.empty()) return;
    g.trimmed_to = line;
    g.front_is_opener = false;
  }
  void step(BootTime now) {
    for (auto& [id, r] : routers) {
      GateRouter& g = r.row;
      if (r.releasing_until && now >= *r.releasing_until) {
        g.role = Role::kStandby;
        g.claimed_session = {};
        r.releasing_until.reset();
        changed = true;
      }
      if (g.up && !r.silent) g.last_read = now;
      if (g.role != Role::kActive || now - roles_at > Millis(1500)) continue;
      if (g.unsent_tail && g.claimed_session == g.session && !g.up) {
        g.unsent_tail = false;
        changed = true;
      }
      if (g.up && !g.in_dump && !g.blocked && !r.silent) g.w = std::max(g.w.value_or(BootTime{}), now);
    }
  }
  GateStatus status(BootTime now) {
    GateStatus s;
    s.gate_inc = inc;
    s.recv_inc = recv_inc;
    s.recv_alive = true;
    s.n = ++n;
    s.sent = now;
    s.kafka_ok = kafka_ok;
    s.retain = std::chrono::duration_cast<Millis>(retain);
    for (const auto& [id, r] : routers) s.routers.push_back(r.row);
    return s;
  }
  bool is_active(const RouterId& id, BootTime now) const {
    const auto r = routers.find(id);
    return r != routers.end() && r->second.row.role == Role::kActive && now - roles_at <= Millis(1500);
  }
};

struct Node {
  std::string id;
  Nanos boot_offset{0};
  Nanos phase{0};
  bool alive = true;       // the arbiter's process
  bool gate_alive = true;  // the gate's
  bool arbiter_hung = false;
  bool reachable = true;
  std::unique_ptr<Decider> decider;
  std::unique_ptr<JoinGuard> guard;
  Persisted stored;
  GateSim gate;
  Nanos next_tick{0}, next_status{0};
  std::optional<Nanos> soon;
  std::vector<Event> events;
  std::vector<std::uint64_t> epochs;  // of claims won

  std::size_t count(const std::string& what) const {
    std::size_t n = 0;
    for (const Event& e : events) n += e.what == what ? 1u : 0u;
    return n;
  }
};

class World {
 public:
  static constexpr std::int64_t kRedisStart = 1'700'000'000'000;
  Nanos t{0};
  MemoryCluster cluster{2000, 400};
  Nanos redis_step{0};
  bool redis_up = true;
  std::function<void(DeciderSettings&)> tune;  // settings of nodes that start from now on
  std::deque<Node> nodes;
  // Always-properties
  std::map<std::uint64_t, std::string> claims;  // epoch of router 1, by whom
  int doubles = 0;                              // steps with two active gates, none of them solo

  static DeciderSettings settings(const std::string& id) {
    DeciderSettings s;
    s.node = id;
    s.inc = std::hash<std::string>{}(id) | 1;
    return s;
  }
  Node& add(const std::string& id, Nanos phase) {
    Node& n = nodes.emplace_back();
    n.id = id;
    n.phase = phase;
    n.boot_offset = std::chrono::hours(1 + 100 * static_cast<std::int64_t>(nodes.size() % 3));
    start(n);
    return n;
  }
  BootTime now(const Node& n) const { return BootTime(t + n.boot_offset); }
  std::int64_t redis_ms() const { return kRedisStart + std::chrono::duration_cast<Millis>(t + redis_step).count(); }
  void start(Node& n) {
    DeciderSettings s = settings(n.id);
    s.inc += ++incs_;
    if (tune) tune(s);
    n.decider = std::make_unique<Decider>(s, n.stored, now(n), redis_ms());
    n.guard = std::make_unique<JoinGuard>(s.inc, Millis(500), Millis(2000));
    n.alive = true;
    n.next_tick = t + n.phase;
    n.next_status = t;
    n.soon.reset();
  }
  void stop(Node& n) { n.alive = false; }  // kill -9 of the arbiter
  void kill(Node& n) {                     // of everything
    n.alive = n.gate_alive = false;
    n.gate.any_roles = false;
  }
  void dial(const RouterId& r, std::uint64_t number) {
    for (Node& n : nodes)
      if (n.gate_alive) n.gate.dial(r, number, now(n));
  }
  void synced(const RouterId& r) {
    for (Node& n : nodes)
      if (n.gate_alive) n.gate.synced(r, now(n));
  }
  std::vector<std::string> active(const RouterId& r) const {
    std::vector<std::string> out;
    for (const Node& n : nodes)
      if (n.gate_alive && !n.gate.hung && n.gate.is_active(r, now(n))) out.push_back(n.id);
    return out;
  }
  std::string owner(const RouterId& r) const {
    const auto o = cluster.owners().find(to_hex(r));
    return o != cluster.owners().end() ? decode_owner(o->second).node : std::string();
  }
  // Runs until the condition holds; false after `most`.
  template <class F>
  bool until(F&& condition, Nanos most) {
    for (const Nanos end = t + most; t < end;) {
      step();
      if (condition()) return true;
    }
    return false;
  }
  void run(Nanos d) {
    for (const Nanos end = t + d; t < end;) step();
  }
  void step() {
    t += Millis(10);
    for (Node& n : nodes) {
      if (n.gate_alive && !n.gate.hung) n.gate.step(now(n));
      if (!n.alive || n.arbiter_hung) continue;
      if (n.gate_alive && !n.gate.hung && (n.gate.changed || t >= n.next_status)) {
        n.gate.changed = false;
        n.next_status = t + Millis(250);
        if (n.decider->gate(n.gate.status(now(n)), now(n))) decide(n);
      }
      if (t >= n.next_tick) {
        n.next_tick = t + Millis(500);
        n.decider->begin_tick(now(n));
        decide(n);
        exchange(n);
      } else if (n.soon && t >= *n.soon) {
        n.soon.reset();
        exchange(n);
      } else if (!n.decider->has_joined()) {
        exchange(n);
      }
    }
    int count = 0;
    for (const Node& n : nodes)
      count += n.gate_alive && !n.gate.hung && n.gate.is_active(router_id(1), now(n)) &&
                       !n.gate.routers.at(router_id(1)).row.solo
                   ? 1
                   : 0;
    doubles += count > 1 ? 1 : 0;
  }

 private:
  bool can_reach(const Node& n) const { return n.reachable && redis_up; }
  void exchange(Node& n) {
    if (!can_reach(n)) return decide(n);
    Decider& d = *n.decider;
    if (!d.has_joined()) {
      const TickReply reply = cluster.tick(n.id, {}, redis_ms());
      if (n.guard->look(reply.before, reply.redis_ms, now(n)) != JoinGuard::Verdict::kJoin) return;
      const auto& left = n.guard->left_behind();
      d.join(left ? &*left : nullptr, reply.redis_ms, now(n), now(n));
    }
    const TickReply reply = cluster.tick(n.id, {encode_blob(d.blob(now(n))), 0}, redis_ms());
    std::size_t malformed = 0;
    d.observe(read_observation(reply, now(n), malformed), now(n));
    if (malformed != 0) n.events.push_back({LogLevel::kError, "malformed", {}, {}, {}, 0});
    decide(n);
  }
  void decide(Node& n) {
    Decision d = n.decider->decide(now(n));
    n.stored = n.decider->persisted();
    if (d.roles && n.gate_alive) n.gate.roles(*d.roles, now(n));
    for (Event& e : d.events) n.events.push_back(std::move(e));
    for (const auto& [router, expected] : d.forget) cluster.forget({{to_hex(router), expected}});
    if (d.tick_soon) n.soon = t + Millis(50);
    if (!d.claims) return;
    if (!can_reach(n)) {
      n.decider->claims_failed(now(n));
      return decide(n);
    }
    const ClaimReply reply = cluster.claim(n.id, encode_claims(*d.claims, n.id, 0), redis_ms());
    for (std::size_t c = 0; c < reply.won.size(); ++c) {
      if (!reply.won[c]) continue;
      n.epochs.push_back(d.claims->items[c].epoch);
      if (d.claims->items[c].router == router_id(1)) {
        if (claims.contains(d.claims->items[c].epoch)) ++shared_epochs;
        claims[d.claims->items[c].epoch] = n.id;
      }
    }
    n.decider->claims_answered(reply.won, reply.redis_ms, now(n));
    decide(n);
  }

  std::uint64_t incs_ = 0;

 public:
  int shared_epochs = 0;
};

}  // namespace bmpha::arbiter::sim
