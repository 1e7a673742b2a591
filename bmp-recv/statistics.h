// The statistics that routers report (RFC 7854 4.8, RFC 8671 6.2, RFC 9972 3).
#pragma once

#include <cstdint>
#include <string_view>

namespace bmpha::recv {

// The name that bmp_stat_ext rows have for a type; empty: nobody has defined it.
std::string_view statistic_name(std::uint16_t type);

// Types that have a column in bmp_stat: 0 to 8.
inline constexpr std::uint16_t kBmpStatTypes = 9;

}  // namespace bmpha::recv
