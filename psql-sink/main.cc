// psql-sink: parsed BMP records from Kafka into PostgreSQL, exactly once. Manual: psql-sink.8
#include <algorithm>
#include <csignal>

#include "common/dump_file.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/node_name.h"
#include "common/options.h"
#include "common/program.h"
#include "common/topic_names.h"
#include "common/value_checks.h"
#include "psql-sink/metrics.h"
#include "psql-sink/migrations.h"
#include "psql-sink/sink.h"
#include "psql-sink/startup.h"

namespace bmpha::sink {
namespace {

struct Settings {
  SinkConfig sink;
  std::string node_name;
  TopicNames names;
  std::vector<std::string> topics;
  std::uint64_t partitions = 16, writers = 2, batch_rows = 5000, bulk_rows = 20000, attribute_cache = 500000;
  std::string retention = "30d";
  bool migrate = false;
};

std::string check_retention(const std::string& text) {
  std::uint64_t days = 0;
  return parse_retention(text, days) ? std::string() : std::string("expected a time such as 30d or 720h, or 0 to keep");
}

void declare(Options& o, Settings& s) {
  s.sink.kafka.brokers = "127.0.0.1:9092";
  s.sink.writer.group = "psql-sink";
  s.sink.writer.database = "dbname=bmpha";
  o.text("kafka-brokers", &s.sink.kafka.brokers, "Kafka brokers, host:port with commas between", check_kafka_brokers);
  o.list("kafka-option", &s.sink.kafka.options, "key=value passed to librdkafka", check_consumer_option);
  add_topic_options(o, s.names);
  o.list("topics", &s.topics, "the topics to read, in place of those of `layout`", check_topic_name);
  o.number("partitions", &s.partitions, "partitions of the topic, as in kafka-gate", 1, 4096);
  o.text("group-id", &s.sink.writer.group, "consumer group; one group fills one database",
         [](const std::string& v) { return v.empty() ? std::string("expected a name") : std::string(); });
  o.text("database", &s.sink.writer.database, "libpq connection string or URL (password better by PGPASSFILE)",
         check_conninfo);
  o.number("writers", &s.writers, "database connections that write; at most one per database core", 1, 64);
  o.number("batch-rows", &s.batch_rows, "rows of a transaction beside other partitions' records", 1, 1000000);
  o.number("bulk-rows", &s.bulk_rows, "rows of a transaction when one partition alone has many waiting", 1, 1000000);
  o.duration("linger", &s.sink.writer.linger, "wait before each flush; saves CPU, costs latency", Millis{0},
             Millis{10000});
  o.number("attribute-cache", &s.attribute_cache, "attribute sets that a writer remembers as stored", 1000,
           100'000'000);
  o.bytes("queue-bytes", &s.sink.queue_bytes, "records held in memory", 1 << 20);
  o.number("queue-records", &s.sink.queue_records, "records held in memory", 1000);
  o.text("retention", &s.retention, "history is kept so long, 0: for ever", check_retention);
  o.duration("sweep-interval", &s.sink.writer.sweep_interval, "pause between deletions of dead rows", Millis{1000});
  o.text("node-name", &s.node_name, "name of this sink in its log lines", check_node_name);
  add_metrics_option(o, &s.sink.metrics_listen);
  o.text("dump-file", &s.sink.dump_file, "where USR1 writes the state as JSON; empty: standard output");
  o.flag("migrate", &s.migrate, "bring the database's schema up to date and exit");
  o.reloadable({"retention"});
  o.cross_check([&s] { return check_topic_names(s.names); });
}

// The topics with something that is stored. `peer` and `eor` records have copies beside the routes.
std::vector<std::string> topics_to_read(const TopicNames& names) {
  std::vector<std::string> out;
  for (const auto s :
       {TopicSelector::kUnicastPrefix, TopicSelector::kRouter, TopicSelector::kCollector, TopicSelector::kBmpStat})
    if (const std::string name = names.name_of(s); std::find(out.begin(), out.end(), name) == out.end())
      out.push_back(name);
  return out;
}

void finish(Settings& s) {
  s.sink.topics = s.topics.empty() ? topics_to_read(s.names) : s.topics;
  if (s.topics.empty()) {
    s.sink.ordering_topic = s.names.name_of(TopicSelector::kUnicastPrefix);
    TopicNames other = s.names;
    other.layout = s.names.is_per_object() ? "single" : "per-object";
    s.sink.former_topic = other.name_of(TopicSelector::kUnicastPrefix);
  }
  s.sink.partitions = static_cast<std::uint32_t>(s.partitions);
  s.sink.writers = s.writers;
  s.sink.writer.batch_rows = s.batch_rows;
  s.sink.writer.bulk_rows = std::max(s.bulk_rows, s.batch_rows);
  s.sink.writer.attribute_cache = s.attribute_cache;
  s.sink.maintenance.database = s.sink.writer.database;
  parse_retention(s.retention, s.sink.maintenance.retention_days);
}

int run(int argc, const char* const* argv) {
  Settings s;
  Options o("psql-sink", "writes parsed BMP records from Kafka into PostgreSQL, exactly once");
  declare(o, s);
  if (const auto code = o.parse(argc, argv)) return *code;
  finish(s);
  if (o.check_only()) return o.finish_check();
  log_init("psql-sink", s.node_name, o.verbose());
  SinkConfig config = s.sink;  // what HUP changes goes into `s`
  const auto reload = [&] {
    if (log_reload(o.reload())) parse_retention(s.retention, config.maintenance.retention_days);
  };
  MetricsServer metrics;
  if (const Status listening = s.migrate ? Status::ok() : metrics.listen(config.metrics_listen); !listening) {
    log_error("cannot start", kv("reason", listening.message()));
    return kExitEnvironment;
  }
  SinkStatus starting;
  starting.group = config.writer.group;
  starting.waiting_for = "servers";
  metrics.publish(metrics_page(starting));
  StartupHooks hooks;
  hooks.wait = !s.migrate;
  hooks.hangup = reload;
  hooks.dump = [&](const std::string& waiting_for) {
    starting.waiting_for = waiting_for;
    if (const Status w = write_dump(config.dump_file, to_json(starting)); !w)
      log_error("state not written", kv("reason", w.message()));
  };
  if (const auto code = prepare(config, s.migrate, hooks)) return *code;
  Sink sink(config, metrics);
  return sink.run([&](Sink& running) {
    reload();
    running.set_retention(config.maintenance.retention_days);
  });
}

}  // namespace
}  // namespace bmpha::sink

int main(int argc, char** argv) {
  return bmpha::run_program("psql-sink", {SIGTERM, SIGINT, SIGHUP, SIGUSR1},
                            [&] { return bmpha::sink::run(argc, argv); });
}
