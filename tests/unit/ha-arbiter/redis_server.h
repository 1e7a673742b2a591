// Real redis-server processes for the store's tests, each in a temporary directory of its own, and a store with a loop.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ha-arbiter/redis_store.h"
#include "tests/support/need_server.h"

namespace bmpha::arbiter::test {

inline bool have_redis() {
  static const bool found = [] {
    for (const char* path : {"/usr/bin/redis-server", "/usr/local/bin/redis-server"})
      if (access(path, X_OK) == 0) return true;
    return false;
  }();
  return bmpha::test::have_server(found ? "" : "redis-server is not installed");
}

inline std::uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof a;
  bind(fd, reinterpret_cast<sockaddr*>(&a), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size);
  close(fd);
  return ntohs(a.sin_port);
}

struct TemporaryDirectory {
  std::string path;
  TemporaryDirectory() {
    char name[] = "/tmp/arbiter-redis-XXXXXX";
    path = mkdtemp(name);
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
};

// redis-server on a unix socket, and on a port where the arguments say so.
struct RedisServer {
  TemporaryDirectory directory;
  std::vector<std::string> arguments;
  pid_t pid = -1;

  explicit RedisServer(std::vector<std::string> more = {}) : arguments(std::move(more)) { start(); }
  ~RedisServer() { stop(); }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  std::string socket() const { return directory.path + "/redis.sock"; }
  void start() {
    std::vector<std::string> all{"redis-server"};
    const bool sentinel = !arguments.empty() && arguments.front().ends_with(".conf");
    if (!sentinel)
      for (const char* a : {"--port", "0", "--save", "", "--dir"}) all.emplace_back(a);
    if (!sentinel) all.push_back(directory.path);
    all.insert(all.end(), arguments.begin(), arguments.end());
    if (!sentinel) all.insert(all.end(), {"--unixsocket", socket()});
    std::vector<char*> argv;
    for (std::string& a : all) argv.push_back(a.data());
    argv.push_back(nullptr);
    pid = fork();
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test run that is killed leaves no server behind
      const int null = open("/dev/null", O_RDWR);
      dup2(null, 1);
      dup2(null, 2);
      execvp(argv[0], argv.data());
      _exit(127);
    }
    for (int n = 0; !sentinel && n < 500 && !listens(); ++n) usleep(10'000);
  }
  bool listens() const {
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    socket().copy(a.sun_path, sizeof a.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    const bool yes = connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0;
    close(fd);
    return yes;
  }
  void stop() {
    if (pid <= 0) return;
    kill(pid, SIGCONT);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    pid = -1;
    std::filesystem::remove(socket());
  }
  // redis-cli's output; its exit code tells nothing of error replies.
  std::string cli(const std::string& command) const {
    const std::string line = "redis-cli -s " + socket() + " " + command + " 2>&1";
    std::string out;
    FILE* pipe = popen(line.c_str(), "r");
    REQUIRE(pipe != nullptr);
    char buffer[4096];
    for (std::size_t n = fread(buffer, 1, sizeof buffer, pipe); n > 0; n = fread(buffer, 1, sizeof buffer, pipe))
      out.append(buffer, n);
    pclose(pipe);
    return out;
  }
  bool cli_until(const std::string& command, const std::string& wanted, int tenths = 100) const {
    for (int n = 0; n < tenths; ++n) {
      if (cli(command).find(wanted) != std::string::npos) return true;
      usleep(100'000);
    }
    return false;
  }
};

inline RedisAddress at_socket(const RedisServer& s) {
  RedisAddress a;
  a.path = s.socket();
  return a;
}

inline RedisSettings settings_for(const RedisAddress& address, const std::string& node = "a",
                                  std::uint64_t cluster = 1) {
  RedisSettings settings;
  settings.address = address;
  settings.cluster_name = "c";
  settings.cluster_id = cluster;
  settings.node = node;
  settings.timeout = Millis(300);
  return settings;
}

struct Client {
  EventLoop loop;
  std::unique_ptr<RedisStore> store;
  explicit Client(const RedisSettings& settings) { store = std::make_unique<RedisStore>(loop, settings); }

  template <class T>
  T wait(const std::function<void(std::function<void(T)>)>& begin) {
    std::optional<T> got;
    begin([&](T x) {
      got = std::move(x);
      loop.stop();
    });
    if (!got) loop.run();
    return std::move(*got);
  }
  Result<TickReply> tick(const TickRequest& r = {}) {
    return wait<Result<TickReply>>([&](Store::TickDone done) { store->tick(r, std::move(done)); });
  }
  // A failure makes the store pause before it connects again: ask until it answers.
  Result<TickReply> tick_until_ok(const TickRequest& r = {}, int times = 60) {
    for (int n = 0; n < times; ++n) {
      auto reply = tick(r);
      if (reply) return reply;
      pause(Millis(50));
    }
    return tick(r);
  }
  // The first failure within that time whose text has this; empty when there is none.
  std::string tick_until_failure(const std::string& text, const TickRequest& r = {"x", 0}, int times = 60) {
    for (int n = 0; n < times; ++n) {
      auto reply = tick(r);
      if (!reply && reply.error().find(text) != std::string::npos) return reply.error();
      pause(Millis(50));
    }
    return {};
  }
  void pause(Millis time) {
    loop.after(time, [this] { loop.stop(); });
    loop.run();
  }
  Result<ClaimReply> claim(const ClaimRequest& r) {
    return wait<Result<ClaimReply>>([&](Store::ClaimDone done) { store->claim(r, std::move(done)); });
  }
  Status forget(const std::vector<std::pair<std::string, std::string>>& routers) {
    return wait<Status>([&](Store::Done done) { store->forget(routers, std::move(done)); });
  }
  Result<Store::Pairs> census(const std::string& text) {
    return wait<Result<Store::Pairs>>([&](Store::CensusDone done) { store->census(text, std::move(done)); });
  }
  Status leave() {
    return wait<Status>([&](Store::Done done) { store->leave(std::move(done)); });
  }
};

inline std::string value_of(const TickReply& r, const std::string& node) {
  for (const auto& [id, value] : r.nodes)
    if (id == node) return value;
  return "-";
}

}  // namespace bmpha::arbiter::test
