#include "bmp-recv/statistics.h"

#include <iterator>

namespace bmpha::recv {

std::string_view statistic_name(std::uint16_t type) {
  // By type; those of one value per AFI and SAFI end in _per_family.
  static constexpr std::string_view kNames[] = {
      "rejected_prefixes",
      "duplicate_prefixes",
      "duplicate_withdraws",
      "cluster_list_loops",
      "as_path_loops",
      "originator_id_loops",
      "as_confed_loops",
      "adj_rib_in_routes",
      "loc_rib_routes",
      "adj_rib_in_routes_per_family",
      "loc_rib_routes_per_family",
      "updates_treated_as_withdraw",
      "prefixes_treated_as_withdraw",
      "duplicate_updates",
      "adj_rib_out_pre_routes",  // RFC 8671
      "adj_rib_out_post_routes",
      "adj_rib_out_pre_routes_per_family",
      "adj_rib_out_post_routes_per_family",
      "adj_rib_in_pre_routes",  // RFC 9972
      "adj_rib_in_pre_routes_per_family",
      "adj_rib_in_post_routes",
      "adj_rib_in_post_routes_per_family",
      "adj_rib_in_pre_rejected_per_family",
      "adj_rib_in_post_accepted_per_family",
      "",
      "",
      "damped_routes_per_family",
      "gr_stale_routes_per_family",
      "llgr_stale_routes_per_family",
      "routes_until_threshold",
      "routes_until_threshold_per_family",
      "routes_until_license_threshold",
      "routes_until_license_threshold_per_family",
      "adj_rib_in_pre_as_path_too_long",
      "adj_rib_in_pre_as_path_too_long_per_family",
      "adj_rib_in_post_rpki_invalid_per_family",
      "adj_rib_in_post_rpki_valid_per_family",
      "adj_rib_in_post_rpki_not_found_per_family",
      "adj_rib_out_pre_rejected_per_family",
      "adj_rib_out_pre_as_path_too_long",
      "adj_rib_out_pre_as_path_too_long_per_family",
      "adj_rib_out_post_rpki_invalid_per_family",
      "adj_rib_out_post_rpki_valid_per_family",
      "adj_rib_out_post_rpki_not_found_per_family",
  };
  return type < std::size(kNames) ? kNames[type] : std::string_view();
}

}  // namespace bmpha::recv
