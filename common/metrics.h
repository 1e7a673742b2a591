// The metrics endpoint: what a tool counts and where it stands, for Prometheus over HTTP (GET /metrics).
// The only file pair that includes prometheus-cpp.
//
//   MetricsServer metrics;
//   if (Status s = metrics.listen(config.metrics_listen); !s) ...   // empty address: off
//   MetricsPage page = tool_page("kafka-gate");
//   page.gauge("bmpha_gate_held_bytes", "bytes of records held", 4096);
//   metrics.publish(std::move(page));                               // once a second, from the tool's loop
//
// The server has threads of its own and answers with the page that was published last, so a scrape touches nothing of
// the tool and costs its loop nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/options.h"
#include "common/result.h"

namespace bmpha {

// How often a tool publishes.
inline constexpr Millis kMetricsInterval{1000};

class MetricsPage {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;
  struct Bucket {
    double upper = 0;  // inclusive
    std::uint64_t cumulative = 0;
  };
  enum class Kind : std::uint8_t { kGauge, kCounter, kHistogram };
  struct Sample {
    Labels labels;
    double value = 0;
    // Of histograms.
    std::uint64_t count = 0;
    double sum = 0;
    std::vector<Bucket> buckets;
  };
  struct Family {
    Kind kind = Kind::kGauge;
    std::string help;
    std::vector<Sample> samples;
  };

  // One name has one kind, and its samples differ in their labels. A name that counts ends in _total.
  template <class N>
  requires std::is_arithmetic_v<N>
  void gauge(const std::string& name, const std::string& help, N value, Labels labels = {}) {
    put_gauge(name, help, static_cast<double>(value), std::move(labels));
  }
  void counter(const std::string& name, const std::string& help, std::uint64_t value, Labels labels = {});
  // Buckets with rising bounds; the one without a bound is added.
  void histogram(const std::string& name, const std::string& help, std::vector<Bucket> buckets, std::uint64_t count,
                 double sum);
  const std::map<std::string, Family>& families() const { return families_; }

 private:
  void put_gauge(const std::string& name, const std::string& help, double value, Labels labels);
  Family& family(const std::string& name, const std::string& help, Kind kind);
  std::map<std::string, Family> families_;
};

// A page with what every tool has.
MetricsPage tool_page(const std::string& tool);

class MetricsServer {
 public:
  MetricsServer();
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  // Signals must be blocked (run_program). Empty: no server, publish() does nothing.
  Status listen(const std::string& address);
  bool is_on() const { return impl_ != nullptr; }
  void publish(MetricsPage page);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The key `metrics-listen`, the same in every tool.
void add_metrics_option(Options& o, std::string* address);

// ADDRESS:PORT with a numeric address, IPv6 in brackets; empty is right as well.
std::string check_metrics_listen(const std::string& text);

}  // namespace bmpha
