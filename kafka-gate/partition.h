// Where a record goes: the partition of a Kafka key and the topic of a selector.
//
// The gate writes to one or two topics with the same number of partitions: 0 takes every parsed object, so that one
// partition orders a peer's whole life; 1, when there is one, takes raw BMP. A slot is a partition of a topic:
// topic times partitions plus partition.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/ids.h"
#include "common/record.h"

namespace bmpha::gate {

// Kafka's murmur2, as the Java client and rd_kafka_msg_partitioner_murmur2 compute it.
std::uint32_t murmur2(std::string_view key);

// (murmur2(32 hex characters of the key) & 0x7fffffff) mod partitions. REQUIRES: partitions > 0.
std::uint32_t partition_of(const Hash128& key, std::uint32_t partitions);

constexpr std::uint32_t topic_of(TopicSelector selector) { return selector == TopicSelector::kBmpRaw ? 1 : 0; }
std::uint32_t slot_of(TopicSelector selector, const Hash128& key, std::uint32_t partitions);

}  // namespace bmpha::gate
