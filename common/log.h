// One event, one line: UTC time, level, tool, event, key=value. To stderr. The only file pair that includes spdlog.
//
//   log_info("session up", kv("router", name), kv("bytes", n));
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "common/clock.h"

namespace bmpha {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

// Before the first event, and again when the node's name is known. `node` may be empty.
void log_init(const std::string& tool, const std::string& node, bool verbose);
void log_line(LogLevel level, std::string_view line);
bool log_enabled(LogLevel level);

// Lines for which there is no room are dropped and counted: nothing waits for the log. At the end of a process they
// may: lines wait for room, all together for that long. And it says what was dropped last.
void log_be_patient(Millis most);
void log_end();

// Appends value quoted where needed: spaces, quotes and control characters never break the line's form.
void append_quoted(std::string& out, std::string_view value);

template <class T>
struct KeyValue {
  std::string_view key;
  const T& value;
};
template <class T>
KeyValue<T> kv(std::string_view key, const T& value) {
  return {key, value};
}

template <class T>
void append_kv(std::string& out, const KeyValue<T>& k) {
  out += ' ';
  out += k.key;
  out += '=';
  append_quoted(out, fmt::format("{}", k.value));
}

template <class... K>
void log_event(LogLevel level, std::string_view event, const K&... pairs) {
  if (!log_enabled(level)) return;
  std::string line = "event=";
  append_quoted(line, event);
  (append_kv(line, pairs), ...);
  log_line(level, line);
}
template <class... K>
void log_debug(std::string_view event, const K&... pairs) {
  log_event(LogLevel::kDebug, event, pairs...);
}
template <class... K>
void log_info(std::string_view event, const K&... pairs) {
  log_event(LogLevel::kInfo, event, pairs...);
}
template <class... K>
void log_warn(std::string_view event, const K&... pairs) {
  log_event(LogLevel::kWarn, event, pairs...);
}
template <class... K>
void log_error(std::string_view event, const K&... pairs) {
  log_event(LogLevel::kError, event, pairs...);
}

}  // namespace bmpha
