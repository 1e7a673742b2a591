#include "bmp-recv/replay.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "common/log.h"

namespace bmpha::recv {
namespace {

constexpr std::size_t kPiece = std::size_t{256} * 1024;

}  // namespace

Replay::~Replay() {
  if (relay_ != nullptr) shutdown(relay_->fd(), SHUT_RDWR);  // a send that waits returns
  if (thread_.joinable()) thread_.join();
}

Status Replay::start(const std::string& file, const std::string& address) {
  file_ = Fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file_) return Status::error(fmt::format("cannot read {}: {}", file, std::strerror(errno)));
  Result<Relay> relay = Relay::connect(address);
  if (!relay) return Status::error(relay.error());
  relay_ = std::make_unique<Relay>(std::move(relay.value()));
  thread_ = std::thread([this, file] { run(file); });
  return Status::ok();
}

void Replay::run(const std::string& name) {
  std::vector<std::uint8_t> piece(kPiece);
  std::uint64_t bytes = 0;
  for (;;) {
    const ssize_t n = read(file_.get(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return log_error("replay failed", kv("file", name), kv("reason", std::strerror(errno)));
    if (n == 0) return log_info("replay sent", kv("file", name), kv("bytes", bytes));
    if (Status s = relay_->send(Bytes(piece).first(static_cast<std::size_t>(n))); !s)
      return log_error("replay ended", kv("file", name), kv("offset", bytes), kv("reason", s.message()));
    bytes += static_cast<std::uint64_t>(n);
  }
}

}  // namespace bmpha::recv
