#include "psql-sink/status.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/options.h"

namespace bmpha::sink {
namespace {

using Json = nlohmann::ordered_json;

Json latency(const Latency& l) {
  return {{"count", l.total()}, {"p50_us", l.quantile(0.5)}, {"p99_us", l.quantile(0.99)}};
}

Json partition(const PartitionStatus& p) {
  return {{"topic", p.partition.topic},
          {"partition", p.partition.number},
          {"writer", p.writer},
          {"next_offset", p.next_offset},
          {"log_end", p.log_end},
          {"lag", p.log_end >= 0 && p.next_offset >= 0 ? std::max<std::int64_t>(p.log_end - p.next_offset, 0) : -1},
          {"queued_records", p.queued_records},
          {"queued_bytes", p.queued_bytes},
          {"paused", p.paused}};
}

}  // namespace

WriterStats sum_of(const std::vector<WriterStats>& writers) {
  WriterStats sum;
  sum.connected = !writers.empty();
  for (const WriterStats& w : writers) {
    const BatchCounts& c = w.counts;
    sum.counts.records += c.records;
    sum.counts.rows += c.rows;
    sum.counts.fenced += c.fenced;
    sum.counts.foreign += c.foreign;
    sum.counts.rejected += c.rejected;
    sum.counts.replayed += c.replayed;
    sum.counts.attribute_rows += c.attribute_rows;
    sum.counts.unsupported += c.unsupported;
    sum.counts.attribute_hits += c.attribute_hits;
    sum.counts.attribute_misses += c.attribute_misses;
    sum.batches += w.batches;
    sum.history_rows += w.history_rows;
    sum.fenced_batches += w.fenced_batches;
    sum.database_failures += w.database_failures;
    sum.gaps += w.gaps;
    sum.swept += w.swept;
    sum.attributes_known += w.attributes_known;
    sum.fence_alarm = sum.fence_alarm || w.fence_alarm;
    sum.commit_latency.merge(w.commit_latency);
    sum.batch_time.merge(w.batch_time);
    sum.connected = sum.connected && w.connected;
  }
  return sum;
}

std::string to_json(const SinkStatus& s) {
  Json partitions = Json::array();
  std::int64_t lag = 0;
  for (const PartitionStatus& p : s.partitions) {
    partitions.push_back(partition(p));
    lag += std::max<std::int64_t>(p.log_end - std::max<std::int64_t>(p.next_offset, 0), 0);
  }
  const WriterStats sum = sum_of(s.writers);
  const Json out = {{"tool", "psql-sink"},
                    {"version", version()},
                    {"group", s.group},
                    {"waiting_for", s.waiting_for},
                    {"kafka_ok", s.kafka_ok},
                    {"database_connected", sum.connected},
                    {"fence_alarm", sum.fence_alarm},
                    {"lag", lag},
                    {"records", sum.counts.records},
                    {"rows", sum.counts.rows},
                    {"batches", sum.batches},
                    {"history_rows", sum.history_rows},
                    {"replayed", sum.counts.replayed},
                    {"fenced", sum.counts.fenced},
                    {"foreign", sum.counts.foreign},
                    {"rejected", sum.counts.rejected},
                    {"unsupported", sum.counts.unsupported},
                    {"attribute_rows", sum.counts.attribute_rows},
                    {"attribute_hits", sum.counts.attribute_hits},
                    {"attribute_misses", sum.counts.attribute_misses},
                    {"attributes_known", sum.attributes_known},
                    {"fenced_batches", sum.fenced_batches},
                    {"database_failures", sum.database_failures},
                    {"gaps", sum.gaps},
                    {"swept_rows", sum.swept},
                    {"pauses", s.pauses},
                    {"rebalances", s.rebalances},
                    {"stale_messages", s.stale_messages},
                    {"commit_latency", latency(sum.commit_latency)},
                    {"batch_time", latency(sum.batch_time)},
                    {"partitions", partitions}};
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace bmpha::sink
