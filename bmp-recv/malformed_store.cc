#include "bmp-recv/malformed_store.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace bmpha::recv {

namespace fs = std::filesystem;

Status MalformedStore::open(const std::string& directory) {
  if (directory.empty()) return Status::ok();
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() != ".bmp") continue;
    ++files_;
    const std::uintmax_t size = at->file_size(error);
    if (!error) bytes_ += size;
  }
  if (error) return Status::error(fmt::format("cannot read keep-malformed {}: {}", directory, error.message()));
  if (access(directory.c_str(), W_OK) != 0)
    return Status::error(fmt::format("cannot write to keep-malformed {}: {}", directory, std::strerror(errno)));
  directory_ = directory;
  return Status::ok();
}

void MalformedStore::keep(Bytes message, std::string_view reason, std::int64_t wall_us) {
  if (directory_.empty()) return;
  const bool full = files_ >= kMaxFiles || bytes_ + message.size() > kMaxBytes;
  const std::string path =
      fmt::format("{}/{}.{:06}-{:04}-{}.bmp", directory_, wall_us / 1000000, wall_us % 1000000, files_, reason);
  std::ofstream out;
  if (!full) out.open(path, std::ios::binary);
  if (out) out.write(reinterpret_cast<const char*>(message.data()), static_cast<std::streamsize>(message.size()));
  if (full || !out.flush()) {
    ++not_kept_;
    return;
  }
  ++files_;
  bytes_ += message.size();
  ++kept_;
}

}  // namespace bmpha::recv
