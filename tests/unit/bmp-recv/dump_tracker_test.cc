#include "bmp-recv/dump_tracker.h"

#include <doctest/doctest.h>

using namespace bmpha;
using namespace bmpha::recv;

namespace {

BootTime at(double seconds) { return BootTime(Nanos(static_cast<std::int64_t>(seconds * 1e9) + 1)); }
Hash128 peer(unsigned n) {
  Hash128 h;
  h.bytes[15] = static_cast<std::uint8_t>(n);
  return h;
}
const std::vector<Family> kV4{kIpv4Unicast};
const std::vector<Family> kBoth{kIpv4Unicast, kIpv6Unicast};

struct Tracker : DumpTracker {
  Tracker() : DumpTracker({Millis{30000}, Millis{600000}}) { on_begin(at(0)); }
  // The first half second at which the dump has ended.
  double end_after(double from) {
    for (double t = from; t < 2000; t += 0.5)
      if (poll(at(t))) return t;
    return -1;
  }
};

}  // namespace

TEST_CASE("a session without peers is synced after the quiet time") {
  Tracker t;
  CHECK(t.end_after(0) == 31);
  CHECK(t.ended());
  CHECK_FALSE(t.poll(at(32)));  // once only
}

TEST_CASE("End-of-RIB of every peer and view ends the dump after a moment") {
  Tracker t;
  t.on_peer_open(peer(1), kV4, at(1));
  t.on_peer_open(peer(2), kV4, at(1));
  for (const unsigned p : {1U, 2U}) {
    t.on_routes(peer(p), View::kInPre, kIpv4Unicast, at(2));
    t.on_routes(peer(p), View::kInPost, kIpv4Unicast, at(2));
  }
  t.on_end_of_rib(peer(1), View::kInPre, kIpv4Unicast, at(3));
  t.on_end_of_rib(peer(1), View::kInPost, kIpv4Unicast, at(3));
  t.on_end_of_rib(peer(2), View::kInPre, kIpv4Unicast, at(3));
  CHECK_FALSE(t.poll(at(20)));
  t.on_end_of_rib(peer(2), View::kInPost, kIpv4Unicast, at(20));
  CHECK_FALSE(t.poll(at(20.5)));
  CHECK(t.end_after(20.5) == 21.5);
}

TEST_CASE("a table without End-of-RIB ends by silence, changes of finished tables do not count") {
  Tracker t;
  t.on_peer_open(peer(1), kV4, at(1));
  t.on_routes(peer(1), View::kLocRib, kIpv4Unicast, at(2));
  t.on_end_of_rib(peer(1), View::kInPre, kIpv4Unicast, at(5));
  for (double s = 5; s < 31; s += 1) {
    t.on_routes(peer(1), View::kInPre, kIpv4Unicast, at(s));  // after its End-of-RIB
    CHECK_FALSE(t.poll(at(s)));
  }
  CHECK(t.end_after(31) == 33);
}

TEST_CASE("a family that the OPENs agree on may still come") {
  Tracker t;
  t.on_peer_open(peer(1), kBoth, at(1));
  t.on_routes(peer(1), View::kInPre, kIpv4Unicast, at(2));
  t.on_end_of_rib(peer(1), View::kInPre, kIpv4Unicast, at(3));
  CHECK_FALSE(t.poll(at(10)));  // IPv6 has not been seen
  t.on_routes(peer(1), View::kInPre, kIpv6Unicast, at(11));
  t.on_end_of_rib(peer(1), View::kInPre, kIpv6Unicast, at(12));
  CHECK(t.end_after(12) == 13);
}

TEST_CASE("a family that never comes is waited for as long as the quiet time") {
  Tracker t;
  t.on_peer_open(peer(1), kBoth, at(1));
  t.on_end_of_rib(peer(1), View::kInPre, kIpv4Unicast, at(3));
  CHECK(t.end_after(3) == 34);
}

TEST_CASE("a peer that goes down is not waited for") {
  Tracker t;
  t.on_peer_open(peer(1), kV4, at(1));
  t.on_peer_open(peer(2), kV4, at(1));
  t.on_routes(peer(2), View::kInPre, kIpv4Unicast, at(2));
  t.on_end_of_rib(peer(1), View::kInPre, kIpv4Unicast, at(3));
  CHECK_FALSE(t.poll(at(4)));
  t.on_peer_gone(peer(2));
  CHECK(t.end_after(4) == 5);
}

TEST_CASE("the cap ends a dump that never ends") {
  Tracker t;
  t.on_peer_open(peer(1), kV4, at(1));
  for (double s = 1; s < 600; s += 1) {
    t.on_routes(peer(1), View::kInPre, kIpv4Unicast, at(s));
    REQUIRE_FALSE(t.poll(at(s)));
  }
  CHECK(t.end_after(599.5) == 600);
}

TEST_CASE("silence of a session that is not read says nothing") {
  Tracker t;
  t.on_peer_open(peer(1), kV4, at(1));
  t.on_routes(peer(1), View::kInPre, kIpv4Unicast, at(2));
  for (double s = 2; s < 100; s += 0.5) {
    t.on_stall(at(s));
    REQUIRE_FALSE(t.poll(at(s)));
  }
  CHECK(t.end_after(100) == 130.5);
}

TEST_CASE("a shorter quiet time shortens the moment at the end as well") {
  DumpTracker t({Millis{200}, Millis{600000}});
  t.on_begin(at(0));
  t.on_peer_open(peer(1), kV4, at(1));
  t.on_end_of_rib(peer(1), View::kInPre, kIpv4Unicast, at(1));
  CHECK_FALSE(t.poll(at(1.1)));
  CHECK(t.poll(at(1.3)));
}

TEST_CASE("the cap ends the dump of a session that is never read up to date") {
  Tracker t;
  t.on_peer_open(peer(1), kV4, at(1));
  for (double s = 1; s < 600; s += 1) {
    t.on_routes(peer(1), View::kInPre, kIpv4Unicast, at(s));
    t.on_stall(at(s));
    REQUIRE_FALSE(t.poll_cap(at(s)));
  }
  CHECK(t.poll_cap(at(600)));
  CHECK(t.ended());
  CHECK_FALSE(t.poll_cap(at(601)));  // once only, by either
  CHECK_FALSE(t.poll(at(601)));
  Tracker quiet;
  CHECK_FALSE(quiet.poll_cap(at(31)));  // its silence is not asked for
  CHECK(quiet.poll(at(31)) == false);
  CHECK(quiet.poll(at(32)));
  CHECK_FALSE(quiet.poll_cap(at(600)));
}

TEST_CASE("a peer that names families without end costs no memory, and its unicast tables still count") {
  Tracker t;
  t.on_peer_open(peer(1), kBoth, at(1));
  t.on_peer_open(peer(2), kV4, at(1));
  for (unsigned n = 0; n < 20000; ++n) {
    const Family f{static_cast<std::uint16_t>(100 + n / 100), static_cast<std::uint8_t>(n % 100)};
    t.on_routes(peer(1), static_cast<View>(n % 5), f, at(1));
    t.on_end_of_rib(peer(1), static_cast<View>(n % 5), f, at(1));
  }
  CHECK(t.tables() == DumpTracker::kMaxTables);
  t.on_routes(peer(1), View::kInPre, kIpv4Unicast, at(2));
  t.on_routes(peer(1), View::kInPre, kIpv6Unicast, at(2));
  t.on_end_of_rib(peer(2), View::kInPre, kIpv4Unicast, at(2));
  CHECK(t.tables() == DumpTracker::kMaxTables + 3);
  t.on_end_of_rib(peer(1), View::kInPre, kIpv4Unicast, at(3));
  CHECK_FALSE(t.poll(at(20)));
  t.on_routes(peer(1), View::kInPre, {999, 9}, at(20));  // holds up nothing
  t.on_end_of_rib(peer(1), View::kInPre, kIpv6Unicast, at(20));
  CHECK(t.end_after(20) == 21);
  CHECK(t.tables() == 0);
}

TEST_CASE("tables of several peers and views in turn are told apart") {
  Tracker t;
  for (const unsigned p : {1U, 2U, 3U}) t.on_peer_open(peer(p), kBoth, at(1));
  for (unsigned n = 0; n < 20; ++n)
    for (const unsigned p : {1U, 2U, 3U})
      for (const Family& f : kBoth) t.on_routes(peer(p), n % 2 == 0 ? View::kInPre : View::kInPost, f, at(2));
  CHECK(t.tables() == 12);
  for (const unsigned p : {1U, 2U, 3U})
    for (const Family& f : kBoth)
      for (const View v : {View::kInPre, View::kInPost}) {
        CHECK_FALSE(t.poll(at(5)));
        t.on_end_of_rib(peer(p), v, f, at(5));
      }
  CHECK(t.tables() == 12);
  CHECK(t.end_after(5) == 6);
}
