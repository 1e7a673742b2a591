// Rules that are text for another program: statements of SQL, scripts for Redis. A test build can switch such a rule
// off by name like those under rule_on() (common/rules.h): the text that carries it is replaced before it is sent.
#pragma once

#include <span>
#include <string>

#include "common/rules.h"

namespace bmpha {

struct TextRule {
  const char* rule;
  const char* text;     // every occurrence
  const char* without;  // what stands there without the rule
};

#ifdef BMPHA_MUTABLE

inline std::string in_force(std::string text, std::span<const TextRule> rules) {
  for (const TextRule& r : rules) {
    if (rule_on(r.rule)) continue;
    const std::string_view from = r.text;
    const std::string_view to = r.without;
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
      text.replace(at, from.size(), to);
  }
  return text;
}

#else

inline const std::string& in_force(const std::string& text, std::span<const TextRule>) { return text; }

#endif

}  // namespace bmpha
