#include "common/content_hash.h"

#define XXH_INLINE_ALL  // in place: what is hashed here is short
#include <xxhash.h>

#include <algorithm>

namespace bmpha {

Hash128 content_hash(Bytes bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  Hash128 h;
  std::copy_n(canonical.digest, h.bytes.size(), h.bytes.begin());
  return h;
}

std::uint64_t short_hash(Bytes bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace bmpha
