// The table of rules (tests/mutants/rules.tsv) and the sources name the same rules.
#include "common/rules.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "common/text_rules.h"

using namespace bmpha;  // NOLINT

namespace {

using Names = std::set<std::string>;

std::string text_of(const std::filesystem::path& path) {
  std::ifstream in(path);
  REQUIRE_MESSAGE(in.good(), path.string());
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Names under rule_on(), and those of rules that are text.
Names names_in_sources() {
  static const std::regex kName(R"re((?:rule_on\(|^ *\{)"([A-Z][A-Z0-9]*-[a-z0-9-]+)")re");
  Names names;
  for (const char* directory : {"common", "bmp-recv", "ha-arbiter", "kafka-gate", "psql-sink"})
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      const auto& path = entry.path();
      if ((path.extension() != ".cc" && path.extension() != ".h") || path == "common/rules.h") continue;
      std::istringstream lines(text_of(path));
      for (std::string line; std::getline(lines, line);)
        for (std::sregex_iterator m(line.begin(), line.end(), kName), end; m != end; ++m) names.insert((*m)[1]);
    }
  return names;
}

}  // namespace

TEST_CASE("every rule that can be switched off is in the table, and the reverse, each once") {
  Names table;
  std::istringstream lines(text_of("tests/mutants/rules.tsv"));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.starts_with("#")) continue;
    CAPTURE(line);
    CHECK(std::count(line.begin(), line.end(), '\t') == 4);
    CHECK(table.insert(line.substr(0, line.find('\t'))).second);
  }
  CHECK(table.size() > 100);
  CHECK(table == names_in_sources());
}

#ifdef BMPHA_MUTABLE

TEST_CASE("a rule is off only when BMPHA_WITHOUT names it") {
  rules_off().insert("X-one");
  CHECK_FALSE(rule_on("X-one"));
  CHECK(rule_on("X-two"));
  static constexpr TextRule kRules[] = {{"X-one", "a AND b", "a"}, {"X-two", "c", "d"}};
  CHECK(in_force("a AND b, c, a AND b", kRules) == "a, c, a");
  rules_off().erase("X-one");
  CHECK(in_force("a AND b, c", kRules) == "a AND b, c");
}

#else

TEST_CASE("outside the test build every rule is on, and texts are as they are written") {
  static_assert(rule_on("X-one"));
  static constexpr TextRule kRules[] = {{"X-one", "a", "b"}};
  const std::string text = "a";
  CHECK(&in_force(text, kRules) == &text);
}

#endif
