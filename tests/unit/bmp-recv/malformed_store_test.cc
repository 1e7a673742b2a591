#include "bmp-recv/malformed_store.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;
namespace fs = std::filesystem;

namespace {

struct Directory {
  Directory() { path = mkdtemp(name); }
  ~Directory() { fs::remove_all(path); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  char name[32] = "/tmp/malformed-test-XXXXXX";
  std::string path;
};

std::vector<fs::path> files(const std::string& path) {
  std::vector<fs::path> all;
  for (const auto& entry : fs::directory_iterator(path)) all.push_back(entry.path());
  return all;
}

}  // namespace

TEST_CASE("a malformed message is kept as it came, under its reason") {
  const Directory d;
  MalformedStore store;
  store.keep(as_bytes("x"), "r1", "origin", 1);  // not open: nothing
  CHECK(store.not_kept() == 0);
  REQUIRE(store.open(d.path).is_ok());
  store.keep(as_bytes("message"), "r1", "origin", 1700000000000250);
  CHECK(store.kept() == 1);
  const auto all = files(d.path);
  REQUIRE(all.size() == 1);
  CHECK(all[0].filename().string() == "1700000000.000250-0000-origin.bmp");
  CHECK(read_file(all[0].string()) == "message");
}

TEST_CASE("what is kept is bounded in bytes and number, over restarts too") {
  const Directory d;
  std::ofstream(d.path + "/before.bmp").close();
  fs::resize_file(d.path + "/before.bmp", MalformedStore::kMaxBytes - 10);
  MalformedStore store;
  REQUIRE(store.open(d.path).is_ok());
  store.keep(as_bytes("0123456789"), "r1", "nlri", 1);
  store.keep(as_bytes("0"), "r1", "nlri", 2);
  CHECK(store.kept() == 1);
  CHECK(store.not_kept() == 1);
  fs::remove(d.path + "/before.bmp");
  MalformedStore many;
  REQUIRE(many.open(d.path).is_ok());
  for (std::size_t n = 0; n < MalformedStore::kMaxFiles + 5; ++n)
    many.keep(as_bytes("0"), std::to_string(n / 10), "nlri", 3);
  CHECK(files(d.path).size() == MalformedStore::kMaxFiles);
  CHECK(many.not_kept() == 6);
}

TEST_CASE("a directory that is not there is an error at the start") {
  MalformedStore store;
  const Status s = store.open("/nonexistent/x");
  REQUIRE_FALSE(s.is_ok());
  CHECK(s.message().find("keep-malformed /nonexistent/x") != std::string::npos);
  MalformedStore none;
  CHECK(none.open("").is_ok());
}

TEST_CASE("no router and no reason takes all the room") {
  const Directory d;
  MalformedStore store;
  REQUIRE(store.open(d.path).is_ok());
  for (std::size_t n = 0; n < MalformedStore::kMaxAlike + 5; ++n) store.keep(as_bytes("0"), "r1", "attribute_flags", 3);
  CHECK(store.kept() == MalformedStore::kMaxAlike);
  store.keep(as_bytes("0"), "r1", "nlri", 3);
  store.keep(as_bytes("0"), "r2", "attribute_flags", 3);
  CHECK(store.kept() == MalformedStore::kMaxAlike + 2);
}

TEST_CASE("files that are taken away make room, though not at once") {
  const Directory d;
  MalformedStore store;
  REQUIRE(store.open(d.path).is_ok());
  const std::int64_t begin = 5 * MalformedStore::kRecountUs;
  for (std::size_t n = 0; n < MalformedStore::kMaxAlike + 1; ++n) store.keep(as_bytes("0"), "r1", "nlri", begin);
  CHECK(store.kept() == MalformedStore::kMaxAlike);
  store.keep(as_bytes("0"), "r1", "nlri", begin + MalformedStore::kRecountUs);  // nothing was taken away
  CHECK(store.kept() == MalformedStore::kMaxAlike);
  for (const fs::path& file : files(d.path)) fs::remove(file);
  store.keep(as_bytes("0"), "r1", "nlri", begin + 2 * MalformedStore::kRecountUs - 1);
  CHECK(store.kept() == MalformedStore::kMaxAlike);
  store.keep(as_bytes("0"), "r1", "nlri", begin + 2 * MalformedStore::kRecountUs);
  CHECK(store.kept() == MalformedStore::kMaxAlike + 1);
}
