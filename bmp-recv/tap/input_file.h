// A file, a pipe or standard input, read once from beginning to end.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bmp-recv/tcp.h"
#include "common/byte_reader.h"
#include "common/result.h"

namespace bmpha::recv {

class InputFile {
 public:
  // "-" is standard input. An error names the file.
  static Result<std::unique_ptr<InputFile>> open(const std::string& path);
  // What is in memory already.
  static std::unique_ptr<InputFile> of_bytes(std::string name, Bytes bytes);

  const std::string& name() const { return name_; }
  // What is there and not yet consumed: at least n bytes, unless the input ends or fails before. Of a pipe, no more
  // than what has come once there is enough. Valid until the next call.
  Bytes peek(std::size_t n);
  // REQUIRES: n is at most what peek() returned last.
  void consume(std::size_t n);
  // Of the next byte that is not consumed.
  std::uint64_t offset() const { return offset_; }
  // Why reading stopped before the end of the input; empty: it did not.
  const std::string& failure() const { return failure_; }

 private:
  InputFile(std::string name, Fd fd) : name_(std::move(name)), fd_(std::move(fd)) {}
  bool fill();
  std::string name_;
  Fd fd_;
  std::vector<std::uint8_t> buffer_;
  std::size_t begin_ = 0, end_ = 0;
  std::uint64_t offset_ = 0;
  bool ended_ = false;
  std::string failure_;
};

}  // namespace bmpha::recv
