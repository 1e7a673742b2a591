// The event loop: Asio's epoll reactor behind a small face, so that one file pair includes Asio. Single-threaded;
// callbacks run inside run().
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "common/clock.h"

namespace bmpha::recv {

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Waits for one descriptor to become readable. The descriptor stays the caller's: destroying the Watch only stops
  // watching, and must come before the descriptor is closed.
  class Watch {
   public:
    virtual ~Watch() = default;
    // One call of the callback when the descriptor is readable (or has failed), now or later. Arming again while armed
    // does nothing.
    virtual void arm() = 0;
  };
  std::unique_ptr<Watch> watch(int fd, std::function<void()> on_readable);

  // Repeats until the loop goes.
  void every(Millis period, std::function<void()> callback);
  // Runs the callback from the loop, soon.
  void post(std::function<void()> callback);
  // The signals must be blocked already.
  void on_signals(const std::vector<int>& signals, std::function<void(int)> callback);

  void run();  // until stop()
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bmpha::recv
