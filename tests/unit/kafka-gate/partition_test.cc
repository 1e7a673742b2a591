#include "kafka-gate/partition.h"

#include <doctest/doctest.h>
#include <librdkafka/rdkafka.h>

#include <memory>
#include <random>

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

TEST_CASE("murmur2 agrees with the Java client's published values, tails of every length") {
  CHECK(murmur2("21") == static_cast<std::uint32_t>(-973932308));
  CHECK(murmur2("foobar") == static_cast<std::uint32_t>(-790332482));
  CHECK(murmur2("a-little-bit-long-string") == static_cast<std::uint32_t>(-985981536));
  CHECK(murmur2("a-little-bit-longer-string") == static_cast<std::uint32_t>(-1486304829));
  CHECK(murmur2("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8") == static_cast<std::uint32_t>(-58897971));
  CHECK(murmur2("abc") == 479470107u);
}
