#include "bmp-recv/record_ring.h"

#include <algorithm>

#include "common/rules.h"

namespace bmpha::recv {

RecordRing::Queue* RecordRing::open(const RouterId& router, const SessionId& session, std::string name, BootTime now) {
  const auto at = queues_.emplace(queues_.end());
  at->router = router;
  at->session = session;
  at->name = std::move(name);
  at->last_read = now;
  index_[{router, session}] = at;
  ++routers_[router].queues;
  return &*at;
}

void RecordRing::append(Queue& q, const Record& record) {
  const std::uint64_t cost = record.size + kRecordOverhead;
  q.records.push_back(record);
  q.last_seq = record.seq;
  q.bytes += cost;
  bytes_ += cost;
  routers_[q.router].bytes += cost;
  ++records_;
}

void RecordRing::close(Queue* q) {
  q->up = false;
  q->read_paused = false;
  drop_if_done(q);
}

void RecordRing::drop_if_done(Queue* q) {
  if (q->up || !q->records.empty()) return;
  const auto at = index_.find({q->router, q->session});
  const auto use = routers_.find(q->router);
  if (--use->second.queues == 0) routers_.erase(use);
  if (turn_ == at->second) ++turn_;
  queues_.erase(at->second);
  index_.erase(at);
}

std::uint64_t RecordRing::router_part() const { return limit_ / 4 / std::max<std::size_t>(routers_.size(), 1); }

bool RecordRing::may_read(const RouterId& router) const {
  if (bytes_ >= limit_) return false;  // first: any number of router ids would have a part that is free
  if (bytes_ < limit_ - limit_ / 4) return true;
  const auto use = routers_.find(router);
  return use == routers_.end() || use->second.bytes < router_part();
}

void RecordRing::on_hello() {
  for (Queue& q : queues_) {
    q.next = 0;
    q.sent_bytes = 0;
    q.credit = kInitialCredit;
  }
}

RecordRing::Queue* RecordRing::find(const RouterId& router, const SessionId& session) {
  const auto at = index_.find({router, session});
  return at == index_.end() ? nullptr : &*at->second;
}

void RecordRing::release(Queue& q, std::uint64_t seq) {
  RouterUse& use = routers_[q.router];
  while (!q.records.empty() && q.records.front().seq <= seq) {
    const Record& r = q.records.front();
    const std::uint64_t cost = r.size + kRecordOverhead;
    q.released_seq = r.seq;
    q.released_read_time = r.read_time;
    q.bytes -= cost;
    bytes_ -= cost;
    use.bytes -= cost;
    --records_;
    // What a gate releases without having been sent it (it held it from before) needs no sending.
    if (q.next > 0) --q.next;
    q.records.pop_front();
  }
}

RecordRing::Applied RecordRing::on_control(const Control& control) {
  Applied applied;
  for (const ControlEntry& e : control.entries) {
    Queue* q = find(e.router, e.session);
    if (q == nullptr) continue;
    if (e.reset && q->up) applied.resets.emplace_back(e.router, e.session);
    if (e.credit_bytes > q->credit) {
      q->credit = e.credit_bytes;
      applied.credited = true;
    }
    if (e.release_seq > q->released_seq) {
      release(*q, e.release_seq);
      applied.released = true;
      drop_if_done(q);
    }
  }
  return applied;
}

const Record* RecordRing::next_of(const Queue& q) {
  if (q.next >= q.records.size()) return nullptr;
  const Record& r = q.records[q.next];
  // A record may overshoot the credit: were it held until it fits whole, a rest of credit that is smaller than the
  // record and too large for the gate to renew would stop the session for ever.
  return q.sent_bytes >= q.credit ? nullptr : &r;
}

bool RecordRing::next_sendable(Sendable& out) {
  for (std::size_t n = 0; n < queues_.size(); ++n) {
    if (turn_ == queues_.end()) turn_ = queues_.begin();
    Queue& q = *turn_++;
    if (const Record* r = next_of(q); r != nullptr) {
      out = {&q, *r};
      return true;
    }
  }
  return false;
}

void RecordRing::sent(Queue& q) {
  q.sent_bytes += q.records[q.next++].size;
  if (!rule_on("A3-kept")) release(q, q.records[q.next - 1].seq);
}

std::vector<AliveSession> RecordRing::table(BootTime now) const {
  std::vector<AliveSession> list;
  list.reserve(queues_.size());
  for (const Queue& q : queues_) {
    AliveSession s;
    s.router = q.router;
    s.session = q.session;
    s.up = q.up;
    s.read_paused = q.read_paused;
    s.last_read = q.always_current ? now : q.last_read;
    s.released_seq = q.released_seq;
    s.released_read_time = q.released_read_time;
    s.last_seq = q.last_seq;
    s.name = q.name;
    s.peers_up = q.peers_up;
    list.push_back(std::move(s));
  }
  return list;
}

}  // namespace bmpha::recv
