// Records of a Kafka topic: printed, or, when they are raw BMP, sent on to a collector.
#pragma once

#include "bmp-recv/tap/config.h"
#include "bmp-recv/tap/output.h"
#include "bmp-recv/tap/row_printer.h"
#include "common/result.h"

namespace bmpha::recv {

Status tap_topic(const TapConfig& config, RowPrinter& printer, Output& output);
// Each router over a connection of its own. What an owner sent whose claim was superseded is left out.
Status relay_topic(const TapConfig& config);

}  // namespace bmpha::recv
