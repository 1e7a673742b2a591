#include "bmp-recv/objects.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

#include "bmp-recv/extra_attributes.h"

using namespace bmpha;
using namespace bmpha::recv;

namespace {

// From the root of the tree, where tests run.
std::string wire_page() {
  std::ifstream in("docs/wire.md");
  REQUIRE(in.good());
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("docs/wire.md has every object with its number of columns") {
  const std::string page = wire_page();
  const std::regex row(R"(\n\| `([a-z0-9_]+)` \| ([0-9]+) \| (?:collector|router|peer|attributes|routes|stat|eor) \|)");
  std::set<std::string> seen;
  for (std::sregex_iterator at(page.begin(), page.end(), row), end; at != end; ++at) {
    const std::string name = (*at)[1];
    CAPTURE(name);
    const ObjectInfo* object = find_object(name);
    REQUIRE(object != nullptr);
    CHECK(object->columns.size() == std::stoul((*at)[2]));
    CHECK(seen.insert(name).second);
  }
  for (std::size_t n = 0; n < kObjects; ++n) {
    const auto name = std::string(object_info(static_cast<Object>(n)).name);
    CAPTURE(name);
    CHECK(seen.contains(name));
  }
}

TEST_CASE("docs/wire.md names the columns that are ours") {
  const std::string page = wire_page();
  const auto named = [&](std::string_view column) {
    return std::regex_search(page, std::regex("\\b" + std::string(column) + "\\b"));
  };
  // Behind the contract's own: of ours all from the family's first, of evpn and BGP-LS the trailing ones.
  const struct {
    Object object;
    std::size_t from;
  } cases[] = {{Object::kEvpn, 40},     {Object::kVpls, 30},         {Object::kFlowspec, 30},
               {Object::kSrPolicy, 30}, {Object::kRtConstraint, 30}, {Object::kMvpn, 30},
               {Object::kMdt, 30},      {Object::kLsNode, 27},       {Object::kLsLink, 46},
               {Object::kLsPrefix, 34}, {Object::kLsSrv6Sid, 30},    {Object::kLsSrPolicy, 30}};
  for (const auto& c : cases) {
    const ObjectInfo& object = object_info(c.object);
    for (std::size_t n = c.from; n < object.columns.size(); ++n) {
      CAPTURE(object.columns[n]);
      CHECK(named(object.columns[n]));
    }
  }
  for (const std::string_view column : extra_column_names()) {
    CAPTURE(column);
    CHECK(named(column));
  }
}
