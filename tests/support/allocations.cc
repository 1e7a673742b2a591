#include "tests/support/allocations.h"

#include <cstdlib>
#include <new>

namespace {
thread_local std::uint64_t t_allocations = 0;
}

std::uint64_t bmpha::testing::allocations() { return t_allocations; }

#ifndef __SANITIZE_ADDRESS__
// The forms for arrays and those that do not throw call this one.
void* operator new(std::size_t n) {
  ++t_allocations;
  if (void* p = std::malloc(n)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t /*n*/) noexcept { std::free(p); }
#endif
