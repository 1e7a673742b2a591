// Where a record goes: the partition of a Kafka key and the topic of a selector.
//
// The gate's topics are numbered and have the same number of partitions. A slot is a partition of a topic: topic times
// partitions plus partition.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.h"
#include "common/record.h"
#include "common/topic_names.h"

namespace bmpha::gate {

// Kafka's murmur2, as the Java client and rd_kafka_msg_partitioner_murmur2 compute it.
std::uint32_t murmur2(std::string_view key);

// (murmur2(32 hex characters of the key) & 0x7fffffff) mod partitions. REQUIRES: partitions > 0.
std::uint32_t partition_of(const Hash128& key, std::uint32_t partitions);

// Which topic takes what.
//
// Layout single: topic 0 takes every parsed object, so that one partition orders a peer's whole life; 1, when there is
// one, takes raw BMP. Layout per-object: every topic is a stream of its own with a fence of its own, so control records
// go to all of them; and each topic of routes has copies of the `peer` and `eor` records, so that it tells by itself
// which of its routes are alive.
struct TopicPlan {
  std::uint32_t count = 1;
  std::array<std::uint32_t, kTopicSelectors> of{};  // the topic of each selector; `count` and above: there is none
  // Topics beside its own that a `peer` or `eor` record is copied to.
  std::vector<std::uint32_t> peer_copies, eor_copies;
  std::vector<bool> detached;  // by topic, those of records marked so; empty: none

  TopicPlan() { of[static_cast<std::size_t>(TopicSelector::kBmpRaw)] = 1; }
  std::uint32_t topic_of(TopicSelector s) const { return of[static_cast<std::size_t>(s)]; }
  const std::vector<std::uint32_t>& copies_of(RecordKind k) const {
    static const std::vector<std::uint32_t> kNone;
    return k == RecordKind::kPeer ? peer_copies : k == RecordKind::kEor ? eor_copies : kNone;
  }
  bool is_detached(std::uint32_t topic) const { return topic < detached.size() && detached[topic]; }
};

struct Topics {
  std::vector<std::string> names;  // by number
  TopicPlan plan;
};
Topics plan_topics(const TopicNames& names);

}  // namespace bmpha::gate
