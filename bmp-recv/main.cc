// bmp-recv: accepts BMP from routers, decodes it, and hands records to kafka-gate.
#include <malloc.h>

#include <csignal>

#include "bmp-recv/config.h"
#include "bmp-recv/loop.h"
#include "bmp-recv/server.h"
#include "bmp-recv/state_dump.h"
#include "common/dump_file.h"
#include "common/log.h"
#include "common/program.h"

namespace {

using namespace bmpha;
using namespace bmpha::recv;

const std::vector<int> kSignals = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};  // NOLINT: before main, nothing else runs

void on_signal(int signo, Options& options, const Config& config, Server& server) {
  switch (signo) {
    case SIGHUP: {
      if (log_reload(options.reload())) server.reload();
      return;
    }
    case SIGUSR1:
      if (Status s = write_dump(config.dump_file, server.dump()); !s)
        log_error("state not written", kv("reason", s.message()));
      return;
    default:
      server.stop();
  }
}

int run(int argc, char** argv) {
  // Records come and go by the hundred KiB: keep their memory instead of giving it back page by page.
  mallopt(M_MMAP_THRESHOLD, 32 * 1024 * 1024);
  mallopt(M_TRIM_THRESHOLD, 64 * 1024 * 1024);
  mallopt(M_ARENA_MAX, 2);

  Config config;
  Options options("bmp-recv", "receives BMP from routers and hands decoded records to kafka-gate");
  add_options(options, config);
  if (const auto code = options.parse(argc, argv)) return *code;
  if (options.check_only()) return options.finish_check();
  log_init("bmp-recv", config.node_name, options.verbose());

  Loop loop;
  Server server(loop, config);
  loop.on_signals(kSignals, [&](int signo) { on_signal(signo, options, config, server); });
  if (Status s = server.start(); !s) {
    log_error("cannot start", kv("reason", s.message()));
    return kExitEnvironment;
  }
  log_info("started", kv("version", version()), kv("collector", config.collector()));
  loop.run();
  return kExitDone;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("bmp-recv", kSignals, [&] { return run(argc, argv); });
}
