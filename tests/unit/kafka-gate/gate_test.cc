#include "kafka-gate/gate.h"

#include <doctest/doctest.h>

#include "kafka-gate/state_dump.h"
#include "tests/unit/kafka-gate/gate_support.h"

using namespace bmpha;        // NOLINT
using namespace bmpha::gate;  // NOLINT

namespace {

constexpr std::uint64_t kGateInc = 77;

Gate::Settings gate_settings(std::uint64_t limit = 2ull << 30) {
  Gate::Settings s;
  s.held = held_settings();
  s.gate_inc = kGateInc;
  s.bytes_limit = limit;
  return s;
}

Alive alive_of(std::vector<AliveSession> sessions = {}, std::uint64_t gate_inc = kGateInc, std::uint64_t inc = kInc) {
  Alive a;
  a.recv_inc = inc;
  a.gate_inc = gate_inc;
  a.sessions = std::move(sessions);
  return a;
}
AliveSession alive_row(std::uint64_t number, std::uint8_t router, std::uint64_t released, std::uint64_t last) {
  AliveSession s;
  s.router = router_id(router);
  s.session = session_id(number);
  s.up = true;
  s.released_seq = released;
  s.last_seq = last;
  s.name = "r" + std::to_string(router);
  return s;
}

void put(Gate& g, const Envelope& e, std::int64_t now_ms = 0) { g.record(e, body_of(e), at_ms(now_ms)); }

Roles roles_of(std::vector<RoleRouter> rows, std::int64_t sent_ms = 0) {
  Roles r;
  r.node = "A";
  r.gen = 1;
  r.sent = at_ms(sent_ms);
  r.routers = std::move(rows);
  return r;
}
RoleRouter active_row(std::uint8_t router, std::uint64_t epoch = 100) {
  RoleRouter row = active(epoch, 1, -1000, 0).row;
  row.router = router_id(router);
  return row;
}
RoleRouter standby_row(std::uint8_t router) {
  RoleRouter row;
  row.router = router_id(router);
  return row;
}

struct Kafka {
  std::vector<Copy> copies;
  std::size_t room = SIZE_MAX;
  bool pump(Gate& g, std::int64_t now_ms = 0, std::size_t budget = 100'000) {
    return g.pump(at_ms(now_ms), budget, [this](const Copy& c) {
      if (copies.size() >= room) return Gate::Handed::kFull;
      copies.push_back(c);
      return Gate::Handed::kYes;
    });
  }
  void ack_all(Gate& g) {
    for (const Copy& c : copies) g.answered(c.ticket, true);
    copies.clear();
  }
};

const ControlEntry* entry_of(const std::vector<ControlEntry>& all, std::uint8_t router) {
  for (const ControlEntry& e : all)
    if (e.router == router_id(router)) return &e;
  return nullptr;
}

}  // namespace

TEST_CASE("HELLO: said at once, again each second until ALIVE names this gate, and when bmp-recv falls silent") {
  Gate g(gate_settings());
  CHECK(g.wants_hello(at_ms(0)));
  CHECK_FALSE(g.wants_hello(at_ms(900)));
  CHECK(g.wants_hello(at_ms(1000)));
  g.alive(alive_of({}, kGateInc + 1), at_ms(1100));
  CHECK_FALSE(g.recv_alive(at_ms(1100)));
  CHECK(g.wants_hello(at_ms(2000)));
  g.alive(alive_of(), at_ms(2100));
  CHECK(g.recv_alive(at_ms(3599)));
  CHECK_FALSE(g.wants_hello(at_ms(3500)));
  CHECK_FALSE(g.recv_alive(at_ms(3600)));
  CHECK(g.wants_hello(at_ms(3600)));
}

TEST_CASE("credit is cumulative, keeps a window open, and starts from zero with each HELLO") {
  Gate g(gate_settings());
  g.wants_hello(at_ms(0));
  g.alive(alive_of(), at_ms(0));
  Writer w{1};
  const Envelope first = w.next(RecordKind::kSessionBegin, 0);
  put(g, first);
  auto control = g.take_control();
  REQUIRE(control.size() == 1);
  const std::uint64_t granted = control[0].credit_bytes;
  CHECK(granted == kEnvelopeSize + (8u << 20));
  CHECK(g.take_control().empty());
  std::uint64_t received = kEnvelopeSize;
  while (received < granted / 2 + kEnvelopeSize) {
    const Envelope e = w.next(RecordKind::kRoutes, 1, 1, 250'000);
    put(g, e);
    received += kEnvelopeSize + e.payload_size;
  }
  control = g.take_control();
  REQUIRE(control.size() == 1);
  CHECK(control[0].credit_bytes == received + (8u << 20));
  g.alive(alive_of({alive_row(1, 1, 0, 100)}), at_ms(0));
  REQUIRE(g.wants_hello(at_ms(5000)));
  control = g.take_control();
  REQUIRE(control.size() == 1);
  CHECK(control[0].credit_bytes == (8u << 20));  // nothing received since this HELLO
}

TEST_CASE("RELEASE entries are sent once and again after a HELLO") {
  Gate g(gate_settings());
  g.wants_hello(at_ms(0));
  Writer w{1};
  put(g, w.next(RecordKind::kSessionBegin, 0));
  g.roles(roles_of({standby_row(1)}), at_ms(0));
  auto control = g.take_control();
  REQUIRE(control.size() == 1);
  CHECK(control[0].release_seq == 1);
  CHECK(g.take_control().empty());
  CHECK(g.wants_hello(at_ms(2000)));
  control = g.take_control();
  REQUIRE(control.size() == 1);
  CHECK(control[0].release_seq == 1);
}

TEST_CASE("a reset asked for in the roles goes to bmp-recv") {
  Gate g(gate_settings());
  RoleRouter row = standby_row(1);
  row.reset_session = session_id(4);
  g.roles(roles_of({row}), at_ms(0));
  const auto control = g.take_control();
  REQUIRE(control.size() == 1);
  CHECK(control[0].reset);
  CHECK(control[0].session == session_id(4));
  CHECK(g.take_control().empty());
}

TEST_CASE("routers take turns, and a full producer loses nothing") {
  Gate g(gate_settings());
  for (std::uint8_t r = 1; r <= 2; ++r) {
    Writer w{1, r};
    put(g, w.next(RecordKind::kSessionBegin, 0));
    for (int n = 0; n < 200; ++n) put(g, w.next(RecordKind::kRoutes, 1 + n));
  }
  g.roles(roles_of({active_row(1), active_row(2)}), at_ms(0));
  Kafka k;
  k.room = 100;
  CHECK_FALSE(k.pump(g));
  CHECK(k.copies.size() == 100);
  std::set<RouterId> seen;
  for (const Copy& c : k.copies) seen.insert(c.header.router);
  CHECK(seen.size() == 2);
  k.room = SIZE_MAX;
  CHECK(k.pump(g));
  CHECK(k.copies.size() == 2 * (kPartitions + 200));
  for (std::uint8_t r = 1; r <= 2; ++r) {
    std::uint64_t expected = 2;
    for (const Copy& c : k.copies)
      if (c.header.router == router_id(r) && c.ticket.of == CopyOf::kHeld) CHECK(c.header.seq == expected++);
    CHECK(expected == 202);
  }
}

TEST_CASE("a refused copy is skipped and what stands behind it goes on") {
  Gate g(gate_settings());
  Writer w{1};
  put(g, w.next(RecordKind::kSessionBegin, 0));
  for (int n = 0; n < 3; ++n) put(g, w.next(RecordKind::kRoutes, 1 + n));
  g.roles(roles_of({active_row(1)}), at_ms(0));
  std::vector<std::uint64_t> sent;
  g.pump(at_ms(0), 1000, [&](const Copy& c) {
    if (c.ticket.of == CopyOf::kHeld && c.header.seq == 3) return Gate::Handed::kRefused;
    sent.push_back(c.header.seq);
    g.answered(c.ticket, true);  // at once: also covers answers during pump
    return Gate::Handed::kYes;
  });
  CHECK(sent.back() == 4);
  CHECK(g.routers().at(router_id(1)).counters().skipped == 1);
}

TEST_CASE("lease: pump hands over nothing when the roles are old and goes on with the next") {
  Gate g(gate_settings());
  Writer w{1};
  put(g, w.next(RecordKind::kSessionBegin, 0));
  put(g, w.next(RecordKind::kRoutes, 1));
  g.roles(roles_of({active_row(1)}, 0), at_ms(0));
  Kafka k;
  k.pump(g, 1501);
  CHECK(k.copies.empty());
  g.roles(roles_of({active_row(1)}, 1600), at_ms(1600));
  k.pump(g, 1600);
  CHECK(k.copies.size() == kPartitions + 1);
}

TEST_CASE("G6: memory stays under the limit: acknowledged records go first, then open dumps of others, then credit") {
  constexpr std::uint64_t kLimit = 16u << 20;
  Gate g(gate_settings(kLimit));
  Writer owned{1, 1};
  Writer other{1, 2};
  g.roles(roles_of({active_row(1), standby_row(2)}), at_ms(0));
  put(g, owned.next(RecordKind::kSessionBegin, 0));
  put(g, other.next(RecordKind::kSessionBegin, 0));
  Kafka k;
  // Both dump without end; the owner's records are acknowledged at once.
  for (int n = 1; n <= 30; ++n) {
    put(g, owned.next(RecordKind::kRoutes, n, 1, 200'000));
    k.pump(g);
    k.ack_all(g);
    g.tick(at_ms(n));
    CHECK(g.bytes() <= kLimit);
  }
  const std::uint64_t freed_before = g.routers().at(router_id(1)).counters().freed;
  for (int n = 1; n <= 100; ++n) {
    put(g, other.next(RecordKind::kRoutes, n, 1, 200'000));
    g.tick(at_ms(n));
    CHECK(g.bytes() <= kLimit);
  }
  CHECK(g.routers().at(router_id(1)).counters().freed > freed_before);
  CHECK(g.routers().at(router_id(1)).status().torn == false);
  CHECK(g.routers().at(router_id(2)).status().torn);
  CHECK(g.routers().at(router_id(2)).counters().dropped_torn > 0);
}

// Also with so many routers that a share is smaller than the usual least window.
static void one_is_stuck(std::uint8_t routers) {
  constexpr std::uint64_t kLimit = 16u << 20;
  Gate g(gate_settings(kLimit));
  for (std::uint8_t n = 3; n <= routers; ++n) {
    Writer other{1, n};
    put(g, other.next(RecordKind::kSessionBegin, 0));
  }
  g.wants_hello(at_ms(0));
  g.alive(alive_of(), at_ms(0));
  Writer stuck{1, 1};
  Writer fine{1, 2};
  g.roles(roles_of({active_row(1), active_row(2)}), at_ms(0));
  put(g, stuck.next(RecordKind::kSessionBegin, 0));
  put(g, fine.next(RecordKind::kSessionBegin, 0));
  std::uint64_t granted = kInitialCredit;
  std::uint64_t sent = kEnvelopeSize;
  for (int round = 0; round < 1000; ++round) {  // bmp-recv sends all that credit allows
    if (const auto control = g.take_control(); const ControlEntry* e = entry_of(control, 1)) granted = e->credit_bytes;
    if (sent >= granted) break;
    put(g, stuck.next(RecordKind::kRoutes, 1, 1, 100'000));
    sent += kEnvelopeSize + 100'000;
    g.tick(at_ms(round));
  }
  CHECK(g.bytes() < kLimit);
  CHECK(g.bytes() > kLimit / 2);
  CHECK(g.routers().at(router_id(1)).counters().dropped_torn == 0);
  CHECK(entry_of(g.take_control(), 1) == nullptr);

  // The other router's records are acknowledged as they come: it never runs dry.
  std::uint64_t fine_granted = kInitialCredit;
  std::uint64_t fine_sent = kEnvelopeSize;
  Kafka k;
  for (int n = 0; n < 200; ++n) {
    const auto control = g.take_control();
    if (const ControlEntry* e = entry_of(control, 2); e != nullptr && e->credit_bytes != 0)
      fine_granted = e->credit_bytes;
    REQUIRE(fine_sent < fine_granted);  // a record may overshoot
    put(g, fine.next(RecordKind::kRoutes, 1, 1, 20'000));
    fine_sent += kEnvelopeSize + 20'000;
    k.pump(g);
    for (const Copy& c : k.copies)
      if (c.header.router == router_id(2)) g.answered(c.ticket, true);
    k.copies.clear();
    g.tick(at_ms(n));
    CHECK(g.bytes() <= kLimit);
  }
}

TEST_CASE("G6: credit stops for an owner whose records cannot go, and a second router keeps its window") {
  one_is_stuck(2);
  one_is_stuck(40);
}

TEST_CASE("a new receiver incarnation ends the old one's sessions, and its stray records are dropped and counted") {
  Gate g(gate_settings());
  Writer old_writer{1, 1, 7};
  put(g, old_writer.next(RecordKind::kSessionBegin, 0));
  g.alive(alive_of({}, kGateInc, 8), at_ms(10));
  CHECK_FALSE(g.routers().at(router_id(1)).status().up);
  put(g, old_writer.next(RecordKind::kPeer, 20));
  CHECK(g.dropped_old_receiver() == 1);
  Writer fresh{1, 1, 8};
  put(g, fresh.next(RecordKind::kSessionBegin, 30));
  CHECK(g.routers().at(router_id(1)).status().up);
  CHECK(g.status(at_ms(40), true).recv_inc == 8);
}

TEST_CASE("after a restart the sessions of one router are opened in their order, however their records interleave") {
  Gate g(gate_settings());
  AliveSession first = alive_row(1, 1, 0, 2);
  first.up = false;
  g.alive(alive_of({alive_row(2, 1, 0, 1), first}), at_ms(0));
  Writer s1{1};
  Writer s2{2};
  put(g, s2.next(RecordKind::kSessionBegin, 50));
  put(g, s1.next(RecordKind::kSessionBegin, 0));
  CHECK(g.routers().at(router_id(1)).status().session == session_id(1));
  put(g, s1.next(RecordKind::kSessionEnd, 10));
  CHECK(g.routers().at(router_id(1)).status().session == session_id(2));
  CHECK(g.routers().at(router_id(1)).status().records == 3);
}

TEST_CASE("changes of a session, a role or a dump make the status urgent") {
  Gate g(gate_settings());
  Writer w{1};
  put(g, w.next(RecordKind::kSessionBegin, 0));
  g.take_notes();
  CHECK(g.take_urgent());
  put(g, w.next(RecordKind::kRoutes, 1));
  g.take_notes();
  CHECK_FALSE(g.take_urgent());
  put(g, w.next(RecordKind::kSynced, 2));
  g.take_notes();
  CHECK(g.take_urgent());
  g.roles(roles_of({active_row(1)}), at_ms(0));
  const auto notes = g.take_notes();
  CHECK(g.take_urgent());
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].kind == Note::Kind::kServing);
}

TEST_CASE("a claim for a router that is not held exists so that it can be declared down") {
  Gate g(gate_settings());
  RoleRouter row = active_row(9);
  row.session = {};
  row.emit = Emit::kDown;
  g.roles(roles_of({row}), at_ms(0));
  Kafka k;
  k.pump(g);
  REQUIRE(k.copies.size() == 2 * kPartitions);
  CHECK(k.copies.back().header.kind == RecordKind::kDown);
  k.ack_all(g);
  CHECK(g.status(at_ms(1), true).routers[0].emitted == 2);
}

TEST_CASE("routers that are gone are forgotten after an hour") {
  Gate g(gate_settings());
  Writer w{1};
  put(g, w.next(RecordKind::kSessionBegin, 0));
  put(g, w.next(RecordKind::kSessionEnd, 1));
  RoleRouter row = standby_row(1);
  row.cover = at_ms(10'000);
  g.roles(roles_of({row}), at_ms(10'000));
  g.tick(at_ms(20'000));
  CHECK(g.routers().size() == 1);
  g.tick(at_ms(20'000 + 3'600'000 + 1));
  CHECK(g.routers().empty());
  CHECK(g.bytes() == 0);
}

TEST_CASE("the state dump is JSON whatever bytes a router's name has") {
  Gate g(gate_settings());
  AliveSession row = alive_row(1, 1, 0, 1);
  row.name = "bad\xff\"name";
  g.alive(alive_of({row}), at_ms(0));
  const std::string json = state_json(g, g.status(at_ms(5), true), DumpFacts{}, at_ms(5));
  CHECK(json.find("\"held_records\":0") != std::string::npos);
  CHECK(json.find("\\\"name") != std::string::npos);
}
