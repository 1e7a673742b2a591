// Where a tool's state dump (USR1) goes.
#pragma once

#include <string>

#include "common/result.h"

namespace bmpha {

// Replaces the file atomically with the JSON text and a line end; an empty path means one line on stdout.
Status write_dump(const std::string& path, const std::string& json);

}  // namespace bmpha
