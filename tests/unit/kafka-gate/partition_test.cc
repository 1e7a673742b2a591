#include "kafka-gate/partition.h"

#include <doctest/doctest.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <memory>
#include <random>
#include <set>

using namespace bmpha;        // NOLINT
using namespace bmpha::gate;  // NOLINT

namespace {
rd_kafka_conf_t* quiet_conf() {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
  return conf;
}
}  // namespace

TEST_CASE("the partition of a key is the one that librdkafka's murmur2 partitioner computes") {
  const std::unique_ptr<rd_kafka_t, decltype(&rd_kafka_destroy)> handle(
      rd_kafka_new(RD_KAFKA_PRODUCER, quiet_conf(), nullptr, 0), rd_kafka_destroy);
  const std::unique_ptr<rd_kafka_topic_t, decltype(&rd_kafka_topic_destroy)> topic(
      rd_kafka_topic_new(handle.get(), "t", nullptr), rd_kafka_topic_destroy);
  std::mt19937 random(1);
  for (const std::uint32_t partitions : {1u, 3u, 16u, 1000u})
    for (int n = 0; n < 500; ++n) {
      Hash128 key;
      for (std::uint8_t& b : key.bytes) b = static_cast<std::uint8_t>(random());
      const std::string text = to_hex(key);
      const std::int32_t theirs = rd_kafka_msg_partitioner_murmur2(
          topic.get(), text.data(), text.size(), static_cast<std::int32_t>(partitions), nullptr, nullptr);
      CHECK(partition_of(key, partitions) == static_cast<std::uint32_t>(theirs));
    }
}

TEST_CASE("plan: layout single is one topic, and one for raw BMP where it has a name") {
  TopicNames names;
  Topics t = plan_topics(names);
  CHECK(t.names == std::vector<std::string>{"openbmp.parsed"});
  CHECK(t.plan.count == 1);
  for (std::size_t n = 0; n < kTopicSelectors; ++n)
    CHECK(t.plan.of.at(n) == (static_cast<TopicSelector>(n) == TopicSelector::kBmpRaw ? 1 : 0));
  CHECK(t.plan.peer_copies.empty());
  CHECK(t.plan.eor_copies.empty());
  CHECK_FALSE(t.plan.is_detached(0));
  names.raw_topic = "{root}.{raw}";
  t = plan_topics(names);
  CHECK(t.names == std::vector<std::string>{"openbmp.parsed", "openbmp.bmp_raw"});
  CHECK(t.plan.count == 2);
  CHECK(t.plan.topic_of(TopicSelector::kBmpRaw) == 1);
  CHECK_FALSE(t.plan.is_detached(1));
}

TEST_CASE("plan: layout per-object has a topic for each object, and copies of peer records among all routes") {
  TopicNames names;
  names.layout = "per-object";
  names.raw_topic = "raw";
  names.object_topics = {"bmp_stat_ext={root}.{parsed}.bmp_stat", "vpls=rare", "mvpn=rare"};
  const Topics t = plan_topics(names);
  REQUIRE(t.names.size() == 23 - 2 + 1);
  CHECK(t.plan.count == t.names.size());
  CHECK(t.names.back() == "raw");
  const auto name = [&](TopicSelector s) { return t.names.at(t.plan.topic_of(s)); };
  CHECK(name(TopicSelector::kPeer) == "openbmp.parsed.peer");
  CHECK(name(TopicSelector::kBmpStatExt) == name(TopicSelector::kBmpStat));
  CHECK(name(TopicSelector::kMvpn) == "rare");
  CHECK(name(TopicSelector::kBmpRaw) == "raw");
  std::set<std::string> copies;
  for (const std::uint32_t n : t.plan.peer_copies) CHECK(copies.insert(t.names.at(n)).second);
  CHECK(t.plan.eor_copies == t.plan.peer_copies);
  std::set<std::string> routes;
  for (std::size_t n = 0; n < kTopicSelectors; ++n)
    if (is_route_topic(static_cast<TopicSelector>(n))) routes.insert(name(static_cast<TopicSelector>(n)));
  CHECK(routes.size() == 15);
  CHECK(copies == routes);
  for (std::uint32_t n = 0; n < t.plan.count; ++n)
    CHECK(t.plan.is_detached(n) == (t.names[n] != "openbmp.parsed.unicast_prefix" && t.names[n] != "raw"));
}

TEST_CASE("plan: peers whose topic is that of unicast routes need no copy there") {
  TopicNames names;
  names.layout = "per-object";
  names.object_topics = {"peer=all", "unicast_prefix=all"};
  const Topics t = plan_topics(names);
  const std::uint32_t all = t.plan.topic_of(TopicSelector::kPeer);
  CHECK_FALSE(t.plan.is_detached(all));
  CHECK(std::find(t.plan.peer_copies.begin(), t.plan.peer_copies.end(), all) == t.plan.peer_copies.end());
  CHECK(std::find(t.plan.eor_copies.begin(), t.plan.eor_copies.end(), all) != t.plan.eor_copies.end());
  CHECK(t.plan.peer_copies.size() == 15);
  CHECK(t.plan.is_detached(t.plan.topic_of(TopicSelector::kBmpStat)));
}

TEST_CASE("murmur2 agrees with the Java client's published values, tails of every length") {
  CHECK(murmur2("21") == static_cast<std::uint32_t>(-973932308));
  CHECK(murmur2("foobar") == static_cast<std::uint32_t>(-790332482));
  CHECK(murmur2("a-little-bit-long-string") == static_cast<std::uint32_t>(-985981536));
  CHECK(murmur2("a-little-bit-longer-string") == static_cast<std::uint32_t>(-1486304829));
  CHECK(murmur2("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8") == static_cast<std::uint32_t>(-58897971));
  CHECK(murmur2("abc") == 479470107u);
}
