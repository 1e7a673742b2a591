// The routers, and bmp-recv's reading of them.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulate/sim.h"

namespace bmpha::simulate {

using Kind = Said::Kind;

void Sim::churn() {
  if (t_ >= quiet_from_) return;
  change(routers_[static_cast<std::size_t>(below(kRouters))]);
  in(chance(6) ? between(Millis(200), Millis(1500)) : between(Millis(1), Millis(120)), [this] { churn(); });
}

// One prefix changes; now and then a peer goes down, or comes up again with all that it has.
void Sim::change(Router& r) {
  const int peer = below(kPeers);
  Peer& p = r.peers[static_cast<std::size_t>(peer)];
  const int router = router_index(r.id);
  const auto note = [&](std::size_t x, bool announced) {
    p.rows[x].announced = announced;
    p.rows[x].version = p.version;
    p.history[x][p.version] = announced;
  };
  ++p.version;
  p.written[p.version] = t_;
  if (!p.up || chance(40)) {
    p.up = !p.up;
    for (std::size_t x = 0; x < kPrefixes; ++x) note(x, p.up);
    write(r, {p.up ? Kind::kPeerUp : Kind::kPeerDown, router, peer, 0, p.version, false, false, {}, t_});
    if (!p.up) return;
    for (int x = 0; x < kPrefixes; ++x) {
      ++p.version;
      p.written[p.version] = t_;
      note(static_cast<std::size_t>(x), true);
      write(r, {Kind::kRoute, router, peer, x, p.version, true, false, {}, t_});
    }
    return;
  }
  const int x = below(kPrefixes);
  note(static_cast<std::size_t>(x), !chance(3));
  write(r, {Kind::kRoute, router, peer, x, p.version, p.rows[static_cast<std::size_t>(x)].announced, false, {}, t_});
}

// To every session whose table walk has passed the peer.
void Sim::write(Router& r, const Said& said) {
  const int router = router_index(r.id);
  for (Node& n : nodes_) {
    const Session& s = n.sessions[static_cast<std::size_t>(router)];
    if (s.open && s.walked > said.peer) write_to(n, router, said);
  }
}

// A session's delay differs from message to message; what is written first arrives first. A router that coalesces has
// one entry a prefix, and looks the route up when it sends.
void Sim::write_to(Node& n, int router, const Said& said) {
  Session& s = n.sessions[static_cast<std::size_t>(router)];
  if (coalesces_ && said.kind == Kind::kRoute && !said.in_dump)
    for (auto w = s.wire.rbegin(); w != s.wire.rend() && w->kind == Kind::kRoute && !w->in_dump; ++w)
      if (w->peer == said.peer && w->prefix == said.prefix) {
        Peer& p = routers_[static_cast<std::size_t>(router)].peers[static_cast<std::size_t>(said.peer)];
        p.coalesced[{n.index, said.prefix}].push_back(w->version);
        *w = said;
        return;
      }
  s.wire.push_back(said);
  const Nanos quickly = between(Nanos{0}, Millis(5));
  s.last_arrival = std::max(s.last_arrival, t_ + (chance(3) ? between(Nanos{0}, s_.skew) : quickly));
  at(s.last_arrival, [this, &n, router, number = s.number] { arrive(n, router, number); });
}

void Sim::dial(Node& n, int router) {
  Session& s = n.sessions[static_cast<std::size_t>(router)];
  if (s.open) return;
  if (!n.recv.alive) return in(Millis(700), [this, &n, router] { dial(n, router); });
  const std::uint64_t number = s.number + 1;
  s = {};
  s.open = true;
  s.number = number;
  tell("{} router {} dials", n.id, router);
  write_to(n, router, {Kind::kBegin, router, 0, 0, 0, false, true, {}, t_});
  in(between(Millis(5), Millis(60)), [this, &n, router, number] { walk(n, router, number); });
}

// The table walk covers one peer at a time.
void Sim::walk(Node& n, int router, std::uint64_t session) {
  Session& s = n.sessions[static_cast<std::size_t>(router)];
  if (!s.open || s.number != session) return;
  const Router& r = routers_[static_cast<std::size_t>(router)];
  if (s.walked == kPeers) {
    ++s.walked;
    return write_to(n, router, {Kind::kSynced, router, 0, 0, 0, false, true, s.snapshot, t_});
  }
  const int peer = s.walked++;
  const Peer& p = r.peers[static_cast<std::size_t>(peer)];
  s.snapshot[static_cast<std::size_t>(peer)] = p.version;
  if (p.up) {
    write_to(n, router, {Kind::kPeerUp, router, peer, 0, p.version, false, true, {}, t_});
    for (int x = 0; x < kPrefixes; ++x) {
      const Row& row = p.rows[static_cast<std::size_t>(x)];
      if (row.announced) write_to(n, router, {Kind::kRoute, router, peer, x, row.version, true, true, {}, t_});
    }
  }
  in(chance(4) ? between(Millis(300), Millis(1500)) : between(Millis(2), Millis(60)),
     [this, &n, router, session] { walk(n, router, session); });
}

void Sim::arrive(Node& n, int router, std::uint64_t session) {
  Session& s = n.sessions[static_cast<std::size_t>(router)];
  if (!s.open || s.number != session || s.silent || s.wire.empty()) return;
  RecvRouter& r = n.recv.routers[static_cast<std::size_t>(router)];
  if (s.socket.empty()) r.empty_at = clock(n) - Nanos{1};
  s.socket.push_back(s.wire.front());
  s.wire.pop_front();
  in_process(n.recv, message(), [this, &n, router] { read(n, router); });
}

void Sim::read(Node& n, int router) {
  Session& s = n.sessions[static_cast<std::size_t>(router)];
  RecvRouter& r = n.recv.routers[static_cast<std::size_t>(router)];
  const BootTime drained = r.empty_at;
  std::size_t most = chance(10) ? 1 : s.socket.size();  // a backlog is read bit by bit
  for (; most > 0 && !s.socket.empty(); --most) {
    const Said said = s.socket.front();
    s.socket.pop_front();
    r.last_read = clock(n);
    if (said.kind == Kind::kBegin) {
      ++r.number;
      r.seq = r.released = 0;
      r.released_read = {};
      r.up = r.in_dump = true;
    }
    if (!said.in_dump)
      routers_[static_cast<std::size_t>(router)].peers[static_cast<std::size_t>(said.peer)].read[said.version]
                                                                                                [n.index] = t_;
    const RecordKind kind = said.kind == Kind::kBegin    ? RecordKind::kSessionBegin
                            : said.kind == Kind::kRoute  ? RecordKind::kRoutes
                            : said.kind == Kind::kSynced ? RecordKind::kSynced
                                                         : RecordKind::kPeer;
    put(n, router, said, kind, drained);
    if (said.kind == Kind::kSynced) r.in_dump = false;
  }
  if (!s.socket.empty()) in_process(n.recv, message(), [this, &n, router] { read(n, router); });
}

void Sim::put(Node& n, int router, const Said& said, RecordKind kind, BootTime drained) {
  RecvRouter& r = n.recv.routers[static_cast<std::size_t>(router)];
  Kept kept;
  Envelope& e = kept.envelope;
  e.kind = kind;
  e.topic = TopicSelector::kUnicastPrefix;
  e.in_dump = r.in_dump;
  e.opener = said.kind == Kind::kPeerUp;
  e.session = {n.recv.inc, r.number};
  e.seq = ++r.seq;
  e.router = router_id(router);
  e.key = kind == RecordKind::kRoutes || kind == RecordKind::kPeer ? peer_key(router, said.peer) : e.router;
  e.read_time = clock(n);
  e.drained_time = drained;
  e.read_wall_us = t_.count() / 1000;
  e.payload_size = 100;
  kept.said = std::make_shared<const Said>(said);
  r.ring.push_back(kept);
  send_record(n, kept);
}

// The connection is gone on both sides; what was not read is lost.
void Sim::end_session(Node& n, int router, std::optional<Nanos> dial_in) {
  Session& s = n.sessions[static_cast<std::size_t>(router)];
  if (dial_in) in(*dial_in, [this, &n, router] { dial(n, router); });
  if (!s.open) return;
  s.open = s.silent = false;
  s.wire.clear();
  s.socket.clear();
  if (!n.recv.alive) return;
  in_process(n.recv, Nanos{0}, [this, &n, router, number = n.recv.routers[static_cast<std::size_t>(router)].number] {
    RecvRouter& r = n.recv.routers[static_cast<std::size_t>(router)];
    if (!r.up || r.number != number) return;
    r.up = false;
    Said end;
    end.router = router;
    put(n, router, end, RecordKind::kSessionEnd, clock(n) - Nanos{1});
  });
}

}  // namespace bmpha::simulate
