#include "common/event_loop.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <system_error>

namespace bmpha {
namespace {
sigset_t set_of(const std::vector<int>& signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int s : signals) sigaddset(&set, s);
  return set;
}
}  // namespace

void block_signals(const std::vector<int>& signals) {
  const sigset_t set = set_of(signals);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

EventLoop::EventLoop() : epoll_fd_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_fd_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

EventLoop::~EventLoop() {
  if (signal_fd_ >= 0) close(signal_fd_);
  close(epoll_fd_);
}

void EventLoop::watch(int fd, std::uint32_t events, FdCallback callback) {
  epoll_event e{};
  e.events = events;
  e.data.fd = fd;
  const int op = fds_.contains(fd) ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (epoll_ctl(epoll_fd_, op, fd, &e) != 0) throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  fds_[fd] = std::make_shared<FdCallback>(std::move(callback));
}

void EventLoop::unwatch(int fd) {
  if (fds_.erase(fd) == 0) return;
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);  // fails when the fd is closed already: then it is gone anyway
}

EventLoop::TimerId EventLoop::after(Nanos delay, Callback callback) {
  const TimerId id = next_id_++;
  timers_.emplace(BootClock::now() + delay, Timer{id, Nanos{0}, std::move(callback)});
  return id;
}

EventLoop::TimerId EventLoop::every(Nanos period, Callback callback) {
  const TimerId id = next_id_++;
  timers_.emplace(BootClock::now() + period, Timer{id, period, std::move(callback)});
  return id;
}

void EventLoop::cancel(TimerId id) {
  const auto at = std::find_if(timers_.begin(), timers_.end(), [id](const auto& t) { return t.second.id == id; });
  if (at != timers_.end()) timers_.erase(at);
}

void EventLoop::on_signals(const std::vector<int>& signals, std::function<void(int)> callback) {
  const sigset_t set = set_of(signals);
  signal_fd_ = signalfd(signal_fd_, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (signal_fd_ < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
  watch(signal_fd_, EPOLLIN, [this, callback = std::move(callback)](std::uint32_t) {
    signalfd_siginfo info{};
    while (read(signal_fd_, &info, sizeof info) == static_cast<ssize_t>(sizeof info))
      callback(static_cast<int>(info.ssi_signo));
  });
}

void EventLoop::fire_timers() {
  const BootTime now = BootClock::now();
  while (!stopped_ && !timers_.empty() && timers_.begin()->first <= now) {
    auto node = timers_.extract(timers_.begin());
    Timer& t = node.mapped();
    if (t.period > Nanos{0}) {
      BootTime next = node.key() + t.period;
      if (next <= now) next = now + t.period;
      timers_.emplace(next, Timer{t.id, t.period, t.callback});  // before the call, so that it can cancel itself
    }
    t.callback();
  }
}

void EventLoop::run() {
  stopped_ = false;
  std::vector<epoll_event> events(64);
  while (!stopped_) {
    int timeout_ms = -1;
    if (!timers_.empty()) {
      const Nanos left = timers_.begin()->first - BootClock::now();
      timeout_ms = left <= Nanos{0} ? 0 : static_cast<int>(std::min<std::int64_t>(left.count() / 1000000 + 1, 60000));
    }
    const int n = epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), timeout_ms);
    for (int i = 0; i < n && !stopped_; ++i) {
      const auto at = fds_.find(events[static_cast<std::size_t>(i)].data.fd);
      if (at == fds_.end()) continue;
      const std::shared_ptr<FdCallback> callback = at->second;  // may unwatch itself while running
      (*callback)(events[static_cast<std::size_t>(i)].events);
    }
    if (!stopped_) fire_timers();
  }
}

void EventLoop::stop() { stopped_ = true; }

}  // namespace bmpha
