// The binary Kafka record header `bmpha`: everything that high availability needs beside the OpenBMP value, so that
// foreign consumers see pure OpenBMP. Written by kafka-gate, read by psql-sink. Layout: common/KAFKA_HEADER.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/byte_reader.h"
#include "common/ids.h"
#include "common/record.h"
#include "common/result.h"

namespace bmpha {

inline constexpr char kKafkaHeaderName[] = "bmpha";
// A second header, on copies of `peer` and `eor` records, which stand among the routes of another topic: the record's
// value. The copy's own value is empty, as of control records.
inline constexpr char kKafkaCopiedName[] = "bmpha-copied";
inline constexpr std::uint8_t kKafkaHeaderVersion = 1;
inline constexpr std::size_t kMaxNodeName = 64;
inline constexpr std::size_t kMaxSettled = 255;

// A claim settles a node's gens up to and including `gen`: solo records of it that are not newer are dropped.
struct SettledGen {
  std::string node;
  std::uint64_t gen = 0;
  bool operator==(const SettledGen&) const = default;
};

struct KafkaHeader {
  RecordKind kind = RecordKind::kRoutes;
  bool solo = false;    // sent without Redis: not fenced by epoch, only by settled gens
  bool replay = false;  // read before the claim under which it is sent
  bool in_dump = false;
  bool opener = false;
  bool detached = false;    // in another topic than unicast_prefix, which orders the lives of peers: layout per-object
  std::uint64_t epoch = 0;  // the claim's number
  std::uint64_t gen = 0;    // the node's own counter
  std::string node;         // 1 to kMaxNodeName bytes
  RouterId router;
  SessionId session;
  std::uint64_t seq = 0;            // 0 in records that the gate itself writes
  std::int64_t read_wall_us = 0;    // receipt time, UTC microseconds
  std::vector<SettledGen> settled;  // `run` only
};

// Replaces out with the encoded header.
void encode_kafka_header(const KafkaHeader& h, std::string& out);
Result<KafkaHeader> decode_kafka_header(Bytes bytes);

}  // namespace bmpha
