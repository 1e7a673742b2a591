#include "bmp-recv/tap/subscription.h"

#include <fmt/format.h>
#include <poll.h>

namespace bmpha::recv {
namespace {

constexpr int kIdleMs = 200;

}  // namespace

Result<Subscription> Subscription::open(ZmqContext& context, const std::string& endpoint, const std::string& prefix) {
  using R = Result<Subscription>;
  ZmqSocket::Settings settings;
  settings.recv_hwm = 2000;
  ZmqSocket socket(context, SocketKind::kSub, settings);
  if (Status s = socket.subscribe(prefix); !s) return R::failure(s.message());
  if (Status s = socket.connect(endpoint); !s) return R::failure(s.message());
  return R(Subscription(std::move(socket)));
}

Status Subscription::run(const std::function<bool(const Envelope&, std::string_view)>& f,
                         const std::function<bool()>& idle) {
  for (;;) {
    Frame frame;
    while (socket_.try_recv(frame)) {
      if (frame.more()) continue;  // the topic
      const Result<Envelope> e = decode_envelope(frame.bytes());
      if (!e) return Status::error("a record that cannot be read: " + e.error());
      const Bytes payload = frame.bytes().subspan(kEnvelopeSize);
      if (!f(e.value(), {reinterpret_cast<const char*>(payload.data()), payload.size()})) return Status::ok();
    }
    if (!idle()) return Status::ok();
    pollfd p{socket_.fd(), POLLIN, 0};
    (void)poll(&p, 1, kIdleMs);
  }
}

}  // namespace bmpha::recv
