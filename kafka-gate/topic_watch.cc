#include "kafka-gate/topic_watch.h"

#include <sys/eventfd.h>
#include <unistd.h>

namespace bmpha::gate {

TopicWatch::TopicWatch(Settings settings) : settings_(std::move(settings)) {}

TopicWatch::~TopicWatch() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (event_fd_ >= 0) close(event_fd_);
}

Status TopicWatch::start() {
  auto opened = KafkaTopics::open(settings_.connection);
  if (!opened) return Status::error(opened.error());
  topics_ = std::move(opened.value());
  event_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (event_fd_ < 0) return Status::error("cannot make an eventfd");
  thread_ = std::thread([this] { run(); });
  return Status::ok();
}

TopicWatch::Answer TopicWatch::ask(bool with_config) {
  Answer a;
  for (const std::string& topic : settings_.topics) {
    const Result<TopicInfo> info = topics_->describe(topic, with_config, settings_.timeout);
    a.reached = info.is_ok();
    if (!info) {
      a.why = info.error();
      return a;
    }
    const TopicVerdict verdict = judge_topic(info.value(), topic, settings_.partitions);
    a.verdict.refuse.insert(a.verdict.refuse.end(), verdict.refuse.begin(), verdict.refuse.end());
    a.verdict.warn.insert(a.verdict.warn.end(), verdict.warn.begin(), verdict.warn.end());
  }
  return a;
}

void TopicWatch::run() {
  std::optional<BootTime> config_at;
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    const BootTime began = BootClock::now();
    const bool with_config = !config_at || began - *config_at >= settings_.config_interval;
    Answer a = ask(with_config);
    if (a.reached && with_config) config_at = began;
    // A broker that refuses the connection answers at once; do not ask it in a spin.
    const Millis pause = a.reached ? settings_.interval : settings_.interval / 4;
    lock.lock();
    answer_ = std::move(a);
    const std::uint64_t one = 1;
    if (write(event_fd_, &one, sizeof one) < 0) continue;  // full: readable anyway
    wake_.wait_for(lock, pause, [this] { return stopping_; });
  }
}

std::optional<TopicWatch::Answer> TopicWatch::take() {
  std::uint64_t drained = 0;
  if (read(event_fd_, &drained, sizeof drained) < 0) drained = 0;
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(answer_, std::nullopt);
}

}  // namespace bmpha::gate
