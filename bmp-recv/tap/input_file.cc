#include "bmp-recv/tap/input_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace bmpha::recv {
namespace {

constexpr std::size_t kReadSize = std::size_t{256} * 1024;

}  // namespace

Result<std::unique_ptr<InputFile>> InputFile::open(const std::string& path) {
  using R = Result<std::unique_ptr<InputFile>>;
  const bool is_stdin = path == "-";
  const std::string name = is_stdin ? "standard input" : path;
  Fd fd(is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return R::failure(fmt::format("cannot read {}: {}", name, std::strerror(errno)));
  struct stat info {};
  if (fstat(fd.get(), &info) == 0 && S_ISDIR(info.st_mode))
    return R::failure(fmt::format("cannot read {}: it is a directory", name));
  return R(std::unique_ptr<InputFile>(new InputFile(name, std::move(fd))));
}

std::unique_ptr<InputFile> InputFile::of_bytes(std::string name, Bytes bytes) {
  std::unique_ptr<InputFile> file(new InputFile(std::move(name), Fd()));
  file->buffer_.assign(bytes.begin(), bytes.end());
  file->end_ = bytes.size();
  file->ended_ = true;
  return file;
}

// False: nothing more comes.
bool InputFile::fill() {
  if (ended_) return false;
  if (begin_ > 0) {
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() - end_ < kReadSize) buffer_.resize(end_ + kReadSize);
  for (;;) {
    const ssize_t n = read(fd_.get(), buffer_.data() + end_, kReadSize);
    if (n > 0) {
      end_ += static_cast<std::size_t>(n);
      return true;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) failure_ = std::strerror(errno);
    ended_ = true;
    return false;
  }
}

Bytes InputFile::peek(std::size_t n) {
  while (end_ - begin_ < n && fill()) continue;
  return Bytes(buffer_).subspan(begin_, end_ - begin_);
}

void InputFile::consume(std::size_t n) {
  begin_ += n;
  offset_ += n;
}

}  // namespace bmpha::recv
