#include "common/metrics.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <prometheus/client_metric.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <exception>
#include <limits>
#include <mutex>
#include <optional>
#include <string_view>

#include "common/log_counts.h"

namespace bmpha {
namespace {

// A client that asks nothing, or does not read, keeps one thread busy no longer than this.
constexpr const char* kThreads = "4";
constexpr const char* kPatienceMs = "2000";

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

template <class T>
void put(Address& a, const T& socket_address) {
  std::memcpy(&a.storage, &socket_address, sizeof socket_address);
  a.size = sizeof socket_address;
}

std::optional<Address> read_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || port == 0) return std::nullopt;
  std::string host(text.substr(0, colon));
  Address a;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    if (inet_pton(AF_INET6, host.c_str(), &in6.sin6_addr) != 1) return std::nullopt;
    put(a, in6);
    return a;
  }
  sockaddr_in in4{};
  in4.sin_family = AF_INET;
  in4.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &in4.sin_addr) != 1) return std::nullopt;
  put(a, in4);
  return a;
}

// The library does not say why it cannot listen; this does. Empty: it can.
std::string why_not(const Address& a) {
  const int fd = socket(a.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::strerror(errno);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (a.storage.ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  const auto* generic = reinterpret_cast<const sockaddr*>(&a.storage);
  const bool is_free = bind(fd, generic, a.size) == 0 && ::listen(fd, 1) == 0;
  const int error = errno;
  close(fd);
  return is_free ? std::string() : std::string(std::strerror(error));
}

prometheus::MetricType type_of(MetricsPage::Kind kind) {
  switch (kind) {
    case MetricsPage::Kind::kCounter:
      return prometheus::MetricType::Counter;
    case MetricsPage::Kind::kHistogram:
      return prometheus::MetricType::Histogram;
    case MetricsPage::Kind::kGauge:
      break;
  }
  return prometheus::MetricType::Gauge;
}

prometheus::ClientMetric to_metric(const MetricsPage::Sample& s) {
  prometheus::ClientMetric m;
  for (const auto& [name, value] : s.labels) m.label.push_back({name, value});
  m.gauge.value = s.value;
  m.counter.value = s.value;
  m.histogram.sample_count = s.count;
  m.histogram.sample_sum = s.sum;
  for (const MetricsPage::Bucket& b : s.buckets) m.histogram.bucket.push_back({b.cumulative, b.upper});
  return m;
}

class Page : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override {
    const std::lock_guard lock(mutex_);
    return families_;
  }
  void replace(std::vector<prometheus::MetricFamily> families) {
    const std::lock_guard lock(mutex_);
    families_.swap(families);
  }

 private:
  mutable std::mutex mutex_;
  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace

MetricsPage::Family& MetricsPage::family(const std::string& name, const std::string& help, Kind kind) {
  Family& f = families_[name];
  assert(f.samples.empty() || f.kind == kind);
  f.kind = kind;
  f.help = help;
  return f;
}

void MetricsPage::put_gauge(const std::string& name, const std::string& help, double value, Labels labels) {
  Sample s;
  s.labels = std::move(labels);
  s.value = value;
  family(name, help, Kind::kGauge).samples.push_back(std::move(s));
}

void MetricsPage::counter(const std::string& name, const std::string& help, std::uint64_t value, Labels labels) {
  assert(name.ends_with("_total"));
  Sample s;
  s.labels = std::move(labels);
  s.value = static_cast<double>(value);
  family(name, help, Kind::kCounter).samples.push_back(std::move(s));
}

void MetricsPage::histogram(const std::string& name, const std::string& help, std::vector<Bucket> buckets,
                            std::uint64_t count, double sum) {
  Sample s;
  s.count = count;
  s.sum = sum;
  s.buckets = std::move(buckets);
  s.buckets.push_back({std::numeric_limits<double>::infinity(), count});
  family(name, help, Kind::kHistogram).samples.push_back(std::move(s));
}

MetricsPage tool_page(const std::string& tool) {
  MetricsPage page;
  page.gauge("bmpha_build_info", "1; the labels name tool and version", 1, {{"tool", tool}, {"version", version()}});
  page.counter("bmpha_log_lines_dropped_total", "log lines for which standard error had no room", log_lines_dropped());
  return page;
}

// The server ends before the page that it shows.
struct MetricsServer::Impl {
  std::shared_ptr<Page> page = std::make_shared<Page>();
  std::optional<prometheus::Exposer> exposer;
};

MetricsServer::MetricsServer() = default;
MetricsServer::~MetricsServer() = default;

Status MetricsServer::listen(const std::string& address) {
  if (address.empty()) return Status::ok();
  const auto refuse = [&](const std::string& why) {
    return Status::error(fmt::format(
        "cannot serve metrics on {}: {} HINT: set metrics-listen to an address of this host with a port that is free",
        address, why));
  };
  const auto where = read_address(address);
  if (!where) return refuse(check_metrics_listen(address));
  if (const std::string why = why_not(*where); !why.empty()) return refuse(why);
  auto impl = std::make_unique<Impl>();
  try {
    impl->exposer.emplace(std::vector<std::string>{"listening_ports", address, "num_threads", kThreads,
                                                   "request_timeout_ms", kPatienceMs, "enable_keep_alive", "no"});
    impl->exposer->RegisterCollectable(impl->page);
  } catch (const std::exception& e) {
    return refuse(e.what());
  }
  impl_ = std::move(impl);
  return Status::ok();
}

void MetricsServer::publish(MetricsPage page) {
  if (!is_on()) return;
  const MetricsPage taken = std::move(page);
  std::vector<prometheus::MetricFamily> families;
  families.reserve(taken.families().size());
  for (const auto& [name, f] : taken.families()) {
    prometheus::MetricFamily out;
    out.name = name;
    out.help = f.help;
    out.type = type_of(f.kind);
    out.metric.reserve(f.samples.size());
    for (const MetricsPage::Sample& s : f.samples) out.metric.push_back(to_metric(s));
    families.push_back(std::move(out));
  }
  impl_->page->replace(std::move(families));
}

void add_metrics_option(Options& o, std::string* address) {
  o.text("metrics-listen", address, "ADDRESS:PORT for Prometheus to read metrics from over HTTP; empty: none",
         check_metrics_listen);
}

std::string check_metrics_listen(const std::string& text) {
  if (text.empty() || read_address(text)) return {};
  return "expected ADDRESS:PORT with a numeric address, such as 127.0.0.1:9400 or [::1]:9400";
}

}  // namespace bmpha
