#include "psql-sink/sink.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <system_error>

#include "common/dump_file.h"
#include "common/log.h"
#include "common/options.h"
#include "psql-sink/metrics.h"

namespace bmpha::sink {
namespace {

constexpr std::size_t kPollRecords = 2000;
constexpr std::size_t kMinShare = 1 << 20;  // bytes that every partition may queue
constexpr Millis kHousekeeping{100};
constexpr Millis kRevokePatience{2000};
constexpr Millis kStopPatience{5000};
constexpr Millis kAskAgain{300};
constexpr Millis kSeekAgain{300};
constexpr Millis kStalled{2000};
constexpr Millis kProbeTimeout{2000};
constexpr std::uint32_t kJumpsForHole = 3;

}  // namespace

Sink::Sink(SinkConfig config, MetricsServer& metrics)
    : config_(std::move(config)), metrics_(metrics), wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (wake_fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  const auto watermarks = [this](const Partition& p) { return consumer_.watermarks(p, Millis{3000}); };
  const auto notify = [this] {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto n = write(wake_fd_, &one, sizeof one);  // a full counter wakes as well
  };
  for (std::size_t n = 0; n < config_.writers; ++n)
    writers_.push_back(std::make_unique<Writer>(config_.writer, watermarks, notify, once_, database_outage_));
  maintenance_ = std::make_unique<Maintenance>(config_.maintenance, database_outage_);
}

Sink::~Sink() {
  maintenance_.reset();
  writers_.clear();  // before the client: they hold records
  consumer_.close();
  close(wake_fd_);
}

int Sink::run(const std::function<void(Sink&)>& on_hangup) {
  KafkaConsumer::Callbacks callbacks;
  callbacks.assigned = [this](const auto& p) { on_assigned(p); };
  callbacks.revoked = [this](const auto& p) { on_revoked(p); };
  callbacks.message = [this](const Partition& p, KafkaMessage m) { on_message(p, std::move(m)); };
  callbacks.trouble = [this](const std::string& what) { on_trouble(what); };
  callbacks.working = [this] { on_working(); };
  if (const Status s = consumer_.open(config_.kafka, config_.writer.group, config_.topics, std::move(callbacks)); !s) {
    log_error("cannot consume", kv("error", s.message()));
    return kExitUsage;
  }
  loop_.watch(consumer_.event_fd(), EPOLLIN, [this](std::uint32_t) { poll(); });
  loop_.watch(wake_fd_, EPOLLIN, [this](std::uint32_t) { serve_writers(); });
  loop_.every(kHousekeeping, [this] {
    poll();  // the group's clock must never stand still
    probe_kafka();
    for (auto& [partition, slot] : slots_) {
      balance(partition, slot);
      nudge(partition, slot);
    }
  });
  publish_metrics();
  if (metrics_.is_on()) loop_.every(kMetricsInterval, [this] { publish_metrics(); });
  loop_.on_signals({SIGTERM, SIGINT, SIGHUP, SIGUSR1}, [this, &on_hangup](int signo) {
    if (signo == SIGUSR1) return dump();
    if (signo == SIGHUP) return on_hangup(*this);
    loop_.stop();
  });
  log_info("started", kv("group", config_.writer.group), kv("brokers", config_.kafka.brokers),
           kv("writers", config_.writers));
  loop_.run();
  return shut_down();
}

void Sink::poll() {
  if (stopping_) return;
  if (!consumer_.poll(kPollRecords) || poll_again_) return;
  poll_again_ = true;  // the descriptor speaks only when the queue fills from empty
  loop_.after(Nanos{0}, [this] {
    poll_again_ = false;
    poll();
  });
}

void Sink::on_assigned(const std::vector<Partition>& partitions) {
  ++rebalances_;
  on_working();
  for (const Partition& p : partitions) {
    if (p.number >= static_cast<std::int32_t>(config_.partitions)) {
      log_error("the topic has got more partitions", kv("topic", p.topic), kv("partition", p.number),
                kv("partitions", config_.partitions), kv("hint", kPartitionsRemedy));
      exit_code_ = kExitUsage;
      loop_.stop();
      return;
    }
    std::vector<std::size_t> load(writers_.size());
    for (const auto& [other, slot] : slots_) ++load[slot.writer];
    Slot slot;
    slot.writer = static_cast<std::size_t>(std::min_element(load.begin(), load.end()) - load.begin());
    slot.assignment = ++assignments_;
    slots_[p] = slot;
    writers_[slot.writer]->assign(p, slot.assignment);
  }
  log_info("partitions assigned", kv("new", partitions.size()), kv("held", slots_.size()));
}

void Sink::on_revoked(const std::vector<Partition>& partitions) {
  ++rebalances_;
  if (stopping_) return;
  for (const Partition& p : partitions) {
    const auto at = slots_.find(p);
    if (at == slots_.end()) continue;
    writers_[at->second.writer]->revoke(p, kRevokePatience);
    serve_writers();
    slots_.erase(p);
  }
  log_info("partitions revoked", kv("gone", partitions.size()), kv("held", slots_.size()));
}

void Sink::on_message(const Partition& partition, KafkaMessage message) {
  const auto at = slots_.find(partition);
  if (at == slots_.end()) return;
  Slot& slot = at->second;
  if (slot.expected < 0 || message.offset < slot.expected) {
    ++stale_messages_;  // fetched before the last seek
    ++slot.behind;
    return;
  }
  if (message.offset > slot.expected) {
    if (!is_hole(partition, slot, message.offset)) {
      ++stale_messages_;
      return;
    }
    log_error("records are missing from the log: peers of this partition stay incomplete until their next full dump",
              kv("topic", partition.topic), kv("partition", partition.number), kv("from", slot.expected),
              kv("to", message.offset));
    message.hole_from = slot.expected;
  }
  slot.jumps = 0;
  slot.jumped_to = -1;
  slot.behind = 0;
  slot.progress = BootClock::now();
  slot.expected = message.offset + 1;
  writers_[slot.writer]->push(partition, std::move(message));
  balance(partition, slot);
}

// Offsets of our topics are consecutive. A jump is a client's slip, mended by seeking back, unless the broker itself
// has nothing in between.
bool Sink::is_hole(const Partition& partition, Slot& slot, std::int64_t offset) {
  const BootTime now = BootClock::now();
  if (now < slot.ask_again) return false;
  if (offset != slot.jumped_to) slot.jumps = 0;
  slot.jumped_to = offset;
  if (++slot.jumps > kJumpsForHole) return true;
  slot.ask_again = now + kAskAgain;
  slot.progress = now;
  consumer_.seek(partition, slot.expected);
  return false;
}

void Sink::on_trouble(const std::string& what) {
  const BootTime now = BootClock::now();
  if (!kafka_outage_.failed(now, now)) return log_debug("Kafka trouble", kv("error", what));  // said once an outage
  log_warn("Kafka trouble, the client retries", kv("error", what));
  probe_pause_.reset();
  probe_at_ = now + probe_pause_.next();
}

void Sink::on_working() {
  if (const auto away = kafka_outage_.works(BootClock::now()))
    log_info("Kafka works again", kv("seconds", seconds_of(*away)));
}

// Records show that Kafka is back, but there may be none: so ask for something, aside, as it blocks.
void Sink::probe_kafka() {
  if (probe_.valid()) {
    if (probe_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return;
    if (probe_.get()) on_working();
    probe_at_ = BootClock::now() + probe_pause_.next();
  }
  if (!kafka_outage_.lasts() || slots_.empty() || BootClock::now() < probe_at_) return;
  const Partition asked = slots_.begin()->first;
  probe_ =
      std::async(std::launch::async, [this, asked] { return consumer_.watermarks(asked, kProbeTimeout).has_value(); });
}

void Sink::serve_writers() {
  std::uint64_t count = 0;
  while (read(wake_fd_, &count, sizeof count) > 0) continue;
  for (const auto& writer : writers_) {
    for (const WriterEvent& e : writer->take_events()) {
      const auto at = slots_.find(e.partition);
      if (at == slots_.end() || at->second.assignment != e.assignment) continue;
      Slot& slot = at->second;
      slot.committed = e.offset;
      if (e.kind == WriterEvent::Kind::kCommitted) {
        if (!stopping_) consumer_.store_offset(e.partition, e.offset);
        if (slot.paused) balance(e.partition, slot);
        continue;
      }
      slot.expected = e.offset;
      slot.jumps = 0;
      if (!stopping_) seek(e.partition, slot);
    }
  }
}

void Sink::seek(const Partition& partition, Slot& slot) {
  consumer_.seek(partition, slot.expected);
  consumer_.resume(partition);
  slot.paused = false;
  slot.behind = 0;
  slot.progress = BootClock::now();
}

// A seek is an order without an answer: one that came while the client was still starting the partition is lost.
void Sink::nudge(const Partition& partition, Slot& slot) {
  if (slot.expected < 0 || slot.paused) return;
  const Nanos idle = BootClock::now() - slot.progress;
  if (idle < kSeekAgain) return;
  const std::int64_t end = consumer_.known_end(partition);
  if (slot.behind > 0 || (end >= 0 && end < slot.expected)) {
    if (idle < kStalled) return;
    // The log ends before our position: recreated, or cut. The writer looks at its range and decides.
    writers_[slot.writer]->reload(partition);
    slot.progress = BootClock::now();
    slot.behind = 0;
  } else if (end != slot.expected) {
    seek(partition, slot);
  }
}

// Each partition has its share of the bounds, so a slow one takes nothing from the others.
void Sink::balance(const Partition& partition, Slot& slot) {
  if (slot.expected < 0) return;
  const Writer::Queued q = writers_[slot.writer]->queued(partition);
  const std::size_t share = std::max<std::size_t>(slots_.size(), 1);
  const std::size_t bytes = std::max<std::size_t>(config_.queue_bytes / share, kMinShare);
  const std::size_t records = std::max<std::size_t>(config_.queue_records / share, 1000);
  if (!slot.paused && (q.bytes > bytes || q.records > records)) {
    consumer_.pause(partition);
    slot.paused = true;
    ++pauses_;
  } else if (slot.paused && q.bytes < bytes / 2 && q.records < records / 2) {
    consumer_.resume(partition);
    slot.paused = false;
  }
}

SinkStatus Sink::status() const {
  SinkStatus s;
  s.group = config_.writer.group;
  s.kafka_ok = !kafka_outage_.lasts();
  s.pauses = pauses_;
  s.rebalances = rebalances_;
  s.stale_messages = stale_messages_;
  for (const auto& [partition, slot] : slots_) {
    const Writer::Queued q = writers_[slot.writer]->queued(partition);
    s.partitions.push_back(
        {partition, slot.writer, slot.committed, consumer_.known_end(partition), q.records, q.bytes, slot.paused});
  }
  for (const auto& writer : writers_) s.writers.push_back(writer->stats());
  return s;
}

void Sink::publish_metrics() {
  if (metrics_.is_on()) metrics_.publish(metrics_page(status()));
}

void Sink::dump() {
  if (const Status w = write_dump(config_.dump_file, to_json(status())); !w)
    log_error("state not written", kv("reason", w.message()));
}

int Sink::shut_down() {
  log_info("stopping");
  maintenance_->stop();
  std::vector<std::thread> stops;  // all at once: one hanging connection must not cost each writer its patience
  stops.reserve(writers_.size());
  for (const auto& writer : writers_) stops.emplace_back([&writer] { writer->stop(kStopPatience); });
  for (std::thread& t : stops) t.join();
  serve_writers();
  stopping_ = true;
  if (probe_.valid()) probe_.wait();
  consumer_.close();
  log_info("stopped");
  return exit_code_;
}

}  // namespace bmpha::sink
