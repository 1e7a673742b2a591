// Envelope, Kafka header, link messages and role tables: round trip, every truncation, hostile values.
#include <doctest/doctest.h>

#include <array>
#include <string>

#include "common/kafka_header.h"
#include "common/link.h"
#include "common/record.h"
#include "common/role.h"

using namespace bmpha;

namespace {

Hash128 hash_of(std::uint8_t n) {
  Hash128 h;
  h.bytes.fill(n);
  return h;
}

Envelope sample_envelope(std::uint32_t payload) {
  Envelope e;
  e.kind = RecordKind::kRoutes;
  e.topic = TopicSelector::kUnicastPrefix;
  e.in_dump = true;
  e.opener = true;
  e.session = {11, 12};
  e.seq = 13;
  e.router = hash_of(1);
  e.key = hash_of(2);
  e.read_time = boot_from_ns(1000);
  e.drained_time = boot_from_ns(900);
  e.read_wall_us = 1700000000000000;
  e.rows = 3;
  e.payload_size = payload;
  return e;
}

std::string record_of(const Envelope& e) {
  std::string record(kEnvelopeSize + e.payload_size, 'p');
  encode_envelope(e, reinterpret_cast<std::uint8_t*>(record.data()));
  return record;
}

GateRouter sample_gate_router() {
  GateRouter g;
  g.router = hash_of(3);
  g.name = "edge-1";
  g.session = {5, 6};
  g.up = g.torn = g.blocked = g.front_is_opener = true;
  g.role = Role::kReleasing;
  g.epoch = 77;
  g.claimed_session = {5, 5};
  g.w = boot_from_ns(123);
  g.in_flight = 4;
  g.bytes = 5;
  g.records = 6;
  g.last_read = boot_from_ns(124);
  g.trimmed_to = boot_from_ns(120);
  g.brackets = {{{5, 6}, boot_from_ns(121), std::nullopt}, {{5, 5}, boot_from_ns(100), boot_from_ns(110)}};
  g.emitted = 1;
  return g;
}

}  // namespace

TEST_CASE("an envelope survives the round trip") {
  const Envelope e = sample_envelope(5);
  const auto back = decode_envelope(as_bytes(record_of(e)));
  REQUIRE(back.is_ok());
  const Envelope& b = back.value();
  CHECK(b.kind == e.kind);
  CHECK(b.topic == e.topic);
  CHECK(b.in_dump);
  CHECK(b.opener);
  CHECK(b.session == e.session);
  CHECK(b.seq == e.seq);
  CHECK(b.router == e.router);
  CHECK(b.key == e.key);
  CHECK(b.read_time == e.read_time);
  CHECK(b.drained_time == e.drained_time);
  CHECK(b.read_wall_us == e.read_wall_us);
  CHECK(b.rows == 3);
  CHECK(b.payload_size == 5);
}

TEST_CASE("objects that older readers do not tell apart stand in a byte that those ignore") {
  for (std::size_t n = 0; n < kTopicSelectors; ++n) {
    Envelope e = sample_envelope(0);
    e.topic = static_cast<TopicSelector>(n);
    const std::string record = record_of(e);
    CHECK(record[4] == static_cast<char>(std::min<std::size_t>(n, 12)));
    const auto back = decode_envelope(as_bytes(record));
    REQUIRE(back.is_ok());
    CHECK(back.value().topic == e.topic);
    CHECK(std::string(topic_object(e.topic)).empty() == (e.topic == TopicSelector::kOther));
  }
  Envelope e = sample_envelope(0);
  e.topic = TopicSelector::kEor;
  std::string newer = record_of(e);
  newer[6] = 99;  // an object of a later build
  CHECK(decode_envelope(as_bytes(newer)).value().topic == TopicSelector::kOther);
  newer[4] = 4;
  CHECK(decode_envelope(as_bytes(newer)).value().topic == TopicSelector::kUnicastPrefix);
}

TEST_CASE("an envelope is refused at every truncation, with extra bytes, and with bad fields") {
  const std::string good = record_of(sample_envelope(5));
  for (std::size_t n = 0; n < good.size(); ++n) CHECK_FALSE(decode_envelope(as_bytes(good).first(n)).is_ok());
  CHECK_FALSE(decode_envelope(as_bytes(good + "x")).is_ok());
  const std::pair<std::size_t, char> bad[] = {{0, 0}, {2, 9}, {3, 0}, {3, 99}, {4, 99}};
  for (const auto& [at, value] : bad) {
    std::string record = good;
    record[at] = value;
    CHECK_FALSE(decode_envelope(as_bytes(record)).is_ok());
  }
  Envelope no_seq = sample_envelope(0);
  no_seq.seq = 0;
  CHECK_FALSE(decode_envelope(as_bytes(record_of(no_seq))).is_ok());
}

TEST_CASE("a Kafka header survives the round trip, settled gens included") {
  KafkaHeader h;
  h.kind = RecordKind::kRun;
  h.solo = h.replay = h.in_dump = h.opener = h.detached = true;
  h.epoch = 0xffffffffffff;
  h.gen = 9;
  h.node = "node-a.%+";
  h.router = hash_of(7);
  h.session = {1, 2};
  h.seq = 3;
  h.read_wall_us = -4;
  h.settled = {{"b", 5}, {"c", 6}};
  std::string out;
  encode_kafka_header(h, out);
  const auto back = decode_kafka_header(as_bytes(out));
  REQUIRE(back.is_ok());
  const KafkaHeader& b = back.value();
  CHECK((b.kind == h.kind && b.solo && b.replay && b.in_dump && b.opener && b.detached && b.epoch == h.epoch &&
         b.gen == h.gen));
  CHECK((b.node == h.node && b.router == h.router && b.session == h.session && b.seq == 3 && b.read_wall_us == -4));
  CHECK(b.settled == h.settled);
  for (std::size_t n = 0; n < out.size(); ++n) CHECK_FALSE(decode_kafka_header(as_bytes(out).first(n)).is_ok());
  CHECK(decode_kafka_header(as_bytes(out + "later fields")).is_ok());
}

TEST_CASE("a Kafka header with an unknown version, kind or an empty node is refused") {
  KafkaHeader h;
  h.node = "n";
  std::string out;
  encode_kafka_header(h, out);
  std::string bad = out;
  bad[0] = 2;
  CHECK_FALSE(decode_kafka_header(as_bytes(bad)).is_ok());
  bad = out;
  bad[1] = 99;
  CHECK_FALSE(decode_kafka_header(as_bytes(bad)).is_ok());
  h.node.clear();
  encode_kafka_header(h, bad);
  CHECK_FALSE(decode_kafka_header(as_bytes(bad)).is_ok());
}

TEST_CASE("link messages survive the round trip and are refused when cut") {
  Alive alive;
  alive.recv_inc = 1;
  alive.gate_inc = 2;
  alive.sessions.push_back({hash_of(1), {1, 1}, true, true, boot_from_ns(5), 6, boot_from_ns(7), 8, "r1", {}});
  alive.sessions.push_back({hash_of(2), {1, 2}, false, false, boot_from_ns(5), 0, boot_from_ns(0), 8, "", {}});
  Control control;
  control.gate_inc = 3;
  control.entries.push_back({hash_of(1), {1, 1}, 4, 5, true});
  const std::string frames[] = {encode_hello({42}), encode_control(control), encode_alive(alive)};
  for (const std::string& frame : frames) {
    CHECK(decode_link_message(as_bytes(frame)).is_ok());
    CHECK_FALSE(is_data_frame(as_bytes(frame)));
    for (std::size_t n = 0; n < frame.size(); ++n) CHECK_FALSE(decode_link_message(as_bytes(frame).first(n)).is_ok());
  }
  const auto hello = decode_link_message(as_bytes(frames[0]));
  CHECK(std::get<Hello>(hello.value()).gate_inc == 42);
  const auto back = decode_link_message(as_bytes(frames[2]));
  const Alive& a = std::get<Alive>(back.value());
  REQUIRE(a.sessions.size() == 2);
  CHECK(a.sessions[0].read_paused);
  CHECK(a.sessions[0].released_seq == 6);
  CHECK(a.sessions[0].name == "r1");
  CHECK_FALSE(a.sessions[1].up);
  const auto control_back = decode_link_message(as_bytes(frames[1]));
  CHECK(std::get<Control>(control_back.value()).entries[0].reset);
  CHECK(is_data_frame(as_bytes(record_of(sample_envelope(0)))));
}

TEST_CASE("a link message that announces absurd counts is refused without allocation") {
  std::string frame = encode_control({});
  frame.replace(frame.size() - 4, 4, "\xff\xff\xff\xff");
  CHECK_FALSE(decode_link_message(as_bytes(frame)).is_ok());
}

TEST_CASE("role tables survive the round trip and are refused when cut") {
  GateStatus status;
  status.gate_inc = 1;
  status.recv_inc = 2;
  status.recv_alive = true;
  status.kafka_ok = false;
  status.sent = boot_from_ns(50);
  status.routers = {sample_gate_router(), sample_gate_router()};
  const std::string frame = encode_gate_status(status);
  const auto back = decode_gate_status(as_bytes(frame));
  REQUIRE(back.is_ok());
  const GateRouter& g = back.value().routers[1];
  CHECK_FALSE(back.value().kafka_ok);
  CHECK((g.name == "edge-1" && g.up && !g.in_dump && g.torn && g.blocked && !g.unsent_tail && g.front_is_opener));
  CHECK((g.role == Role::kReleasing && g.epoch == 77 && g.w == boot_from_ns(123) && !g.oldest_unacked));
  CHECK(g.brackets == sample_gate_router().brackets);
  for (std::size_t n = 0; n < frame.size(); ++n) CHECK_FALSE(decode_gate_status(as_bytes(frame).first(n)).is_ok());

  Roles roles;
  roles.tick = 4;
  roles.solo = true;
  roles.gen = 5;
  roles.node = "a";
  RoleRouter r;
  r.router = hash_of(1);
  r.role = Role::kActive;
  r.epoch = 6;
  r.session = {1, 2};
  r.settles = {{"b", 7}};
  r.cover = boot_from_ns(8);
  r.start = boot_from_ns(9);
  r.emit = Emit::kStale;
  roles.routers = {r};
  const std::string roles_frame = encode_roles(roles);
  const auto roles_back = decode_roles(as_bytes(roles_frame));
  REQUIRE(roles_back.is_ok());
  const RoleRouter& rb = roles_back.value().routers[0];
  CHECK((rb.role == Role::kActive && rb.epoch == 6 && rb.settles == r.settles && rb.cover == r.cover));
  CHECK((rb.start == r.start && rb.emit == Emit::kStale && rb.reset_session.is_none()));
  for (std::size_t n = 0; n < roles_frame.size(); ++n)
    CHECK_FALSE(decode_roles(as_bytes(roles_frame).first(n)).is_ok());
  CHECK_FALSE(decode_roles(as_bytes(frame)).is_ok());
}

TEST_CASE("role tables are version 1 unless they say what that cannot") {
  GateStatus status;
  status.routers = {sample_gate_router()};
  CHECK(encode_gate_status(status)[1] == 1);
  CHECK(decode_gate_status(as_bytes(encode_gate_status(status))).value().retain == Millis(5000));
  status.retain = Millis(7777);
  const std::string frame = encode_gate_status(status);
  CHECK(frame[1] == 2);
  REQUIRE(decode_gate_status(as_bytes(frame)).is_ok());
  CHECK(decode_gate_status(as_bytes(frame)).value().retain == Millis(7777));
  CHECK(decode_gate_status(as_bytes(frame)).value().routers.size() == 1);
  for (const std::int64_t bad : {std::int64_t{-1}, INT64_MAX}) {
    status.retain = Millis(bad);
    CHECK_FALSE(decode_gate_status(as_bytes(encode_gate_status(status))).is_ok());
  }
  for (std::size_t n = 0; n < frame.size(); ++n) CHECK_FALSE(decode_gate_status(as_bytes(frame).first(n)).is_ok());

  Roles roles;
  roles.node = "a";
  for (const std::int64_t bad : {std::int64_t{-1}, (std::int64_t{1} << 42) + 1, INT64_MAX, INT64_MIN}) {
    roles.lease = Millis(bad);
    CHECK(decode_roles(as_bytes(encode_roles(roles))).error().find("lease") != std::string::npos);
  }
  roles.lease = Millis(1500);
  roles.gen = 3;
  CHECK(encode_roles(roles)[1] == 1);
  CHECK_FALSE(decode_roles(as_bytes(encode_roles(roles))).value().by_age);
  roles.by_age = true;
  std::string told = encode_roles(roles);
  CHECK(told[1] == 2);
  REQUIRE(decode_roles(as_bytes(told)).is_ok());
  CHECK(decode_roles(as_bytes(told)).value().by_age);
  CHECK(decode_roles(as_bytes(told)).value().gen == 3);
  for (const char version : {'\0', '\3'}) {
    told[1] = version;
    CHECK_FALSE(decode_roles(as_bytes(told)).is_ok());
  }
}

TEST_CASE("a start point inside a bracket goes back to the bracket's first record") {
  const std::vector<Bracket> brackets = {{{1, 1}, boot_from_ns(100), boot_from_ns(200)},
                                         {{1, 2}, boot_from_ns(300), std::nullopt}};
  CHECK(step_back(brackets, boot_from_ns(50)) == boot_from_ns(50));
  CHECK(step_back(brackets, boot_from_ns(100)) == boot_from_ns(100));
  CHECK(step_back(brackets, boot_from_ns(150)) == boot_from_ns(100));
  CHECK(step_back(brackets, boot_from_ns(200)) == boot_from_ns(100));
  CHECK(step_back(brackets, boot_from_ns(250)) == boot_from_ns(250));
  CHECK(step_back(brackets, boot_from_ns(999)) == boot_from_ns(300));
}

TEST_CASE("hashes print and parse as 32 hex digits") {
  Hash128 h = hash_of(0xa5);
  Hash128 back;
  REQUIRE(from_hex(to_hex(h), back));
  CHECK(back == h);
  CHECK_FALSE(from_hex("a5", back));
  CHECK_FALSE(from_hex(std::string(32, 'g'), back));
  CHECK(back == h);
}
