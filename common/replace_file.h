// Replacing a file so that a reader sees the old text or the new one, never a part.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"

namespace bmpha {

enum class Durability {
  kProcess,  // the new text outlives this process
  kHost,     // it outlives a power loss too; costs the disk's time
};

// Writes PATH.new beside the file and renames it. After a failure the file is as it was.
Status replace_file(const std::string& path, std::string_view text, Durability durability);

}  // namespace bmpha
