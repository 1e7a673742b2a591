#include "common/content_hash.h"

#define XXH_INLINE_ALL  // in place: what is hashed here is short
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <random>

namespace bmpha {

Hash128 content_hash(Bytes bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  Hash128 h;
  std::copy_n(canonical.digest, h.bytes.size(), h.bytes.begin());
  return h;
}

namespace {

using Secret = std::array<std::uint32_t, XXH3_SECRET_DEFAULT_SIZE / sizeof(std::uint32_t)>;
Secret random_secret() {
  std::random_device device;
  Secret secret;
  for (std::uint32_t& word : secret) word = device();
  return secret;
}

}  // namespace

std::uint64_t short_hash(Bytes bytes) {
  static const Secret kSecret = random_secret();
  return XXH3_64bits_withSecret(bytes.data(), bytes.size(), kSecret.data(), sizeof kSecret);
}

}  // namespace bmpha
