// Each rule of the protocol can be switched off in a test build (BUILD=mutable), so that a test can show what breaks
// without it. In every other build rule_on() is the constant true and costs nothing.
//
//   if (rule_on("S2-fence") && header.epoch < mark) return Verdict::kFenced;
//
// BMPHA_WITHOUT=S2-fence,G3-bracket switches rules off for a process of the test build.
#pragma once

#ifdef BMPHA_MUTABLE
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#endif

namespace bmpha {

#ifdef BMPHA_MUTABLE

inline std::set<std::string, std::less<>>& rules_off() {
  static std::set<std::string, std::less<>> off = [] {
    std::set<std::string, std::less<>> names;
    const char* list = std::getenv("BMPHA_WITHOUT");
    std::string_view rest = list != nullptr ? list : "";
    while (!rest.empty()) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      if (comma > 0) names.emplace(rest.substr(0, comma));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
    return names;
  }();
  return off;
}
inline bool rule_on(std::string_view rule) { return !rules_off().contains(rule); }

#else

constexpr bool rule_on(const char*) { return true; }

#endif

}  // namespace bmpha
