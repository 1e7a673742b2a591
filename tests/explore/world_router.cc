// The router's side of the world.
#include "tests/explore/world_parts.h"

namespace bmpha::explore {

using Kind = RouterMessage::Kind;

void World::router_acts(Oracle& oracle) {
  const auto count = static_cast<int>(scenario_->changes.size());
  while (next_change_ < count) {
    if (step_ < scenario_->window && oracle.choose(2) == 1) return;
    apply(scenario_->changes[static_cast<std::size_t>(next_change_++)]);
    if (step_ >= scenario_->window) continue;
  }
}

void World::apply(const Change& c) {
  RouterPeer& p = router_[static_cast<std::size_t>(c.peer)];
  const auto peer = static_cast<std::uint8_t>(c.peer);
  p.version = static_cast<std::uint8_t>(next_change_);
  switch (c.what) {
    case What::kAnnounce:
    case What::kWithdraw:
      p.announced = c.what == What::kAnnounce;
      return write({Kind::kRoute, peer, p.announced, false});
    case What::kPeerDown:
      p.up = p.announced = false;
      return write({Kind::kPeerDown, peer, false, false});
    case What::kPeerUp:
      p.up = p.announced = true;
      write({Kind::kPeerUp, peer, false, false});
      return write({Kind::kRoute, peer, true, false});
  }
}

// To every session whose table walk has passed the peer.
void World::write(const RouterMessage& m) {
  for (NodeWorld& n : nodes_)
    if (n.session.open && n.session.walk > m.peer) write(n.session, m);
}

void World::write(RouterSession& s, RouterMessage m) {
  m.written = t_;
  for (std::size_t p = 0; p < kPeers; ++p) m.versions[p] = router_[p].version;
  s.wire.push_back(m);
}

// The table walk covers one peer a step.
void World::walk(NodeWorld& n, Oracle& oracle) {
  RouterSession& s = n.session;
  if (!s.open || s.walk > kPeers || is_held(n, Stage::kWalk, oracle)) return;
  const auto peer = static_cast<std::uint8_t>(s.walk++);
  if (peer == kPeers) return write(s, {Kind::kSynced, 0, false, true});
  if (!router_[peer].up) return;
  write(s, {Kind::kPeerUp, peer, false, true});
  if (router_[peer].announced) write(s, {Kind::kRoute, peer, true, true});
}

void World::open_session(NodeWorld& n) {
  n.session = {};
  n.session.open = true;
  write(n.session, {Kind::kBegin, 0, false, true});
}

// The connection is gone on both sides; what was not read is lost.
void World::end_session(NodeWorld& n, int dial_in) {
  n.session = {};
  n.session.dial_in = dial_in;
  Receiver& r = n.recv;
  if (!r.up) return;
  r.up = false;
  if (n.dead != 0 || n.recv_dead != 0) return;
  Envelope e;
  e.kind = RecordKind::kSessionEnd;
  e.in_dump = r.in_dump;
  put(n, e);
}

}  // namespace bmpha::explore
