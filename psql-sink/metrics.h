// What the metrics endpoint shows of psql-sink. Pure.
#pragma once

#include "common/metrics.h"
#include "psql-sink/status.h"

namespace bmpha::sink {

MetricsPage metrics_page(const SinkStatus& status);

}  // namespace bmpha::sink
