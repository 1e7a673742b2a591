#include "common/log.h"

#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <memory>
#include <mutex>
#include <optional>

#include "common/log_counts.h"

namespace bmpha {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// Standard error, whatever it is: a line for which there is no room, on a full disk or in a pipe that nobody reads, is
// dropped and counted. The process never waits for its log while it has work to do.
class StderrSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  std::uint64_t all_dropped() const { return all_dropped_.load(std::memory_order_relaxed); }
  // What is said last matters most: from now on lines may wait for room, all together for that long.
  void be_patient(Millis most) {
    const std::lock_guard lock(mutex_);
    patient_until_ = BootClock::now() + most;
  }
  void tell_dropped() {
    const std::lock_guard lock(mutex_);
    if (dropped_ > 0) put_dropped(spdlog::log_clock::now(), name_);
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& msg) override {
    name_.assign(msg.logger_name.data(), msg.logger_name.size());
    if ((dropped_ > 0 && !put_dropped(msg.time, msg.logger_name)) || !put(msg)) drop();
  }
  void flush_() override {}

 private:
  bool put_dropped(spdlog::log_clock::time_point time, spdlog::string_view_t name) {
    const std::string text = fmt::format("event=\"log lines dropped\" count={}", dropped_);
    if (!put(spdlog::details::log_msg(time, {}, name, spdlog::level::warn, text))) return false;
    dropped_ = 0;
    return true;
  }

  void drop() {
    ++dropped_;
    all_dropped_.fetch_add(1, std::memory_order_relaxed);
  }
  bool put(const spdlog::details::log_msg& msg) {
    spdlog::memory_buf_t line;
    if (cut_) line.push_back('\n');  // what is left of the line before it must not stand in front of this one
    formatter_->format(msg, line);
    std::string_view rest(line.data(), line.size());
    while (!rest.empty()) {
      const ssize_t n = write_some(rest);
      if (n <= 0) {
        cut_ = cut_ || rest.size() < line.size();
        return false;
      }
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
    cut_ = false;
    return true;
  }

  // A pipe that is ready takes PIPE_BUF bytes without a wait.
  ssize_t write_some(std::string_view text) const {
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    if (poll(&ready, 1, patience_ms()) != 1 || (ready.revents & POLLOUT) == 0) return 0;
    ssize_t n = 0;
    do n = write(STDERR_FILENO, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
    while (n < 0 && errno == EINTR);
    return n;
  }

  int patience_ms() const {
    if (!patient_until_) return 0;
    const auto left = std::chrono::ceil<Millis>(*patient_until_ - BootClock::now()).count();
    return static_cast<int>(std::max<std::int64_t>(left, 0));
  }

  std::uint64_t dropped_ = 0;  // not told yet
  std::atomic<std::uint64_t> all_dropped_{0};
  bool cut_ = false;
  std::optional<BootTime> patient_until_;
  std::string name_;  // of the logger
};

// One for the whole process: what was dropped before the logger got its last name still counts.
const std::shared_ptr<StderrSink>& stderr_sink() {
  static const auto sink = std::make_shared<StderrSink>();
  return sink;
}

}  // namespace

void log_init(const std::string& tool, const std::string& node, bool verbose) {
  auto logger = std::make_shared<spdlog::logger>(tool, stderr_sink());
  std::string who = node.empty() ? "%n" : "%n node=";
  for (const char c : node) who += c == '%' ? "%%" : std::string(1, c);  // in a pattern % begins a flag
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l " + who + " %v", spdlog::pattern_time_type::utc);
  logger->set_level(verbose ? spdlog::level::debug : spdlog::level::info);
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
}

void log_be_patient(Millis most) { stderr_sink()->be_patient(most); }

void log_end() { stderr_sink()->tell_dropped(); }

bool log_enabled(LogLevel level) { return spdlog::default_logger_raw()->should_log(to_spdlog(level)); }

void log_line(LogLevel level, std::string_view line) {
  spdlog::default_logger_raw()->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

void append_quoted(std::string& out, std::string_view value) {
  const bool plain = !value.empty() && value.find_first_of(" \"=\\") == std::string_view::npos &&
                     std::all_of(value.begin(), value.end(), [](unsigned char c) { return c > 0x20 && c != 0x7f; });
  if (plain) {
    out += value;
    return;
  }
  out += '"';
  for (const char c : value) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (u < 0x20 || u == 0x7f) {
      out += fmt::format("\\x{:02x}", u);
    } else {
      out += c;
    }
  }
  out += '"';
}

std::uint64_t log_lines_dropped() {
  const auto& sinks = spdlog::default_logger_raw()->sinks();
  const auto* ours = sinks.empty() ? nullptr : dynamic_cast<const StderrSink*>(sinks.front().get());
  return ours != nullptr ? ours->all_dropped() : 0;
}

}  // namespace bmpha
