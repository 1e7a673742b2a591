// One UPDATE under every expectation of its encoding; the first byte chooses. A whole message is made of the rest, so
// that header checks do not end most inputs.
#include <string>

#include "bmp-recv/attribute_text.h"
#include "bmp-recv/bgp_update.h"
#include "bmp-recv/identity.h"
#include "common/byte_writer.h"
#include "tests/fuzz/checks.h"

namespace {
using namespace bmpha;
using namespace bmpha::recv;
using fuzz::require;

void check_prefixes(const std::vector<Prefix>& list) {
  for (const Prefix& p : list) {
    require(p.length <= (p.v6 ? 128 : 32));
    for (unsigned bit = p.length; bit < 128; ++bit) require((p.address[bit / 8] >> (7 - bit % 8) & 1) == 0);
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 60000) return 0;
  static std::string message;
  message.assign(16, '\xff');
  ByteWriter w(message);
  w.u16(static_cast<std::uint16_t>(size - 1 + 19));
  w.u8(2);
  w.bytes(Bytes(data + 1, size - 1));
  UpdateContext c;
  c.expect_as4 = (data[0] & 1) != 0;
  c.ids_v4 = static_cast<PathIds>((data[0] >> 1) % 3);
  c.ids_v6 = static_cast<PathIds>((data[0] >> 3) % 3);
  static Update u;  // reused, as by the decoder
  const Fault f = parse_update(as_bytes(message), c, u);
  require(f == u.faults.fatal);
  if (f != Fault::kNone) return 0;
  require(u.classic_count <= u.announced.size());
  check_prefixes(u.withdrawn);
  check_prefixes(u.announced);
  const PathAttributes& a = u.attributes;
  std::size_t asns = 0;
  for (const AsPath::Segment& s : a.as_path.segments) asns += s.count;
  require(u.faults.withdraw != Fault::kNone || asns == a.as_path.asns.size());
  if (u.faults.withdraw != Fault::kNone) {
    require(u.announced.empty());
    return 0;
  }
  static TextBuffer text;
  text.clear();
  append_as_path(text, a.as_path);
  append_communities(text, a.communities);
  append_ext_communities(text, a.ext_communities);
  append_large_communities(text, a.large_communities);
  append_cluster_list(text, a.cluster_list);
  static std::vector<std::uint8_t> scratch;
  (void)attributes_hash(a, u.mp_next_hop, scratch);
  return 0;
}
