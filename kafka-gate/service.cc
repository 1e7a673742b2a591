#include "kafka-gate/service.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <random>
#include <thread>

#include "common/backoff.h"
#include "common/burst.h"
#include "common/dump_file.h"
#include "common/event_loop.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/options.h"
#include "common/outage.h"
#include "common/zmq_socket.h"
#include "kafka-gate/gate.h"
#include "kafka-gate/kafka_health.h"
#include "kafka-gate/kafka_producer.h"
#include "kafka-gate/metrics.h"
#include "kafka-gate/state_dump.h"
#include "kafka-gate/topic_watch.h"

namespace bmpha::gate {
namespace {

constexpr Millis kTick{50};
constexpr Millis kStatusInterval{250};
constexpr Millis kControlPause{5};     // between two CONTROL messages
constexpr Millis kUrgentPause{10};     // between two status messages
constexpr Millis kFlushWait{3000};     // at TERM
constexpr Millis kReplacePause{1000};  // before a lost producer is replaced
constexpr Millis kFoldPause{10000};    // between two lines about records that fail in the same way
// Work of one turn, so that roles and answers are never far behind.
constexpr std::size_t kTurnFrames = 256;
constexpr std::size_t kTurnBytes = 8u << 20;
constexpr std::size_t kTurnCopies = 512;
constexpr std::size_t kTurnAnswers = 2048;
// ZeroMQ receives small messages into a buffer that many of them share; held ones would pin it whole.
constexpr std::size_t kCopyBelow = 16u << 10;

std::uint64_t random_id() {
  std::random_device device;
  const std::uint64_t id = (std::uint64_t{device()} << 32) | device();
  return id != 0 ? id : 1;
}

Body make_body(Frame frame) {
  const Bytes payload = frame.bytes().subspan(kEnvelopeSize);
  if (payload.empty()) return {};
  if (payload.size() < kCopyBelow) {
    auto copy = std::make_shared<std::vector<std::uint8_t>>(payload.begin(), payload.end());
    const Bytes value(*copy);
    return {std::move(copy), value};
  }
  auto kept = std::make_shared<Frame>(std::move(frame));
  const Bytes value = kept->bytes().subspan(kEnvelopeSize);
  return {std::move(kept), value};
}

ZmqSocket::Settings link_settings() {
  ZmqSocket::Settings s;
  s.recv_hwm = 0;  // credit limits what is under way
  return s;
}
ZmqSocket::Settings table_settings(bool newest_only) {
  ZmqSocket::Settings s;
  s.conflate = newest_only;
  return s;
}

class Service {
 public:
  explicit Service(const Config& config);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  int run();

 private:
  Status start();
  void turn();
  void kick();
  bool read_link(std::size_t frames);
  void read_frame(Frame frame, BootTime now);
  void read_roles();
  bool read_answers();
  bool send_copies(BootTime now);
  void send_control(BootTime now);
  void say_hello();
  void tick();
  void look_after_producer(BootTime now);
  void read_topic();
  void on_topic(const TopicWatch::Answer& answer, BootTime now);
  void publish(BootTime now);
  void log_notes();
  void log_note(const Note& note);
  void log_folded(BootTime now);
  void on_signal(int signo);
  DumpFacts facts() const;
  void dump();
  void publish_metrics();
  void stop(int code);
  bool may_produce() const { return topic_ok_ && !stopping_ && !replace_at_ && producer_; }

  const Config config_;
  const std::vector<std::string> topics_ = plan_topics(config_.topics).names;
  const std::uint64_t gate_inc_ = random_id();
  EventLoop loop_;
  ZmqContext context_;
  std::unique_ptr<ZmqSocket> link_;
  ZmqSocket roles_;
  ZmqSocket status_;
  Gate gate_;
  KafkaHealth health_;
  std::unique_ptr<KafkaProducer> producer_;
  std::unique_ptr<TopicWatch> watch_;
  int kick_fd_ = -1;
  int exit_code_ = kExitDone;
  bool topic_ok_ = false;
  bool topic_seen_ = false;  // it was right once
  bool kafka_ok_ = true;
  bool stopping_ = false;
  bool recv_was_alive_ = false;
  std::string topic_trouble_;
  Outage kafka_outage_;
  Burst failures_{kFoldPause};
  struct Refusal {
    std::string why;
    std::size_t bytes = 0;
  };
  std::optional<Refusal> refusal_;  // of the record whose note comes next
  std::optional<BootTime> replace_at_;
  BootTime stop_at_{};
  BootTime control_at_{};
  BootTime status_at_{};
  std::uint64_t producers_ = 1;
  std::uint64_t malformed_ = 0;
  bool node_warned_ = false;
  CounterTotals totals_;
  MetricsServer metrics_;
};

Gate::Settings gate_settings(const Config& c, std::uint64_t gate_inc) {
  Gate::Settings s;
  s.held.node = c.node;
  s.held.partitions = static_cast<std::uint32_t>(c.partitions);
  s.held.plan = plan_topics(c.topics).plan;
  s.held.retain = c.retain;
  s.gate_inc = gate_inc;
  s.bytes_limit = c.bytes_limit;
  return s;
}

Service::Service(const Config& config)
    : config_(config),
      roles_(context_, SocketKind::kSub, table_settings(true)),
      status_(context_, SocketKind::kPub, table_settings(false)),
      gate_(gate_settings(config, gate_inc_)),
      health_(config.kafka_bad, config.kafka_good, BootClock::now()) {}

Service::~Service() {
  if (kick_fd_ >= 0) close(kick_fd_);
}

Status Service::start() {
  if (Status s = metrics_.listen(config_.metrics_listen); !s) return s;
  if (Status s = status_.bind(config_.status_socket); !s) return s;
  if (Status s = roles_.subscribe(); !s) return s;
  if (Status s = roles_.connect(config_.roles_socket); !s) return s;
  kick_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (kick_fd_ < 0) return Status::error("cannot make an eventfd");

  KafkaProducer::Settings producer;
  producer.connection = config_.kafka;
  producer.topics = topics_;
  producer.partitions = static_cast<std::uint32_t>(config_.partitions);
  auto opened = KafkaProducer::open(producer);
  if (!opened) return Status::error(opened.error());
  producer_ = std::move(opened.value());
  TopicWatch::Settings watch;
  watch.connection = config_.kafka;
  watch.topics = topics_;
  watch.partitions = static_cast<std::uint32_t>(config_.partitions);
  watch_ = std::make_unique<TopicWatch>(watch);
  if (Status s = watch_->start(); !s) return s;

  loop_.on_signals(gate_signals(), [this](int signo) { on_signal(signo); });
  loop_.watch(roles_.fd(), EPOLLIN, [this](std::uint32_t) { turn(); });
  loop_.watch(producer_->fd(), EPOLLIN, [this](std::uint32_t) { turn(); });
  loop_.watch(watch_->fd(), EPOLLIN, [this](std::uint32_t) { read_topic(); });
  loop_.watch(kick_fd_, EPOLLIN, [this](std::uint32_t) {
    std::uint64_t drained = 0;
    if (read(kick_fd_, &drained, sizeof drained) < 0) return;
    turn();
  });
  loop_.every(kTick, [this] { tick(); });
  loop_.every(kStatusInterval, [this] { publish(BootClock::now()); });
  publish_metrics();
  if (metrics_.is_on()) loop_.every(kMetricsInterval, [this] { publish_metrics(); });
  say_hello();
  return Status::ok();
}

int Service::run() {
  if (Status s = start(); !s) {
    log_error("cannot start", kv("why", s.message()));
    return kExitEnvironment;
  }
  log_info("started", kv("version", version()), kv("gate_inc", gate_inc_), kv("layout", config_.topics.layout),
           kv("topics", fmt::format("{}", fmt::join(topics_, " "))), kv("partitions", config_.partitions),
           kv("brokers", config_.kafka.brokers));
  loop_.run();
  log_info("stopped", kv("undelivered", producer_->outstanding()));
  return exit_code_;
}

void Service::kick() {
  const std::uint64_t one = 1;
  if (write(kick_fd_, &one, sizeof one) < 0) return;  // full: readable anyway
}

// One round of everything that waits, bounded; what is left over makes the next round.
void Service::turn() {
  read_roles();
  bool more = read_link(kTurnFrames);
  more = read_answers() || more;
  const BootTime now = BootClock::now();
  more = send_copies(now) || more;
  log_notes();
  if (now - control_at_ >= kControlPause) send_control(now);
  // A send may have consumed the edge of a message that came meanwhile.
  more = read_link(1) || more;
  if (gate_.take_urgent() && now - status_at_ >= kUrgentPause) publish(now);
  if (more) kick();
}

bool Service::read_link(std::size_t frames) {
  std::size_t bytes = 0;
  Frame frame;
  while (frames > 0 && bytes < kTurnBytes) {
    if (!link_ || !link_->try_recv(frame)) return false;
    bytes += frame.bytes().size();
    --frames;
    read_frame(std::move(frame), BootClock::now());
    frame = Frame();
  }
  return true;
}

void Service::read_frame(Frame frame, BootTime now) {
  if (is_data_frame(frame.bytes())) {
    const Result<Envelope> e = decode_envelope(frame.bytes());
    if (!e) {
      if (malformed_++ == 0) log_error("record not understood", kv("why", e.error()));
      return;
    }
    gate_.record(e.value(), make_body(std::move(frame)), now);
    return;
  }
  const Result<LinkMessage> m = decode_link_message(frame.bytes());
  const auto* alive = m ? std::get_if<Alive>(&m.value()) : nullptr;
  if (alive == nullptr) {
    if (malformed_++ == 0) log_error("link message not understood", kv("why", m ? "not for a gate" : m.error()));
    return;
  }
  gate_.alive(*alive, now);
}

void Service::read_roles() {
  Frame frame;
  while (roles_.try_recv(frame)) {
    const Result<Roles> roles = decode_roles(frame.bytes());
    if (!roles) {
      if (malformed_++ == 0) log_error("roles table not understood", kv("why", roles.error()));
      continue;
    }
    if (roles.value().node != config_.node) {
      if (!node_warned_)
        log_error("roles table of another node ignored", kv("theirs", roles.value().node), kv("ours", config_.node),
                  kv("hint", "ha-arbiter and kafka-gate of a node need the same node-name"));
      node_warned_ = true;
      continue;
    }
    node_warned_ = false;
    gate_.roles(roles.value(), BootClock::now());
  }
}

bool Service::read_answers() {
  if (!producer_) return false;
  const BootTime now = BootClock::now();
  return producer_->poll(kTurnAnswers, [this, now](const KafkaProducer::Answer& a) {
    health_.answered(now, producer_->outstanding());
    if (!a.delivered) refusal_ = Refusal{a.why, a.ticket.bytes};
    gate_.answered(a.ticket, a.delivered);
    if (!a.delivered) log_notes();
  }) >= kTurnAnswers;
}

// True: more could be sent at once.
bool Service::send_copies(BootTime now) {
  if (!may_produce()) return false;
  const bool not_full = gate_.pump(now, kTurnCopies, [this, now](const Copy& copy) {
    switch (producer_->send(copy)) {
      case KafkaProducer::Sent::kYes:
        health_.sent(now, producer_->outstanding());
        return Gate::Handed::kYes;
      case KafkaProducer::Sent::kTooLarge:
        if (!refusal_) refusal_ = Refusal{"larger than message.max.bytes", copy.body.value.size()};
        return Gate::Handed::kRefused;
      case KafkaProducer::Sent::kNoTopic:
        refusal_ = Refusal{"raw BMP, and raw-topic is not set", copy.body.value.size()};
        return Gate::Handed::kRefused;
      case KafkaProducer::Sent::kFull:
        break;
    }
    return Gate::Handed::kFull;
  });
  return not_full && gate_.has_ready();
}

void Service::send_control(BootTime now) {
  if (!link_) return;
  Control control;
  control.gate_inc = gate_inc_;
  control.entries = gate_.take_control();
  if (control.entries.empty()) return;
  control_at_ = now;
  // An entry that is not sent is made up for by the next HELLO: the link is down then.
  (void)link_->try_send(as_bytes(encode_control(control)));
}

// Always over a new connection, so that both sides count credit from zero.
void Service::say_hello() {
  if (!gate_.wants_hello(BootClock::now())) return;
  if (link_) loop_.unwatch(link_->fd());
  link_ = std::make_unique<ZmqSocket>(context_, SocketKind::kDealer, link_settings());
  if (Status s = link_->connect(config_.recv_socket); !s) {
    log_error("cannot connect", kv("why", s.message()));
    link_.reset();
    return;
  }
  loop_.watch(link_->fd(), EPOLLIN, [this](std::uint32_t) { turn(); });
  (void)link_->try_send(as_bytes(encode_hello({gate_inc_})));
  kick();
}

void Service::tick() {
  const BootTime now = BootClock::now();
  if (stopping_) {
    read_answers();
    if (producer_->outstanding() == 0 || now - stop_at_ >= kFlushWait) {
      log_folded(now + kFoldPause);
      publish(now);
      loop_.stop();
    }
    return;
  }
  gate_.tick(now);
  say_hello();
  look_after_producer(now);
  const bool alive = gate_.recv_alive(now);
  if (alive != recv_was_alive_) log_info(alive ? "bmp-recv connected" : "bmp-recv silent");
  recv_was_alive_ = alive;
  const bool ok = health_.tick(now);
  if (ok != kafka_ok_) {
    kafka_ok_ = ok;
    if (ok)
      log_info("kafka is good again");
    else
      log_warn("kafka is failing, giving way", kv("outstanding", producer_->outstanding()));
    publish(now);
  }
  turn();
  log_folded(now);
  send_control(now);
}

void Service::look_after_producer(BootTime now) {
  if (const std::string complaint = producer_->take_complaint(); !complaint.empty())
    log_debug("kafka client", kv("text", complaint));
  if (producer_->is_lost() && !replace_at_) {
    log_error("kafka producer lost", kv("why", producer_->lost_why()), kv("outstanding", producer_->outstanding()));
    replace_at_ = now + kReplacePause;  // a broker that refuses each one is not asked in a loop
    health_.lost(now);
    health_.blocked(true, now);
    gate_.producer_lost();  // now, so that new claims are there when the next one begins
  }
  // Kafka fails and every router is owned elsewhere: what is under way is of no use any more.
  const bool stale = !health_.ok() && gate_.is_idle() && producer_->outstanding() > 0 && !replace_at_;
  if (!stale && (!replace_at_ || now < *replace_at_)) return;
  if (Status s = producer_->replace(); !s) {
    log_error("cannot replace the kafka producer", kv("why", s.message()));
    replace_at_ = now + kReplacePause;
    return;
  }
  ++producers_;
  log_info("kafka producer replaced");
  replace_at_.reset();
  health_.cleared();
  health_.blocked(topic_seen_ && !topic_ok_, now);
  gate_.producer_lost();
}

void Service::read_topic() {
  if (std::optional<TopicWatch::Answer> answer = watch_->take()) on_topic(*answer, BootClock::now());
}

void Service::on_topic(const TopicWatch::Answer& a, BootTime now) {
  health_.asked(now, a.reached);
  std::string trouble;
  if (!a.reached)
    trouble = "kafka unreachable: " + a.why;
  else if (!a.verdict.refuse.empty())
    trouble = a.verdict.refuse.front();
  // Once an outage, not once for every reason that it shows on its way.
  const bool news = trouble.empty() != topic_trouble_.empty() || (a.reached && trouble != topic_trouble_);
  if (news && !trouble.empty()) {
    kafka_outage_.failed(now, now);
    log_event(a.reached ? LogLevel::kError : LogLevel::kWarn, "kafka trouble", kv("why", trouble));
  }
  if (news && trouble.empty())
    log_info("kafka works again", kv("topics", topics_.size()), kv("partitions", config_.partitions),
             kv("seconds", seconds_of(kafka_outage_.works(now).value_or(Nanos{0}))));
  topic_trouble_ = trouble;
  if (!a.reached) return;
  if (!a.verdict.refuse.empty() && !topic_seen_) return stop(kExitUsage);
  if (!topic_seen_)
    for (const std::string& w : a.verdict.warn) log_warn("kafka topic", kv("warning", w));
  topic_ok_ = a.verdict.refuse.empty();
  topic_seen_ = topic_seen_ || topic_ok_;
  health_.blocked(!topic_ok_ || replace_at_.has_value(), now);
  if (topic_ok_ && news) kick();
}

void Service::publish(BootTime now) {
  status_at_ = now;
  (void)status_.try_send(as_bytes(encode_gate_status(gate_.status(now, kafka_ok_))));
}

void Service::log_notes() {
  for (const Note& n : gate_.take_notes()) log_note(n);
  refusal_.reset();
}

void Service::log_note(const Note& n) {
  const auto at = gate_.routers().find(n.router);
  const std::string router =
      at != gate_.routers().end() && !at->second.name().empty() ? at->second.name() : to_hex(n.router);
  const std::string event = note_text(n.kind);
  const bool skipped = n.kind == Note::Kind::kSkipped;
  if (skipped || n.kind == Note::Kind::kLate) {  // one a record
    const Refusal refusal = skipped && refusal_ ? *refusal_ : Refusal{};
    if (!failures_.is_news(event, refusal.why, BootClock::now())) return;
    if (skipped)
      log_warn(event, kv("router", router), kv("session", n.session.number), kv("seq", n.value),
               kv("bytes", refusal.bytes), kv("why", refusal.why));
    else
      log_warn(event, kv("router", router), kv("session", n.session.number), kv("seq", n.value));
    return;
  }
  const bool freed = n.kind == Note::Kind::kFreed;  // many a second while the limit is reached
  if (freed && !failures_.is_news(event, {}, BootClock::now())) return;
  const bool bad = n.kind == Note::Kind::kGap || n.kind == Note::Kind::kTorn || freed;
  log_event(bad ? LogLevel::kWarn : LogLevel::kInfo, event, kv("router", router), kv("session", n.session.number),
            kv("value", n.value));
}

void Service::log_folded(BootTime now) {
  for (const Burst::Count& c : failures_.due(now)) {
    if (c.why.empty())
      log_warn(c.event, kv("more", c.more));
    else
      log_warn(c.event, kv("more", c.more), kv("why", c.why));
  }
}

void Service::on_signal(int signo) {
  switch (signo) {
    case SIGUSR1:
      return dump();
    case SIGHUP:
      log_info("nothing to reload", kv("hint", "a changed configuration needs a restart"));
      return;
    default:
      if (stopping_) return;
      log_info("stopping", kv("outstanding", producer_->outstanding()));
      stopping_ = true;
      stop_at_ = BootClock::now();
      return;
  }
}

DumpFacts Service::facts() const {
  DumpFacts f;
  f.node = config_.node;
  f.kafka_ok = kafka_ok_;
  f.producing = may_produce();
  f.outstanding = producer_->outstanding();
  f.outstanding_bytes = producer_->outstanding_bytes();
  f.producers = producers_;
  f.malformed = malformed_;
  return f;
}

void Service::publish_metrics() {
  if (!metrics_.is_on()) return;
  const BootTime now = BootClock::now();
  totals_.update(gate_.routers());
  metrics_.publish(metrics_page(gate_, gate_.status(now, kafka_ok_), facts(), totals_.sum(), now));
}

void Service::dump() {
  const BootTime now = BootClock::now();
  const std::string json = state_json(gate_, gate_.status(now, kafka_ok_), facts(), now);
  if (Status s = write_dump(config_.dump_file, json); !s) log_error("state not written", kv("reason", s.message()));
}

void Service::stop(int code) {
  exit_code_ = code;
  loop_.stop();
}

}  // namespace

const std::vector<int>& gate_signals() {
  static const std::vector<int> kSignals = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
  return kSignals;
}

int run_gate(const Config& config) { return Service(config).run(); }

namespace {

constexpr Millis kTimeout{10000};

// Brokers tell each other of a new topic after the answer: whoever starts right behind it must find it.
void wait_until_known(KafkaTopics& topics, const std::string& topic) {
  const BootTime until = BootClock::now() + kTimeout;
  while (BootClock::now() < until) {
    const Result<TopicInfo> info = topics.describe(topic, false, kTimeout);
    if (info && info.value().exists) return;
    std::this_thread::sleep_for(Millis(20));
  }
}

int create_topic(KafkaTopics& topics, const TopicSpec& spec) {
  Result<TopicInfo> info = topics.describe(spec.topic, true, kTimeout);
  if (info && !info.value().exists) {
    const Result<bool> made = topics.create(spec, kTimeout);
    if (!made) {
      log_error("cannot create topic", kv("topic", spec.topic), kv("why", made.error()));
      return kExitEnvironment;
    }
    wait_until_known(topics, spec.topic);
    log_info("topic created", kv("topic", spec.topic), kv("partitions", spec.partitions));
    return kExitDone;
  }
  if (!info) {
    log_error("cannot ask for topic", kv("topic", spec.topic), kv("why", info.error()));
    return kExitEnvironment;
  }
  const TopicVerdict verdict = judge_topic(info.value(), spec.topic, spec.partitions);
  for (const std::string& w : verdict.warn) log_warn("kafka topic", kv("warning", w));
  for (const std::string& r : verdict.refuse) log_error("kafka topic", kv("why", r));
  if (verdict.refuse.empty()) log_info("topic is there", kv("topic", spec.topic));
  return verdict.refuse.empty() ? kExitDone : kExitUsage;
}

}  // namespace

int create_topics(const Config& config) {
  auto topics = KafkaTopics::open(config.kafka);
  if (!topics) {
    log_error("cannot start", kv("why", topics.error()));
    return kExitUsage;
  }
  TopicSpec spec;
  spec.partitions = static_cast<std::uint32_t>(config.partitions);
  spec.replication = static_cast<std::uint32_t>(config.replication);
  spec.min_insync = static_cast<std::uint32_t>(config.min_insync);
  spec.retention = config.retention;
  for (const std::string& topic : plan_topics(config.topics).names) {
    spec.topic = topic;
    if (const int code = create_topic(*topics.value(), spec); code != kExitDone) return code;
  }
  return kExitDone;
}

}  // namespace bmpha::gate
