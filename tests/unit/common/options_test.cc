#include "common/options.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

using namespace bmpha;

namespace {

struct Settings {
  std::string node = "a";
  std::uint64_t partitions = 16;
  Millis hold{2000};
  std::uint64_t limit = 1024;
  bool standalone = false;
  std::vector<std::string> listen{"[::]:1790"};
  std::string mode = "ip";
  std::string password;
};

// Keeps stderr in a file while it lives.
class CapturedErrors {
 public:
  CapturedErrors() {
    std::fflush(stderr);
    saved_ = dup(2);
    file_ = std::tmpfile();
    dup2(fileno(file_), 2);
  }
  std::string text() {
    std::fflush(stderr);
    std::rewind(file_);
    std::string out;
    for (int c = 0; (c = std::fgetc(file_)) != EOF;) out += static_cast<char>(c);
    return out;
  }
  ~CapturedErrors() {
    std::fflush(stderr);
    dup2(saved_, 2);
    close(saved_);
    std::fclose(file_);
  }

 private:
  int saved_ = -1;
  std::FILE* file_ = nullptr;
};

std::string write_config(const std::string& text) {
  char path[] = "/tmp/options_test_XXXXXX";
  const int fd = mkstemp(path);
  close(fd);
  std::ofstream(path) << text;
  return path;
}

struct Outcome {
  std::optional<int> exit;
  std::string errors;
};

Outcome parse(Settings& s, std::vector<const char*> words) {
  Options o("test-tool", "a tool");
  o.text("node-name", &s.node, "name");
  o.number("partitions", &s.partitions, "count", 1, 1000);
  o.duration("hold", &s.hold, "margin", Millis{1});
  o.bytes("bytes-limit", &s.limit, "limit");
  o.flag("standalone", &s.standalone, "no Redis");
  o.list("listen", &s.listen, "addresses");
  o.choice("router-id", &s.mode, {"ip", "sysname", "tag"}, "identity");
  o.secret("password", &s.password, "secret");
  o.cross_check([&s] { return s.hold > Millis{60000} ? std::string("hold: too long") : std::string(); });
  words.insert(words.begin(), "test-tool");
  CapturedErrors captured;
  Outcome out;
  out.exit = o.parse(static_cast<int>(words.size()), words.data());
  out.errors = captured.text();
  return out;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("command line beats environment beats file beats default") {
  const std::string file = write_config(
      "node-name = \"from-file\"\npartitions = 8\nhold = \"3s\"\nbytes-limit = \"64MiB\"\nstandalone = true\n"
      "listen = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\nrouter-id = \"tag\"\npassword = \"p\"\n");
  setenv("TEST_TOOL_PARTITIONS", "9", 1);
  setenv("TEST_TOOL_HOLD", "4s", 1);
  Settings s;
  const Outcome out = parse(s, {"--config", file.c_str(), "--hold", "5s"});
  unsetenv("TEST_TOOL_PARTITIONS");
  unsetenv("TEST_TOOL_HOLD");
  unlink(file.c_str());
  CHECK_MESSAGE(!out.exit.has_value(), out.errors);
  CHECK(s.node == "from-file");
  CHECK(s.partitions == 9);
  CHECK(s.hold == Millis{5000});
  CHECK(s.limit == 64u << 20);
  CHECK(s.standalone);
  CHECK(s.listen == std::vector<std::string>{"127.0.0.1:1", "127.0.0.1:2"});
  CHECK(s.mode == "tag");
  CHECK(s.password == "p");
}

TEST_CASE("a bad value names file, key, value and what would be right, and changes nothing") {
  const struct {
    const char* line;
    const char* expected;
  } cases[] = {
      {"partitions = 0", "from 1 to 1000"},        {"partitions = \"many\"", "whole number"},
      {"hold = \"2 fortnights\"", "500ms, 2s"},    {"hold = 5", "time with unit"},
      {"bytes-limit = \"4XB\"", "4GiB"},           {"standalone = \"maybe\"", "true or false"},
      {"router-id = \"mac\"", "ip, sysname, tag"}, {"hold = \"2m\"", "hold: too long"},
  };
  for (const auto& c : cases) {
    const std::string file = write_config(c.line);
    Settings s;
    const Outcome out = parse(s, {"--config", file.c_str()});
    unlink(file.c_str());
    CAPTURE(c.line);
    CAPTURE(out.errors);
    REQUIRE(out.exit.has_value());
    CHECK(*out.exit == kExitUsage);
    CHECK(has(out.errors, file));
    CHECK(has(out.errors, c.expected));
    CHECK(s.partitions == 16);
    CHECK(s.hold == Millis{2000});
  }
}

TEST_CASE("an unknown key or option names the nearest known one") {
  const std::string file = write_config("partition = 3\n");
  Settings s;
  Outcome out = parse(s, {"--config", file.c_str()});
  unlink(file.c_str());
  CHECK(out.exit == kExitUsage);
  CHECK_MESSAGE(has(out.errors, "did you mean \"partitions\""), out.errors);
  out = parse(s, {"--node-nam=x"});
  CHECK(out.exit == kExitUsage);
  CHECK_MESSAGE(has(out.errors, "did you mean \"node-name\""), out.errors);
}

TEST_CASE("a reload brings reloadable keys only, and a removed key back to its default") {
  using Names = std::vector<std::string>;
  const std::string file = write_config("partitions = 8\nlisten = [\"a\"]\nhold = \"3s\"\nstandalone = true\n");
  Settings s;
  Options o("test-tool", "a tool");
  o.number("partitions", &s.partitions, "count", 1, 1000);
  o.list("listen", &s.listen, "addresses");
  o.flag("standalone", &s.standalone, "no Redis");
  o.duration("hold", &s.hold, "margin");
  o.choice("router-id", &s.mode, {"ip", "sysname"}, "identity");
  o.secret("password", &s.password, "secret");
  o.reloadable({"partitions", "listen", "standalone"});
  o.cross_check([&s] { return s.partitions == 13 ? std::string("partitions: unlucky") : std::string(); });
  const char* words[] = {"test-tool", "--config", file.c_str(), "--router-id", "sysname"};
  REQUIRE(!o.parse(5, words));
  const auto rewrite = [&](const char* text) { std::ofstream(file) << text; };

  Options::Reloaded r = o.reload();
  CHECK((r.error.empty() && r.changed.empty() && r.needs_restart.empty()));

  rewrite("partitions = 9\nhold = \"4s\"\npassword = \"p\"\n");
  r = o.reload();
  CHECK(r.error.empty());
  CHECK(r.changed == Names{"listen", "partitions", "standalone"});
  CHECK(r.needs_restart == Names{"hold", "password"});
  CHECK(s.partitions == 9);
  CHECK(s.listen == Names{"[::]:1790"});
  CHECK_FALSE(s.standalone);
  CHECK(s.hold == Millis{3000});
  CHECK(s.password.empty());
  CHECK(s.mode == "sysname");  // from the command line

  for (const char* bad : {"partitions = 13\n", "partitions = 0\n", "unknown = 1\n"}) {
    rewrite(bad);
    r = o.reload();
    CHECK_FALSE(r.error.empty());
    CHECK((r.changed.empty() && r.needs_restart.empty()));
    CHECK(s.partitions == 9);
    CHECK(s.hold == Millis{3000});
  }

  rewrite("");
  r = o.reload();
  CHECK(r.changed == Names{"partitions"});
  CHECK(r.needs_restart == Names{"hold"});
  CHECK(s.partitions == 16);
  rewrite("hold = \"3s\"\n");
  CHECK(o.reload().needs_restart.empty());
  unlink(file.c_str());
}

TEST_CASE("sections, missing files and secrets on the command line are refused") {
  const std::string file = write_config("[kafka]\npartitions = 3\n");
  Settings s;
  Outcome out = parse(s, {"--config", file.c_str()});
  unlink(file.c_str());
  CHECK(out.exit == kExitUsage);
  CHECK_MESSAGE(has(out.errors, "section [kafka]"), out.errors);
  out = parse(s, {"--config", "/nonexistent/file.toml"});
  CHECK(out.exit == kExitUsage);
  CHECK_MESSAGE(has(out.errors, "/nonexistent/file.toml"), out.errors);
  out = parse(s, {"--password", "x"});
  CHECK(out.exit == kExitUsage);
  CHECK_MESSAGE(has(out.errors, "TEST_TOOL_PASSWORD"), out.errors);
}

TEST_CASE("durations and sizes need the right unit") {
  Millis d{};
  CHECK((parse_duration("500ms", d) && d == Millis{500}));
  CHECK((parse_duration("2m", d) && d == Millis{120000}));
  CHECK_FALSE(parse_duration("2", d));
  CHECK_FALSE(parse_duration("", d));
  CHECK_FALSE(parse_duration("-2s", d));
  CHECK_FALSE(parse_duration("99999999999999999999s", d));
  std::uint64_t n = 0;
  CHECK((parse_bytes("2GiB", n) && n == std::uint64_t{2} << 30));
  CHECK_FALSE(parse_bytes("GiB", n));
  CHECK_FALSE(parse_bytes("18446744073709551615GiB", n));
}
