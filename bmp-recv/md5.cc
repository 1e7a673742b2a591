#include "bmp-recv/md5.h"

#include <openssl/evp.h>

#include <cstdlib>
#include <memory>

namespace bmpha::recv {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* c) const { EVP_MD_CTX_free(c); }
};

}  // namespace

namespace {

bool compute(Bytes bytes, Hash128& h) {
  // One context for the whole life: making one costs more than hashing a few bytes.
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  static const EVP_MD* const kMd5 = EVP_md5();
  return context != nullptr && EVP_DigestInit_ex(context.get(), kMd5, nullptr) == 1 &&
         EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1 &&
         EVP_DigestFinal_ex(context.get(), h.bytes.data(), nullptr) == 1;
}

}  // namespace

bool md5_works() {
  Hash128 h;
  return compute({}, h);
}

Hash128 md5_of(Bytes bytes) {
  Hash128 h;
  if (!compute(bytes, h)) std::abort();
  return h;
}

}  // namespace bmpha::recv
