#include "ha-arbiter/join_guard.h"

#include "common/rules.h"
#include "ha-arbiter/node_blob.h"

namespace bmpha::arbiter {

JoinGuard::Verdict JoinGuard::look(const std::string& value, std::int64_t redis_ms, BootTime now) {
  const auto join = [&] {
    joined_at_ = now;
    return Verdict::kJoin;
  };
  const auto key = split_key(value);
  if (value.empty() || !key || !rule_on("A1-name")) return join();
  if (first_pub_ms_ && *first_pub_ms_ != key.value().pub_ms) return Verdict::kRefuse;
  first_pub_ms_ = key.value().pub_ms;
  auto blob = decode_blob(key.value().blob);
  if (blob && !blob.value().leaving) left_behind_ = NodeReading{key.value().pub_ms, std::move(blob.value())};
  // A live arbiter writes every tick; a third more allows for its lateness.
  const std::int64_t age = redis_ms - key.value().pub_ms;
  const bool stands_still = age < 0 || age > tick_.count() * 4 / 3;
  return stands_still || !left_behind_ ? join() : Verdict::kWait;
}

bool JoinGuard::is_contested(const std::string& value) {
  const auto key = split_key(value);
  if (value.empty() || !key) return false;
  const auto blob = decode_blob(key.value().blob);
  if (!blob || blob.value().inc == inc_) return false;
  if (left_behind_ && left_behind_->blob && left_behind_->blob->inc == blob.value().inc &&
      left_behind_->blob->tick == blob.value().tick)
    return false;  // still what the earlier process left
  // Once may be a late write of a process that is gone; a second, newer one comes from a live process.
  const bool again = foreign_inc_ == blob.value().inc && blob.value().tick > foreign_tick_;
  foreign_inc_ = blob.value().inc;
  foreign_tick_ = blob.value().tick;
  return again;
}

}  // namespace bmpha::arbiter
