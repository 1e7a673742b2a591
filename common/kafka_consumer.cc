#include "common/kafka_consumer.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>

#include "common/kafka_header.h"
#include "common/log.h"

namespace bmpha {
namespace {

struct ConfDeleter {
  void operator()(rd_kafka_conf_t* c) const { rd_kafka_conf_destroy(c); }
};
struct QueueDeleter {
  void operator()(rd_kafka_queue_t* q) const { rd_kafka_queue_destroy(q); }
};
struct ListDeleter {
  void operator()(rd_kafka_topic_partition_list_t* l) const { rd_kafka_topic_partition_list_destroy(l); }
};
struct ErrorDeleter {
  void operator()(rd_kafka_error_t* e) const { rd_kafka_error_destroy(e); }
};
using List = std::unique_ptr<rd_kafka_topic_partition_list_t, ListDeleter>;
using Error = std::unique_ptr<rd_kafka_error_t, ErrorDeleter>;

// What this program fixes. Positions are the database's; a position that the log no longer has makes the client begin
// anew at its start, which the caller sees by the offsets (librdkafka's "error" would leave a partition that no seek
// can start again).
constexpr std::array<std::pair<const char*, const char*>, 5> kFixed = {{
    {"enable.auto.commit", "true"},  // only of what store_offset() was told
    {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "earliest"},
    {"enable.partition.eof", "false"},
    {"allow.auto.create.topics", "false"},
}};
// Defaults that kafka-option can change.
constexpr std::array<std::pair<const char*, const char*>, 9> kDefaults = {{
    {"partition.assignment.strategy", "cooperative-sticky"},
    {"auto.commit.interval.ms", "1000"},
    {"session.timeout.ms", "10000"},  // a killed sink's partitions move after it
    {"fetch.wait.max.ms", "50"},
    {"fetch.error.backoff.ms", "100"},
    {"queued.max.messages.kbytes", "16384"},
    {"reconnect.backoff.max.ms", "1000"},
    {"topic.metadata.refresh.interval.ms", "30000"},  // partitions that were added are refused soon
    {"socket.keepalive.enable", "true"},
}};

std::string set_option(rd_kafka_conf_t* conf, const std::string& key, const std::string& value) {
  std::array<char, 512> error{};
  return rd_kafka_conf_set(conf, key.c_str(), value.c_str(), error.data(), error.size()) == RD_KAFKA_CONF_OK
             ? std::string()
             : fmt::format("kafka-option {}={}: {}", key, value, error.data());
}

List one(const Partition& p, std::int64_t offset = RD_KAFKA_OFFSET_INVALID) {
  List list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), p.topic.c_str(), p.number)->offset = offset;
  return list;
}

std::vector<Partition> to_vector(const rd_kafka_topic_partition_list_t* list) {
  std::vector<Partition> out;
  out.reserve(static_cast<std::size_t>(list->cnt));
  for (int n = 0; n < list->cnt; ++n) out.push_back({list->elems[n].topic, list->elems[n].partition});
  return out;
}

}  // namespace

std::string check_consumer_option(const std::string& key_value) {
  const std::string key = key_value.substr(0, key_value.find('='));
  const auto is_key = [&](const auto& pair) { return key == pair.first; };
  if (key == "group.id") return "property \"group.id\" is not taken here HINT: use the key group-id";
  if (std::any_of(kFixed.begin(), kFixed.end(), is_key))
    return fmt::format("property \"{}\" is fixed by bmp-ha's guarantees and cannot be set", key);
  return check_kafka_option(key_value);
}

struct KafkaConsumer::Impl {
  Callbacks callbacks;
  rd_kafka_t* client = nullptr;
  std::unique_ptr<rd_kafka_queue_t, QueueDeleter> queue;
  int fd = -1;
  // Topic names of records as they come, without a lookup per record.
  std::map<const rd_kafka_topic_t*, std::string> topic_names;
  bool ever_assigned = false;

  static void on_rebalance(rd_kafka_t*, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* list, void* self);
  static void on_error(rd_kafka_t*, int code, const char* reason, void* self);
  static void on_log(const rd_kafka_t*, int, const char* facility, const char* text) {
    log_debug("librdkafka", kv("facility", facility), kv("text", text));
  }
  void take(rd_kafka_message_t* raw);
  void failed(const rd_kafka_message_t* raw);
};

void KafkaConsumer::Impl::on_rebalance(rd_kafka_t* client, rd_kafka_resp_err_t code,
                                       rd_kafka_topic_partition_list_t* list, void* self) {
  Impl& me = *static_cast<Impl*>(self);
  const bool cooperative = std::string_view(rd_kafka_rebalance_protocol(client)) == "COOPERATIVE";
  if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    me.ever_assigned = true;
    for (int n = 0; n < list->cnt; ++n) list->elems[n].offset = RD_KAFKA_OFFSET_BEGINNING;  // not the group's
    if (cooperative) {
      const Error e(rd_kafka_incremental_assign(client, list));
      if (e) me.callbacks.trouble(rd_kafka_error_string(e.get()));
    } else if (const auto e = rd_kafka_assign(client, list); e != RD_KAFKA_RESP_ERR_NO_ERROR) {
      me.callbacks.trouble(rd_kafka_err2str(e));
    }
    // Nothing is wanted before the position is known; what slips through is refused by its offset.
    rd_kafka_pause_partitions(client, list);
    me.callbacks.assigned(to_vector(list));
    return;
  }
  me.callbacks.revoked(to_vector(list));
  if (cooperative) {
    const Error e(rd_kafka_incremental_unassign(client, list));
    if (e) me.callbacks.trouble(rd_kafka_error_string(e.get()));
  } else {
    rd_kafka_assign(client, nullptr);
  }
}

void KafkaConsumer::Impl::on_error(rd_kafka_t*, int code, const char* reason, void* self) {
  const auto e = static_cast<rd_kafka_resp_err_t>(code);
  static_cast<Impl*>(self)->callbacks.trouble(fmt::format("{}: {}", rd_kafka_err2name(e), reason));
}

KafkaConsumer::KafkaConsumer() : impl_(std::make_unique<Impl>()) {}
KafkaConsumer::~KafkaConsumer() { close(); }

Status KafkaConsumer::start(const KafkaConnection& connection, const std::string& group, Callbacks callbacks) {
  impl_->callbacks = std::move(callbacks);
  std::unique_ptr<rd_kafka_conf_t, ConfDeleter> conf(rd_kafka_conf_new());
  std::vector<std::pair<std::string, std::string>> settings(kDefaults.begin(), kDefaults.end());
  for (const std::string& o : connection.options) {
    const std::size_t at = std::min(o.find('='), o.size());
    settings.emplace_back(o.substr(0, at), at < o.size() ? o.substr(at + 1) : std::string());
  }
  settings.insert(settings.end(), kFixed.begin(), kFixed.end());
  settings.emplace_back("bootstrap.servers", connection.brokers);
  settings.emplace_back("group.id", group);
  for (const auto& [key, value] : settings)
    if (std::string e = set_option(conf.get(), key, value); !e.empty()) return Status::error(std::move(e));
  rd_kafka_conf_set_opaque(conf.get(), impl_.get());
  rd_kafka_conf_set_rebalance_cb(conf.get(), Impl::on_rebalance);
  rd_kafka_conf_set_error_cb(conf.get(), Impl::on_error);
  rd_kafka_conf_set_log_cb(conf.get(), Impl::on_log);
  std::array<char, 512> error{};
  impl_->client = rd_kafka_new(RD_KAFKA_CONSUMER, conf.get(), error.data(), error.size());
  if (impl_->client == nullptr) return Status::error(fmt::format("cannot start a Kafka client: {}", error.data()));
  (void)conf.release();  // the client owns it now
  rd_kafka_poll_set_consumer(impl_->client);
  impl_->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  impl_->queue.reset(rd_kafka_queue_get_consumer(impl_->client));
  static constexpr std::uint64_t kOne = 1;
  rd_kafka_queue_io_event_enable(impl_->queue.get(), impl_->fd, &kOne, sizeof kOne);
  return Status::ok();
}

Status KafkaConsumer::open(const KafkaConnection& connection, const std::string& group,
                           const std::vector<std::string>& topics, Callbacks callbacks) {
  if (Status s = start(connection, group, std::move(callbacks)); !s) return s;
  const List list(rd_kafka_topic_partition_list_new(static_cast<int>(topics.size())));
  for (const std::string& t : topics) rd_kafka_topic_partition_list_add(list.get(), t.c_str(), RD_KAFKA_PARTITION_UA);
  if (const auto e = rd_kafka_subscribe(impl_->client, list.get()); e != RD_KAFKA_RESP_ERR_NO_ERROR)
    return Status::error(fmt::format("subscribe: {}", rd_kafka_err2str(e)));
  return Status::ok();
}

// The client wants a name; without a subscription and without stored offsets no broker keeps it.
Status KafkaConsumer::open_alone(const KafkaConnection& connection, Callbacks callbacks) {
  return start(connection, "bmp-ha-reader", std::move(callbacks));
}

Status KafkaConsumer::read_from(const std::vector<std::pair<Partition, std::int64_t>>& positions) {
  const List list(rd_kafka_topic_partition_list_new(static_cast<int>(positions.size())));
  for (const auto& [partition, offset] : positions)
    rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.number)->offset = offset;
  if (const auto e = rd_kafka_assign(impl_->client, list.get()); e != RD_KAFKA_RESP_ERR_NO_ERROR)
    return Status::error(fmt::format("assign: {}", rd_kafka_err2str(e)));
  impl_->ever_assigned = true;
  return Status::ok();
}

int KafkaConsumer::event_fd() const { return impl_->fd; }

bool KafkaConsumer::poll(std::size_t most) {
  std::uint64_t count = 0;
  while (read(impl_->fd, &count, sizeof count) > 0) continue;
  for (std::size_t n = 0; n < most; ++n) {
    rd_kafka_message_t* raw = rd_kafka_consumer_poll(impl_->client, 0);
    if (raw == nullptr) return false;
    if (raw->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      impl_->take(raw);
    } else {
      impl_->failed(raw);
      rd_kafka_message_destroy(raw);
    }
  }
  return true;
}

void KafkaConsumer::Impl::take(rd_kafka_message_t* raw) {
  KafkaMessage m;
  m.owner = std::shared_ptr<void>(raw, [](void* p) { rd_kafka_message_destroy(static_cast<rd_kafka_message_t*>(p)); });
  m.offset = raw->offset;
  if (raw->payload != nullptr) m.value = {static_cast<const char*>(raw->payload), raw->len};
  rd_kafka_timestamp_type_t type{};
  const std::int64_t ms = rd_kafka_message_timestamp(raw, &type);
  if (type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && ms > 0 && ms < INT64_MAX / 1000) m.time_us = ms * 1000;
  rd_kafka_headers_t* headers = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  if (rd_kafka_message_headers(raw, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
      rd_kafka_header_get_last(headers, kKafkaHeaderName, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    m.has_header = true;
    m.header = {static_cast<const std::uint8_t*>(value), size};
    if (m.value.empty() &&
        rd_kafka_header_get_last(headers, kKafkaCopiedName, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR)
      m.copied = {static_cast<const char*>(value), size};
  }
  std::string& topic = topic_names[raw->rkt];
  if (topic.empty()) topic = rd_kafka_topic_name(raw->rkt);
  callbacks.working();
  callbacks.message({topic, raw->partition}, std::move(m));
}

void KafkaConsumer::Impl::failed(const rd_kafka_message_t* raw) {
  const rd_kafka_resp_err_t e = raw->err;
  callbacks.trouble(fmt::format("{}: {}", rd_kafka_err2name(e), rd_kafka_message_errstr(raw)));
}

void KafkaConsumer::seek(const Partition& partition, std::int64_t offset) {
  const List list = one(partition, offset);
  const Error e(rd_kafka_seek_partitions(impl_->client, list.get(), 0));
  if (e) log_debug("seek", kv("partition", partition.number), kv("error", std::string(rd_kafka_error_string(e.get()))));
}
void KafkaConsumer::pause(const Partition& partition) {
  rd_kafka_pause_partitions(impl_->client, one(partition).get());
}
void KafkaConsumer::resume(const Partition& partition) {
  rd_kafka_resume_partitions(impl_->client, one(partition).get());
}
void KafkaConsumer::store_offset(const Partition& partition, std::int64_t next_offset) {
  rd_kafka_offsets_store(impl_->client, one(partition, next_offset).get());
}

std::optional<OffsetRange> KafkaConsumer::watermarks(const Partition& partition, Millis timeout) const {
  OffsetRange r;
  const auto e = rd_kafka_query_watermark_offsets(impl_->client, partition.topic.c_str(), partition.number, &r.low,
                                                  &r.high, static_cast<int>(timeout.count()));
  return e == RD_KAFKA_RESP_ERR_NO_ERROR ? std::optional(r) : std::nullopt;
}

std::int64_t KafkaConsumer::known_end(const Partition& partition) const {
  std::int64_t low = 0, high = 0;
  const auto e = rd_kafka_get_watermark_offsets(impl_->client, partition.topic.c_str(), partition.number, &low, &high);
  return e == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0 ? high : -1;
}

void KafkaConsumer::close() {
  if (impl_->client == nullptr) return;
  impl_->queue.reset();
  rd_kafka_consumer_close(impl_->client);  // commits what was stored, leaves the group
  // librdkafka before 2.3.0 aborts when a member of a sticky group is freed that joined but never got an assignment:
  // such a client is left as it is, silent, to the end of the process.
  if (impl_->ever_assigned)
    rd_kafka_destroy(impl_->client);
  else
    rd_kafka_set_log_level(impl_->client, -1);
  impl_->client = nullptr;
  ::close(impl_->fd);
}

}  // namespace bmpha
