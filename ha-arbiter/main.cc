// ha-arbiter: decides, with the other nodes' arbiters, which of this node's routers it forwards.
#include <csignal>
#include <exception>

#include "common/event_loop.h"
#include "common/log.h"
#include "ha-arbiter/config.h"
#include "ha-arbiter/service.h"

namespace {

using namespace bmpha;
using namespace bmpha::arbiter;

int run(int argc, char** argv) {
  block_signals(service_signals());
  std::signal(SIGPIPE, SIG_IGN);
  Config config;
  Options options("ha-arbiter", "decides with the other nodes which routers this node forwards");
  add_options(options, config);
  if (const auto code = options.parse(argc, argv)) return *code;
  if (options.check_only()) return options.finish_check();
  log_init("ha-arbiter", config.node, options.verbose());
  Service service(config, [&options] { return options.reload(); });
  return service.run();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    log_error("bug", kv("reason", e.what()));
    return kExitBug;
  }
}
