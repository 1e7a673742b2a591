// Fence and generations: each rule by name, and random traffic against a model that was written without them.
#include "psql-sink/generations.h"

#include <doctest/doctest.h>

#include "support.h"

using namespace bmpha;
using namespace bmpha::sink;
using namespace bmpha::sink::test;

namespace {

// Feeds records as the batch builder does, without text.
struct Feed {
  Generations g;
  std::int64_t offset = 0;
  std::vector<PeerChange> changes;

  Verdict control(RecordKind kind, std::uint64_t epoch, std::uint64_t session, const std::string& node = "a") {
    return admit(test::header(kind, 1, epoch, session, node));
  }
  Verdict admit(const KafkaHeader& h) {
    changes.clear();
    return g.admit(offset++, h, changes);
  }
  PeerChange up(int peer, std::uint64_t session, bool in_dump, const std::string& node = "a") {
    KafkaHeader h = test::header(RecordKind::kPeer, 1, 1, session, node);
    h.in_dump = in_dump;
    return g.open_peer(offset++, h, hash_of(peer));
  }
  void down(int peer) { g.close_peer(test::header(RecordKind::kPeer), hash_of(peer)); }
  const PeerState& peer(int n) const { return *g.find_peer(hash_of(n)); }
};

KafkaHeader solo(std::uint64_t gen, const std::string& node = "b") {
  KafkaHeader h = test::header(RecordKind::kRoutes, 1, 1, 1, node);
  h.solo = true;
  h.gen = gen;
  return h;
}

}  // namespace

TEST_CASE("S2: a run raises the mark, and records below it are dropped") {
  Feed f;
  CHECK(f.control(RecordKind::kRun, 5, 1) == Verdict::kAccepted);
  CHECK(f.control(RecordKind::kRoutes, 4, 1) == Verdict::kFencedEpoch);
  CHECK(f.control(RecordKind::kRoutes, 5, 1) == Verdict::kAccepted);
  CHECK(f.control(RecordKind::kRoutes, 6, 1) == Verdict::kAccepted);  // only a run raises
  CHECK(f.control(RecordKind::kRoutes, 5, 1) == Verdict::kAccepted);
  CHECK(f.control(RecordKind::kRun, 4, 2) == Verdict::kFencedEpoch);
  CHECK(f.g.find_fence(hash_of(1))->epoch == 5);
}

TEST_CASE("S2: the fence is per router") {
  Feed f;
  f.control(RecordKind::kRun, 9, 1);
  CHECK(f.admit(test::header(RecordKind::kRoutes, 2, 1)) == Verdict::kAccepted);
}

TEST_CASE("S2: a solo record is dropped iff its gen was settled, whatever its epoch") {
  Feed f;
  CHECK(f.admit(solo(7)) == Verdict::kAccepted);
  KafkaHeader run = test::header(RecordKind::kRun, 1, 9);
  run.settled = {{"b", 7}};
  CHECK(f.admit(run) == Verdict::kAccepted);
  CHECK(f.admit(solo(7)) == Verdict::kFencedGen);
  CHECK(f.admit(solo(6)) == Verdict::kFencedGen);
  CHECK(f.admit(solo(8)) == Verdict::kAccepted);
  CHECK(f.admit(solo(1, "c")) == Verdict::kAccepted);  // another node's gens are its own
}

TEST_CASE("S2: a solo run raises no mark and settles nothing") {
  Feed f;
  KafkaHeader run = solo(3);
  run.kind = RecordKind::kRun;
  run.epoch = 50;
  run.settled = {{"a", 99}};
  CHECK(f.admit(run) == Verdict::kAccepted);
  CHECK(f.g.find_fence(hash_of(1))->epoch == 0);
  CHECK(f.g.find_fence(hash_of(1))->settled.empty());
  CHECK(f.g.find_fence(hash_of(1))->runs.size() == 1);
}

TEST_CASE("S2: a fenced synced, stale or down has no effect") {
  Feed f;
  f.control(RecordKind::kRun, 5, 1);
  f.up(10, 1, true);
  for (const RecordKind kind : {RecordKind::kSynced, RecordKind::kStale, RecordKind::kDown}) {
    CHECK(f.control(kind, 4, 2) == Verdict::kFencedEpoch);
    CHECK(f.changes.empty());
    CHECK(f.peer(10).up);
  }
}

TEST_CASE("S4: an opener inside a dump of a peer that is up is a refresh and hides nothing until synced") {
  Feed f;
  f.control(RecordKind::kRun, 1, 1);
  CHECK(f.up(10, 1, true).kind == ChangeKind::kOpened);  // was not up
  CHECK(f.peer(10).live_epoch == 1);
  f.control(RecordKind::kRun, 2, 2);
  CHECK(f.up(10, 2, true).kind == ChangeKind::kRefreshed);
  CHECK(f.peer(10).epoch == 2);
  CHECK(f.peer(10).live_epoch == 1);
  f.control(RecordKind::kSynced, 2, 2);
  REQUIRE(f.changes.size() == 1);
  CHECK(f.changes[0].kind == ChangeKind::kSynced);
  CHECK(f.changes[0].old_live == 1);
  CHECK(f.changes[0].new_live == 2);
  CHECK(f.peer(10).live_epoch == 2);
}

TEST_CASE("S4: an opener outside a dump, or of a peer that is down, hides older rows at once") {
  Feed f;
  f.control(RecordKind::kRun, 1, 1);
  f.up(10, 1, true);
  CHECK(f.up(10, 1, false).kind == ChangeKind::kOpened);
  CHECK(f.peer(10).live_epoch == 2);
  f.down(10);
  CHECK_FALSE(f.peer(10).up);
  CHECK(f.up(10, 1, true).kind == ChangeKind::kOpened);
  CHECK(f.peer(10).live_epoch == 3);
}

TEST_CASE("S4: synced ends only refreshes of its own session") {
  Feed f;
  f.control(RecordKind::kRun, 1, 1);
  f.up(10, 1, true);
  f.control(RecordKind::kRun, 2, 2);
  f.up(10, 2, true);
  f.control(RecordKind::kSynced, 2, 1);  // the older session's dump
  CHECK(f.peer(10).live_epoch == 1);
  CHECK(f.peer(10).up);
}

TEST_CASE("S4: synced takes down what its dump did not open, if that was opened before the session's run") {
  Feed f;
  f.control(RecordKind::kRun, 1, 1);
  f.up(10, 1, true);
  f.up(11, 1, true);
  f.control(RecordKind::kRun, 2, 2);
  f.up(10, 2, true);
  f.control(RecordKind::kSynced, 2, 2);
  CHECK(f.peer(10).up);
  CHECK_FALSE(f.peer(11).up);
}

TEST_CASE("F3: a peer that another session opened behind the session's latest run is left alone") {
  Feed f;
  f.control(RecordKind::kRun, 1, 1);
  f.up(10, 1, true);
  f.control(RecordKind::kRun, 2, 2);
  f.up(11, 3, true);
  f.control(RecordKind::kSynced, 2, 2);
  CHECK_FALSE(f.peer(10).up);
  CHECK(f.peer(11).up);
}

TEST_CASE("F3: without a run of its session, synced takes nothing down") {
  Feed f;
  f.up(10, 1, true);
  f.control(RecordKind::kSynced, 1, 2);
  CHECK(f.peer(10).up);
}

TEST_CASE("S4: down takes all peers of the router down, stale none") {
  Feed f;
  f.up(10, 1, true);
  f.up(11, 1, true);
  f.control(RecordKind::kStale, 1, 1);
  CHECK(f.changes.size() == 2);
  CHECK(f.peer(10).up);
  f.control(RecordKind::kDown, 1, 1);
  CHECK_FALSE(f.peer(10).up);
  CHECK_FALSE(f.peer(11).up);
  CHECK(f.peer(11).down_epoch == 1);
}

TEST_CASE("a peer without opener is not up") {
  Feed f;
  const PeerState& p = f.g.touch_peer(hash_of(1), hash_of(10));
  CHECK_FALSE(p.up);
  CHECK(p.epoch == 0);
}

TEST_CASE("remembered runs and settled nodes are bounded, the newest are kept") {
  Feed f;
  for (std::uint64_t s = 1; s <= kMaxRuns + 10; ++s) f.control(RecordKind::kRun, 1, s);
  const RouterFence* fence = f.g.find_fence(hash_of(1));
  CHECK(fence->runs.size() == kMaxRuns);
  CHECK(fence->runs.contains(SessionId{'a', kMaxRuns + 10}));
  CHECK_FALSE(fence->runs.contains(SessionId{'a', 1}));
  for (int n = 0; n < 3000; n += 250) {
    KafkaHeader run = test::header(RecordKind::kRun);
    for (int k = 0; k < 250; ++k) run.settled.push_back({"n" + std::to_string(n + k), 1});
    f.admit(run);
  }
  CHECK(f.g.find_fence(hash_of(1))->settled.size() == kMaxSettledNodes);
}

TEST_CASE("what is loaded goes on like what was in memory") {
  for (std::uint32_t seed = 0; seed < 30; ++seed) {
    const std::vector<Record> records = random_traffic(seed, 120);
    Generations whole, first;
    const auto feed = [](Generations& g, const Record& r) {
      std::vector<PeerChange> changes;
      const Verdict v = g.admit(r.offset, r.header, changes);
      const Meaning m = meaning(r);
      if (v != Verdict::kAccepted || m.kind == Meaning::kControl) return;
      if (m.kind == Meaning::kUp) g.open_peer(r.offset, r.header, hash_of(m.peer));
      if (m.kind == Meaning::kDown) g.close_peer(r.header, hash_of(m.peer));
      if (m.kind == Meaning::kRoute) g.touch_peer(r.header.router, hash_of(m.peer));
    };
    for (std::size_t n = 0; n < 60; ++n) feed(whole, records[n]);
    for (const auto& [hash, state] : whole.peers()) first.load_peer(hash, state);
    first.load_fence(hash_of(1), *whole.find_fence(hash_of(1)));
    for (std::size_t n = 60; n < records.size(); ++n) {
      feed(whole, records[n]);
      feed(first, records[n]);
    }
    CHECK(first == whole);
  }
}

TEST_CASE("random traffic: what the alive rule shows is what the model shows, after every record") {
  for (std::uint32_t seed = 0; seed < 400; ++seed) {
    Model model;
    Generations g;
    struct Row {
      int attributes;
      std::int32_t epoch;
    };
    std::map<std::pair<int, int>, Row> table;  // withdrawn rows are absent
    std::uint64_t fenced = 0;
    for (const Record& r : random_traffic(seed, 150)) {
      model.apply(r);
      std::vector<PeerChange> changes;
      const Meaning m = meaning(r);
      if (g.admit(r.offset, r.header, changes) != Verdict::kAccepted) {
        ++fenced;
      } else if (m.kind == Meaning::kUp) {
        g.open_peer(r.offset, r.header, hash_of(m.peer));
      } else if (m.kind == Meaning::kDown) {
        g.close_peer(r.header, hash_of(m.peer));
      } else if (m.kind == Meaning::kRoute) {
        const PeerState& p = g.touch_peer(r.header.router, hash_of(m.peer));
        if (m.attributes < 0) {
          table.erase({m.peer, m.prefix});
        } else {
          table[{m.peer, m.prefix}] = {m.attributes, p.epoch};
        }
      }
      std::map<std::pair<int, int>, int> visible;
      for (const auto& [key, row] : table) {
        const PeerState* p = g.find_peer(hash_of(key.first));
        if (p->up && row.epoch >= p->live_epoch) visible[key] = row.attributes;
      }
      REQUIRE_MESSAGE(visible == model.visible(), "seed ", seed, " offset ", r.offset);
    }
    REQUIRE(fenced == model.fenced());
  }
}
