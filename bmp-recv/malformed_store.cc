#include "bmp-recv/malformed_store.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace bmpha::recv {

namespace fs = std::filesystem;

Status MalformedStore::count(const std::string& directory) {
  std::size_t files = 0;
  std::uint64_t bytes = 0;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() != ".bmp") continue;
    ++files;
    std::error_code gone;  // meanwhile
    const std::uintmax_t size = at->file_size(gone);
    if (!gone) bytes += size;
  }
  if (error) return Status::error(fmt::format("cannot read keep-malformed {}: {}", directory, error.message()));
  if (files < files_) alike_.clear();  // somebody has looked
  files_ = files;
  bytes_ = bytes;
  return Status::ok();
}

Status MalformedStore::open(const std::string& directory) {
  if (directory.empty()) return Status::ok();
  if (Status s = count(directory); !s) return s;
  if (access(directory.c_str(), W_OK) != 0)
    return Status::error(fmt::format("cannot write to keep-malformed {}: {}", directory, std::strerror(errno)));
  directory_ = directory;
  return Status::ok();
}

bool MalformedStore::has_room(const std::string& kind, std::size_t size) const {
  const auto at = alike_.find(kind);
  return files_ < kMaxFiles && bytes_ + size <= kMaxBytes && (at == alike_.end() || at->second < kMaxAlike);
}

void MalformedStore::keep(Bytes message, std::string_view router, std::string_view reason, std::int64_t wall_us) {
  if (directory_.empty()) return;
  const std::string kind = fmt::format("{} {}", reason, router);
  bool room = has_room(kind, message.size());
  if (!room && (wall_us < counted_us_ || wall_us - counted_us_ >= kRecountUs)) {
    counted_us_ = wall_us;
    room = count(directory_).is_ok() && has_room(kind, message.size());
  }
  const std::string path =
      fmt::format("{}/{}.{:06}-{:04}-{}.bmp", directory_, wall_us / 1000000, wall_us % 1000000, kept_, reason);
  std::ofstream out;
  if (room) out.open(path, std::ios::binary);
  if (out) out.write(reinterpret_cast<const char*>(message.data()), static_cast<std::streamsize>(message.size()));
  if (!room || !out.flush()) {
    ++not_kept_;
    return;
  }
  ++files_;
  ++alike_[kind];
  bytes_ += message.size();
  ++kept_;
}

}  // namespace bmpha::recv
