#include "bmp-recv/record_ring.h"

#include <doctest/doctest.h>

using namespace bmpha;
using namespace bmpha::recv;

namespace {

RouterId router(unsigned n) {
  RouterId r;
  r.bytes[0] = static_cast<std::uint8_t>(n);
  return r;
}
Record record(std::uint64_t seq, std::size_t size) {
  return {std::make_shared<std::uint8_t[]>(size), size, RecordKind::kRoutes, seq,
          BootTime(Nanos(static_cast<std::int64_t>(seq)))};
}
std::vector<std::uint64_t> send_all(RecordRing& ring) {
  std::vector<std::uint64_t> seqs;
  RecordRing::Sendable s;
  while (ring.next_sendable(s)) {
    seqs.push_back(s.record.seq);
    ring.sent(*s.queue);
  }
  return seqs;
}
Control release(const RecordRing::Queue& q, std::uint64_t seq) {
  Control c;
  c.entries.push_back({q.router, q.session, seq, 0, false});
  return c;
}
Control credit(const RecordRing::Queue& q, std::uint64_t bytes) {
  Control c;
  c.entries.push_back({q.router, q.session, 0, bytes, false});
  return c;
}
using Seqs = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("records stay until they are released, and are sent again after a HELLO, in order") {
  RecordRing ring(1 << 20);
  RecordRing::Queue* q = ring.open(router(1), {9, 1}, "r1", BootTime{});
  for (std::uint64_t n = 1; n <= 5; ++n) ring.append(*q, record(n, 100));
  CHECK(send_all(ring) == Seqs{1, 2, 3, 4, 5});
  CHECK(send_all(ring).empty());
  CHECK(ring.on_control(release(*q, 2)).released);
  CHECK(ring.records() == 3);
  CHECK(q->released_seq == 2);
  CHECK(q->released_read_time == BootTime(Nanos(2)));
  ring.on_hello();
  CHECK(send_all(ring) == Seqs{3, 4, 5});
  CHECK_FALSE(ring.on_control(release(*q, 2)).released);  // a repeated entry does nothing
  CHECK(ring.on_control(release(*q, 99)).released);
  CHECK(ring.empty());
  CHECK(ring.bytes() == 0);
}

TEST_CASE("a release of what was not sent yet spares the sending") {
  RecordRing ring(1 << 20);
  RecordRing::Queue* q = ring.open(router(1), {9, 1}, "r1", BootTime{});
  for (std::uint64_t n = 1; n <= 4; ++n) ring.append(*q, record(n, 100));
  ring.on_control(release(*q, 3));
  CHECK(send_all(ring) == Seqs{4});
}

TEST_CASE("credit is cumulative and per session; one session without it holds up no other") {
  RecordRing ring(64 << 20);
  RecordRing::Queue* a = ring.open(router(1), {9, 1}, "a", BootTime{});
  RecordRing::Queue* b = ring.open(router(2), {9, 1}, "b", BootTime{});
  const std::size_t half = kInitialCredit / 2;
  for (std::uint64_t n = 1; n <= 4; ++n) ring.append(*a, record(n, half));
  ring.append(*b, record(77, 100));
  const Seqs first = send_all(ring);
  CHECK(first.size() == 3);
  CHECK(std::count(first.begin(), first.end(), 77U) == 1);
  CHECK(RecordRing::next_of(*a) == nullptr);
  CHECK(ring.on_control(credit(*a, kInitialCredit + half)).credited);
  CHECK(send_all(ring) == Seqs{3});
  CHECK_FALSE(ring.on_control(credit(*a, kInitialCredit)).credited);  // never falls
  ring.on_hello();                                                    // a new gate starts with the initial credit
  CHECK(send_all(ring).size() == 3);
}

TEST_CASE("a record that is larger than the rest of the credit goes out all the same") {
  RecordRing ring(64 << 20);
  RecordRing::Queue* a = ring.open(router(1), {9, 1}, "a", BootTime{});
  for (std::uint64_t n = 1; n <= 3; ++n) ring.append(*a, record(n, kInitialCredit * 2 / 3));
  CHECK(send_all(ring) == Seqs{1, 2});  // the second overshoots; then there is no credit left
  CHECK(ring.on_control(credit(*a, kInitialCredit * 4 / 3 + 100'000)).credited);
  CHECK(send_all(ring) == Seqs{3});
}

TEST_CASE("a closed session's records are kept until released, then it leaves the table") {
  RecordRing ring(1 << 20);
  RecordRing::Queue* q = ring.open(router(1), {9, 1}, "r1", BootTime{});
  ring.append(*q, record(1, 100));
  ring.close(q);
  REQUIRE(ring.table(BootTime{}).size() == 1);
  CHECK_FALSE(ring.table(BootTime{})[0].up);
  CHECK(ring.table(BootTime{})[0].last_seq == 1);
  RecordRing::Queue* next = ring.open(router(1), {9, 2}, "r1", BootTime{});
  ring.append(*next, record(1, 100));
  ring.on_control(release(*q, 1));
  REQUIRE(ring.table(BootTime{}).size() == 1);
  CHECK(ring.table(BootTime{})[0].session == SessionId{9, 2});
  CHECK(send_all(ring) == Seqs{1});
}

TEST_CASE("control entries of unknown sessions are ignored, resets are passed on for open ones") {
  RecordRing ring(1 << 20);
  RecordRing::Queue* q = ring.open(router(1), {9, 1}, "r1", BootTime{});
  Control c;
  c.entries.push_back({router(2), {9, 1}, 5, 5, true});
  c.entries.push_back({router(1), {9, 2}, 5, 5, true});
  c.entries.push_back({router(1), {9, 1}, 0, 0, true});
  const RecordRing::Applied applied = ring.on_control(c);
  REQUIRE(applied.resets.size() == 1);
  CHECK(applied.resets[0] == std::pair(router(1), q->session));
}

TEST_CASE("a full ring stops the routers that hold more than their part, and only those") {
  constexpr std::uint64_t kLimit = 4 << 20;
  RecordRing ring(kLimit);
  RecordRing::Queue* big = ring.open(router(1), {9, 1}, "big", BootTime{});
  RecordRing::Queue* small = ring.open(router(2), {9, 1}, "small", BootTime{});
  std::uint64_t seq = 0;
  while (ring.may_read(router(1))) ring.append(*big, record(++seq, 10000));
  CHECK(ring.bytes() >= kLimit - kLimit / 4);
  CHECK(ring.bytes() < kLimit);
  CHECK(ring.may_read(router(2)));
  CHECK(ring.may_read(router(3)));  // a new one
  std::uint64_t other = 0;
  while (ring.may_read(router(2))) ring.append(*small, record(++other, 10000));
  CHECK(small->bytes >= kLimit / 8);
  CHECK(ring.bytes() <= kLimit);
  ring.on_control(release(*big, seq));
  CHECK(ring.may_read(router(1)));
  CHECK(ring.may_read(router(2)));
}

TEST_CASE("sessions of one router share its part, so re-dialling gains nothing") {
  RecordRing ring(4 << 20);
  std::uint64_t opened = 0;
  while (ring.may_read(router(1)) && opened < 1000) {
    RecordRing::Queue* q = ring.open(router(1), {9, ++opened}, "flapping", BootTime{});
    for (std::uint64_t n = 1; n <= 10; ++n) ring.append(*q, record(n, 10000));
    ring.close(q);
  }
  CHECK(opened < 50);
  CHECK(ring.bytes() <= ring.limit());
}

TEST_CASE("the limit holds for any number of routers, and a release lets all of them go on") {
  constexpr std::uint64_t kLimit = 4 << 20;
  constexpr std::size_t kOne = 1 << 20;
  RecordRing ring(kLimit);
  std::vector<RecordRing::Queue*> queues;
  for (unsigned n = 1; n <= 100; ++n) {
    if (!ring.may_read(router(n))) continue;
    RecordRing::Queue* q = ring.open(router(n), {9, 1}, "new", BootTime{});
    ring.append(*q, record(1, kOne));
    queues.push_back(q);
  }
  CHECK(queues.size() == 4);
  CHECK(ring.bytes() <= kLimit + kOne);
  CHECK_FALSE(ring.may_read(router(200)));
  // Whatever is kept can be sent and released without anything being read, so the ring never stays full by itself.
  CHECK(send_all(ring).size() == queues.size());
  CHECK(ring.on_control(release(*queues[0], 1)).released);
  CHECK(ring.may_read(router(1)));  // it holds nothing
  CHECK(ring.may_read(router(200)));
  CHECK_FALSE(ring.may_read(router(2)));  // it holds more than its part of a ring that is three quarters full
  CHECK(ring.on_control(release(*queues[1], 1)).released);
  for (unsigned n = 1; n <= 4; ++n) CHECK(ring.may_read(router(n)));
}

TEST_CASE("a limit that is lowered below what is kept stops everybody until enough is released") {
  RecordRing ring(64 << 20);
  RecordRing::Queue* q = ring.open(router(1), {9, 1}, "r1", BootTime{});
  for (std::uint64_t n = 1; n <= 8; ++n) ring.append(*q, record(n, 1 << 20));
  CHECK(ring.may_read(router(2)));
  ring.set_limit(4 << 20);
  CHECK_FALSE(ring.may_read(router(2)));
  ring.on_control(release(*q, 8));
  CHECK(ring.may_read(router(2)));
}
