// What the arbiter keeps across restarts: the highest epoch ever seen and its gen, so that both rise whatever happens
// to Redis and to clocks. A small text file, replaced atomically; a lock beside it keeps a second arbiter away.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"
#include "ha-arbiter/decider.h"

namespace bmpha::arbiter {

std::string encode_state(const Persisted& p);
Result<Persisted> decode_state(std::string_view text);

class StateFile {
 public:
  explicit StateFile(std::string path) : path_(std::move(path)) {}
  ~StateFile();
  StateFile(const StateFile&) = delete;
  StateFile& operator=(const StateFile&) = delete;

  enum class Opened { kYes, kInUse, kFailed };
  // Takes the lock; makes the directory when only its last part is missing.
  Opened open(std::string& why);
  // Missing: defaults.
  Result<Persisted> load() const;
  // Nothing is written when nothing changed, which is nearly always: at claims and when solo begins or ends. On the
  // disk when it returns, since what is sent afterwards relies on it.
  Status store(const Persisted& p);

 private:
  std::string path_;
  int lock_fd_ = -1;
  bool stored_any_ = false;
  Persisted stored_;
};

}  // namespace bmpha::arbiter
