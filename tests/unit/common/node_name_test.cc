#include "common/node_name.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>

#include "common/log.h"

using namespace bmpha;

TEST_CASE("names of nodes: letters, digits and few signs, up to 64") {
  for (const std::string good : {"a", "a-1.5%+x", "xa-1.5%+x", "A_b:c@d~9"}) {
    CAPTURE(good);
    CHECK(is_node_name(good));
    CHECK(check_node_name(good).empty());
  }
  CHECK(is_node_name(std::string(64, 'n')));
  for (const std::string& bad :
       std::vector<std::string>{"", "a b", "a\n", "a/b", "{a}", "n\xc3\xb6", std::string("a\0", 2), "a\"", "a'", "a=b",
                                std::string(65, 'n')}) {
    CAPTURE(bad);
    CHECK(!is_node_name(bad));
    CHECK(check_node_name(bad) == "expected 1 to 64 letters, digits or -._%+:@~");
  }
  CHECK(check_node_name_given("a").empty());
  CHECK(check_node_name_given("").find("node-name") != std::string::npos);
}

TEST_CASE("any name of a node stands in a log line as it is") {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  const int saved = dup(STDERR_FILENO);
  std::fflush(stderr);
  dup2(fileno(file), STDERR_FILENO);
  log_init("some-tool", "a-1.5%+x", false);
  log_info("started", kv("n", 1));
  std::fflush(stderr);
  dup2(saved, STDERR_FILENO);
  close(saved);
  log_init("unit", {}, false);
  std::rewind(file);
  char line[200] = "";
  REQUIRE(std::fgets(line, sizeof line, file) != nullptr);
  std::fclose(file);
  const std::string text(line);
  CHECK(text.ends_with(" info some-tool node=a-1.5%+x event=started n=1\n"));
}
