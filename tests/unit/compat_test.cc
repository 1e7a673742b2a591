// Two builds side by side, as in a rolling upgrade: the codecs of the version before (tests/compat) and the present
// ones read each other. Whatever the old one can say: its bytes are read, and the present one says it in the same
// bytes.
#include <doctest/doctest.h>

#include <random>
#include <string>

#include "common/kafka_header.h"
#include "common/link.h"
#include "common/record.h"
#include "common/role.h"
#include "common/versions.h"
#include "ha-arbiter/node_blob.h"
#include "tests/compat/v1/common/kafka_header.h"
#include "tests/compat/v1/common/link.h"
#include "tests/compat/v1/common/record.h"
#include "tests/compat/v1/common/role.h"
#include "tests/compat/v1/ha-arbiter/node_blob.h"

namespace old = bmpha_v1;
namespace now = bmpha;

namespace {

constexpr int kRounds = 2000;

// Fills structs of both builds: what is named here is what version 1 knows.
struct Dice {
  std::mt19937_64 random;
  explicit Dice(std::uint64_t seed) : random(seed) {}

  std::uint64_t up_to(std::uint64_t most) { return std::uniform_int_distribution<std::uint64_t>(0, most)(random); }
  bool flip() { return up_to(1) == 1; }
  // Small and large values, and the bounds themselves.
  std::uint64_t number(std::uint64_t most = UINT64_MAX) {
    switch (up_to(4)) {
      case 0:
        return 0;
      case 1:
        return most;
      case 2:
        return up_to(most);
      default:
        return up_to(std::min<std::uint64_t>(most, 1000));
    }
  }
  std::string name(std::size_t most = 64) {
    std::string s(1 + up_to(flip() ? most - 1 : 5), 'a');
    for (char& c : s) c = "abcXYZ019-._%+:@~"[up_to(16)];
    return s;
  }
  template <class T>
  void fill(T& e, std::uint64_t last, std::uint64_t first = 0) {
    e = static_cast<T>(first + up_to(last - first));
  }
  template <class Hash>
  void hash(Hash& h) {
    for (auto& b : h.bytes) b = static_cast<std::uint8_t>(up_to(255));
  }
  template <class Session>
  void session(Session& s) {
    s.recv_inc = number();
    s.number = 1 + number(UINT64_MAX - 1);
  }
  template <class Time>
  void time(Time& t) {
    t = Time{} + std::chrono::nanoseconds(static_cast<std::int64_t>(number(INT64_MAX)));
  }
  template <class Optional>
  void maybe_time(Optional& t) {
    t.reset();
    if (flip()) time(t.emplace());
  }
};

template <class Envelope>
Envelope envelope(Dice d) {
  Envelope e;
  d.fill(e.kind, 14, 1);
  d.fill(e.topic, 12);
  e.in_dump = d.flip();
  e.opener = d.flip();
  d.session(e.session);
  e.seq = 1 + d.number(UINT64_MAX - 1);
  d.hash(e.router);
  d.hash(e.key);
  d.time(e.read_time);
  d.time(e.drained_time);
  e.read_wall_us = static_cast<std::int64_t>(d.number());
  e.rows = static_cast<std::uint32_t>(d.number(UINT32_MAX));
  e.payload_size = static_cast<std::uint32_t>(d.up_to(300));
  return e;
}

template <class Header>
Header header(Dice d) {
  Header h;
  d.fill(h.kind, 14, 1);
  h.solo = d.flip();
  h.replay = d.flip();
  h.in_dump = d.flip();
  h.opener = d.flip();
  h.epoch = d.number();
  h.gen = d.number();
  h.node = d.name();
  d.hash(h.router);
  d.session(h.session);
  h.seq = d.number();
  h.read_wall_us = static_cast<std::int64_t>(d.number());
  h.settled.resize(d.number(255));
  for (auto& s : h.settled) {
    s.node = d.name();
    s.gen = d.number();
  }
  return h;
}

template <class Control>
Control control(Dice d) {
  Control c;
  c.gate_inc = d.number();
  c.entries.resize(d.up_to(5));
  for (auto& e : c.entries) {
    d.hash(e.router);
    d.session(e.session);
    e.release_seq = d.number();
    e.credit_bytes = d.number();
    e.reset = d.flip();
  }
  return c;
}

template <class Alive>
Alive alive(Dice d) {
  Alive a;
  a.recv_inc = d.number();
  a.gate_inc = d.number();
  a.sessions.resize(d.up_to(5));
  for (auto& s : a.sessions) {
    d.hash(s.router);
    d.session(s.session);
    s.up = d.flip();
    s.read_paused = d.flip();
    d.time(s.last_read);
    s.released_seq = d.number();
    d.time(s.released_read_time);
    s.last_seq = d.number();
    s.name = d.name(255);
  }
  return a;
}

template <class Status>
Status gate_status(Dice d) {
  Status s;
  s.gate_inc = d.number();
  s.recv_inc = d.number();
  s.recv_alive = d.flip();
  s.n = d.number();
  d.time(s.sent);
  s.kafka_ok = d.flip();
  s.routers.resize(d.up_to(4));
  for (auto& g : s.routers) {
    d.hash(g.router);
    g.name = d.name(255);
    d.session(g.session);
    for (bool* flag : {&g.up, &g.in_dump, &g.torn, &g.read_paused, &g.solo, &g.unclean, &g.blocked, &g.unsent_tail,
                       &g.front_is_opener})
      *flag = d.flip();
    d.fill(g.role, 2);
    g.epoch = d.number();
    d.session(g.claimed_session);
    d.maybe_time(g.w);
    d.maybe_time(g.oldest_unacked);
    g.in_flight = static_cast<std::uint32_t>(d.number(UINT32_MAX));
    g.bytes = d.number();
    g.records = d.number();
    d.time(g.last_read);
    d.time(g.trimmed_to);
    g.emitted = static_cast<std::uint8_t>(d.up_to(2));
    g.brackets.resize(d.up_to(3));
    for (auto& b : g.brackets) {
      d.session(b.session);
      d.time(b.first);
      d.maybe_time(b.synced);
    }
  }
  return s;
}

template <class Roles>
Roles roles(Dice d) {
  Roles r;
  r.arbiter_inc = d.number();
  r.tick = d.number();
  d.time(r.sent);
  r.lease = std::chrono::milliseconds(d.number(100'000));
  r.solo = d.flip();
  r.gen = d.number();
  r.node = d.name();
  r.routers.resize(d.up_to(4));
  for (auto& g : r.routers) {
    d.hash(g.router);
    d.fill(g.role, 2);
    g.epoch = d.number();
    d.session(g.session);
    g.settles.resize(d.up_to(3));
    for (auto& s : g.settles) {
      s.node = d.name();
      s.gen = d.number();
    }
    d.maybe_time(g.cover);
    d.time(g.start);
    d.fill(g.emit, 2);
    if (d.flip()) d.session(g.reset_session);
  }
  return r;
}

constexpr std::uint64_t kCounter = std::uint64_t{1} << 62;

template <class Entry>
void router_entry(Dice& d, Entry& e) {
  d.hash(e.router);
  d.fill(e.hold, 3);
  e.cls = static_cast<std::uint8_t>(d.up_to(3));
  e.since = d.number(kCounter);
  d.fill(e.role, 2);
  e.epoch = d.number(kCounter);
  d.session(e.session);
  if (d.flip()) e.w_age = std::chrono::milliseconds(d.number(std::uint64_t{1} << 42));
  if (d.flip()) e.read_age = std::chrono::milliseconds(d.number(std::uint64_t{1} << 42));
  e.unclean = d.flip();
  e.solo = d.flip();
}

template <class Blob>
Blob blob(Dice d) {
  Blob b;
  b.id = d.name();
  b.inc = d.number();
  b.tick = d.number(kCounter);
  b.gen = d.number(kCounter);
  for (bool* flag : {&b.leaving, &b.forced_active, &b.forced_standby, &b.solo, &b.settled}) *flag = d.flip();
  for (std::uint64_t n = d.up_to(3); n > 0; --n) b.seen[d.name()] = d.number(kCounter);
  b.routers.resize(d.up_to(5));
  for (auto& e : b.routers) router_entry(d, e);
  return b;
}

std::string record_bytes(const old::Envelope& e) {
  std::string record(old::kEnvelopeSize + e.payload_size, 'p');
  old::encode_envelope(e, reinterpret_cast<std::uint8_t*>(record.data()));
  return record;
}
std::string record_bytes(const now::Envelope& e) {
  std::string record(now::kEnvelopeSize + e.payload_size, 'p');
  now::encode_envelope(e, reinterpret_cast<std::uint8_t*>(record.data()));
  return record;
}
std::string header_bytes(const old::KafkaHeader& h) {
  std::string out;
  old::encode_kafka_header(h, out);
  return out;
}
std::string header_bytes(const now::KafkaHeader& h) {
  std::string out;
  now::encode_kafka_header(h, out);
  return out;
}

// The same value, said by both builds and read by the other one. Reading and saying again must give the same bytes: so
// every field arrived.
template <class OldValue, class NewValue, class OldDecode, class NewDecode, class Encode>
void check_both_ways(const OldValue& by_old, const NewValue& by_new, OldDecode old_decode, NewDecode new_decode,
                     Encode encode) {
  const std::string said = encode(by_old);
  REQUIRE(encode(by_new) == said);
  const auto upgraded = new_decode(said);
  REQUIRE_MESSAGE(upgraded.is_ok(), upgraded.error());
  CHECK(encode(upgraded.value()) == said);
  const auto behind = old_decode(encode(by_new));
  REQUIRE_MESSAGE(behind.is_ok(), behind.error());
  CHECK(encode(behind.value()) == said);
}

template <class Message, class Variant>
Message take(const Variant& v) {
  return std::get<Message>(v.value());
}

}  // namespace

TEST_CASE("versions that are read: the present one and the one before, never zero") {
  CHECK(now::reads_version(1, 1));
  CHECK(!now::reads_version(0, 1));
  CHECK(!now::reads_version(2, 1));
  CHECK(now::reads_version(2, 3));
  CHECK(now::reads_version(3, 3));
  CHECK(!now::reads_version(1, 3));
  CHECK(!now::reads_version(4, 3));
  CHECK(!now::reads_version(UINT64_MAX, 1));
  CHECK(now::version_refused("x", 9, 1) == "x version 9 is not supported (this build reads 1)");
  CHECK(now::version_refused("x", 9, 3) == "x version 9 is not supported (this build reads 2 and 3)");
}

TEST_CASE("two builds: envelopes") {
  for (std::uint64_t seed = 1; seed <= kRounds; ++seed)
    check_both_ways(
        envelope<old::Envelope>(Dice(seed)), envelope<now::Envelope>(Dice(seed)),
        [](const std::string& s) { return old::decode_envelope(old::as_bytes(s)); },
        [](const std::string& s) { return now::decode_envelope(now::as_bytes(s)); },
        [](const auto& e) { return record_bytes(e); });
}

TEST_CASE("two builds: the Kafka header") {
  for (std::uint64_t seed = 1; seed <= kRounds; ++seed)
    check_both_ways(
        header<old::KafkaHeader>(Dice(seed)), header<now::KafkaHeader>(Dice(seed)),
        [](const std::string& s) { return old::decode_kafka_header(old::as_bytes(s)); },
        [](const std::string& s) { return now::decode_kafka_header(now::as_bytes(s)); },
        [](const auto& h) { return header_bytes(h); });
}

TEST_CASE("two builds: messages on the link between receiver and gate") {
  for (std::uint64_t seed = 1; seed <= kRounds; ++seed) {
    const std::string hello = old::encode_hello({seed});
    REQUIRE(now::encode_hello({seed}) == hello);
    CHECK(take<now::Hello>(now::decode_link_message(now::as_bytes(hello))).gate_inc == seed);
    const std::string by_old = old::encode_control(control<old::Control>(Dice(seed)));
    REQUIRE(now::encode_control(control<now::Control>(Dice(seed))) == by_old);
    CHECK(now::encode_control(take<now::Control>(now::decode_link_message(now::as_bytes(by_old)))) == by_old);
    CHECK(old::encode_control(take<old::Control>(old::decode_link_message(old::as_bytes(by_old)))) == by_old);
    const std::string alive_old = old::encode_alive(alive<old::Alive>(Dice(seed)));
    REQUIRE(now::encode_alive(alive<now::Alive>(Dice(seed))) == alive_old);
    CHECK(now::encode_alive(take<now::Alive>(now::decode_link_message(now::as_bytes(alive_old)))) == alive_old);
    CHECK(old::encode_alive(take<old::Alive>(old::decode_link_message(old::as_bytes(alive_old)))) == alive_old);
  }
}

TEST_CASE("two builds: numbers of peers stand behind the end, where the old build does not look") {
  now::Alive alive_new = alive<now::Alive>(Dice(2));
  now::GateStatus status_new = gate_status<now::GateStatus>(Dice(3));
  alive_new.sessions.resize(2);
  status_new.routers.resize(3);
  const std::string alive_plain = now::encode_alive(alive_new);
  const std::string status_plain = now::encode_gate_status(status_new);
  alive_new.sessions[1].peers_up = 0;
  status_new.routers[0].peers_up = 7;
  const std::string alive_said = now::encode_alive(alive_new);
  const std::string status_said = now::encode_gate_status(status_new);
  REQUIRE(alive_said.starts_with(alive_plain));
  REQUIRE(status_said.starts_with(status_plain));
  CHECK(alive_said.size() == alive_plain.size() + 1 + 2 * 4);
  CHECK(old::encode_alive(take<old::Alive>(old::decode_link_message(old::as_bytes(alive_said)))) == alive_plain);
  const auto behind = old::decode_gate_status(old::as_bytes(status_said));
  REQUIRE(behind.is_ok());
  CHECK(old::encode_gate_status(behind.value()) == status_plain);

  const auto read = take<now::Alive>(now::decode_link_message(now::as_bytes(alive_said)));
  CHECK(!read.sessions[0].peers_up);
  CHECK(read.sessions[1].peers_up == 0u);
  const auto table = now::decode_gate_status(now::as_bytes(status_said));
  REQUIRE(table.is_ok());
  CHECK(table.value().routers[0].peers_up == 7u);
  CHECK(!table.value().routers[2].peers_up);
  // Cut short it is refused; bytes of somebody else are left alone.
  for (std::size_t n = 1; n < 9; ++n)
    CHECK(!now::decode_link_message(now::as_bytes(alive_said).first(alive_said.size() - n)).is_ok());
  CHECK(!now::decode_gate_status(now::as_bytes(status_said).first(status_said.size() - 1)).is_ok());
  const auto foreign = now::decode_gate_status(now::as_bytes(status_plain + "Xyz"));
  REQUIRE(foreign.is_ok());
  CHECK(!foreign.value().routers[0].peers_up);
}

TEST_CASE("two builds: the tables between gate and arbiter") {
  for (std::uint64_t seed = 1; seed <= kRounds; ++seed) {
    const std::string status = old::encode_gate_status(gate_status<old::GateStatus>(Dice(seed)));
    REQUIRE(now::encode_gate_status(gate_status<now::GateStatus>(Dice(seed))) == status);
    const auto read = now::decode_gate_status(now::as_bytes(status));
    REQUIRE_MESSAGE(read.is_ok(), read.error());
    CHECK(now::encode_gate_status(read.value()) == status);
    const std::string table = old::encode_roles(roles<old::Roles>(Dice(seed)));
    REQUIRE(now::encode_roles(roles<now::Roles>(Dice(seed))) == table);
    const auto commanded = now::decode_roles(now::as_bytes(table));
    REQUIRE_MESSAGE(commanded.is_ok(), commanded.error());
    CHECK(now::encode_roles(commanded.value()) == table);
    CHECK(old::decode_gate_status(old::as_bytes(status)).is_ok());
    CHECK(old::decode_roles(old::as_bytes(table)).is_ok());
  }
}

TEST_CASE("two builds: node blobs and owners in Redis") {
  for (std::uint64_t seed = 1; seed <= kRounds; ++seed) {
    check_both_ways(
        blob<old::arbiter::NodeBlob>(Dice(seed)), blob<now::arbiter::NodeBlob>(Dice(seed)),
        [](const std::string& s) { return old::arbiter::decode_blob(s); },
        [](const std::string& s) { return now::arbiter::decode_blob(s); },
        [](const auto& b) { return encode_blob(b); });
    Dice d(seed);
    const std::string node = d.name();
    const std::uint64_t epoch = d.number(kCounter);
    const std::string owner = old::arbiter::encode_owner(node, epoch);
    CHECK(now::arbiter::encode_owner(node, epoch) == owner);
    CHECK(now::arbiter::decode_owner(owner).node == node);
    CHECK(now::arbiter::decode_owner(owner).epoch == epoch);
  }
}

TEST_CASE("two builds: a version that is too new or none at all is refused, and the message says which") {
  std::string record = record_bytes(envelope<now::Envelope>(Dice(1)));
  std::string header_text = header_bytes(header<now::KafkaHeader>(Dice(1)));
  std::string link = now::encode_alive(alive<now::Alive>(Dice(1)));
  std::string status = now::encode_gate_status(gate_status<now::GateStatus>(Dice(1)));
  std::string table = now::encode_roles(roles<now::Roles>(Dice(1)));
  for (const int version : {0, 9}) {
    CAPTURE(version);
    const std::string says = "version " + std::to_string(version) + " is not supported (this build reads ";
    const auto refused = [&](const auto& result) {
      REQUIRE(!result);
      CHECK(result.error().find(says) != std::string::npos);
    };
    const char byte = static_cast<char>(version);
    record[2] = header_text[0] = link[1] = status[1] = table[1] = byte;
    refused(now::decode_envelope(now::as_bytes(record)));
    refused(now::decode_kafka_header(now::as_bytes(header_text)));
    refused(now::decode_link_message(now::as_bytes(link)));
    refused(now::decode_gate_status(now::as_bytes(status)));
    refused(now::decode_roles(now::as_bytes(table)));
    std::string text = encode_blob(blob<now::arbiter::NodeBlob>(Dice(1)));
    text.replace(0, text.find('\n'), "bmpha-node " + std::to_string(version));
    refused(now::arbiter::decode_blob(text));
  }
}
