// What every parser of an NLRI family promises, over one field under every expectation of path identifiers.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "bmp-recv/nlri_forms.h"

namespace bmpha::fuzz {

inline void require(bool good) {
  if (!good) std::abort();
}

// parse(field, expected, list); print(text, route) gives `columns` columns.
template <class Route, class Parse, class Print>
void check_nlri(Bytes field, std::size_t columns, Parse parse, Print print) {
  using namespace bmpha::recv;
  for (const PathIds expected : {PathIds::kUnknown, PathIds::kNo, PathIds::kYes}) {
    std::vector<Route> list(1);
    const NlriResult result = parse(field, expected, list);
    if (result == NlriResult::kBad) {
      require(list.size() == 1);
      continue;
    }
    require((list.size() == 1) == field.empty());
    const bool ids = (expected == PathIds::kYes) == (result == NlriResult::kOk);
    TextBuffer text;
    KeyBytes key;
    for (std::size_t n = 1; n < list.size(); ++n) {
      require(ids || list[n].path_id == 0);
      text.clear();
      print(text, list[n]);
      const std::string_view s = text.view();
      require(static_cast<std::size_t>(std::count(s.begin(), s.end(), '\t')) == columns - 1);
      require(std::all_of(s.begin(), s.end(), [](char c) { return c == '\t' || (c >= ' ' && c < 0x7f); }));
      key.clear();
      append_key(key, list[n]);
      require(!key.empty());
    }
  }
}

}  // namespace bmpha::fuzz
