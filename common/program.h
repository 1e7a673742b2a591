// What the four mains have in common: signals, and what happens when something gets out that nobody expected.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/options.h"

namespace bmpha {

// Blocks the signals, ignores SIGPIPE, and returns what `body` returns. An exception that leaves `body`, or any thread
// started in it, ends the process at once with one log line: exit code 111 when the system had no more memory,
// descriptors or threads to give, else 101, a bug. Nothing is unwound: what must be kept is kept as for SIGKILL.
int run_program(const std::string& tool, const std::vector<int>& signals, const std::function<int()>& body);

// The one line about a reload; an error, or which keys have changed and which need a restart. False: nothing changed.
bool log_reload(const Options::Reloaded& reloaded);

}  // namespace bmpha
