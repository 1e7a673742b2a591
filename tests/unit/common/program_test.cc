#include "common/program.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <new>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "common/options.h"

using namespace bmpha;

namespace {

struct Ended {
  int code = -1;
  std::string text;  // what it wrote to stderr
};

// Runs the body as a tool in a process of its own.
Ended run_apart(const std::function<int()>& body) {
  std::array<int, 2> pipe_ends{};
  REQUIRE(pipe(pipe_ends.data()) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    dup2(pipe_ends[1], STDERR_FILENO);
    int code = 0;
    // In a thread, as in a main, no handler stands above; here doctest's would.
    std::thread([&] { code = run_program("some-tool", {SIGTERM}, body); }).join();
    _exit(code);
  }
  close(pipe_ends[1]);
  Ended e;
  std::array<char, 4096> buffer{};
  for (ssize_t n = 0; (n = read(pipe_ends[0], buffer.data(), buffer.size())) > 0;)
    e.text.append(buffer.data(), static_cast<std::size_t>(n));
  close(pipe_ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  if (WIFEXITED(status)) e.code = WEXITSTATUS(status);
  return e;
}

// Says so when it is destroyed: nothing may be unwound.
struct Talker {
  ~Talker() { fmt::print(stderr, "unwound\n"); }
};

int fail_with(const std::function<void()>& thrower) {
  const Talker talker;
  thrower();
  return 0;
}

}  // namespace

TEST_CASE("a program returns what its body returns, without a word") {
  const Ended e = run_apart([] { return 42; });
  CHECK(e.code == 42);
  CHECK(e.text.empty());
}

TEST_CASE("an exception that nobody expected is one log line and exit code 101, a shortage is 111") {
  struct Case {
    std::function<void()> thrower;
    int code;
    std::string end;
  };
  const std::vector<Case> cases = {
      {[] { throw std::logic_error("two = three"); }, kExitBug, "event=bug reason=\"two = three\"\n"},
      {[] { throw std::runtime_error("line\nfeed"); }, kExitBug, "event=bug reason=\"line\\x0afeed\"\n"},
      {[] { throw 7; }, kExitBug, "event=bug reason=\"an exception of a foreign kind\"\n"},
      {[] { std::terminate(); }, kExitBug, "event=bug reason=\"terminated without an exception\"\n"},
      {[] { throw std::bad_alloc(); }, kExitEnvironment, "event=\"cannot go on\" reason=std::bad_alloc\n"},
      {[] { throw std::system_error(EMFILE, std::generic_category(), "epoll_create1"); }, kExitEnvironment,
       "event=\"cannot go on\" reason=\"epoll_create1: Too many open files\"\n"},
      {[] { throw std::system_error(EBADF, std::generic_category(), "epoll_ctl"); }, kExitBug,
       "event=bug reason=\"epoll_ctl: Bad file descriptor\"\n"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.end);
    for (const bool in_thread : {false, true}) {
      const Ended e = run_apart([&] {
        if (!in_thread) return fail_with(c.thrower);
        std::thread(fail_with, c.thrower).join();
        return 0;
      });
      CHECK(e.code == c.code);
      CHECK(e.text.ends_with(c.end));
      CHECK(e.text.find(" error some-tool event=") != std::string::npos);
      CHECK(std::count(e.text.begin(), e.text.end(), '\n') == 1);
    }
  }
}
