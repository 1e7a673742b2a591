// Standard output in large pieces. Its reader may go away at any time: that is a quiet end.
#pragma once

#include <string>
#include <string_view>

namespace bmpha::recv {

class Output {
 public:
  Output() { buffer_.reserve(kPiece + kPiece / 4); }
  // Lines are appended here; call wrote() after each.
  std::string& buffer() { return buffer_; }
  void wrote() {
    if (buffer_.size() >= kPiece) flush();
  }
  void flush();
  // Nobody reads any more, or writing failed.
  bool is_closed() const { return closed_; }
  // Why writing failed; empty when it did not, or when the reader only went away.
  const std::string& failure() const { return failure_; }

 private:
  static constexpr std::size_t kPiece = std::size_t{64} * 1024;
  std::string buffer_;
  bool closed_ = false;
  std::string failure_;
};

}  // namespace bmpha::recv
