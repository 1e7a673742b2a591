#include "bmp-recv/tap/output.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace bmpha::recv {

void Output::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty() && !closed_) {
    const ssize_t n = write(STDOUT_FILENO, rest.data(), rest.size());
    if (n >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    closed_ = true;
    if (errno != EPIPE) failure_ = std::strerror(errno);
  }
  buffer_.clear();
}

}  // namespace bmpha::recv
