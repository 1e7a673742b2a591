#include "kafka-gate/held_records.h"

#include <doctest/doctest.h>

#include "tests/unit/kafka-gate/gate_support.h"

using namespace bmpha;        // NOLINT
using namespace bmpha::gate;  // NOLINT

// Sequence numbers of Bench::dump(): 1 begin, 2 peer 1, 3 its route, 4 peer 2, 5 its route, 6 synced.

TEST_CASE("G4: a claim writes `run` to every partition first, then everything from the start in order") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  RolesOf r = active(100, 1, 0, 10);
  r.row.settles = {{"B", 4}};
  b.roles(r);
  b.send();
  REQUIRE(b.written.size() == kPartitions + 4 + kPartitions);
  for (std::uint32_t p = 0; p < kPartitions; ++p) {
    CHECK(b.written[p].header.kind == RecordKind::kRun);
    CHECK(b.written[p].partition == p);
    CHECK(b.written[p].key == router_id());
    CHECK(b.written[p].header.epoch == 100);
    CHECK(b.written[p].header.session == session_id(1));
    CHECK(b.written[p].header.settled == std::vector<SettledGen>{{"B", 4}});
    CHECK(b.written[p].header.seq == 0);
    CHECK_FALSE(b.written[p].header.solo);
  }
  CHECK(b.sequences() == Seqs{2, 3, 4, 5, 6});
  const Copy& peer = b.written[kPartitions];
  CHECK(peer.partition == partition_of(peer_key(1), kPartitions));
  CHECK(peer.header.opener);
  CHECK(peer.header.in_dump);
  CHECK(peer.header.node == "A");
  CHECK(peer.body.value.size() == 100);
  std::set<std::uint32_t> synced;
  for (const Copy& c : b.written)
    if (c.header.kind == RecordKind::kSynced) synced.insert(c.partition);
  CHECK(synced.size() == kPartitions);
}

TEST_CASE("a second topic takes raw records, and every control record as well") {
  Bench b;
  b.settings.plan.count = 2;
  Writer w{1};
  b.dump(w, 0);
  Envelope raw = w.next(RecordKind::kRaw, 20);
  raw.topic = TopicSelector::kBmpRaw;
  raw.key = router_id();
  b.put(raw);
  b.roles(active(100, 1, 0, 10));
  b.send();
  std::map<RecordKind, std::set<std::uint32_t>> partitions;
  for (const Copy& c : b.written) partitions[c.header.kind].insert(c.partition);
  CHECK(partitions[RecordKind::kRun].size() == 2 * kPartitions);
  CHECK(partitions[RecordKind::kSynced].size() == 2 * kPartitions);
  CHECK(partitions[RecordKind::kRaw] == std::set<std::uint32_t>{kPartitions + partition_of(router_id(), kPartitions)});
  for (const std::uint32_t p : partitions[RecordKind::kRoutes]) CHECK(p < kPartitions);
  b.send_and_ack();
  CHECK(b.release_of(1) == raw.seq);
}

TEST_CASE("session marks never reach Kafka and count as acknowledged when all before them is") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.put(w, RecordKind::kRoutes, 20);
  b.put(w, RecordKind::kSessionEnd, 30);
  b.roles(active(100, 1, 0, 0));
  b.send_and_ack();
  CHECK(b.count(RecordKind::kSessionBegin) == 0);
  CHECK(b.count(RecordKind::kSessionEnd) == 0);
  CHECK(b.count(RecordKind::kDown) == 0);  // G7: a lost session is no word about the router
  CHECK(b.count(RecordKind::kStale) == 0);
  CHECK(b.release_of(1) == 8);
  CHECK_FALSE(b.held.status().unsent_tail);
  CHECK_FALSE(b.held.status().up);
}

TEST_CASE("G7: when an owner's session is lost nothing but its records is written, however long nobody else has one") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.roles(active(100, 1, 0, 0));
  b.send_and_ack();
  b.put(w, RecordKind::kRoutes, 20);
  b.put(w, RecordKind::kSessionEnd, 30);
  const std::size_t before = b.written.size();
  b.send_and_ack();
  CHECK(b.written.size() == before + 1);
  CHECK(b.written.back().header.kind == RecordKind::kRoutes);
  b.held.alive_done(kInc, {});
  b.held.receiver_changed();
  b.now_ms = 60'000;
  b.roles(active(100, 1, 0, 60'000));
  CHECK(b.send() == 0);
}

TEST_CASE("G4: the same epoch and session again changes nothing") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.roles(active(100, 1, 0, 0));
  b.send_and_ack();
  const std::size_t before = b.written.size();
  b.roles(active(100, 1, 0, 500));
  CHECK(b.send() == 0);
  CHECK(b.written.size() == before);
}

TEST_CASE("G4: a start inside a dump, open or closed, goes back to the dump's first record") {
  for (const bool closed : {false, true}) {
    CAPTURE(closed);
    Bench b;
    Writer w{1};
    if (closed) {
      b.dump(w, 0);
      b.put(w, RecordKind::kRoutes, 50);
    } else {
      b.put(w, RecordKind::kSessionBegin, 0);
      b.put(w, RecordKind::kPeer, 1);
      b.put(w, RecordKind::kRoutes, 2);
    }
    b.roles(active(100, 1, closed ? 4 : 40, 60));
    b.send();
    REQUIRE_FALSE(b.sequences().empty());
    CHECK(b.sequences().front() == 2);
    CHECK(b.w_ms() == -1);  // drained_time of the dump's first record: at_ms(0 - 1)
  }
}

TEST_CASE("G4: a start behind the dump sends what was read from there on, flagged replay until the claim") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.put(w, RecordKind::kRoutes, 50);
  b.put(w, RecordKind::kRoutes, 60);
  b.now_ms = 70;
  b.roles(active(100, 1, 55, 70));
  b.put(w, RecordKind::kRoutes, 80);
  b.send();
  CHECK(b.sequences() == Seqs{8, 9});
  CHECK(b.written[kPartitions].header.replay);
  CHECK_FALSE(b.written[kPartitions + 1].header.replay);
  CHECK(b.held.counters().replayed == 1);
}

TEST_CASE("G4: the cursor stops at a newer session until that has a claim of its own") {
  Bench b;
  Writer first{1};
  b.dump(first, 0);
  b.roles(active(100, 1, 0, 0));
  b.send_and_ack();
  b.put(first, RecordKind::kRoutes, 20);
  b.put(first, RecordKind::kSessionEnd, 21);
  Writer second{2};
  b.dump(second, 30);
  const std::size_t before = b.written.size();
  b.send_and_ack();
  CHECK(b.sequences(before) == Seqs{7});
  CHECK(b.held.status().blocked);
  CHECK(b.held.status().session == session_id(2));
  CHECK(b.held.status().claimed_session == session_id(1));
  const std::size_t claim = b.written.size();
  b.roles(active(101, 2, 25, 100));
  b.send_and_ack();
  CHECK(b.written[claim].header.kind == RecordKind::kRun);
  CHECK(b.written[claim].header.session == session_id(2));
  CHECK(b.sequences(claim) == Seqs{2, 3, 4, 5, 6});
  CHECK_FALSE(b.held.status().blocked);
}

TEST_CASE("G4: a claim whose start lies in an older session sends that tail first, each behind its own run") {
  Bench b;
  Writer first{1};
  b.dump(first, 0);
  b.put(first, RecordKind::kRoutes, 20);
  b.put(first, RecordKind::kSessionEnd, 21);
  Writer second{2};
  b.dump(second, 30);
  b.roles(active(100, 2, 15, 60));
  b.send_and_ack();
  CHECK(b.count(RecordKind::kRun) == 2 * kPartitions);
  CHECK(b.written[0].header.session == session_id(1));
  CHECK(b.sequences() == Seqs{7, 2, 3, 4, 5, 6});
  std::size_t second_run = kPartitions + 1;
  CHECK(b.written[second_run].header.kind == RecordKind::kRun);
  CHECK(b.written[second_run].header.session == session_id(2));
  CHECK_FALSE(b.held.status().blocked);
}

TEST_CASE("G4: an older claim does not let a newer session out after its records are gone") {
  Bench b;
  Writer first{1};
  b.dump(first, 0);
  b.put(first, RecordKind::kSessionEnd, 20);
  RolesOf r = active(100, 1, 0, 0);
  b.roles(r);
  b.send_and_ack();
  r.row.cover = at_ms(20'000);
  r.head.sent = at_ms(20'000);
  b.now_ms = 20'000;
  b.roles(r);
  CHECK(b.held.status().records == 0);
  b.held.alive_done(kInc, {});
  Writer second{2};
  b.dump(second, 20'001);
  b.held.alive_done(kInc, {session_id(2)});
  CHECK(b.send() == 0);
  CHECK(b.held.status().blocked);
}

TEST_CASE("G2: W is the drained time of the newest record of the acknowledged prefix") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.put(w, RecordKind::kRoutes, 50, 1);
  b.put(w, RecordKind::kRoutes, 60, 2);
  b.put(w, RecordKind::kRoutes, 70, 1);
  b.roles(active(100, 1, 40, 80));
  CHECK(b.w_ms() == 40);
  b.send();
  b.ack(kPartitions);
  CHECK(b.w_ms() == 40);
  // Out of order: the later answers wait for the first record's.
  REQUIRE(b.unanswered.size() == 3);
  b.held.answered(b.unanswered[1], true);
  b.held.answered(b.unanswered[2], true);
  CHECK(b.w_ms() == 40);
  CHECK(b.held.status().in_flight == 1);
  CHECK(b.held.status().oldest_unacked == at_ms(50));
  b.held.answered(b.unanswered[0], true);
  CHECK(b.w_ms() == 69);
}

TEST_CASE("G2: records that wait for the `run` in another partition do not count as acknowledged") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.put(w, RecordKind::kRoutes, 50);
  b.roles(active(100, 1, 40, 60));
  b.send();
  const Ticket last_run = b.unanswered[kPartitions - 1];
  for (std::size_t n = 0; n < b.unanswered.size(); ++n)
    if (n != kPartitions - 1) b.held.answered(b.unanswered[n], true);
  CHECK(b.w_ms() == 40);
  b.held.answered(last_run, true);
  CHECK(b.w_ms() == 49);
}

TEST_CASE("G2: W stands at the dump's beginning until every copy of its `synced` is acknowledged") {
  Bench b;
  Writer w{1};
  b.dump(w, 10);
  b.roles(active(100, 1, 12, 20));
  b.send();
  CHECK(b.w_ms() == 9);
  b.ack(kPartitions + 4 + kPartitions - 1);
  CHECK(b.w_ms() == 9);
  CHECK(b.release_of(1) == 5);
  b.ack(1);
  CHECK(b.w_ms() == 14);
  CHECK(b.release_of(1) == 6);
}

TEST_CASE("G2: W is kept after a release and never falls within an epoch") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.put(w, RecordKind::kRoutes, 50);
  b.roles(active(100, 1, 40, 60));
  b.send_and_ack();
  CHECK(b.w_ms() == 49);
  b.roles(standby(100));
  CHECK(b.held.role() == Role::kStandby);
  CHECK(b.w_ms() == 49);
  CHECK(b.held.status().epoch == 100);
  b.roles(active(100, 1, 40, 110));
  CHECK(b.w_ms() == 49);
}

TEST_CASE("G2: a session that ended inside its dump holds W where the dump began") {
  Bench b;
  Writer first{1};
  b.put(first, RecordKind::kSessionBegin, 10);
  b.put(first, RecordKind::kPeer, 11);
  b.put(first, RecordKind::kSessionEnd, 12);
  b.roles(active(100, 1, 11, 20));
  b.send_and_ack();
  CHECK(b.w_ms() == 9);
  CHECK_FALSE(b.held.status().in_dump);
  Writer second{2};
  b.dump(second, 30);
  b.roles(active(101, 2, 20, 40));
  b.send_and_ack();
  CHECK(b.w_ms() == 34);
}

TEST_CASE("G1: one bracket per session: a peer that flaps after it holds neither W nor class nor trimming") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  RolesOf r = active(100, 1, 0, 0);
  b.roles(r);
  b.send_and_ack();
  b.put(w, RecordKind::kPeer, 50, 1);  // Peer Down, then Peer Up: an opener, and no dump behind it
  Envelope up = w.next(RecordKind::kPeer, 60, 1);
  up.opener = true;
  b.put(up);
  b.put(w, RecordKind::kRoutes, 70, 1);
  b.send_and_ack();
  CHECK(b.w_ms() == 69);
  CHECK_FALSE(b.held.status().in_dump);
  CHECK(b.held.status().brackets.size() == 1);
  r.row.cover = at_ms(20'000);
  b.roles(r);
  CHECK(b.held.status().records == 0);
}

TEST_CASE("G3: a standby trims what was read before cover minus retain, and only with a cover") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  for (int n = 1; n <= 5; ++n) b.put(w, RecordKind::kRoutes, n * 1000);
  b.roles(standby(6000));
  CHECK(b.held.status().records == 11);
  b.roles(standby_covered(8000, 6000));
  CHECK(b.held.status().records == 3);  // read at 3000 and later
  CHECK(b.trimmed_ms() == 2000);
  CHECK(b.held.counters().trimmed == 8);
  CHECK_FALSE(b.held.status().front_is_opener);
  CHECK(b.held.status().brackets.empty());
  RolesOf none = standby(7000);
  none.has_row = false;
  b.roles(none);
  CHECK(b.held.status().records == 3);
}

TEST_CASE("by age: the line is the age itself, and what goes for its age alone is counted") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  for (int n = 1; n <= 5; ++n) b.put(w, RecordKind::kRoutes, n * 1000);
  RolesOf line = standby_covered(3000, 9000);
  line.head.by_age = true;
  b.roles(line);
  CHECK(b.held.status().records == 3);  // read at 3000 and later
  CHECK(b.trimmed_ms() == 2000);
  CHECK(b.held.counters().aged == 8);
  b.roles(standby_covered(9001, 9000));
  CHECK(b.held.status().records == 1);
  CHECK(b.held.counters().aged == 8);
  CHECK(b.held.counters().trimmed == 10);
}

TEST_CASE("G3: a dump is trimmed whole or not at all, an open one never") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.roles(standby_covered(5003, 6000));  // the line falls inside the dump
  CHECK(b.held.status().records == 6);
  CHECK(b.held.status().front_is_opener);
  REQUIRE(b.held.status().brackets.size() == 1);
  CHECK(b.held.status().brackets[0].synced == at_ms(5));
  b.roles(standby_covered(5006, 6000));
  CHECK(b.held.status().records == 0);

  Bench open;
  Writer v{1};
  open.put(v, RecordKind::kSessionBegin, 0);
  open.put(v, RecordKind::kPeer, 1);
  open.roles(standby_covered(100'000, 6000));
  CHECK(open.held.status().records == 2);
}

TEST_CASE("G3: the dump of a session that ended before its `synced` is trimmed whole when covered") {
  Bench b;
  Writer w{1};
  b.put(w, RecordKind::kSessionBegin, 0);
  b.put(w, RecordKind::kPeer, 10);
  b.put(w, RecordKind::kSessionEnd, 20);
  b.roles(standby_covered(5015, 6000));
  CHECK(b.held.status().records == 3);
  b.roles(standby_covered(5021, 6000));
  CHECK(b.held.status().records == 0);
}

TEST_CASE("G3: an owner trims acknowledged records only") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.put(w, RecordKind::kRoutes, 10);
  b.put(w, RecordKind::kRoutes, 20);
  RolesOf r = active(100, 1, 0, 0);
  b.roles(r);
  b.send();
  b.ack(kPartitions + 4 + kPartitions + 1);  // all but the record of 20
  r.row.cover = at_ms(60'000);
  b.roles(r);
  CHECK(b.held.status().records == 1);
  b.ack();
  b.roles(r);
  CHECK(b.held.status().records == 0);
}

TEST_CASE("G5: nothing is handed over when the roles are older than the lease; it goes on when they are back") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.roles(active(100, 1, 0, 0));
  b.send_and_ack();
  b.put(w, RecordKind::kRoutes, 1000);
  b.now_ms = 1501;
  CHECK(b.send() == 0);
  CHECK(b.held.role() == Role::kActive);
  b.roles(active(100, 1, 0, 1501));
  const std::size_t before = b.written.size();
  CHECK(b.send() == 1);
  CHECK(b.sequences(before) == Seqs{7});
}

TEST_CASE("G5: roles that were sent long ago count from when they were sent") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.now_ms = 10'000;
  b.roles(active(100, 1, 0, 0));
  CHECK(b.send() == 0);
}

TEST_CASE("release: waits for what is in flight, then stands by clean") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.roles(active(100, 1, 0, 0));
  b.send(kPartitions + 2);
  b.now_ms = 100;
  b.roles(standby(100));
  CHECK(b.held.role() == Role::kReleasing);
  CHECK(b.send() == 0);
  b.ack();
  CHECK(b.held.role() == Role::kStandby);
  CHECK_FALSE(b.held.status().unclean);
  CHECK(b.held.status().claimed_session.is_none());
}

TEST_CASE("release: gives up after 1.5 s, unclean; late answers say nothing and the records stay") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.roles(active(100, 1, 0, 0));
  b.send();
  b.now_ms = 100;
  b.roles(standby(100));
  b.held.tick(at_ms(1599));
  CHECK(b.held.role() == Role::kReleasing);
  b.held.tick(at_ms(1600));
  CHECK(b.held.role() == Role::kStandby);
  CHECK(b.held.status().unclean);
  CHECK(b.held.status().in_flight == 0);
  const std::int64_t w_before = b.w_ms();
  b.ack();
  CHECK(b.w_ms() == w_before);
  CHECK(b.held.counters().late_answers == b.written.size());
  CHECK(b.held.status().records == 6);
  const std::size_t claim = b.written.size();
  b.now_ms = 2000;
  b.roles(active(102, 1, 0, 2000));
  b.send();
  CHECK(b.sequences(claim) == Seqs{2, 3, 4, 5, 6});
  CHECK(b.written[claim].header.kind == RecordKind::kRun);
}

TEST_CASE("release: a router without a row in the roles stands by without a cover") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.roles(active(100, 1, 0, 0));
  b.send_and_ack();
  RolesOf none = standby(50);
  none.has_row = false;
  b.roles(none);
  CHECK(b.held.role() == Role::kStandby);
  CHECK(b.held.status().records == 6);
}

TEST_CASE("roles that call the same claim back after a release go on behind the acknowledged records") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.roles(active(100, 1, 0, 0));
  b.send_and_ack();
  b.put(w, RecordKind::kRoutes, 20);
  b.roles(standby(30));
  b.put(w, RecordKind::kRoutes, 40);
  const std::size_t before = b.written.size();
  b.now_ms = 50;
  b.roles(active(100, 1, 0, 50));
  b.send();
  CHECK(b.sequences(before) == Seqs{7, 8});
  CHECK(b.count(RecordKind::kRun, before) == 0);
}

TEST_CASE("solo: going solo writes a flagged run that settles nothing, keeps the cursor and trims nothing") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  RolesOf r = active(100, 1, 0, 0);
  r.row.settles = {{"B", 2}};
  b.roles(r);
  b.send_and_ack();
  b.put(w, RecordKind::kRoutes, 20);
  r.head.solo = true;
  r.head.gen = 9;
  r.row.cover = at_ms(60'000);
  const std::size_t before = b.written.size();
  b.roles(r);
  b.send_and_ack();
  REQUIRE(b.written.size() == before + kPartitions + 1);
  CHECK(b.written[before].header.kind == RecordKind::kRun);
  CHECK(b.written[before].header.solo);
  CHECK(b.written[before].header.gen == 9);
  CHECK(b.written[before].header.settled.empty());
  CHECK(b.written.back().header.solo);
  CHECK(b.written.back().header.gen == 9);
  CHECK(b.sequences(before) == Seqs{7});
  CHECK(b.held.status().records == 7);
  CHECK(b.held.status().solo);
  b.roles(r);  // the same again
  CHECK(b.send() == 0);
}

TEST_CASE("solo: a run that begins again while one is half handed over holds up no acknowledgement") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  RolesOf r = active(100, 1, 0, 0);
  b.roles(r);
  CHECK(b.send(1) == 1);  // one copy of the run, then the producer is full
  r.head.solo = true;
  r.head.gen = 9;
  b.roles(r);
  b.send_and_ack();
  CHECK(b.held.status().in_flight == 0);
  CHECK(b.held.status().w > at_ms(0));
}

TEST_CASE("solo: a standby that goes solo with its last epoch starts at the start point given") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.roles(active(100, 1, 0, 0));
  b.send_and_ack();
  b.roles(standby(10));
  b.put(w, RecordKind::kRoutes, 20);
  b.put(w, RecordKind::kRoutes, 30);
  RolesOf r = active(100, 1, 18, 40);
  r.head.solo = true;
  r.head.gen = 3;
  const std::size_t before = b.written.size();
  b.roles(r);
  b.send();
  CHECK(b.written[before].header.kind == RecordKind::kRun);
  CHECK(b.sequences(before) == Seqs{7, 8});
}

TEST_CASE("re-assert: a new epoch while active starts again from its start point, old answers do not count") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.put(w, RecordKind::kRoutes, 20);
  b.put(w, RecordKind::kRoutes, 30);
  b.roles(active(100, 1, 15, 40));
  b.send();
  const std::size_t before = b.written.size();
  const std::deque<Ticket> old = b.unanswered;
  b.unanswered.clear();
  b.roles(active(105, 1, 25, 50));
  for (const Ticket& t : old) b.held.answered(t, true);
  CHECK(b.w_ms() == 25);
  b.send();
  CHECK(b.sequences(before) == Seqs{8});
  CHECK(b.written[before].header.epoch == 105);
  b.ack();
  CHECK(b.w_ms() == 29);
}

TEST_CASE("a claim that this process has not served is served from everything held, W unknown until proven") {
  Bench b;
  AliveSession row;
  row.router = router_id();
  row.session = session_id(1);
  row.up = true;
  row.released_seq = 6;
  row.released_read_time = at_ms(5);
  row.last_seq = 8;
  row.peers_up = 3;
  b.held.alive(row);
  CHECK(b.held.status().peers_up == 3u);
  row.peers_up.reset();
  b.held.alive(row);
  CHECK(!b.held.status().peers_up);
  CHECK(b.trimmed_ms() == 5);
  CHECK_FALSE(b.held.status().front_is_opener);
  Writer w{1};
  w.seq = 6;
  w.in_dump = false;
  b.put(w, RecordKind::kRoutes, 20);
  b.put(w, RecordKind::kRoutes, 30);
  b.now_ms = 100;
  b.roles(active(100, 1, -5000, 100));
  CHECK(b.w_ms() == -1);
  CHECK_FALSE(b.held.status().w.has_value());
  b.send();
  CHECK(b.sequences() == Seqs{7, 8});
  CHECK(b.count(RecordKind::kRun) == kPartitions);
  b.ack();
  CHECK(b.w_ms() == 29);
  CHECK(b.held.counters().gaps == 0);
}

TEST_CASE("emit: stale and down are written once per epoch and kind, to every partition, behind the tail") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.put(w, RecordKind::kSessionEnd, 20);
  RolesOf r = active(100, 1, 0, 30);
  r.row.emit = Emit::kStale;
  b.roles(r);
  b.send_and_ack();
  CHECK(b.count(RecordKind::kStale) == kPartitions);
  CHECK(b.written.back().header.kind == RecordKind::kStale);
  CHECK(b.held.status().emitted == 1);
  b.roles(r);
  CHECK(b.send() == 0);
  r.row.emit = Emit::kDown;
  b.roles(r);
  b.send();
  CHECK(b.count(RecordKind::kDown) == kPartitions);
  CHECK(b.held.status().emitted == 1);  // not acknowledged yet
  b.ack();
  CHECK(b.held.status().emitted == 2);
  b.roles(r);
  CHECK(b.send() == 0);
  RolesOf next = active(101, 1, 25, 60);
  next.row.emit = Emit::kDown;
  b.roles(next);
  b.send_and_ack();
  CHECK(b.count(RecordKind::kDown) == 2 * kPartitions);
}

TEST_CASE("RELEASE: a standby releases what it holds, an owner what all partitions acknowledged, nobody before roles") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  CHECK(b.release_of(1) == 0);  // no roles yet: this may be an owner's restart
  b.roles(standby(0));
  CHECK(b.release_of(1) == 6);
  b.put(w, RecordKind::kRoutes, 20);
  CHECK(b.release_of(1) == 7);

  Bench o;
  Writer v{1};
  o.dump(v, 0);
  o.roles(active(100, 1, 0, 0));
  CHECK(o.release_of(1) == 0);
  o.send();
  CHECK(o.release_of(1) == 0);
  o.ack(kPartitions + 1);
  CHECK(o.release_of(1) == 2);
  o.ack();
  CHECK(o.release_of(1) == 6);
}

TEST_CASE("RELEASE: an owner's claim releases what stands before its start") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.put(w, RecordKind::kRoutes, 50);
  b.roles(active(100, 1, 40, 60));
  CHECK(b.release_of(1) == 6);
}

TEST_CASE("duplicates after a HELLO are ignored, and released again when they were released before") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.roles(standby(0));
  b.held.each_flow([](HeldRecords::SessionFlow& f) { f.told_release = f.release_seq; });
  Writer again{1};
  CHECK(b.held.record(again.next(RecordKind::kSessionBegin, 0), {}, at_ms(10)) == HeldRecords::Taken::kDuplicate);
  CHECK(b.held.status().records == 6);
  b.held.each_flow([](HeldRecords::SessionFlow& f) {
    CHECK(f.release_seq == 6);
    CHECK(f.told_release == 0);
  });
  CHECK(b.held.counters().duplicates == 1);
}

TEST_CASE("a gap is not taken before a replay could fill it, then counted") {
  Bench b;
  Writer w{1};
  b.put(w, RecordKind::kSessionBegin, 0);
  b.put(w, RecordKind::kPeer, 1);
  const Envelope missing = w.next(RecordKind::kRoutes, 2);
  const Envelope behind = w.next(RecordKind::kRoutes, 3);
  CHECK(b.held.record(behind, body_of(behind), at_ms(3)) == HeldRecords::Taken::kMissing);
  CHECK(b.held.take_replay_wanted());
  CHECK(b.held.record(missing, body_of(missing), at_ms(10)) == HeldRecords::Taken::kHeld);
  CHECK(b.held.record(behind, body_of(behind), at_ms(10)) == HeldRecords::Taken::kHeld);
  CHECK(b.held.counters().gaps == 0);

  w.next(RecordKind::kRoutes, 4);
  const Envelope later = w.next(RecordKind::kRoutes, 5);
  CHECK(b.held.record(later, body_of(later), at_ms(20)) == HeldRecords::Taken::kMissing);
  CHECK(b.held.record(later, body_of(later), at_ms(4000)) == HeldRecords::Taken::kHeld);
  CHECK(b.held.counters().gaps == 1);
  CHECK(b.trimmed_ms() == 5);
}

TEST_CASE("sessions that arrive interleaved are held in session order") {
  Bench b;
  Writer first{1};
  Writer second{2};
  b.put(first, RecordKind::kSessionBegin, 0);
  b.put(second, RecordKind::kSessionBegin, 100);
  b.put(second, RecordKind::kPeer, 101);
  b.put(first, RecordKind::kPeer, 1);
  CHECK(b.held.status().session == session_id(1));
  b.roles(standby(0));
  CHECK(b.release_of(2) == 0);
  b.put(first, RecordKind::kSessionEnd, 50);
  CHECK(b.held.status().session == session_id(2));
  CHECK(b.held.status().records == 5);
  CHECK(b.release_of(2) == 2);
  b.roles(active(100, 2, -10, 200));
  b.send();
  std::vector<std::uint64_t> sessions;
  for (const Copy& c : b.written)
    if (c.ticket.of == CopyOf::kHeld) sessions.push_back(c.header.session.number);
  CHECK(sessions == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("a session that bmp-recv lists no more is over without its end mark") {
  Bench b;
  Writer first{1};
  Writer second{2};
  b.put(first, RecordKind::kSessionBegin, 0);
  b.put(second, RecordKind::kSessionBegin, 100);
  b.held.alive_done(kInc, {session_id(2)});
  CHECK(b.held.status().session == session_id(2));
  CHECK(b.held.status().up);
}

TEST_CASE("a new receiver ends the sessions of the old one; what was held stays") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.held.receiver_changed();
  CHECK_FALSE(b.held.status().up);
  CHECK(b.held.status().records == 6);
  CHECK(b.held.status().unsent_tail);
  Writer next{1, 1, 8};
  b.put(next, RecordKind::kSessionBegin, 50);
  CHECK(b.held.status().session == session_id(1, 8));
  CHECK(b.held.status().up);
  CHECK(b.held.status().records == 7);
}

TEST_CASE("G2: the end of a session does not move W: the link may have been dead before it") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.put(w, RecordKind::kRoutes, 50);
  b.roles(active(100, 1, 0, 0));
  b.send_and_ack();
  b.put(w, RecordKind::kSessionEnd, 5000);
  b.send_and_ack();
  CHECK(b.release_of(1) == 8);
  CHECK(b.w_ms() == 49);
}

TEST_CASE("unsent_tail: what was read before a claim's start is no tail when the claim ends") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.put(w, RecordKind::kRoutes, 50);
  b.put(w, RecordKind::kSessionEnd, 60);
  b.roles(standby(70));
  CHECK(b.held.status().unsent_tail);
  b.roles(active(100, 1, 55, 80));
  b.send_and_ack();
  CHECK(b.sequences().empty());
  b.roles(standby(90));
  CHECK_FALSE(b.held.status().unsent_tail);
  b.roles(active(101, 1, 50, 95));
  b.send();
  CHECK(b.sequences() == Seqs{7});
  b.roles(standby(100));
  b.now_ms = 2000;
  b.held.tick(at_ms(2000));
}

TEST_CASE("unsent_tail: an ended session's records that were neither acknowledged nor covered") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.roles(standby(0));
  CHECK_FALSE(b.held.status().unsent_tail);  // the session is still up
  b.put(w, RecordKind::kSessionEnd, 20);
  CHECK(b.held.status().unsent_tail);
  b.roles(standby_covered(4, 30));
  CHECK(b.held.status().unsent_tail);
  b.roles(standby_covered(5, 30));
  CHECK_FALSE(b.held.status().unsent_tail);
}

TEST_CASE("G8: a claim lapses with its producer, and the next one sends everything again") {
  for (const std::size_t answered :
       {std::size_t{kPartitions - 1}, std::size_t{kPartitions + 2}}) {  // within, after `run`
    CAPTURE(answered);
    Bench b;
    Writer w{1};
    b.dump(w, 0);
    b.roles(active(100, 1, 0, 0));
    b.send();
    b.ack(answered);
    const std::uint64_t released = b.release_of(1);
    const std::deque<Ticket> old = std::exchange(b.unanswered, {});
    b.held.producer_lost();
    for (const Ticket& t : old) b.held.answered(t, true);
    const GateRouter g = b.held.status();
    CHECK(g.role == Role::kStandby);
    CHECK(g.epoch == 100);
    CHECK(g.in_flight == 0);
    CHECK_FALSE(b.held.has_unsent());
    RolesOf again = active(100, 1, 0, 500);
    again.row.cover = at_ms(60'000);
    b.roles(again);
    CHECK(b.send() == 0);
    CHECK(b.held.status().records >= 6 - answered);  // an owner's: what is not acknowledged stays
    CHECK(b.release_of(1) == released);              // nobody else answers for it
    const std::size_t before = b.written.size();
    b.roles(active(101, 1, 0, 1000));
    CHECK(b.held.status().role == Role::kActive);
    b.send_and_ack();
    CHECK(b.count(RecordKind::kRun, before) == kPartitions);
    CHECK(b.sequences(before).back() == 6);
    CHECK(b.sequences(before).front() <= 4);
    CHECK(b.w_ms() == 4);
    CHECK(b.release_of(1) == 6);
  }
}

TEST_CASE("G8: a claim of which nothing is unanswered goes on with the next producer") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.roles(active(100, 1, 0, 0));
  b.send_and_ack();
  b.held.producer_lost();
  CHECK(b.held.status().role == Role::kActive);
  b.put(w, RecordKind::kRoutes, 50);
  const std::size_t before = b.written.size();
  b.send_and_ack();
  CHECK(b.sequences(before) == Seqs{7});
  CHECK(b.count(RecordKind::kRun, before) == 0);
  CHECK(b.w_ms() == 49);
}

TEST_CASE("G8: what a release gave up is not forgotten: the same claim does not go on with another producer") {
  for (const bool resumed : {false, true}) {
    CAPTURE(resumed);
    Bench b;
    Writer w{1};
    b.dump(w, 0);
    b.roles(active(100, 1, 0, 0));
    b.send();
    b.roles(standby(100));
    b.now_ms = 2000;
    b.held.tick(at_ms(2000));
    CHECK(b.held.status().unclean);
    if (resumed) b.roles(active(100, 1, 0, 2000));
    b.held.producer_lost();
    b.roles(active(100, 1, 0, 2100));
    CHECK(b.held.status().role == Role::kStandby);
    CHECK(b.send() == 0);
    b.roles(active(101, 1, 0, 2200));
    CHECK(b.send() > 0);
  }
}

TEST_CASE("G8: alone, after a lost producer the cursor stands at the first unacknowledged record, and W stands still") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.put(w, RecordKind::kRoutes, 50);
  b.put(w, RecordKind::kRoutes, 60);
  RolesOf alone = active(100, 1, 0, 0);
  alone.head.solo = true;
  b.roles(alone);
  b.send();
  b.ack(kPartitions + 4 + kPartitions + 1);  // the record at 50 too
  CHECK(b.w_ms() == 49);
  const std::deque<Ticket> old = std::exchange(b.unanswered, {});
  b.held.producer_lost();
  for (const Ticket& t : old) b.held.answered(t, true);
  CHECK(b.held.status().role == Role::kActive);
  const std::size_t before = b.written.size();
  b.send_and_ack();
  CHECK(b.sequences(before) == Seqs{8});
  CHECK(b.count(RecordKind::kRun, before) == 0);  // it was acknowledged
  CHECK(b.w_ms() == 49);
  b.roles(active(100, 1, 0, 500));  // Redis is back: not under this claim
  b.put(w, RecordKind::kRoutes, 500);
  CHECK(b.send() == 0);
}

TEST_CASE("G8: alone, a lost producer takes an unacknowledged run with it: it is written again") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  RolesOf alone = active(100, 1, 0, 0);
  alone.head.solo = true;
  b.roles(alone);
  b.send();
  b.ack(kPartitions - 1);
  b.unanswered.clear();
  b.held.producer_lost();
  const std::size_t before = b.written.size();
  b.send_and_ack();
  CHECK(b.count(RecordKind::kRun, before) == kPartitions);
  CHECK(b.sequences(before) == Seqs{2, 3, 4, 5, 6});
}

TEST_CASE("G8: a record that Kafka refuses for ever is counted and never blocks") {
  Bench b;
  Writer w{1};
  b.dump(w, 0);
  b.put(w, RecordKind::kRoutes, 50);
  b.roles(active(100, 1, 0, 0));
  b.send();
  b.ack(kPartitions);
  b.held.answered(b.unanswered.front(), false);
  b.unanswered.pop_front();
  b.ack();
  CHECK(b.held.counters().skipped == 1);
  CHECK(b.w_ms() == 49);
  CHECK(b.release_of(1) == 7);
}

TEST_CASE("in-flight bytes of one router are bounded") {
  Bench b;
  b.settings.max_in_flight = 250;
  Writer w{1};
  b.dump(w, 0);
  for (int n = 0; n < 10; ++n) b.put(w, RecordKind::kRoutes, 100 + n);
  b.roles(active(100, 1, 0, 0));
  b.send();
  CHECK(b.written.size() == kPartitions + 3);
  b.ack();
  CHECK(b.send() > 0);
}

TEST_CASE("G6: an owner frees acknowledged records, of an open dump too, and flows on") {
  Bench b;
  Writer w{1};
  b.put(w, RecordKind::kSessionBegin, 0);
  for (int n = 1; n <= 4; ++n) b.put(w, RecordKind::kRoutes, n);
  b.roles(active(100, 1, 0, 0));
  b.send();
  b.ack(kPartitions + 2);
  b.held.free_acknowledged(UINT64_MAX);
  CHECK(b.held.status().records == 2);  // unacknowledged ones stay
  CHECK(b.held.counters().freed == 3);
  CHECK_FALSE(b.held.status().torn);
  b.put(w, RecordKind::kSynced, 9);
  const std::size_t before = b.written.size();
  b.ack();
  b.send_and_ack();
  CHECK(b.sequences(before) == Seqs{6});
  CHECK(b.w_ms() == 8);
}

TEST_CASE("G6: an owner that freed a dump's front is torn once it stands by, until the dump is synced") {
  Bench b;
  Writer w{1};
  b.put(w, RecordKind::kSessionBegin, 0);
  for (int n = 1; n <= 4; ++n) b.put(w, RecordKind::kRoutes, n);
  b.roles(active(100, 1, 0, 0));
  b.send_and_ack();
  b.held.free_acknowledged(1);
  b.roles(standby(10));
  CHECK(b.held.status().torn);
  CHECK_FALSE(b.held.status().front_is_opener);
  b.put(w, RecordKind::kSynced, 20);
  CHECK_FALSE(b.held.status().torn);
  CHECK(b.trimmed_ms() == 20);
}

TEST_CASE("G6: a standby's open dump is dropped whole; the rest of it is dropped and released until `synced`") {
  Bench b;
  Writer w{1};
  b.roles(standby(0));
  b.put(w, RecordKind::kSessionBegin, 0);
  b.put(w, RecordKind::kPeer, 1);
  CHECK(b.held.can_tear());
  b.held.tear();
  CHECK(b.held.bytes() == 0);
  CHECK(b.held.status().torn);
  CHECK(b.trimmed_ms() == 1);
  b.put(w, RecordKind::kRoutes, 2);
  CHECK(b.held.status().records == 0);
  CHECK(b.held.counters().dropped_torn == 3);
  CHECK(b.release_of(1) == 3);
  CHECK(b.held.status().in_dump);
  b.put(w, RecordKind::kSynced, 3);
  CHECK_FALSE(b.held.status().torn);
  CHECK_FALSE(b.held.status().in_dump);
  CHECK(b.trimmed_ms() == 3);
  b.put(w, RecordKind::kRoutes, 4);
  CHECK(b.held.status().records == 1);
  CHECK_FALSE(b.held.status().front_is_opener);
  CHECK(b.release_of(1) == 5);
}

TEST_CASE("G6: a torn session's end heals with the next session") {
  Bench b;
  Writer w{1};
  b.roles(standby(0));
  b.put(w, RecordKind::kSessionBegin, 0);
  b.held.tear();
  b.put(w, RecordKind::kSessionEnd, 5);
  CHECK_FALSE(b.held.status().up);
  Writer next{2};
  b.put(next, RecordKind::kSessionBegin, 10);
  CHECK_FALSE(b.held.status().torn);
  CHECK(b.held.status().front_is_opener);
  CHECK(b.release_of(1) == 2);
}

TEST_CASE("G6: only open dumps of routers that are not owned are dropped") {
  Bench closed;
  Writer w{1};
  closed.roles(standby(0));
  closed.dump(w, 0);
  CHECK_FALSE(closed.held.can_tear());

  Bench owner;
  Writer v{1};
  owner.put(v, RecordKind::kSessionBegin, 0);
  owner.roles(active(100, 1, 0, 0));
  CHECK_FALSE(owner.held.can_tear());
}

TEST_CASE("a standby restarted in the middle of a dump is torn until `synced`, an owner is not") {
  AliveSession row;
  row.router = router_id();
  row.session = session_id(1);
  row.up = true;
  row.released_seq = 2;
  row.released_read_time = at_ms(1);
  row.last_seq = 3;
  for (const bool owner : {false, true}) {
    CAPTURE(owner);
    Bench b;
    b.held.alive(row);
    Writer w{1};
    w.seq = 2;
    b.put(w, RecordKind::kRoutes, 2);
    CHECK_FALSE(b.held.status().torn);  // not known yet what this gate is
    b.roles(owner ? active(100, 1, 0, 0) : standby(0));
    CHECK(b.held.status().torn == !owner);
    CHECK(b.held.status().in_dump);
    if (owner) {
      b.send_and_ack();
      CHECK_FALSE(b.held.status().w.has_value());
    }
    b.put(w, RecordKind::kSynced, 3);
    CHECK_FALSE(b.held.status().torn);
    CHECK(b.trimmed_ms() == 3);
    b.send_and_ack();
    if (owner) CHECK(b.w_ms() == 2);
  }
}

TEST_CASE("G4: a start in the tail of a session is not in the dump of the next one, though that was read meanwhile") {
  Bench b;
  Writer first{1};
  b.dump(first, 0);
  Writer second{2};  // was read at 20 and waited for the end of the first one at 50
  b.put(first, RecordKind::kRoutes, 30);
  b.put(first, RecordKind::kRoutes, 40);
  b.put(first, RecordKind::kSessionEnd, 50);
  b.dump(second, 20);
  b.now_ms = 60;
  b.roles(active(100, 2, 35, 60));
  b.send();
  CHECK(b.sequences() == Seqs{8, 2, 3, 4, 5, 6});
}

TEST_CASE("G2: of a router whose sessions keep breaking in their dumps only the last few dumps are kept") {
  for (const bool owner : {false, true}) {
    CAPTURE(owner);
    Bench b;
    std::size_t most = 0;
    std::int64_t ms = 0;
    for (std::uint64_t number = 1; number <= 100; ++number, ms += 10) {
      Writer w{number};
      b.now_ms = ms;
      b.put(w, RecordKind::kSessionBegin, ms);
      b.put(w, RecordKind::kPeer, ms + 1);
      b.put(w, RecordKind::kRoutes, ms + 2);
      const std::size_t before = b.written.size();
      // W never moves, so every claim starts before the oldest that is held.
      b.roles(owner ? active(100 + number, number, 0, ms) : standby(ms));
      b.send_and_ack();
      most = std::max(most, b.written.size() - before);
      b.put(w, RecordKind::kSessionEnd, ms + 3);
    }
    const GateRouter s = b.held.status();
    CHECK(s.records <= 4 * 9);
    CHECK(s.brackets.size() == 1);
    CHECK(most <= 9 * (2 + kPartitions));
    CHECK(b.held.counters().dropped_aborted == 4 * (100 - 8));
    CHECK(b.trimmed_ms() == 10 * 91 + 3);
    // A session that lives is the way out: its dump is whole.
    Writer good{101};
    b.now_ms = ms;
    b.dump(good, ms);
    CHECK(b.held.status().brackets.back().first > b.held.status().trimmed_to);
    b.roles(active(500, 101, 0, ms + 6));
    b.send_and_ack();
    CHECK(b.count(RecordKind::kSynced) == kPartitions);
  }
}

TEST_CASE("G2: dumps that broke off and are not acknowledged are never dropped; they are one bracket") {
  Bench b;
  b.roles(active(100, 1, 0, 0));
  for (std::uint64_t number = 1; number <= 20; ++number) {
    Writer w{number};
    b.put(w, RecordKind::kSessionBegin, static_cast<std::int64_t>(number));
    b.put(w, RecordKind::kSessionEnd, static_cast<std::int64_t>(number));
  }
  CHECK(b.held.status().records == 40);
  REQUIRE(b.held.status().brackets.size() == 1);
  CHECK(b.held.status().brackets[0].first == at_ms(0));
  CHECK(b.held.status().brackets[0].synced == at_ms(20));
}

// Topics: 0 peers, 1 unicast routes, 2 other routes.
TopicPlan three_topics() {
  TopicPlan plan;
  plan.count = 3;
  plan.of[static_cast<std::size_t>(TopicSelector::kUnicastPrefix)] = 1;
  plan.of[static_cast<std::size_t>(TopicSelector::kL3vpn)] = 2;
  plan.peer_copies = plan.eor_copies = {1, 2};
  plan.detached = {true, false, true};
  return plan;
}

TEST_CASE("layout per-object: control records go to every topic, what peers live through stands among the routes too") {
  Bench b;
  b.settings.plan = three_topics();
  Writer w{1};
  b.put(w, RecordKind::kSessionBegin, 0);
  Envelope peer = w.next(RecordKind::kPeer, 1);
  peer.topic = TopicSelector::kPeer;
  b.put(peer);
  b.put(w, RecordKind::kRoutes, 2);
  Envelope eor = w.next(RecordKind::kEor, 3);
  eor.topic = TopicSelector::kEor;
  b.put(eor);
  b.put(w, RecordKind::kSynced, 4);
  b.roles(active(100, 1, 0, 10));
  b.send();
  std::map<RecordKind, std::vector<std::uint32_t>> slots;
  for (const Copy& c : b.written) {
    slots[c.header.kind].push_back(c.partition);
    CHECK(c.is_copy ==
          ((c.header.kind == RecordKind::kPeer || c.header.kind == RecordKind::kEor) && c.partition >= kPartitions));
    CHECK(c.header.detached == (!is_control(c.header.kind) && c.partition / kPartitions != 1));
    if (!is_control(c.header.kind)) CHECK(c.body.value.size() == 100);
  }
  const std::uint32_t p = partition_of(peer_key(1), kPartitions);
  const std::vector<std::uint32_t> thrice = {p, kPartitions + p, 2 * kPartitions + p};
  CHECK(slots[RecordKind::kRun].size() == 3 * kPartitions);
  CHECK(slots[RecordKind::kPeer] == thrice);
  CHECK(slots[RecordKind::kRoutes] == std::vector<std::uint32_t>{kPartitions + p});
  CHECK(slots[RecordKind::kEor] == thrice);
  CHECK(slots[RecordKind::kSynced].size() == 3 * kPartitions);
  // In each topic in order: the opener before its routes, the end of the dump behind them.
  for (std::uint32_t topic = 0; topic < 3; ++topic) {
    std::vector<std::uint64_t> seqs;
    for (const Copy& c : b.written)
      if (c.partition == topic * kPartitions + p) seqs.push_back(c.header.seq);
    CHECK(seqs == (topic == 1 ? Seqs{0, 2, 3, 4, 5} : Seqs{0, 2, 4, 5}));
  }
}

TEST_CASE("layout per-object: a record counts when all its copies are acknowledged") {
  Bench b;
  b.settings.plan = three_topics();
  Writer w{1};
  b.put(w, RecordKind::kSessionBegin, 0);
  Envelope peer = w.next(RecordKind::kPeer, 1);
  peer.topic = TopicSelector::kPeer;
  b.put(peer);
  b.put(w, RecordKind::kRoutes, 2);
  b.roles(active(100, 1, 0, 10));
  b.send();
  REQUIRE(b.unanswered.size() == 3 * kPartitions + 3 + 1);
  b.ack(3 * kPartitions + 2);
  CHECK(b.release_of(1) == 1);
  b.ack(1);
  CHECK(b.release_of(1) == 2);
  // A start over hands over all copies again, also when some of them had been handed over.
  b.held.producer_lost();
  CHECK(b.send() == 0);
  b.now_ms = 20;
  const std::size_t before = b.written.size();
  b.roles(active(101, 1, 0, 20));
  b.send();
  CHECK(b.count(RecordKind::kPeer, before) == 3);
}
