// What the log did not say.
#pragma once

#include <cstdint>

namespace bmpha {

// Lines that standard error did not take, since the last log_init().
std::uint64_t log_lines_dropped();

}  // namespace bmpha
