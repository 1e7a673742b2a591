#include "bmp-recv/dialer.h"

#include <cstring>

#include "common/log.h"

namespace bmpha::recv {

Dialer::Dialer(std::vector<ListenAddress> addresses) {
  for (ListenAddress& address : addresses) dials_.emplace_back().address = std::move(address);
}

void Dialer::begin(Dial& d, BootTime now) {
  int error = 0;
  d.fd = connect_to(d.address, error);
  d.begun = now;
  if (!d.fd) fail(d, now, std::strerror(error));
}

void Dialer::fail(Dial& d, BootTime now, const std::string& reason) {
  ++failures_;
  d.fd = Fd();
  const Millis wait = d.backoff.next();
  d.next = now + wait;
  if (d.backoff.is_news(reason))
    log_warn("cannot dial router", kv("address", d.address.text), kv("reason", reason), kv("next_ms", wait.count()),
             kv("hint", "further failures of this kind are not logged"));
}

void Dialer::poll(BootTime now, const Take& take) {
  for (std::size_t n = 0; n < dials_.size(); ++n) {
    Dial& d = dials_[n];
    if (d.taken) continue;
    if (!d.fd && now >= d.next) begin(d, now);
    if (!d.fd) continue;
    int error = 0;
    const ConnectState state = connect_state(d.fd.get(), error);
    if (state == ConnectState::kPending && now - d.begun < kConnectTimeout) continue;
    if (state != ConnectState::kConnected) {
      fail(d, now, state == ConnectState::kPending ? "no answer" : std::strerror(error));
      continue;
    }
    Accepted connection;
    connection.fd = std::move(d.fd);
    d.fd = Fd();
    connection.port = d.address.port;
    if (IpPrefix ip; parse_ip_prefix(d.address.host, ip)) connection.ip = ip.address;
    d.taken = true;
    log_info("dialled router", kv("address", d.address.text), kv("tag", d.address.tag));
    take(n, d.address.tag, std::move(connection));
  }
}

void Dialer::ended(std::size_t number, BootTime now, Nanos lived) {
  Dial& d = dials_[number];
  d.taken = false;
  if (lived >= kStable) d.backoff.reset();
  d.next = now + d.backoff.next();
}

}  // namespace bmpha::recv
