#include "bmp-recv/loop.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <asio.hpp>
#include <csignal>

namespace bmpha::recv {
namespace {

// Shared with the pending handler, which may run after the Watch has gone.
struct WatchState {
  WatchState(asio::io_context& io, int fd, std::function<void()> callback)
      : descriptor(io, fd), on_readable(std::move(callback)) {}
  asio::posix::stream_descriptor descriptor;
  std::function<void()> on_readable;
  bool armed = false;
  bool gone = false;
};

class AsioWatch : public Loop::Watch {
 public:
  explicit AsioWatch(std::shared_ptr<WatchState> state) : state_(std::move(state)) {}
  ~AsioWatch() override {
    state_->gone = true;
    state_->descriptor.release();  // cancels; the descriptor itself is not closed
  }
  void arm() override {
    if (state_->armed) return;
    state_->armed = true;
    state_->descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                  [state = state_](const asio::error_code& error) {
                                    state->armed = false;
                                    if (!state->gone && error != asio::error::operation_aborted) state->on_readable();
                                  });
  }

 private:
  std::shared_ptr<WatchState> state_;
};

}  // namespace

struct Loop::Impl {
  asio::io_context io{1};  // run by one thread; others may post, for which Asio keeps its locks
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);
  struct Periodic {
    Periodic(asio::io_context& io, Millis p, std::function<void()> c) : timer(io), period(p), callback(std::move(c)) {}
    asio::steady_timer timer;
    Millis period;
    std::function<void()> callback;
    void start() {
      timer.expires_after(period);
      timer.async_wait([this](const asio::error_code& error) {
        if (error) return;
        start();
        callback();
      });
    }
  };
  std::vector<std::unique_ptr<Periodic>> periodic;
  std::vector<std::unique_ptr<Watch>> own;
  int signal_fd = -1;
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() {
  impl_->own.clear();
  if (impl_->signal_fd >= 0) close(impl_->signal_fd);
}

std::unique_ptr<Loop::Watch> Loop::watch(int fd, std::function<void()> on_readable) {
  return std::make_unique<AsioWatch>(std::make_shared<WatchState>(impl_->io, fd, std::move(on_readable)));
}

void Loop::every(Millis period, std::function<void()> callback) {
  impl_->periodic.push_back(std::make_unique<Impl::Periodic>(impl_->io, period, std::move(callback)));
  impl_->periodic.back()->start();
}

void Loop::post(std::function<void()> callback) { asio::post(impl_->io, std::move(callback)); }

void Loop::on_signals(const std::vector<int>& signals, std::function<void(int)> callback) {
  sigset_t set;
  sigemptyset(&set);
  for (const int s : signals) sigaddset(&set, s);
  impl_->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  const int fd = impl_->signal_fd;
  auto* slot = &impl_->own.emplace_back();
  const std::size_t index = impl_->own.size() - 1;
  *slot = watch(fd, [this, fd, index, callback = std::move(callback)] {
    signalfd_siginfo info{};
    while (read(fd, &info, sizeof info) == static_cast<ssize_t>(sizeof info))
      callback(static_cast<int>(info.ssi_signo));
    impl_->own[index]->arm();
  });
  (*slot)->arm();
}

void Loop::run() { impl_->io.run(); }
void Loop::stop() { impl_->io.stop(); }

}  // namespace bmpha::recv
