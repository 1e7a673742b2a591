// The one rule for versions of what two builds exchange (docs/versions.md): a reader of version N reads N and N-1, a
// writer writes the older of the two as long as it says nothing that the older does not know.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace bmpha {

constexpr bool reads_version(std::uint64_t version, std::uint64_t newest) {
  return version != 0 && (version == newest || version + 1 == newest);
}

// Why a version was refused: "envelope version 9 is not supported (this build reads 1)".
inline std::string version_refused(std::string_view what, std::uint64_t version, std::uint64_t newest) {
  const std::string reads = newest > 1 ? fmt::format("{} and {}", newest - 1, newest) : fmt::format("{}", newest);
  return fmt::format("{} version {} is not supported (this build reads {})", what, version, reads);
}

}  // namespace bmpha
