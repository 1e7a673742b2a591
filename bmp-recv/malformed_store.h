// Messages that could not be used, kept for inspection (keep-malformed): a file each, as they came, bounded in number
// and bytes, and for each router and reason, so that none shuts out the others. What is in the directory from before
// counts as well, so that restarts do not add up; what is taken out of it makes room again.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/byte_reader.h"
#include "common/result.h"

namespace bmpha::recv {

class MalformedStore {
 public:
  static constexpr std::size_t kMaxFiles = 1000;
  static constexpr std::uint64_t kMaxBytes = std::uint64_t{64} * 1024 * 1024;
  static constexpr std::size_t kMaxAlike = 20;          // files of one router and reason, since files were taken away
  static constexpr std::int64_t kRecountUs = 60000000;  // a directory without room is looked into again

  // Empty: nothing is kept. Else the directory must exist and be writable.
  Status open(const std::string& directory);
  // Writes "<seconds since 1970>-<number>-<reason>.bmp" with one BMP message. Errors are counted as not kept.
  void keep(Bytes message, std::string_view router, std::string_view reason, std::int64_t wall_us);

  std::uint64_t kept() const { return kept_; }
  std::uint64_t not_kept() const { return not_kept_; }  // beyond the bounds, or the disk refused

 private:
  Status count(const std::string& directory);
  bool has_room(const std::string& kind, std::size_t size) const;

  std::string directory_;
  std::map<std::string, std::size_t> alike_;  // files by reason and router; not more entries than files
  std::int64_t counted_us_ = 0;
  std::size_t files_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t kept_ = 0, not_kept_ = 0;
};

}  // namespace bmpha::recv
