#include "common/program.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <exception>
#include <new>
#include <string_view>
#include <system_error>

#include "common/event_loop.h"
#include "common/log.h"

namespace bmpha {
namespace {

constexpr Millis kLastWords{200};

bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == EAGAIN || error == ENOSPC;
}

[[noreturn]] void end(bool of_environment, std::string_view why) {
  log_be_patient(kLastWords);
  log_error(of_environment ? "cannot go on" : "bug", kv("reason", why));
  _exit(of_environment ? kExitEnvironment : kExitBug);
}

[[noreturn]] void on_terminate() {
  // A second one, from another thread or from in here, must not wait for the first.
  static volatile std::sig_atomic_t ending = 0;
  if (ending != 0) _exit(kExitBug);
  ending = 1;
  if (std::current_exception() == nullptr) end(false, "terminated without an exception");
  try {
    std::rethrow_exception(std::current_exception());
  } catch (const std::bad_alloc& e) {
    end(true, e.what());
  } catch (const std::system_error& e) {
    end(is_shortage(e.code().value()), e.what());
  } catch (const std::exception& e) {
    end(false, e.what());
  } catch (...) {
    end(false, "an exception of a foreign kind");
  }
}

}  // namespace

int run_program(const std::string& tool, const std::vector<int>& signals, const std::function<int()>& body) {
  block_signals(signals);
  std::signal(SIGPIPE, SIG_IGN);  // a closed peer is an error code, not a death
  log_init(tool, {}, false);      // until the tool knows its node's name
  // No handler stands above, so nothing is unwound before on_terminate() speaks: a destructor could wait for ever.
  std::set_terminate(on_terminate);
  const int code = body();
  log_be_patient(kLastWords);
  log_end();
  return code;
}

bool log_reload(const Options::Reloaded& r) {
  if (!r.error.empty()) {
    log_error("configuration not reloaded", kv("reason", r.error));
    return false;
  }
  const std::string changed = fmt::format("{}", fmt::join(r.changed, ","));
  const std::string needs_restart = fmt::format("{}", fmt::join(r.needs_restart, ","));
  if (needs_restart.empty())
    log_info("configuration reloaded", kv("changed", changed));
  else
    log_warn("configuration reloaded", kv("changed", changed), kv("needs_restart", needs_restart));
  return true;
}

}  // namespace bmpha
