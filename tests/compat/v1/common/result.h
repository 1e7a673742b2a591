// Expected failure as a value (style: no exceptions of our own).
//
// Result<T> holds a T or an error E; Status is success or a message for operators. Both are [[nodiscard]]:
// a caller that ignores a failure does not compile.
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace bmpha_v1 {

// Outcome of I/O or configuration. The message says what was tried, on what, and why it failed.
class [[nodiscard]] Status {
 public:
  static Status ok() { return Status(); }
  static Status error(std::string message) {
    Status s;
    s.failed_ = true;
    s.message_ = std::move(message);
    return s;
  }
  bool is_ok() const { return !failed_; }
  explicit operator bool() const { return !failed_; }
  const std::string& message() const { return message_; }

 private:
  bool failed_ = false;
  std::string message_;
};

template <class T, class E = std::string>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit by design
  static Result failure(E error) { return Result(std::in_place_index<1>, std::move(error)); }

  bool is_ok() const { return v_.index() == 0; }
  explicit operator bool() const { return is_ok(); }
  T& value() {
    assert(is_ok());
    return *std::get_if<0>(&v_);
  }
  const T& value() const {
    assert(is_ok());
    return *std::get_if<0>(&v_);
  }
  const E& error() const {
    assert(!is_ok());
    return *std::get_if<1>(&v_);
  }

 private:
  template <std::size_t I>
  Result(std::in_place_index_t<I> i, E error) : v_(i, std::move(error)) {}
  std::variant<T, E> v_;
};

}  // namespace bmpha_v1
