// A path attribute field, with AS numbers of four or of two bytes expected; the first byte chooses. Every text must be
// fit to stand in a column, and the columns those that were announced.
#include "bmp-recv/attribute_text.h"
#include "bmp-recv/bgp_attributes.h"
#include "bmp-recv/identity.h"
#include "tests/fuzz/checks.h"

using namespace bmpha;
using namespace bmpha::recv;
using fuzz::is_column;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 60000) return 0;
  static PathAttributes a;  // reused, as by the decoder
  a.clear();
  AttributeFaults faults;
  parse_attributes(Bytes(data + 1, size - 1), (data[0] & 1) != 0, a, faults, (data[0] & 2) != 0, (data[0] & 4) == 0);
  if (faults.fatal != Fault::kNone) return 0;
  static TextBuffer text;
  text.clear();
  if (faults.withdraw == Fault::kNone) {
    append_communities(text, a.communities);
    append_ext_communities(text, a.ext_communities);
    append_large_communities(text, a.large_communities);
    append_cluster_list(text, a.cluster_list);
    append_as_path(text, a.as_path);
    require(is_column(text.view()));
  }
  for (std::size_t n = 0; n < kExtraColumns; ++n) require(is_column(a.extra.column(static_cast<ExtraColumn>(n))));
  text.clear();
  a.extra.append_columns(text);
  require(fuzz::count_of(text.view(), '\t') == kExtraColumns);
  require(!a.extra.any() || text.size() == a.extra.bytes());
  // A row has to fit a record, whatever the attributes say.
  require(text.size() <= 12 * size + 64);
  static std::vector<std::uint8_t> scratch;
  (void)attributes_hash(a, a.next_hop, scratch);
  return 0;
}
