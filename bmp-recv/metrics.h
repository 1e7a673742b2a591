// What the metrics endpoint shows of bmp-recv. Pure.
#pragma once

#include "bmp-recv/state_dump.h"
#include "common/metrics.h"

namespace bmpha::recv {

MetricsPage metrics_page(const StateView& state);

}  // namespace bmpha::recv
