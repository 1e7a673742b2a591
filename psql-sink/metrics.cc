#include "psql-sink/metrics.h"

#include <algorithm>
#include <string>

namespace bmpha::sink {
namespace {

void put_counts(MetricsPage& page, const WriterStats& w) {
  const BatchCounts& c = w.counts;
  page.counter("bmpha_sink_records_total", "records handled", c.records);
  page.counter("bmpha_sink_rows_total", "rows in those records", c.rows);
  page.counter("bmpha_sink_batches_total", "transactions committed", w.batches);
  page.counter("bmpha_sink_history_rows_total", "rows added to the history", w.history_rows);
  page.counter("bmpha_sink_replayed_total", "records with the replay flag", c.replayed);
  page.counter("bmpha_sink_fenced_total", "records of a former owner, dropped", c.fenced);
  page.counter("bmpha_sink_fenced_batches_total", "transactions in which records were fenced", w.fenced_batches);
  page.counter("bmpha_sink_foreign_total", "records that are not ours, dropped", c.foreign);
  page.counter("bmpha_sink_rejected_total", "records that could not be read, kept aside", c.rejected);
  page.counter("bmpha_sink_unsupported_total", "rows of objects and families that are not stored", c.unsupported);
  page.counter("bmpha_sink_attribute_rows_total", "attribute sets written", c.attribute_rows);
  page.counter("bmpha_sink_attribute_hits_total", "attribute sets known to be stored", c.attribute_hits);
  page.counter("bmpha_sink_attribute_misses_total", "attribute sets not known to be stored", c.attribute_misses);
  page.counter("bmpha_sink_database_failures_total", "transactions and connections that failed", w.database_failures);
  page.counter("bmpha_sink_gaps_total", "gaps in the log", w.gaps);
  page.counter("bmpha_sink_swept_rows_total", "dead rows deleted", w.swept);
  page.gauge("bmpha_sink_attributes_known", "attribute sets remembered as stored", w.attributes_known);
}

void put_partitions(MetricsPage& page, const SinkStatus& s) {
  std::uint64_t records = 0, bytes = 0, paused = 0;
  for (const PartitionStatus& p : s.partitions) {
    records += p.queued_records;
    bytes += p.queued_bytes;
    paused += p.paused ? 1 : 0;
    if (p.log_end < 0 || p.next_offset < 0) continue;  // not known yet
    page.gauge("bmpha_sink_lag", "records of the partition that are not in the database yet",
               std::max<std::int64_t>(p.log_end - p.next_offset, 0),
               {{"topic", p.partition.topic}, {"partition", std::to_string(p.partition.number)}});
  }
  page.gauge("bmpha_sink_partitions", "partitions that this sink reads", s.partitions.size());
  page.gauge("bmpha_sink_partitions_paused", "partitions not read on, as their queue is full", paused);
  page.gauge("bmpha_sink_queued_records", "records waiting for the database", records);
  page.gauge("bmpha_sink_queued_bytes", "bytes waiting for the database", bytes);
}

// Powers of two from half a millisecond to a minute.
void put_latency(MetricsPage& page, const std::string& name, const std::string& help, const Latency& l) {
  constexpr unsigned kFirst = 9, kLast = 26;
  std::vector<MetricsPage::Bucket> buckets;
  for (unsigned power = kFirst; power <= kLast; ++power)
    buckets.push_back({static_cast<double>(std::uint64_t{1} << power) / 1e6, l.below_power(power)});
  page.histogram(name, help, std::move(buckets), l.total(), static_cast<double>(l.sum_us()) / 1e6);
}

}  // namespace

MetricsPage metrics_page(const SinkStatus& s) {
  const WriterStats sum = sum_of(s.writers);
  MetricsPage page = tool_page("psql-sink");
  page.gauge("bmpha_sink_starting", "1 while it waits for servers before it reads", !s.waiting_for.empty());
  page.gauge("bmpha_sink_kafka_up", "1 while Kafka gives no trouble", s.kafka_ok && s.waiting_for.empty());
  page.gauge("bmpha_sink_database_up", "1 while all writers are connected", sum.connected);
  page.gauge("bmpha_sink_fence_alarm", "1 while nothing of some router passes the fence", sum.fence_alarm);
  put_counts(page, sum);
  put_partitions(page, s);
  page.counter("bmpha_sink_pauses_total", "times that a partition's queue was full", s.pauses);
  page.counter("bmpha_sink_rebalances_total", "assignments of partitions", s.rebalances);
  page.counter("bmpha_sink_stale_messages_total", "records fetched before a seek", s.stale_messages);
  put_latency(page, "bmpha_sink_commit_latency_seconds", "from bmp-recv's read to the commit, clocks of two hosts",
              sum.commit_latency);
  put_latency(page, "bmpha_sink_batch_seconds", "time of a transaction", sum.batch_time);
  return page;
}

}  // namespace bmpha::sink
