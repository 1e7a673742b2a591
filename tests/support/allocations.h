// Counts what the test program allocates with operator new, which is how all of C++'s library does.
#pragma once

#include <cstdint>

namespace bmpha::testing {

// The address sanitizer brings an operator new of its own, with checks that are worth more: nothing is counted then.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kCountsAllocations = false;
#else
inline constexpr bool kCountsAllocations = true;
#endif

// By this thread, so far.
std::uint64_t allocations();

}  // namespace bmpha::testing
