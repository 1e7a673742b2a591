// ha-arbiter: decides, with the other nodes' arbiters, which of this node's routers it forwards.
#include "common/log.h"
#include "common/program.h"
#include "ha-arbiter/config.h"
#include "ha-arbiter/service.h"

namespace {

using namespace bmpha;
using namespace bmpha::arbiter;

int run(int argc, char** argv) {
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
  return run_program("ha-arbiter", service_signals(), [&] { return run(argc, argv); });
}
