#include "kafka-gate/kafka_producer.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "common/log.h"
#include "common/rules.h"

namespace bmpha::gate {
namespace {

// Rides in the message's opaque until its delivery report; keeps the value's memory alive.
struct Rider {
  Ticket ticket;
  Body body;
  std::uint64_t size = 0;
};

struct ConfDeleter {
  void operator()(rd_kafka_conf_t* c) const { rd_kafka_conf_destroy(c); }
};
struct EventDeleter {
  void operator()(rd_kafka_event_t* e) const { rd_kafka_event_destroy(e); }
};
struct ErrorDeleter {
  void operator()(rd_kafka_error_t* e) const { rd_kafka_error_destroy(e); }
};
using Conf = std::unique_ptr<rd_kafka_conf_t, ConfDeleter>;
using Event = std::unique_ptr<rd_kafka_event_t, EventDeleter>;

constexpr int kPurgePollMs = 100;
constexpr int kPurgePolls = 100;

// librdkafka repeats itself while a broker is away; the gate says it once in its own words.
void log_quietly(const rd_kafka_t*, int, const char* facility, const char* text) {
  log_debug("librdkafka", kv("facility", facility), kv("text", text));
}

// Errors by which a broker or the client says that this record can never be written.
bool is_refusal(rd_kafka_resp_err_t e) {
  if (!rule_on("G8-refused")) return false;
  switch (e) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
      return true;
    default:
      return false;
  }
}

Rider* take_rider(const rd_kafka_message_t* m) { return static_cast<Rider*>(m->_private); }

// One librdkafka instance. Destruction waits for the client's threads, so it is done in a thread of its own.
struct Instance {
  rd_kafka_t* handle = nullptr;
  rd_kafka_queue_t* queue = nullptr;

  // Gives every message back, then destroys. Blocks.
  void destroy() {
    rd_kafka_purge(handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    for (int n = 0; n < kPurgePolls && rd_kafka_outq_len(handle) > 0; ++n) {
      const Event event(rd_kafka_queue_poll(queue, kPurgePollMs));
      if (!event || rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_DR) continue;
      while (const rd_kafka_message_t* m = rd_kafka_event_message_next(event.get()))
        const std::unique_ptr<Rider> gone(take_rider(m));
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(handle);
  }
};

std::string set(rd_kafka_conf_t* conf, const std::string& key, const std::string& value) {
  std::array<char, 512> error{};
  if (rd_kafka_conf_set(conf, key.c_str(), value.c_str(), error.data(), error.size()) == RD_KAFKA_CONF_OK) return {};
  return fmt::format("kafka-option {}={}: {}", key, value, error.data());
}

}  // namespace

struct KafkaProducer::Impl {
  Settings settings;
  Instance instance;
  int event_fd = -1;
  Event pending;  // a delivery event that was not read to its end
  std::string lost;
  std::string complaint;
  std::uint64_t outstanding = 0;
  std::uint64_t outstanding_bytes = 0;
  struct Reaper {
    std::thread thread;
    std::shared_ptr<std::atomic<bool>> done;
  };
  std::vector<Reaper> reapers;

  ~Impl() {
    retire();
    for (Reaper& r : reapers) r.thread.join();
    if (event_fd >= 0) close(event_fd);
  }

  std::string configure(rd_kafka_conf_t* conf) const;
  Status start();
  void retire();
  void wake() const {
    const std::uint64_t one = 1;
    if (write(event_fd, &one, sizeof one) < 0) return;  // full: readable anyway
  }
  bool next_event();
  void read_error(rd_kafka_event_t* event);
  bool answer(const rd_kafka_message_t* m, Answer& out);
};

std::string KafkaProducer::Impl::configure(rd_kafka_conf_t* conf) const {
  // Defaults that a kafka-option may change.
  std::vector<std::pair<std::string, std::string>> all = {
      {"client.id", "bmp-ha"},
      {"linger.ms", "0"},  // a record is as big as a socket read already
      {"compression.codec", "lz4"},
      {"message.max.bytes", "2097152"},
      {"max.in.flight.requests.per.connection", "5"},
      {"socket.keepalive.enable", "true"},
      {"socket.timeout.ms", "10000"},
      {"request.timeout.ms", "10000"},
      {"reconnect.backoff.ms", "50"},
      {"reconnect.backoff.max.ms", "1000"},
      {"topic.metadata.refresh.interval.ms", "30000"},
      {"queue.buffering.max.messages", fmt::format("{}", settings.max_messages + 1000)},
      {"queue.buffering.max.kbytes", fmt::format("{}", settings.max_bytes / 1024 * 2)},
  };
  for (const std::string& option : settings.connection.options) {
    const std::size_t at = std::min(option.find('='), option.size());
    all.emplace_back(option.substr(0, at), at < option.size() ? option.substr(at + 1) : std::string());
  }
  // What the guarantees fix.
  all.emplace_back("bootstrap.servers", settings.connection.brokers);
  all.emplace_back("enable.idempotence", rule_on("G8-idempotent") ? "true" : "false");
  all.emplace_back("acks", "all");
  all.emplace_back("message.timeout.ms", "0");
  for (const auto& [key, value] : all)
    if (std::string e = set(conf, key, value); !e.empty()) return e;
  return {};
}

Status KafkaProducer::Impl::start() {
  Conf conf(rd_kafka_conf_new());
  if (const std::string e = configure(conf.get()); !e.empty()) return Status::error(e);
  rd_kafka_conf_set_log_cb(conf.get(), log_quietly);
  rd_kafka_conf_set_events(conf.get(), RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
  std::array<char, 512> error{};
  rd_kafka_t* handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), error.data(), error.size());
  if (handle == nullptr) return Status::error(fmt::format("cannot start a Kafka producer: {}", error.data()));
  (void)conf.release();  // the handle owns it now
  instance.handle = handle;
  instance.queue = rd_kafka_queue_get_main(handle);
  static const std::uint64_t kOne = 1;
  rd_kafka_queue_io_event_enable(instance.queue, event_fd, &kOne, sizeof kOne);
  lost.clear();
  outstanding = outstanding_bytes = 0;
  // The queue signals when it stops being empty: what an unreachable broker put there before it was told to must be
  // read.
  wake();
  return Status::ok();
}

void KafkaProducer::Impl::retire() {
  while (pending) {  // messages that were taken out of the queue and not read
    const rd_kafka_message_t* m = rd_kafka_event_message_next(pending.get());
    const std::unique_ptr<Rider> gone(m != nullptr ? take_rider(m) : nullptr);
    if (m == nullptr) pending.reset();
  }
  if (instance.handle == nullptr) return;
  rd_kafka_queue_io_event_enable(instance.queue, -1, nullptr, 0);
  std::erase_if(reapers, [](Reaper& r) {
    if (!*r.done) return false;
    r.thread.join();
    return true;
  });
  auto done = std::make_shared<std::atomic<bool>>(false);
  reapers.push_back({std::thread([old = instance, done]() mutable {
                       old.destroy();
                       *done = true;
                     }),
                     done});
  instance = {};
}

KafkaProducer::KafkaProducer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KafkaProducer::~KafkaProducer() = default;

Result<std::unique_ptr<KafkaProducer>> KafkaProducer::open(const Settings& settings) {
  using R = Result<std::unique_ptr<KafkaProducer>>;
  auto impl = std::make_unique<Impl>();
  impl->settings = settings;
  impl->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (impl->event_fd < 0) return R::failure("cannot make an eventfd");
  if (Status s = impl->start(); !s) return R::failure(s.message());
  return R(std::unique_ptr<KafkaProducer>(new KafkaProducer(std::move(impl))));
}

int KafkaProducer::fd() const { return impl_->event_fd; }
bool KafkaProducer::is_lost() const { return !impl_->lost.empty(); }
const std::string& KafkaProducer::lost_why() const { return impl_->lost; }
std::string KafkaProducer::take_complaint() { return std::exchange(impl_->complaint, {}); }
std::uint64_t KafkaProducer::outstanding() const { return impl_->outstanding; }
std::uint64_t KafkaProducer::outstanding_bytes() const { return impl_->outstanding_bytes; }

KafkaProducer::Sent KafkaProducer::send(const Copy& copy) {
  Impl& k = *impl_;
  if (is_lost() || k.instance.handle == nullptr) return Sent::kFull;
  if (k.outstanding >= k.settings.max_messages || k.outstanding_bytes >= k.settings.max_bytes) return Sent::kFull;
  const std::uint32_t topic = copy.partition / k.settings.partitions;
  if (topic >= k.settings.topics.size()) return Sent::kNoTopic;
  auto rider = std::make_unique<Rider>();
  rider->ticket = copy.ticket;
  rider->body = copy.body;
  rider->size = copy.body.value.size();
  std::string header;
  encode_kafka_header(copy.header, header);
  std::string key = to_hex(copy.key);
  // Control records have an empty value, which is not the same as none.
  static const std::uint8_t kEmpty = 0;
  const Bytes body = copy.body.value;
  const bool is_empty = body.empty() || copy.is_copy;
  void* value = const_cast<std::uint8_t*>(is_empty ? &kEmpty : body.data());  // NOLINT: librdkafka never writes to it
  std::array<rd_kafka_vu_t, 7> fields{};
  fields[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  fields[0].u.cstr = k.settings.topics[topic].c_str();
  fields[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  fields[1].u.i32 = static_cast<std::int32_t>(copy.partition % k.settings.partitions);
  fields[2].vtype = RD_KAFKA_VTYPE_KEY;
  fields[2].u.mem = {key.data(), key.size()};
  fields[3].vtype = RD_KAFKA_VTYPE_VALUE;
  fields[3].u.mem = {value, is_empty ? 0 : body.size()};
  fields[4].vtype = RD_KAFKA_VTYPE_HEADER;
  fields[4].u.header = {kKafkaHeaderName, header.data(), static_cast<ssize_t>(header.size())};
  fields[5].vtype = RD_KAFKA_VTYPE_OPAQUE;
  fields[5].u.ptr = rider.get();
  fields[6].vtype = RD_KAFKA_VTYPE_HEADER;
  fields[6].u.header = {kKafkaCopiedName, body.data(), static_cast<ssize_t>(body.size())};
  const std::unique_ptr<rd_kafka_error_t, ErrorDeleter> error(
      rd_kafka_produceva(k.instance.handle, fields.data(), copy.is_copy ? 7 : 6));
  const rd_kafka_resp_err_t e = error ? rd_kafka_error_code(error.get()) : RD_KAFKA_RESP_ERR_NO_ERROR;
  if (e == RD_KAFKA_RESP_ERR_NO_ERROR) {
    k.outstanding_bytes += rider->size;
    ++k.outstanding;
    (void)rider.release();  // until the delivery report
    return Sent::kYes;
  }
  if (is_refusal(e)) return Sent::kTooLarge;
  if (e != RD_KAFKA_RESP_ERR__QUEUE_FULL) k.lost = fmt::format("cannot produce: {}", rd_kafka_err2str(e));
  return Sent::kFull;
}

void KafkaProducer::Impl::read_error(rd_kafka_event_t* event) {
  const rd_kafka_resp_err_t e = rd_kafka_event_error(event);
  std::array<char, 512> text{};
  if (e == RD_KAFKA_RESP_ERR__FATAL || rd_kafka_fatal_error(instance.handle, text.data(), text.size()) != 0) {
    rd_kafka_fatal_error(instance.handle, text.data(), text.size());
    lost = fmt::format("fatal error: {}", text.data());
    return;
  }
  complaint = rd_kafka_event_error_string(event);
}

bool KafkaProducer::Impl::next_event() {
  while (instance.handle != nullptr) {
    Event event(rd_kafka_queue_poll(instance.queue, 0));
    if (!event) return false;
    if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_DR) {
      pending = std::move(event);
      return true;
    }
    if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_ERROR) read_error(event.get());
  }
  return false;
}

// False: the report says nothing about the record, it has to be sent again.
bool KafkaProducer::Impl::answer(const rd_kafka_message_t* m, Answer& out) {
  const std::unique_ptr<Rider> rider(take_rider(m));
  --outstanding;
  outstanding_bytes -= rider->size;
  out.ticket = rider->ticket;
  out.delivered = m->err == RD_KAFKA_RESP_ERR_NO_ERROR;
  out.why = out.delivered ? std::string() : rd_kafka_err2str(m->err);
  if (out.delivered || is_refusal(m->err) || !rule_on("G8-lost")) return true;
  if (lost.empty()) lost = fmt::format("delivery failed: {}", out.why);
  return false;
}

std::size_t KafkaProducer::poll(std::size_t most, const std::function<void(const Answer&)>& f) {
  Impl& k = *impl_;
  std::uint64_t drained = 0;
  if (read(k.event_fd, &drained, sizeof drained) < 0) drained = 0;  // nothing was pending
  std::size_t count = 0;
  while (count < most) {
    if (!k.pending && !k.next_event()) return count;
    const rd_kafka_message_t* m = rd_kafka_event_message_next(k.pending.get());
    if (m == nullptr) {
      k.pending.reset();
      continue;
    }
    Answer a;
    // After a loss nothing counts: the caller will send everything unacknowledged again, in order.
    if (k.answer(m, a) && k.lost.empty()) f(a);
    ++count;
  }
  k.wake();  // more is waiting
  return count;
}

Status KafkaProducer::replace() {
  Impl& k = *impl_;
  k.retire();
  return k.start();
}

}  // namespace bmpha::gate
