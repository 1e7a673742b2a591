#include "common/kafka_topic.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "common/log.h"

namespace bmpha {
namespace {

struct ConfDeleter {
  void operator()(rd_kafka_conf_t* c) const { rd_kafka_conf_destroy(c); }
};
struct HandleDeleter {
  void operator()(rd_kafka_t* k) const { rd_kafka_destroy_flags(k, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE); }
};
struct QueueDeleter {
  void operator()(rd_kafka_queue_t* q) const { rd_kafka_queue_destroy(q); }
};
struct EventDeleter {
  void operator()(rd_kafka_event_t* e) const { rd_kafka_event_destroy(e); }
};
struct TopicDeleter {
  void operator()(rd_kafka_topic_t* t) const { rd_kafka_topic_destroy(t); }
};
struct MetadataDeleter {
  void operator()(const rd_kafka_metadata_t* m) const { rd_kafka_metadata_destroy(m); }
};
struct ResourceDeleter {
  void operator()(rd_kafka_ConfigResource_t* r) const { rd_kafka_ConfigResource_destroy(r); }
};
struct NewTopicDeleter {
  void operator()(rd_kafka_NewTopic_t* t) const { rd_kafka_NewTopic_destroy(t); }
};
struct AdminOptionsDeleter {
  void operator()(rd_kafka_AdminOptions_t* o) const { rd_kafka_AdminOptions_destroy(o); }
};
using AdminOptions = std::unique_ptr<rd_kafka_AdminOptions_t, AdminOptionsDeleter>;
using Queue = std::unique_ptr<rd_kafka_queue_t, QueueDeleter>;
using Event = std::unique_ptr<rd_kafka_event_t, EventDeleter>;

constexpr std::array<const char*, 9> kReserved = {
    "bootstrap.servers",        "metadata.broker.list", "enable.idempotence",  "acks",
    "request.required.acks",    "message.timeout.ms",   "delivery.timeout.ms", "transactional.id",
    "enable.gapless.guarantee",
};

struct Setting {
  std::string key, value;
};
Setting split(const std::string& text) {
  const std::size_t at = std::min(text.find('='), text.size());
  return {text.substr(0, at), at < text.size() ? text.substr(at + 1) : std::string()};
}

// librdkafka repeats itself while a broker is away; the tools say it once in their own words.
void log_quietly(const rd_kafka_t*, int, const char* facility, const char* text) {
  log_debug("librdkafka", kv("facility", facility), kv("text", text));
}

// Librdkafka answers "unknown property", "invalid value"; empty on success.
std::string set_option(rd_kafka_conf_t* conf, const std::string& key, const std::string& value) {
  std::array<char, 512> error{};
  return rd_kafka_conf_set(conf, key.c_str(), value.c_str(), error.data(), error.size()) == RD_KAFKA_CONF_OK
             ? std::string()
             : std::string(error.data());
}

}  // namespace

bool is_reserved_kafka_option(const std::string& key) {
  return std::find(kReserved.begin(), kReserved.end(), key) != kReserved.end();
}

std::string check_kafka_option(const std::string& key_value) {
  const Setting o = split(key_value);
  if (o.key.empty() || o.key.size() == key_value.size()) return "expected key=value with a librdkafka property as key";
  if (o.key == "bootstrap.servers" || o.key == "metadata.broker.list")
    return fmt::format("property \"{}\" is not taken here HINT: use the key kafka-brokers", o.key);
  if (is_reserved_kafka_option(o.key))
    return fmt::format("property \"{}\" is fixed by bmp-ha's guarantees and cannot be set", o.key);
  const std::unique_ptr<rd_kafka_conf_t, ConfDeleter> conf(rd_kafka_conf_new());
  return set_option(conf.get(), o.key, o.value);
}

TopicVerdict judge_topic(const TopicInfo& info, const std::string& topic, std::uint32_t partitions) {
  TopicVerdict v;
  if (!info.exists) {
    v.refuse.push_back(fmt::format("topic \"{}\" does not exist HINT: create it with: bmp-ha topics create", topic));
    return v;
  }
  if (info.partitions != partitions)
    v.refuse.push_back(
        fmt::format("topic \"{}\" has {} partitions, the configuration says {} HINT: set partitions = {} in gates and "
                    "sinks alike; if the topic was changed, {}",
                    topic, info.partitions, partitions, info.partitions, kPartitionsRemedy));
  if (info.replication == 1)
    v.warn.push_back(fmt::format("topic \"{}\" has replication 1: a lost broker disk loses records", topic));
  if (!info.config_known) return v;
  const auto text = [&](const char* key) {
    const auto at = info.config.find(key);
    return at == info.config.end() ? std::string() : at->second;
  };
  const auto number = [&](const char* key, std::int64_t otherwise) {
    const std::string s = text(key);
    char* end = nullptr;
    const long long n = std::strtoll(s.c_str(), &end, 10);
    return s.empty() || *end != '\0' ? otherwise : static_cast<std::int64_t>(n);
  };
  if (text("cleanup.policy").find("compact") != std::string::npos)
    v.refuse.push_back(
        fmt::format("topic \"{}\" is compacted, which drops all but the newest record of a peer HINT: "
                    "set cleanup.policy=delete",
                    topic));
  if (text("message.timestamp.type") == "LogAppendTime")
    v.warn.push_back(fmt::format("topic \"{}\" stamps records at append, replays look new", topic));
  constexpr std::int64_t kHour = 3'600'000;
  if (const std::int64_t ms = number("retention.ms", -1); ms >= 0 && ms < kHour)
    v.warn.push_back(
        fmt::format("topic \"{}\" keeps records for {} ms only: a sink away for longer loses them", topic, ms));
  if (const std::int64_t b = number("retention.bytes", -1); b >= 0)
    v.warn.push_back(
        fmt::format("topic \"{}\" keeps at most {} bytes a partition: a burst can outrun the sink", topic, b));
  if (const std::int64_t b = number("max.message.bytes", 0); b > 0 && b < 1'572'864)
    v.warn.push_back(
        fmt::format("topic \"{}\" takes records up to {} bytes only; larger ones are skipped HINT: set "
                    "max.message.bytes=2097152",
                    topic, b));
  constexpr std::int64_t kYear = kHour * 24 * 365;
  for (const char* key : {"message.timestamp.after.max.ms", "message.timestamp.before.max.ms"})
    if (const std::int64_t ms = number(key, kYear); ms < kYear && text("message.timestamp.type") != "LogAppendTime")
      v.warn.push_back(
          fmt::format("topic \"{}\" refuses records whose stamp is more than {} ms off the broker's clock, so a node "
                      "whose clock is wrong loses records HINT: set {}=9223372036854775807",
                      topic, ms, key));
  if (info.replication > 1 && number("min.insync.replicas", 2) < 2)
    v.warn.push_back(
        fmt::format("topic \"{}\" has min.insync.replicas 1: an acknowledged record may be on one broker "
                    "only",
                    topic));
  return v;
}

struct KafkaTopics::Impl {
  std::unique_ptr<rd_kafka_t, HandleDeleter> handle;
  // Kept per topic: a new handle for each question would begin without leader and metadata each time.
  std::map<std::string, std::unique_ptr<rd_kafka_topic_t, TopicDeleter>> topics;

  ~Impl() { topics.clear(); }  // before the handle

  rd_kafka_topic_t* topic(const std::string& name) {
    auto& t = topics[name];
    if (!t) t.reset(rd_kafka_topic_new(handle.get(), name.c_str(), nullptr));
    return t.get();
  }
  AdminOptions admin_options(rd_kafka_admin_op_t op, Millis timeout) const {
    AdminOptions o(rd_kafka_AdminOptions_new(handle.get(), op));
    std::array<char, 256> error{};
    const int ms = static_cast<int>(timeout.count());
    rd_kafka_AdminOptions_set_request_timeout(o.get(), ms, error.data(), error.size());
    if (op == RD_KAFKA_ADMIN_OP_CREATETOPICS)
      rd_kafka_AdminOptions_set_operation_timeout(o.get(), ms, error.data(), error.size());
    return o;
  }
  void read_config(const std::string& topic, Millis timeout, TopicInfo& info);
};

KafkaTopics::KafkaTopics(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KafkaTopics::~KafkaTopics() = default;

Result<std::unique_ptr<KafkaTopics>> KafkaTopics::open(const KafkaConnection& connection) {
  using R = Result<std::unique_ptr<KafkaTopics>>;
  std::unique_ptr<rd_kafka_conf_t, ConfDeleter> conf(rd_kafka_conf_new());
  std::vector<std::pair<std::string, std::string>> settings;
  for (const std::string& option : connection.options) {
    const Setting o = split(option);
    settings.emplace_back(o.key, o.value);
  }
  settings.emplace_back("bootstrap.servers", connection.brokers);
  // A consumer handle, because only that one can promise not to create what it asks for.
  settings.emplace_back("allow.auto.create.topics", "false");
  settings.emplace_back("reconnect.backoff.max.ms", "1000");
  for (const auto& [key, value] : settings)
    if (const std::string e = set_option(conf.get(), key, value); !e.empty())
      return R::failure(fmt::format("kafka-option {}={}: {}", key, value, e));
  rd_kafka_conf_set_log_cb(conf.get(), log_quietly);
  std::array<char, 512> error{};
  auto impl = std::make_unique<Impl>();
  impl->handle.reset(rd_kafka_new(RD_KAFKA_CONSUMER, conf.get(), error.data(), error.size()));
  if (!impl->handle) return R::failure(fmt::format("cannot start a Kafka client: {}", error.data()));
  (void)conf.release();  // the handle owns it now
  return R(std::unique_ptr<KafkaTopics>(new KafkaTopics(std::move(impl))));
}

Result<TopicInfo> KafkaTopics::describe(const std::string& topic, bool with_config, Millis timeout) {
  using R = Result<TopicInfo>;
  const rd_kafka_metadata_t* raw = nullptr;
  const rd_kafka_resp_err_t e =
      rd_kafka_metadata(impl_->handle.get(), 0, impl_->topic(topic), &raw, static_cast<int>(timeout.count()));
  const std::unique_ptr<const rd_kafka_metadata_t, MetadataDeleter> metadata(raw);
  if (e != RD_KAFKA_RESP_ERR_NO_ERROR) return R::failure(rd_kafka_err2str(e));
  TopicInfo info;
  for (int n = 0; n < metadata->topic_cnt; ++n) {
    const rd_kafka_metadata_topic& t = metadata->topics[n];
    if (topic != t.topic) continue;
    if (t.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return info;
    if (t.err != RD_KAFKA_RESP_ERR_NO_ERROR && t.err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
      return R::failure(fmt::format("topic \"{}\": {}", topic, rd_kafka_err2str(t.err)));
    info.exists = t.partition_cnt > 0;
    info.partitions = static_cast<std::uint32_t>(std::max(t.partition_cnt, 0));
    for (int p = 0; p < t.partition_cnt; ++p) {
      const auto replicas = static_cast<std::uint32_t>(std::max(t.partitions[p].replica_cnt, 0));
      info.replication = p == 0 ? replicas : std::min(info.replication, replicas);
    }
  }
  if (info.exists && with_config) impl_->read_config(topic, timeout, info);
  return info;
}

void KafkaTopics::Impl::read_config(const std::string& topic, Millis timeout, TopicInfo& info) {
  const std::unique_ptr<rd_kafka_ConfigResource_t, ResourceDeleter> ask(
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
  const AdminOptions options = admin_options(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout);
  const Queue queue(rd_kafka_queue_new(handle.get()));
  rd_kafka_ConfigResource_t* asked = ask.get();
  rd_kafka_DescribeConfigs(handle.get(), &asked, 1, options.get(), queue.get());
  const Event event(rd_kafka_queue_poll(queue.get(), static_cast<int>(timeout.count()) + 100));
  if (!event || rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  const rd_kafka_DescribeConfigs_result_t* result = rd_kafka_event_DescribeConfigs_result(event.get());
  if (result == nullptr) return;
  std::size_t count = 0;
  const rd_kafka_ConfigResource_t** resources = rd_kafka_DescribeConfigs_result_resources(result, &count);
  if (count == 0 || rd_kafka_ConfigResource_error(resources[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  std::size_t entries = 0;
  const rd_kafka_ConfigEntry_t** all = rd_kafka_ConfigResource_configs(resources[0], &entries);
  for (std::size_t n = 0; n < entries; ++n) {
    const char* value = rd_kafka_ConfigEntry_value(all[n]);
    info.config[rd_kafka_ConfigEntry_name(all[n])] = value != nullptr ? value : "";
  }
  info.config_known = true;
}

Result<bool> KafkaTopics::create(const TopicSpec& spec, Millis timeout) {
  using R = Result<bool>;
  std::array<char, 512> error{};
  const std::unique_ptr<rd_kafka_NewTopic_t, NewTopicDeleter> topic(
      rd_kafka_NewTopic_new(spec.topic.c_str(), static_cast<int>(spec.partitions), static_cast<int>(spec.replication),
                            error.data(), error.size()));
  if (!topic) return R::failure(fmt::format("cannot describe topic \"{}\": {}", spec.topic, error.data()));
  const std::array<std::pair<const char*, std::string>, 4> settings = {{
      {"cleanup.policy", "delete"},
      {"retention.ms", fmt::format("{}", spec.retention.count())},
      {"min.insync.replicas", fmt::format("{}", spec.min_insync)},
      {"max.message.bytes", "2097152"},
  }};
  for (const auto& [key, value] : settings) rd_kafka_NewTopic_set_config(topic.get(), key, value.c_str());
  const AdminOptions options = impl_->admin_options(RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout);
  const Queue queue(rd_kafka_queue_new(impl_->handle.get()));
  rd_kafka_NewTopic_t* wanted = topic.get();
  rd_kafka_CreateTopics(impl_->handle.get(), &wanted, 1, options.get(), queue.get());
  const Event event(rd_kafka_queue_poll(queue.get(), static_cast<int>(timeout.count()) + 1000));
  if (!event) return R::failure("no answer in time");
  if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return R::failure(rd_kafka_event_error_string(event.get()));
  std::size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  if (count == 0) return R::failure("the broker's answer names no topic");
  const rd_kafka_resp_err_t e = rd_kafka_topic_result_error(results[0]);
  if (e == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) return false;
  if (e == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
  const char* why = rd_kafka_topic_result_error_string(results[0]);
  return R::failure(why != nullptr ? why : rd_kafka_err2str(e));
}

}  // namespace bmpha
