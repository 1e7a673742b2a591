#include "common/dump_file.h"

#include <cstdio>

#include "common/replace_file.h"

namespace bmpha {

Status write_dump(const std::string& path, const std::string& json) {
  if (!path.empty()) return replace_file(path, json + '\n', Durability::kProcess);
  std::puts(json.c_str());
  std::fflush(stdout);
  return Status::ok();
}

}  // namespace bmpha
