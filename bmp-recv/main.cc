// bmp-recv: accepts BMP from routers, decodes it, and hands records to kafka-gate.
#include <malloc.h>
#include <sys/signal.h>

#include <csignal>
#include <exception>

#include "bmp-recv/config.h"
#include "bmp-recv/loop.h"
#include "bmp-recv/server.h"
#include "bmp-recv/state_dump.h"
#include "common/dump_file.h"
#include "common/event_loop.h"
#include "common/log.h"

namespace {

using namespace bmpha;
using namespace bmpha::recv;

void on_signal(int signo, Options& options, const Config& config, Server& server) {
  switch (signo) {
    case SIGHUP: {
      const std::string error = options.reload();
      if (!error.empty()) return log_error("configuration not reloaded", kv("reason", error));
      server.reload();
      return log_info("configuration reloaded");
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
  const std::vector<int> signals{SIGTERM, SIGINT, SIGHUP, SIGUSR1};
  block_signals(signals);
  std::signal(SIGPIPE, SIG_IGN);
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
  loop.on_signals(signals, [&](int signo) { on_signal(signo, options, config, server); });
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
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    log_error("bug", kv("reason", e.what()));
    return kExitBug;
  }
}
