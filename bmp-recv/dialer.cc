#include "bmp-recv/dialer.h"

#include <cstring>

#include "common/log.h"

namespace bmpha::recv {

Dialer::Dialer(std::vector<ListenAddress> addresses, Lookup lookup) : lookup_(std::move(lookup)) {
  for (ListenAddress& address : addresses) dials_.emplace_back().address = std::move(address);
}

void Dialer::begin(std::size_t number, BootTime now) {
  Dial& d = dials_[number];
  if (!d.address.is_name) return connect(d, d.address, now);
  d.begun = now;
  d.is_looked_up = lookup_(number, d.address.host);
  if (!d.is_looked_up) fail(d, now, "too many names are looked up");
}

void Dialer::resolved(std::size_t number, std::vector<IpAddress> addresses, const std::string& error, BootTime now) {
  Dial& d = dials_[number];
  if (!d.is_looked_up) return;
  d.is_looked_up = false;
  if (addresses.empty()) return fail(d, now, "no address of that name: " + error);
  for (auto ip = addresses.rbegin(); ip != addresses.rend(); ++ip) d.others.push_back(with_host(d.address, *ip));
  const ListenAddress first = std::move(d.others.back());
  d.others.pop_back();
  connect(d, first, now);
}

void Dialer::connect(Dial& d, const ListenAddress& address, BootTime now) {
  int error = 0;
  d.fd = connect_to(address, error);
  d.begun = now;
  if (IpPrefix ip; parse_ip_prefix(address.host, ip)) d.ip = ip.address;
  if (!d.fd) fail(d, now, std::strerror(error));
}

void Dialer::fail(Dial& d, BootTime now, const std::string& reason) {
  d.fd = Fd();
  if (!d.others.empty()) {  // the name stands for more
    const ListenAddress next = std::move(d.others.back());
    d.others.pop_back();
    return connect(d, next, now);
  }
  ++failures_;
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
    if (d.is_looked_up) {
      if (now - d.begun < kLookupTimeout) continue;
      d.is_looked_up = false;
      fail(d, now, "no answer of the name service");
    }
    if (!d.fd && now >= d.next) begin(n, now);
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
    connection.ip = d.ip;
    d.others.clear();
    d.taken = true;
    log_info("dialled router", kv("address", d.address.text), kv("ip", ip_text(d.ip)), kv("tag", d.address.tag));
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
