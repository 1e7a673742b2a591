#include "common/replace_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace bmpha {
namespace {

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

// The rename itself is on the disk when its directory is.
bool sync_directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  // Some file systems cannot sync a directory and say so: they have no better way.
  const bool done = fsync(fd) == 0 || errno == EINVAL;
  const int error = errno;
  close(fd);
  errno = error;
  return done;
}

}  // namespace

Status replace_file(const std::string& path, std::string_view text, Durability durability) {
  const std::string temporary = path + ".new";
  const auto fail = [](const char* what, const std::string& file) {
    return Status::error(fmt::format("cannot {} {}: {}", what, file, std::strerror(errno)));
  };
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return fail("create", temporary);
  const bool written = write_all(fd, text) && (durability == Durability::kProcess || fsync(fd) == 0);
  const int error = errno;
  const bool closed = close(fd) == 0;
  if (!written) errno = error;
  if (!written || !closed) {
    Status s = fail("write", temporary);
    unlink(temporary.c_str());
    return s;
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    Status s = fail("replace", path);
    unlink(temporary.c_str());
    return s;
  }
  if (durability == Durability::kHost && !sync_directory_of(path)) return fail("sync the directory of", path);
  return Status::ok();
}

}  // namespace bmpha
