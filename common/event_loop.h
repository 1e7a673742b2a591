// One epoll loop: file descriptors, timers on CLOCK_BOOTTIME, signals through a signalfd. Single-threaded.
// Used by ha-arbiter, kafka-gate and psql-sink; bmp-recv runs Asio's loop instead.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "common/clock.h"

namespace bmpha {

// Blocks the given signals in this thread and all it starts; call first thing in main, before any library runs.
void block_signals(const std::vector<int>& signals);

class EventLoop {
 public:
  using Callback = std::function<void()>;
  using FdCallback = std::function<void(std::uint32_t epoll_events)>;

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Level-triggered. Registering a known fd changes its events and callback.
  void watch(int fd, std::uint32_t events, FdCallback callback);
  void unwatch(int fd);
  using TimerId = std::uint64_t;
  TimerId after(Nanos delay, Callback callback);
  // Repeats without drift; missed periods are skipped, not made up.
  TimerId every(Nanos period, Callback callback);
  void cancel(TimerId id);
  // The signals must have been blocked before (block_signals).
  void on_signals(const std::vector<int>& signals, std::function<void(int signo)> callback);

  void run();   // until stop()
  void stop();  // callable from callbacks

 private:
  struct Timer {
    TimerId id;
    Nanos period;  // zero: once
    Callback callback;
  };
  void fire_timers();

  int epoll_fd_ = -1;
  int signal_fd_ = -1;
  bool stopped_ = false;
  TimerId next_id_ = 1;
  std::multimap<BootTime, Timer> timers_;
  std::unordered_map<int, std::shared_ptr<FdCallback>> fds_;
};

}  // namespace bmpha
