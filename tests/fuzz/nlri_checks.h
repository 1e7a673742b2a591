// What every parser of an NLRI family promises, over one field under every expectation of path identifiers.
#pragma once

#include "bmp-recv/nlri_forms.h"
#include "tests/fuzz/checks.h"

namespace bmpha::fuzz {

// parse(field, expected, list); print(text, route) gives `columns` columns.
template <class Route, class Parse, class Print>
void check_nlri(Bytes field, std::size_t columns, Parse parse, Print print) {
  using namespace bmpha::recv;
  static std::vector<Route> list;  // reused, as by the decoder
  static TextBuffer text;
  static KeyBytes key;
  for (const PathIds expected : {PathIds::kUnknown, PathIds::kNo, PathIds::kYes}) {
    list.assign(1, Route{});
    const NlriResult result = parse(field, expected, list);
    if (result == NlriResult::kBad) {
      require(list.size() == 1);
      continue;
    }
    require((list.size() == 1) == field.empty());
    const bool ids = (expected == PathIds::kYes) == (result == NlriResult::kOk);
    for (std::size_t n = 1; n < list.size(); ++n) {
      require(ids || list[n].path_id == 0);
      text.clear();
      print(text, list[n]);
      const std::string_view s = text.view();
      require(count_of(s, '\t') == columns - 1);
      require(is_column(s, true) && is_ascii(s));
      key.clear();
      append_key(key, list[n]);
      require(!key.empty());
    }
  }
}

}  // namespace bmpha::fuzz
