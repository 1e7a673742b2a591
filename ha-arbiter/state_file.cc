#include "ha-arbiter/state_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>

#include "common/replace_file.h"
#include "ha-arbiter/node_blob.h"

namespace bmpha::arbiter {
namespace {

// "name number\n" off the front of text.
bool take(std::string_view& text, std::string_view name, std::uint64_t& out) {
  if (!text.starts_with(name) || text.size() <= name.size() || text[name.size()] != ' ') return false;
  const std::string_view rest = text.substr(name.size() + 1);
  std::uint64_t v = 0;
  const auto [at, error] = std::from_chars(rest.data(), rest.data() + rest.size(), v);
  if (error != std::errc() || at == rest.data() + rest.size() || *at != '\n' || v > kMaxCounter) return false;
  text = rest.substr(static_cast<std::size_t>(at - rest.data()) + 1);
  out = v;
  return true;
}

}  // namespace

std::string encode_state(const Persisted& p) {
  return fmt::format("bmpha-arbiter-state 1\nepoch {}\ngen {}\nunsettled {}\n", p.epoch, p.gen, p.unsettled ? 1 : 0);
}

Result<Persisted> decode_state(std::string_view text) {
  using R = Result<Persisted>;
  Persisted p;
  std::uint64_t version = 0, unsettled = 0;
  if (!take(text, "bmpha-arbiter-state", version) || version != 1) return R::failure("not a state file of version 1");
  if (!take(text, "epoch", p.epoch) || !take(text, "gen", p.gen) || !take(text, "unsettled", unsettled) ||
      unsettled > 1 || !text.empty())
    return R::failure("expected the lines epoch, gen and unsettled");
  p.unsettled = unsettled != 0;
  return p;
}

StateFile::~StateFile() {
  if (lock_fd_ >= 0) close(lock_fd_);
}

StateFile::Opened StateFile::open(std::string& why) {
  const std::string lock = path_ + ".lock";
  const std::size_t slash = path_.rfind('/');
  if (slash != std::string::npos && slash > 0) mkdir(path_.substr(0, slash).c_str(), 0750);
  lock_fd_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (lock_fd_ < 0) {
    why = fmt::format("cannot create {}: {} HINT: set state-file to a place this user can write", lock,
                      std::strerror(errno));
    return Opened::kFailed;
  }
  if (flock(lock_fd_, LOCK_EX | LOCK_NB) == 0) return Opened::kYes;
  why = fmt::format(
      "{} is locked: another ha-arbiter runs with this state file HINT: stop it, or give each its own "
      "node-name and state-file",
      lock);
  return Opened::kInUse;
}

Result<Persisted> StateFile::load() const {
  std::ifstream file(path_, std::ios::binary);
  if (!file) return Persisted{};
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return decode_state(text);
}

Status StateFile::store(const Persisted& p) {
  if (stored_any_ && stored_ == p) return Status::ok();
  if (Status s = replace_file(path_, encode_state(p), Durability::kHost); !s) return s;
  stored_any_ = true;
  stored_ = p;
  return Status::ok();
}

}  // namespace bmpha::arbiter
