#include "common/log.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>
#include <thread>

#include "common/log_counts.h"

using namespace bmpha;

namespace {

// Standard error is that descriptor meanwhile.
class StderrTo {
 public:
  explicit StderrTo(int fd) : saved_(dup(STDERR_FILENO)) {
    to(fd);
    log_init("unit", {}, false);
  }
  ~StderrTo() {
    to(saved_);
    close(saved_);
    log_init("unit", {}, false);
  }
  static void to(int fd) { dup2(fd, STDERR_FILENO); }

 private:
  int saved_;
};

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (ssize_t n = 0; (n = read(fd, buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(n));
  return text;
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("a pipe that nobody reads costs lines, which are counted, and no time") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  std::string first, second;
  std::uint64_t dropped = 0;
  const std::size_t lines = 20000;
  {
    const StderrTo redirected(ends[1]);
    const std::string padding(50, 'x');
    for (std::size_t n = 0; n < lines; ++n) log_info("tick", kv("n", n), kv("padding", padding));
    first = read_all(ends[0]);
    log_info("after", kv("n", 1));
    second = read_all(ends[0]);
    dropped = log_lines_dropped();
  }
  close(ends[0]);
  close(ends[1]);
  const std::size_t told = count(first, "event=tick");
  CHECK(told > 100);
  CHECK(told < lines);
  CHECK(dropped == lines - told);
  CHECK(first.ends_with("\n"));
  CHECK(second.find(" warning unit event=\"log lines dropped\" count=" + std::to_string(lines - told) + "\n") !=
        std::string::npos);
  CHECK(second.ends_with(" info unit event=after n=1\n"));
}

TEST_CASE("a line longer than a pipe takes at once is cut only when there is no more room") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  std::string whole, rest;
  {
    const StderrTo redirected(ends[1]);
    log_info("long", kv("text", std::string(20000, 'a')));
    whole = read_all(ends[0]);
    log_info("longer", kv("text", std::string(1 << 20, 'b')));
    (void)read_all(ends[0]);
    log_info("after", kv("n", 1));
    rest = read_all(ends[0]);
  }
  close(ends[0]);
  close(ends[1]);
  CHECK(count(whole, "a") == 20000);
  CHECK(count(whole, "\n") == 1);
  CHECK(rest.starts_with("\n"));  // ends the line that was cut
  CHECK(rest.find("event=\"log lines dropped\" count=1\n") != std::string::npos);
  CHECK(rest.ends_with("event=after n=1\n"));
}

TEST_CASE("a full disk costs lines, which are told when there is room again") {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  REQUIRE(full >= 0);
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  {
    const StderrTo redirected(full);
    for (int n = 0; n < 3; ++n) log_warn("lost", kv("n", n));
    StderrTo::to(fileno(file));
    log_info("kept", kv("n", 1));
  }
  close(full);
  std::rewind(file);
  const std::string text = read_all(fileno(file));
  std::fclose(file);
  CHECK(text.find("event=\"log lines dropped\" count=3\n") != std::string::npos);
  CHECK(text.ends_with("event=kept n=1\n"));
  CHECK(text.find("event=lost") == std::string::npos);
}

TEST_CASE("what is said last may wait for room, and what was dropped before it is told at the end") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  std::string text;
  {
    const StderrTo redirected(ends[1]);
    const std::string padding(1000, 'x');
    for (int n = 0; n < 100; ++n) log_info("tick", kv("padding", padding));
    std::thread reader([&] {
      // Nothing is read before the last words wait.
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      std::array<char, 4096> buffer{};
      for (ssize_t n = 0; (n = read(ends[0], buffer.data(), buffer.size())) > 0;)
        text.append(buffer.data(), static_cast<std::size_t>(n));
    });
    log_be_patient(Millis(10'000));
    log_error("bug", kv("reason", "x"));
    log_be_patient(Millis(0));
    StderrTo::to(STDOUT_FILENO);  // the reader comes to its end
    close(ends[1]);
    reader.join();
  }
  close(ends[0]);
  CHECK(count(text, "event=\"log lines dropped\"") == 1);
  CHECK(text.ends_with(" error unit event=bug reason=x\n"));
}

TEST_CASE("lines that were dropped last are counted at the end; a new name of the logger forgets none") {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  REQUIRE(full >= 0);
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  {
    const StderrTo redirected(full);
    log_warn("lost");
    log_init("unit", "node-1", false);
    log_warn("lost");
    StderrTo::to(fileno(file));
    log_end();
    log_end();
  }
  close(full);
  std::rewind(file);
  const std::string text = read_all(fileno(file));
  std::fclose(file);
  CHECK(text.ends_with("event=\"log lines dropped\" count=2\n"));
  CHECK(count(text, "\n") == 1);
}
