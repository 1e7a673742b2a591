#include "bmp-recv/publisher.h"

namespace bmpha::recv {
namespace {

ZmqSocket::Settings xpub_settings() {
  ZmqSocket::Settings s;
  s.send_hwm = 200;  // records, each at most a few hundred KiB
  return s;
}
constexpr std::size_t kMaxSubscriptions = 10000;

}  // namespace

Publisher::Publisher(Loop& loop, ZmqContext& context)
    : socket_(context, SocketKind::kXpub, xpub_settings()), watch_(loop.watch(socket_.fd(), [this] {
        drain();
        watch_->arm();
      })) {}

Status Publisher::bind(const std::string& endpoint) {
  if (Status s = socket_.bind(endpoint); !s) return s;
  watch_->arm();
  return Status::ok();
}

void Publisher::drain() {
  Frame frame;
  while (socket_.try_recv(frame)) {  // XPUB passes on the first subscription to a prefix and the last end of one
    ByteReader r(frame.bytes());
    std::uint8_t subscribe = 0;
    if (!r.u8(subscribe)) continue;
    const std::string prefix(reinterpret_cast<const char*>(r.rest().data()), r.remaining());
    if (subscribe == 1 && subscriptions_.size() < kMaxSubscriptions) subscriptions_.insert(prefix);
    if (subscribe == 0) subscriptions_.erase(prefix);
  }
}

void Publisher::publish(const std::string& router_hex, const Record& record) {
  if (subscriptions_.empty()) return;
  const std::string topic = router_hex + ' ' + kind_name(record.kind);
  if (socket_.try_send(as_bytes(topic), true) == ZmqSocket::Sent::kYes)
    (void)socket_.try_send(record.bytes(), record.data);
  drain();  // a send may have consumed the edge of a subscription
}

}  // namespace bmpha::recv
