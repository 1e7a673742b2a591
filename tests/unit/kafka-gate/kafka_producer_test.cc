// The producer against librdkafka's mock cluster.
#include "kafka-gate/kafka_producer.h"

#include <doctest/doctest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>

#include "kafka-gate/topic_watch.h"
#include "tests/unit/kafka-gate/gate_support.h"

using namespace bmpha;        // NOLINT
using namespace bmpha::gate;  // NOLINT

namespace {

constexpr char kTopic[] = "parsed";

struct MockKafka {
  rd_kafka_t* handle = nullptr;
  rd_kafka_mock_cluster_t* cluster = nullptr;

  MockKafka() {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
    handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
    cluster = rd_kafka_mock_cluster_new(handle, 1);
    rd_kafka_mock_topic_create(cluster, kTopic, static_cast<int>(kPartitions), 1);
  }
  ~MockKafka() {
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(handle);
  }
  MockKafka(const MockKafka&) = delete;
  MockKafka& operator=(const MockKafka&) = delete;

  KafkaProducer::Settings settings() const {
    KafkaProducer::Settings s;
    s.connection.brokers = rd_kafka_mock_cluster_bootstraps(cluster);
    s.topics = {kTopic};
    s.partitions = kPartitions;
    return s;
  }
  void fail_produce(rd_kafka_resp_err_t error) {
    rd_kafka_mock_push_request_errors(cluster, 0 /* Produce */, 1, error);
  }
};

struct Read {
  std::int32_t partition;
  std::string key, value, copied;
  bool null_value = false;
  KafkaHeader header;
};

// Reads everything that is in the topic from its beginning.
std::vector<Read> read_all(const MockKafka& kafka, std::size_t expected) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(kafka.cluster), nullptr, 0);
  rd_kafka_conf_set(conf, "group.id", "test", nullptr, 0);
  rd_kafka_t* c = rd_kafka_new(RD_KAFKA_CONSUMER, conf, nullptr, 0);
  rd_kafka_poll_set_consumer(c);
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(kPartitions);
  for (std::uint32_t p = 0; p < kPartitions; ++p)
    rd_kafka_topic_partition_list_add(list, kTopic, static_cast<std::int32_t>(p))->offset = RD_KAFKA_OFFSET_BEGINNING;
  rd_kafka_assign(c, list);
  rd_kafka_topic_partition_list_destroy(list);
  std::vector<Read> out;
  const BootTime until = BootClock::now() + std::chrono::seconds(20);
  while (BootClock::now() < until && out.size() < expected) {
    rd_kafka_message_t* m = rd_kafka_consumer_poll(c, 200);
    if (m == nullptr) continue;
    if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      Read r;
      r.partition = m->partition;
      r.key.assign(static_cast<const char*>(m->key), m->key_len);
      r.null_value = m->payload == nullptr;
      if (m->payload != nullptr) r.value.assign(static_cast<const char*>(m->payload), m->len);
      rd_kafka_headers_t* headers = nullptr;
      rd_kafka_message_headers(m, &headers);
      const void* data = nullptr;
      std::size_t size = 0;
      if (headers != nullptr &&
          rd_kafka_header_get_last(headers, kKafkaHeaderName, &data, &size) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const auto h = decode_kafka_header(Bytes(static_cast<const std::uint8_t*>(data), size));
        REQUIRE(h.is_ok());
        r.header = h.value();
      }
      if (headers != nullptr &&
          rd_kafka_header_get_last(headers, kKafkaCopiedName, &data, &size) == RD_KAFKA_RESP_ERR_NO_ERROR)
        r.copied.assign(static_cast<const char*>(data), size);
      out.push_back(std::move(r));
    }
    rd_kafka_message_destroy(m);
  }
  rd_kafka_consumer_close(c);
  rd_kafka_destroy(c);
  return out;
}

std::unique_ptr<KafkaProducer> open_producer(const KafkaProducer::Settings& settings) {
  auto opened = KafkaProducer::open(settings);
  REQUIRE(opened.is_ok());
  return std::move(opened.value());
}

// Waits on the producer's fd only, as the loop does, until `count` answers came or ten seconds passed.
std::vector<KafkaProducer::Answer> wait_answers(KafkaProducer& p, std::size_t count, std::int64_t seconds = 60) {
  std::vector<KafkaProducer::Answer> out;
  const BootTime until = BootClock::now() + std::chrono::seconds(seconds);
  while (out.size() < count && BootClock::now() < until && !p.is_lost()) {
    pollfd fd{p.fd(), POLLIN, 0};
    if (poll(&fd, 1, 500) <= 0) continue;
    p.poll(100, [&](const KafkaProducer::Answer& a) { out.push_back(a); });
  }
  return out;
}

Bench filled_bench(std::uint32_t records) {
  Bench b;
  Writer w{1};
  b.put(w, RecordKind::kSessionBegin, 0);
  b.put(w, RecordKind::kPeer, 1);
  for (std::uint32_t n = 0; n < records; ++n) b.put(w, RecordKind::kRoutes, 2 + n, static_cast<std::uint8_t>(n % 5));
  b.put(w, RecordKind::kSynced, 2 + records);
  RolesOf r = active(100, 1, 0, 0);
  r.row.settles = {{"B", 3}};
  b.roles(r);
  return b;
}

}  // namespace

TEST_CASE("delivery: key, value, partition and header arrive as handed over, in order per partition") {
  const MockKafka kafka;
  const auto producer = open_producer(kafka.settings());
  Bench b = filled_bench(20);
  b.send();
  for (const Copy& c : b.written) REQUIRE(producer->send(c) == KafkaProducer::Sent::kYes);
  CHECK(producer->outstanding() == b.written.size());
  const auto answers = wait_answers(*producer, b.written.size());
  REQUIRE(answers.size() == b.written.size());
  CHECK(producer->outstanding() == 0);
  CHECK(producer->outstanding_bytes() == 0);
  for (const auto& a : answers) {
    CHECK(a.delivered);
    b.held.answered(a.ticket, a.delivered);
  }
  CHECK(b.w_ms() == 21);

  const std::vector<Read> read = read_all(kafka, b.written.size());
  REQUIRE(read.size() == b.written.size());
  for (std::uint32_t p = 0; p < kPartitions; ++p) {
    std::vector<const Copy*> wanted;
    for (const Copy& c : b.written)
      if (c.partition == p) wanted.push_back(&c);
    std::size_t n = 0;
    for (const Read& r : read) {
      if (r.partition != static_cast<std::int32_t>(p)) continue;
      REQUIRE(n < wanted.size());
      const Copy& c = *wanted[n++];
      CHECK(r.key == to_hex(c.key));
      CHECK(r.value.size() == c.body.value.size());
      CHECK_FALSE(r.null_value);  // control records have an empty value, not none
      CHECK(r.header.kind == c.header.kind);
      CHECK(r.header.epoch == 100);
      CHECK(r.header.gen == 1);
      CHECK(r.header.node == "A");
      CHECK(r.header.router == router_id());
      CHECK(r.header.session == session_id(1));
      CHECK(r.header.seq == c.header.seq);
      CHECK(r.header.read_wall_us == c.header.read_wall_us);
      CHECK(r.header.replay == c.header.replay);
      CHECK(r.header.opener == c.header.opener);
      CHECK(r.header.settled == c.header.settled);
    }
    CHECK(n == wanted.size());
  }
}

TEST_CASE("a full producer says so and takes the copy later; its memory lives until the answer") {
  MockKafka kafka;
  KafkaProducer::Settings s = kafka.settings();
  s.max_messages = 10;
  const auto producer = open_producer(s);
  rd_kafka_mock_broker_set_down(kafka.cluster, 1);
  Bench b = filled_bench(20);
  b.send();
  std::size_t taken = 0;
  while (producer->send(b.written[taken]) == KafkaProducer::Sent::kYes) ++taken;
  CHECK(taken == 10);
  CHECK(producer->send(b.written[taken]) == KafkaProducer::Sent::kFull);
  const std::weak_ptr<const void> memory = b.written[kPartitions].body.owner;
  std::vector<Copy> rest(b.written.begin() + static_cast<std::ptrdiff_t>(taken), b.written.end());
  b.written.clear();
  b.held.free_acknowledged(0);
  rd_kafka_mock_broker_set_up(kafka.cluster, 1);
  std::size_t answered = wait_answers(*producer, 10).size();
  CHECK(answered == 10);
  for (const Copy& c : rest) {
    while (producer->send(c) != KafkaProducer::Sent::kYes) answered += wait_answers(*producer, 1).size();
  }
  answered += wait_answers(*producer, producer->outstanding()).size();
  CHECK(answered == 10 + rest.size());
  CHECK_FALSE(memory.expired());  // the FIFO still holds it
}

TEST_CASE("a replaced producer answers nothing of the old one, frees its memory, and the next one delivers") {
  MockKafka kafka;
  const auto producer = open_producer(kafka.settings());
  rd_kafka_mock_broker_set_down(kafka.cluster, 1);
  Bench b = filled_bench(20);
  b.send();
  for (const Copy& c : b.written) REQUIRE(producer->send(c) == KafkaProducer::Sent::kYes);
  Envelope loose;
  loose.payload_size = 1000;
  Copy extra = b.written.back();
  extra.body = body_of(loose);
  const std::weak_ptr<const void> memory = extra.body.owner;
  REQUIRE(producer->send(extra) == KafkaProducer::Sent::kYes);
  extra = {};
  CHECK_FALSE(memory.expired());

  REQUIRE(producer->replace().is_ok());
  CHECK(producer->outstanding() == 0);
  b.held.producer_lost();
  b.unanswered.clear();
  b.roles(active(101, 1, 0, 0));
  const std::size_t before = b.written.size();
  b.send();
  CHECK(b.written.size() - before == before);  // all of it again, `run` included
  for (std::size_t n = before; n < b.written.size(); ++n)
    REQUIRE(producer->send(b.written[n]) == KafkaProducer::Sent::kYes);
  rd_kafka_mock_broker_set_up(kafka.cluster, 1);
  const auto answers = wait_answers(*producer, before);
  CHECK(answers.size() == before);
  for (const auto& a : answers) b.held.answered(a.ticket, a.delivered);
  CHECK(b.held.counters().late_answers == 0);
  CHECK(b.w_ms() == 21);
  const BootTime until = BootClock::now() + std::chrono::seconds(10);
  while (!memory.expired() && BootClock::now() < until) poll(nullptr, 0, 20);
  CHECK(memory.expired());
}

TEST_CASE("a record that the broker refuses for ever is answered as refused, the others go on") {
  MockKafka kafka;
  const auto producer = open_producer(kafka.settings());
  Bench b = filled_bench(0);
  b.send();
  kafka.fail_produce(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  for (const Copy& c : b.written) REQUIRE(producer->send(c) == KafkaProducer::Sent::kYes);
  const auto answers = wait_answers(*producer, b.written.size());
  REQUIRE(answers.size() == b.written.size());
  std::size_t refused = 0;
  for (const auto& a : answers) refused += a.delivered ? 0u : 1u;
  CHECK(refused > 0);
  CHECK(refused < answers.size());
}

TEST_CASE("a record beyond message.max.bytes is refused at once") {
  const MockKafka kafka;
  KafkaProducer::Settings s = kafka.settings();
  s.connection.options = {"message.max.bytes=2000"};
  const auto producer = open_producer(s);
  Bench b = filled_bench(1);
  b.send();
  Copy big = b.written.back();
  Envelope e;
  e.payload_size = 100'000;
  big.body = body_of(e);
  CHECK(producer->send(big) == KafkaProducer::Sent::kTooLarge);
  CHECK(producer->outstanding() == 0);
}

TEST_CASE("a record of a topic that is not configured is refused at once, and nothing is lost") {
  const MockKafka kafka;
  const auto producer = open_producer(kafka.settings());
  Bench b = filled_bench(1);
  b.send();
  Copy raw = b.written.back();
  raw.partition = kPartitions;  // the first of a second topic
  CHECK(producer->send(raw) == KafkaProducer::Sent::kNoTopic);
  CHECK(producer->outstanding() == 0);
  CHECK_FALSE(producer->is_lost());
  CHECK(producer->send(b.written.back()) == KafkaProducer::Sent::kYes);
  CHECK(wait_answers(*producer, 1).size() == 1);
}

TEST_CASE("a copy has an empty value, and the record's in a header") {
  const MockKafka kafka;
  const auto producer = open_producer(kafka.settings());
  Bench b = filled_bench(1);
  b.send();
  Copy copy = b.written.back();
  for (const Copy& c : b.written)
    if (c.header.kind == RecordKind::kPeer) copy = c;
  copy.is_copy = copy.header.detached = true;
  REQUIRE(producer->send(copy) == KafkaProducer::Sent::kYes);
  CHECK(wait_answers(*producer, 1).size() == 1);
  CHECK(producer->outstanding_bytes() == 0);
  const std::vector<Read> read = read_all(kafka, 1);
  REQUIRE(read.size() == 1);
  CHECK(read[0].value.empty());
  CHECK_FALSE(read[0].null_value);
  CHECK(read[0].copied == std::string(copy.body.value.begin(), copy.body.value.end()));
  CHECK(read[0].copied.size() == 100);
  CHECK(read[0].header.detached);
  CHECK(read[0].key == to_hex(copy.key));
}

TEST_CASE("an error that says nothing about the record loses the producer, not the record") {
  MockKafka kafka;
  const auto producer = open_producer(kafka.settings());
  Bench b = filled_bench(5);
  b.send();
  kafka.fail_produce(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  for (const Copy& c : b.written) REQUIRE(producer->send(c) == KafkaProducer::Sent::kYes);
  const auto answers = wait_answers(*producer, b.written.size());
  for (const auto& a : answers) CHECK(a.delivered);
  CHECK(producer->is_lost());
  CHECK(producer->send(b.written.back()) == KafkaProducer::Sent::kFull);
  REQUIRE(producer->replace().is_ok());
  CHECK_FALSE(producer->is_lost());
  b.held.producer_lost();
  b.unanswered.clear();
  b.roles(active(101, 1, 0, 0));
  const std::size_t before = b.written.size();
  b.send();
  for (std::size_t n = before; n < b.written.size(); ++n)
    REQUIRE(producer->send(b.written[n]) == KafkaProducer::Sent::kYes);
  for (const auto& a : wait_answers(*producer, b.written.size() - before)) b.held.answered(a.ticket, a.delivered);
  CHECK(b.w_ms() == 6);
}

TEST_CASE("G8: no record goes out without a producer id; when the broker refuses one a new producer begins anew") {
  MockKafka kafka;
  rd_kafka_mock_push_request_errors(kafka.cluster, 22 /* InitProducerId */, 1,
                                    RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED);
  const auto producer = open_producer(kafka.settings());
  Bench b = filled_bench(5);
  b.send();
  for (const Copy& c : b.written)
    if (producer->send(c) != KafkaProducer::Sent::kYes) break;
  CHECK(wait_answers(*producer, 1).empty());
  CHECK(producer->is_lost());
  REQUIRE(producer->replace().is_ok());
  b.held.producer_lost();
  b.unanswered.clear();
  b.roles(active(101, 1, 0, 0));
  const std::size_t before = b.written.size();
  b.send();
  for (std::size_t n = before; n < b.written.size(); ++n)
    REQUIRE(producer->send(b.written[n]) == KafkaProducer::Sent::kYes);
  for (const auto& a : wait_answers(*producer, b.written.size() - before)) b.held.answered(a.ticket, a.delivered);
  CHECK(b.w_ms() == 6);
}

TEST_CASE("options: unknown properties, bad values and fixed ones are refused by name") {
  CHECK(check_kafka_option("linger.ms=5").empty());
  CHECK(check_kafka_option("no.such.thing=5").find("no.such.thing") != std::string::npos);
  CHECK_FALSE(check_kafka_option("linger.ms=soon").empty());
  CHECK_FALSE(check_kafka_option("linger.ms").empty());
  CHECK(check_kafka_option("acks=1").find("fixed") != std::string::npos);
  CHECK(check_kafka_option("enable.idempotence=false").find("fixed") != std::string::npos);
  CHECK(check_kafka_option("bootstrap.servers=x").find("kafka-brokers") != std::string::npos);
}

TEST_CASE("topic: what breaks the guarantees is refused with its remedy, what is unwise is warned of") {
  TopicInfo info;
  CHECK(judge_topic(info, "t", 16).refuse.at(0).find("bmp-ha topics create") != std::string::npos);
  info.exists = true;
  info.partitions = 8;
  info.replication = 3;
  CHECK(judge_topic(info, "t", 16).refuse.at(0).find("partitions = 8") != std::string::npos);
  info.partitions = 16;
  info.config_known = true;
  info.config = {{"cleanup.policy", "delete"}, {"min.insync.replicas", "2"}, {"retention.ms", "86400000"}};
  CHECK(judge_topic(info, "t", 16).refuse.empty());
  CHECK(judge_topic(info, "t", 16).warn.empty());
  info.config["cleanup.policy"] = "compact,delete";
  CHECK(judge_topic(info, "t", 16).refuse.size() == 1);
  info.config["cleanup.policy"] = "delete";
  info.config["min.insync.replicas"] = "1";
  info.config["retention.ms"] = "60000";
  CHECK(judge_topic(info, "t", 16).warn.size() == 2);
  info.replication = 1;
  info.config["retention.ms"] = "-1";
  CHECK(judge_topic(info, "t", 16).warn.size() == 1);
  // Kafka 4 refuses stamps an hour ahead unless told otherwise; stamps of its own it does not judge.
  info.replication = 3;
  info.config["min.insync.replicas"] = "2";
  info.config["message.timestamp.after.max.ms"] = info.config["message.timestamp.before.max.ms"] =
      "9223372036854775807";
  CHECK(judge_topic(info, "t", 16).warn.empty());
  info.config["message.timestamp.after.max.ms"] = "3600000";
  REQUIRE(judge_topic(info, "t", 16).warn.size() == 1);
  CHECK(judge_topic(info, "t", 16).warn[0].find("set message.timestamp.after.max.ms=9223372036854775807") !=
        std::string::npos);
  info.config["message.timestamp.type"] = "LogAppendTime";
  REQUIRE(judge_topic(info, "t", 16).warn.size() == 1);
  CHECK(judge_topic(info, "t", 16).warn[0].find("at append") != std::string::npos);
}

TEST_CASE("topic watch: tells partitions, absence and an unreachable broker apart, and creates nothing by asking") {
  MockKafka kafka;
  TopicWatch::Settings s;
  s.connection.brokers = rd_kafka_mock_cluster_bootstraps(kafka.cluster);
  s.topics = {kTopic};
  s.partitions = kPartitions;
  s.interval = Millis(50);
  s.timeout = Millis(1000);
  TopicWatch watch(s);
  REQUIRE(watch.start().is_ok());
  const auto next = [&]() -> TopicWatch::Answer {
    pollfd fd{watch.fd(), POLLIN, 0};
    REQUIRE(poll(&fd, 1, 10'000) == 1);
    auto a = watch.take();
    REQUIRE(a.has_value());
    return *a;
  };
  TopicWatch::Answer a = next();
  CHECK(a.reached);
  CHECK(a.verdict.refuse.empty());
  rd_kafka_mock_broker_set_down(kafka.cluster, 1);
  for (int n = 0; n < 20 && a.reached; ++n) a = next();
  CHECK_FALSE(a.reached);
  rd_kafka_mock_broker_set_up(kafka.cluster, 1);
  for (int n = 0; n < 50 && !a.reached; ++n) a = next();
  CHECK(a.reached);
}
