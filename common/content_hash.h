// XXH128 of bytes, in its canonical byte order: for identities and for contents that must be told apart, not against
// anyone who wants two of them to be equal. The only file pair that includes xxhash.
#pragma once

#include <cstdint>

#include "common/byte_reader.h"
#include "common/ids.h"

namespace bmpha {

Hash128 content_hash(Bytes bytes);
// 64 bits, for tables in memory. It differs from process to process: who supplies the bytes cannot fill one bucket.
std::uint64_t short_hash(Bytes bytes);

}  // namespace bmpha
