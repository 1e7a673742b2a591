#include "bmp-recv/tap/topic_tap.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <functional>
#include <map>

#include "bmp-recv/obmp_raw.h"
#include "bmp-recv/relay.h"
#include "common/kafka_consumer.h"
#include "common/kafka_header.h"
#include "common/log.h"

namespace bmpha::recv {
namespace {

constexpr Millis kAskTimeout{10000};
constexpr int kWaitMs = 200;
constexpr std::size_t kPollRecords = 1000;

// Reads the partitions of topics, each one record after the other.
class TopicReader {
 public:
  using OnRecord = std::function<bool(const Partition&, const KafkaMessage&)>;

  static Status run(const TapConfig& config, const OnRecord& f, const std::function<bool()>& idle) {
    TopicReader reader;
    if (Status s = reader.open(config, f); !s) return s;
    return reader.loop(idle);
  }

 private:
  Status open(const TapConfig& c, const OnRecord& f);
  Status find_positions(const TapConfig& c, KafkaTopics& topics, const std::string& topic,
                        std::vector<std::pair<Partition, std::int64_t>>& positions);
  Status loop(const std::function<bool()>& idle);
  void take(const Partition& p, const KafkaMessage& m, const OnRecord& f);

  KafkaConsumer consumer_;
  bool going_on_ = true;
  bool stop_at_end_ = false;
  std::map<Partition, std::int64_t> left_;  // partitions that have not reached their end yet, and that end
  std::string trouble_;
};

Status TopicReader::open(const TapConfig& c, const OnRecord& f) {
  Result<std::unique_ptr<KafkaTopics>> topics = KafkaTopics::open(c.kafka);
  if (!topics) return Status::error(topics.error());
  stop_at_end_ = c.stop_at_end;
  KafkaConsumer::Callbacks callbacks;
  callbacks.assigned = callbacks.revoked = [](const std::vector<Partition>&) {};
  callbacks.message = [this, f](const Partition& p, const KafkaMessage& m) { take(p, m, f); };
  callbacks.trouble = [this](const std::string& why) {
    if (why != trouble_) log_warn("kafka trouble", kv("why", why));
    trouble_ = why;
  };
  callbacks.working = [this] { trouble_.clear(); };
  if (Status s = consumer_.open_alone(c.kafka, std::move(callbacks)); !s) return s;
  std::vector<std::pair<Partition, std::int64_t>> positions;
  for (const std::string& topic : c.topics())
    if (Status s = find_positions(c, *topics.value(), topic, positions); !s) return s;
  if (positions.empty())
    return Status::error(fmt::format("Kafka at {} has no topic {}", c.kafka.brokers, c.topics().front()));
  return consumer_.read_from(positions);
}

// Of layout per-object some topics may be missing.
Status TopicReader::find_positions(const TapConfig& c, KafkaTopics& topics, const std::string& topic,
                                   std::vector<std::pair<Partition, std::int64_t>>& positions) {
  const Result<TopicInfo> info = topics.describe(topic, false, kAskTimeout);
  if (!info) return Status::error(fmt::format("Kafka at {}: {}", c.kafka.brokers, info.error()));
  for (std::uint32_t n = 0; n < info.value().partitions; ++n) {
    const Partition p{topic, static_cast<std::int32_t>(n)};
    const std::optional<OffsetRange> range = consumer_.watermarks(p, kAskTimeout);
    if (!range) return Status::error(fmt::format("Kafka at {} does not say how long {} is", c.kafka.brokers, topic));
    const std::int64_t from = c.from == "start" ? range->low : range->high;
    positions.emplace_back(p, from);
    if (from < range->high) left_[p] = range->high;
  }
  return Status::ok();
}

void TopicReader::take(const Partition& p, const KafkaMessage& m, const OnRecord& f) {
  if (!going_on_) return;
  const auto at = left_.find(p);
  if (stop_at_end_ && at == left_.end()) return;  // came after this partition's end
  going_on_ = f(p, m);
  if (at != left_.end() && m.offset + 1 >= at->second) left_.erase(at);
}

Status TopicReader::loop(const std::function<bool()>& idle) {
  while (going_on_ && !(stop_at_end_ && left_.empty())) {
    if (consumer_.poll(kPollRecords)) continue;
    if (!idle()) break;
    if (stop_at_end_ && left_.empty()) break;
    pollfd p{consumer_.event_fd(), POLLIN, 0};
    (void)poll(&p, 1, kWaitMs);
  }
  consumer_.close();
  return Status::ok();
}

std::string where(const Partition& p, const KafkaMessage& m) {
  return fmt::format("{} partition {} offset {}", p.topic, p.number, m.offset);
}

// A foreign record has no header of ours; what it is, its bytes say.
RecordOrigin origin_of(const KafkaMessage& m, const KafkaHeader* header) {
  RecordOrigin o;
  if (header == nullptr) {
    if (m.value.starts_with("OBMP")) o.kind = RecordKind::kRaw;
    return o;
  }
  o.kind = header->kind;
  o.router = header->router;
  o.epoch = header->epoch;
  o.node = header->node;
  return o;
}

bool read_header(const Partition& p, const KafkaMessage& m, KafkaHeader& out) {
  if (!m.has_header) return false;
  Result<KafkaHeader> h = decode_kafka_header(m.header);
  if (!h) {
    fmt::print(stderr, "bmp-tap: {}: header that cannot be read: {}\n", where(p, m), h.error());
    return false;
  }
  out = std::move(h.value());
  return true;
}

}  // namespace

Status tap_topic(const TapConfig& config, RowPrinter& printer, Output& output) {
  const std::string first = config.topics().front();
  const auto print = [&](const Partition& p, const KafkaMessage& m) {
    KafkaHeader header;
    const bool has_header = read_header(p, m, header);
    // Every topic has its copies of these.
    if (has_header && (!m.copied.empty() || (is_control(header.kind) && p.topic != first))) return true;
    const RecordOrigin origin = origin_of(m, has_header ? &header : nullptr);
    if (const char* why = printer.print(origin, m.value, output.buffer()); why != nullptr)
      fmt::print(stderr, "bmp-tap: {}: {}\n", where(p, m), why);
    output.wrote();
    return !printer.is_done() && !output.is_closed();
  };
  const auto idle = [&] {
    output.flush();
    return !output.is_closed();
  };
  return TopicReader::run(config, print, idle);
}

Status relay_topic(const TapConfig& config) {
  struct Router {
    Relay relay;
    std::uint64_t epoch = 0;
  };
  std::map<RouterId, Router> routers;
  std::map<RouterId, std::uint64_t> epochs;
  Status status = Status::ok();
  const auto send = [&](const Partition& p, const KafkaMessage& m) {
    KafkaHeader header;
    const bool has_header = read_header(p, m, header);
    if (has_header) {
      std::uint64_t& epoch = epochs[header.router];
      if (header.epoch < epoch && !header.solo) return true;
      epoch = std::max(epoch, header.epoch);
      if (header.kind != RecordKind::kRaw) return true;
    }
    RawMessage raw;
    if (!parse_obmp_raw(as_bytes(m.value), raw)) {
      fmt::print(stderr, "bmp-tap: {}: not a bmp_raw record\n", where(p, m));
      return true;
    }
    if (const std::string hash = to_hex(raw.router), ip = ip_text(raw.router_ip);
        !config.filter.routers.empty() && std::none_of(config.filter.routers.begin(), config.filter.routers.end(),
                                                       [&](const std::string& f) { return f == hash || f == ip; }))
      return true;
    auto at = routers.find(raw.router);
    if (at == routers.end()) {
      Result<Relay> relay = Relay::connect(config.relay);
      if (!relay) {
        status = Status::error(relay.error());
        return false;
      }
      at = routers.emplace(raw.router, Router{std::move(relay.value())}).first;
    }
    status = at->second.relay.send(raw.message);
    return status.is_ok();
  };
  const Status read = TopicReader::run(config, send, [] { return true; });
  for (auto& [id, router] : routers) (void)router.relay.finish(config.hold);
  return read ? status : read;
}

}  // namespace bmpha::recv
