#include "common/kafka_topic.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/node_name.h"
#include "common/options.h"
#include "common/program.h"
#include "common/value_checks.h"
#include "kafka-gate/service.h"

namespace {

using namespace bmpha;  // NOLINT: the program's own namespace

int run(int argc, char** argv) {
  gate::Config c;
  Options o("kafka-gate", "Holds a node's records and forwards those of the routers that this node owns to Kafka.");
  o.text("node-name", &c.node, "name of this node, unique in the cluster", check_node_name);
  o.text("recv-socket", &c.recv_socket, "where bmp-recv serves records", check_endpoint);
  o.text("roles-socket", &c.roles_socket, "where ha-arbiter publishes roles", check_endpoint);
  o.text("status-socket", &c.status_socket, "where this tool publishes its status", check_endpoint);
  o.text("kafka-brokers", &c.kafka.brokers, "Kafka brokers, host:port[,host:port...]", check_kafka_brokers);
  o.list("kafka-option", &c.kafka.options, "librdkafka property, key=value", check_kafka_option);
  add_topic_options(o, c.topics);
  o.text("raw-topic", &c.topics.raw_topic, "topic of BMP as it came, where bmp-recv publishes it; empty: none",
         [](const std::string& text) { return text.empty() ? std::string() : check_topic_template(text); });
  o.number("partitions", &c.partitions, "partitions of each topic, the same in gates and sinks", 1, 10000);
  o.bytes("bytes-limit", &c.bytes_limit, "most memory for held records", 8u << 20);
  o.duration("retain", &c.retain, "held records are kept until the owner's progress has passed them by this");
  o.duration("kafka-bad", &c.kafka_bad, "Kafka counts as failing after this without progress", Millis{500});
  o.duration("kafka-good", &c.kafka_good, "... and as good again after this without trouble");
  add_metrics_option(o, &c.metrics_listen);
  o.text("dump-file", &c.dump_file, "where USR1 writes the state as JSON; empty: standard output");
  o.flag("create-topics", &c.create_topics, "create the topics and exit");
  o.number("replication", &c.replication, "with --create-topics: copies of each partition", 1, 100);
  o.number("min-insync-replicas", &c.min_insync, "with --create-topics: copies that must be written", 1, 100);
  o.duration("retention", &c.retention, "with --create-topics: how long records are kept", Millis{60000});
  o.cross_check([&c] {
    if (std::string e = check_node_name_given(c.node); !e.empty() && !c.create_topics) return e;
    if (std::string e = check_topic_names(c.topics); !e.empty()) return e;
    if (c.min_insync > c.replication)
      return fmt::format("key \"min-insync-replicas\": value \"{}\": expected at most replication = {}", c.min_insync,
                         c.replication);
    return std::string();
  });
  if (const auto code = o.parse(argc, argv)) return *code;
  if (o.check_only()) return o.finish_check();
  log_init("kafka-gate", c.node, o.verbose());
  return c.create_topics ? gate::create_topics(c) : gate::run_gate(c);
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("kafka-gate", gate::gate_signals(), [&] { return run(argc, argv); });
}
