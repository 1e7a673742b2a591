// Builders for the gate's tests: one router's FIFO in virtual time, with a Kafka that answers when told.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kafka-gate/gate.h"
#include "kafka-gate/held_records.h"
#include "kafka-gate/partition.h"

namespace bmpha::gate {

constexpr std::uint32_t kPartitions = 4;
constexpr std::uint64_t kInc = 7;

inline BootTime at_ms(std::int64_t ms) { return BootTime(Millis(1'000'000 + ms)); }
inline RouterId router_id(std::uint8_t n = 1) {
  RouterId r;
  r.bytes.fill(n);
  return r;
}
inline Hash128 peer_key(std::uint8_t n) {
  Hash128 k;
  k.bytes.fill(static_cast<std::uint8_t>(0x40 + n));
  return k;
}
inline SessionId session_id(std::uint64_t number, std::uint64_t inc = kInc) { return {inc, number}; }

inline HeldRecords::Settings held_settings() {
  HeldRecords::Settings s;
  s.node = "A";
  s.partitions = kPartitions;
  return s;
}

// Writes the records of one session like bmp-recv: sequence without gaps, in_dump until `synced`.
struct Writer {
  std::uint64_t number;
  std::uint8_t router = 1;
  std::uint64_t inc = kInc;
  std::uint64_t seq = 0;
  bool in_dump = true;

  Envelope next(RecordKind kind, std::int64_t read_ms, std::uint8_t peer = 1, std::uint32_t size = 100) {
    Envelope e;
    e.kind = kind;
    e.topic = TopicSelector::kUnicastPrefix;
    e.in_dump = in_dump;
    e.opener = kind == RecordKind::kPeer && in_dump;
    e.session = session_id(number, inc);
    e.seq = ++seq;
    e.router = router_id(router);
    e.key = is_control(kind) || is_session_mark(kind) ? router_id(router) : peer_key(peer);
    e.read_time = at_ms(read_ms);
    e.drained_time = at_ms(read_ms - 1);
    e.read_wall_us = read_ms * 1000;
    e.payload_size = is_control(kind) || is_session_mark(kind) ? 0 : size;
    if (kind == RecordKind::kSynced) in_dump = false;
    return e;
  }
};

inline Body body_of(const Envelope& e) {
  auto bytes = std::make_shared<std::vector<std::uint8_t>>(e.payload_size, std::uint8_t{0x61});
  const Bytes value(*bytes);
  return {std::move(bytes), value};
}

struct RolesOf {
  Roles head;
  RoleRouter row;
  bool has_row = true;
};
inline RolesOf active(std::uint64_t epoch, std::uint64_t session, std::int64_t start_ms, std::int64_t sent_ms) {
  RolesOf r;
  r.head.sent = at_ms(sent_ms);
  r.head.node = "A";
  r.head.gen = 1;
  r.row.router = router_id();
  r.row.role = Role::kActive;
  r.row.epoch = epoch;
  r.row.session = session_id(session);
  r.row.start = at_ms(start_ms);
  return r;
}
inline RolesOf standby(std::int64_t sent_ms) {
  RolesOf r;
  r.head.sent = at_ms(sent_ms);
  r.head.node = "A";
  r.head.gen = 1;
  r.row.router = router_id();
  return r;
}
inline RolesOf standby_covered(std::int64_t cover_ms, std::int64_t sent_ms) {
  RolesOf r = standby(sent_ms);
  r.row.cover = at_ms(cover_ms);
  return r;
}

// One router's FIFO, a Kafka and a clock.
struct Bench {
  HeldRecords::Settings settings = held_settings();
  HeldRecords held{router_id(), settings};
  std::vector<Copy> written;      // all copies handed over, in order
  std::deque<Ticket> unanswered;  // of them not yet answered
  std::int64_t now_ms = 0;

  void put(const Envelope& e) { held.record(e, body_of(e), at_ms(now_ms)); }
  void put(Writer& w, RecordKind kind, std::int64_t read_ms, std::uint8_t peer = 1) {
    put(w.next(kind, read_ms, peer));
  }
  // A whole session start: begin, two peers with a route each, synced; read from ms on, one per ms.
  void dump(Writer& w, std::int64_t ms) {
    put(w, RecordKind::kSessionBegin, ms);
    for (std::uint8_t peer = 1; peer <= 2; ++peer) {
      put(w, RecordKind::kPeer, ms + 2 * peer - 1, peer);
      put(w, RecordKind::kRoutes, ms + 2 * peer, peer);
    }
    put(w, RecordKind::kSynced, ms + 5);
  }
  void roles(const RolesOf& r) { held.roles(r.head, r.has_row ? &r.row : nullptr, at_ms(now_ms)); }
  // Hands over all that may go, at most `most`.
  std::size_t send(std::size_t most = 1000) {
    std::size_t n = 0;
    while (n < most) {
      const std::optional<Copy> c = held.next(at_ms(now_ms));
      if (!c) break;
      held.sent(*c);
      written.push_back(*c);
      unanswered.push_back(c->ticket);
      ++n;
    }
    return n;
  }
  // Kafka acknowledges the oldest n.
  void ack(std::size_t n = 1000) {
    for (; n > 0 && !unanswered.empty(); --n) {
      const Ticket t = unanswered.front();
      unanswered.pop_front();
      held.answered(t, true);
    }
  }
  void send_and_ack() {
    while (send() > 0) ack();
    ack();
  }
  std::uint64_t release_of(std::uint64_t session) {
    std::uint64_t seq = 0;
    held.each_flow([&](HeldRecords::SessionFlow& f) {
      if (f.id == session_id(session)) seq = f.release_seq;
    });
    return seq;
  }
  std::int64_t w_ms() const {
    const auto w = held.status().w;
    return w ? std::chrono::duration_cast<Millis>(*w - at_ms(0)).count() : -1;
  }
  std::int64_t trimmed_ms() const {
    return std::chrono::duration_cast<Millis>(held.status().trimmed_to - at_ms(0)).count();
  }
  // Sequences of the data records written from index `from` on, `run` left out; one entry per record.
  std::vector<std::uint64_t> sequences(std::size_t from = 0) const {
    std::vector<std::uint64_t> out;
    for (std::size_t n = from; n < written.size(); ++n)
      if (written[n].ticket.of == CopyOf::kHeld && (out.empty() || out.back() != written[n].header.seq))
        out.push_back(written[n].header.seq);
    return out;
  }
  std::size_t count(RecordKind kind, std::size_t from = 0) const {
    std::size_t n = 0;
    for (std::size_t i = from; i < written.size(); ++i)
      if (written[i].header.kind == kind) ++n;
    return n;
  }
};

using Seqs = std::vector<std::uint64_t>;

}  // namespace bmpha::gate
