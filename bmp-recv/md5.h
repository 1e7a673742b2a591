// MD5 (RFC 1321), for hashes that must be those of other software; nothing rests on its strength. The only file pair of
// bmp-recv that includes OpenSSL.
#pragma once

#include "common/byte_reader.h"
#include "common/ids.h"

namespace bmpha::recv {

// False: this system forbids MD5. Then the other may not be called.
bool md5_works();
Hash128 md5_of(Bytes bytes);

}  // namespace bmpha::recv
