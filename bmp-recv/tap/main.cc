// bmp-tap: shows what is on the way: BMP in files and captures, records of a bmp-recv, records in Kafka.
#include <fmt/format.h>

#include "bmp-recv/tap/config.h"
#include "bmp-recv/tap/streams.h"
#include "bmp-recv/tap/subscription.h"
#include "bmp-recv/tap/topic_tap.h"
#include "common/log.h"
#include "common/program.h"

namespace {

using namespace bmpha;
using namespace bmpha::recv;

int complain(const std::string& why) {
  fmt::print(stderr, "bmp-tap: {}\n", why);
  return kExitEnvironment;
}

// A reader of ours that goes away is a quiet end.
int finish(Output& output, const Status& status) {
  output.flush();
  if (!output.failure().empty()) return complain("cannot write to standard output: " + output.failure());
  if (output.is_closed() || status) return kExitDone;
  return complain(status.message());
}

int tap_file(const TapConfig& c, RowPrinter& printer, Output& output) {
  Result<std::unique_ptr<InputFile>> file = InputFile::open(c.input);
  if (!file) return complain(file.error());
  DecodingSink sink({file.value()->name(), c.collector_id, c.router_ip, c.compat == "openbmp-psql"}, printer, output);
  const Status status = read_streams(*file.value(), sink);
  const int code = finish(output, status);
  return code == kExitDone && sink.is_broken() && !output.is_closed() ? kExitEnvironment : code;
}

int relay_file(const TapConfig& c) {
  Result<std::unique_ptr<InputFile>> file = InputFile::open(c.input);
  if (!file) return complain(file.error());
  RelayingSink sink(c.relay, c.hold);
  if (const Status status = read_streams(*file.value(), sink); !status) return complain(status.message());
  return sink.status() ? kExitDone : complain(sink.status().message());
}

int tap_subscription(const TapConfig& c, RowPrinter& printer, Output& output) {
  ZmqContext context;
  Result<Subscription> subscription = Subscription::open(context, c.subscribe, {});
  if (!subscription) return complain(subscription.error());
  const auto print = [&](const Envelope& e, std::string_view payload) {
    if (const char* why = printer.print({e.kind, e.router, std::nullopt, {}}, payload, output.buffer()); why != nullptr)
      fmt::print(stderr, "bmp-tap: record {} of router {}: {}\n", e.seq, to_hex(e.router), why);
    output.wrote();
    return !printer.is_done() && !output.is_closed();
  };
  const auto idle = [&] {
    output.flush();
    return !output.is_closed();
  };
  return finish(output, subscription.value().run(print, idle));
}

int run(int argc, char** argv) {
  TapConfig c;
  Options options("bmp-tap",
                  "prints BMP and records as text or JSON lines: of a file, of a bmp-recv, of a Kafka topic");
  add_options(options, c);
  if (const auto code = options.parse(argc, argv)) return *code;
  if (options.check_only()) return options.finish_check();
  log_init("bmp-tap", {}, options.verbose());
  RowPrinter printer(c.json ? RowPrinter::Form::kJson : RowPrinter::Form::kText, c.filter);
  printer.set_limit(c.count);
  Output output;
  if (!c.kafka.brokers.empty()) {
    const Status status = c.relay.empty() ? tap_topic(c, printer, output) : relay_topic(c);
    return finish(output, status);
  }
  if (!c.relay.empty()) return relay_file(c);
  return c.subscribe.empty() ? tap_file(c, printer, output) : tap_subscription(c, printer, output);
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("bmp-tap", {}, [&] { return run(argc, argv); });
}
