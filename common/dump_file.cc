#include "common/dump_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace bmpha {

Status write_dump(const std::string& path, const std::string& json) {
  if (path.empty()) {
    std::puts(json.c_str());
    std::fflush(stdout);
    return Status::ok();
  }
  const std::string temporary = path + ".new";
  const auto fail = [&](const std::string& what, const std::string& file) {
    return Status::error(fmt::format("cannot {} {}: {}", what, file, std::strerror(errno)));
  };
  std::FILE* file = std::fopen(temporary.c_str(), "we");
  if (file == nullptr) return fail("create", temporary);
  const bool written = std::fwrite(json.data(), 1, json.size(), file) == json.size() && std::fputc('\n', file) != EOF;
  if (std::fclose(file) != 0 || !written) return fail("write", temporary);
  return std::rename(temporary.c_str(), path.c_str()) == 0 ? Status::ok() : fail("replace", path);
}

}  // namespace bmpha
