#include "common/replace_file.h"

#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

using namespace bmpha;

namespace {

struct TempDir {
  std::filesystem::path path;
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "bmpha-file-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
};

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}
std::size_t entries(const std::filesystem::path& directory) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(directory), {}));
}

}  // namespace

TEST_CASE("a file is made, then replaced, and nothing else is left beside it") {
  const TempDir dir;
  const std::string path = dir.path / "state";
  for (const Durability d : {Durability::kProcess, Durability::kHost}) {
    CHECK(replace_file(path, "a longer first text\n", d));
    CHECK(replace_file(path, std::string("b\0c\n", 4), d));
    CHECK(content(path) == std::string("b\0c\n", 4));
    CHECK(entries(dir.path) == 1);
  }
}

TEST_CASE("a reader never sees a part") {
  const TempDir dir;
  const std::string path = dir.path / "state";
  const std::string one(100'000, '1'), two(150'000, '2');
  REQUIRE(replace_file(path, one, Durability::kProcess));
  std::atomic<bool> done = false;
  std::atomic<int> bad = 0, seen = 0;
  std::thread reader([&] {
    while (!done) {
      const std::string text = content(path);
      ++seen;
      if (text != one && text != two) ++bad;
    }
  });
  for (int n = 0; n < 200 || seen < 50; ++n) CHECK(replace_file(path, n % 2 == 0 ? two : one, Durability::kProcess));
  done = true;
  reader.join();
  CHECK(bad == 0);
}

TEST_CASE("what cannot be written is said, and leaves no trace") {
  const TempDir dir;
  const Status absent = replace_file(dir.path / "absent/state", "x", Durability::kHost);
  CHECK(absent.message().starts_with("cannot create "));
  CHECK(absent.message().ends_with("/absent/state.new: No such file or directory"));
  std::filesystem::create_directories(dir.path / "taken/by");
  const Status taken = replace_file(dir.path / "taken", "x", Durability::kHost);
  CHECK(taken.message().starts_with("cannot replace "));
  CHECK(entries(dir.path) == 1);
  if (std::filesystem::exists("/dev/full")) {
    std::filesystem::create_symlink("/dev/full", dir.path / "full.new");
    const Status full = replace_file(dir.path / "full", "x", Durability::kProcess);
    CHECK(full.message().ends_with("full.new: No space left on device"));
    CHECK(entries(dir.path) == 1);
  }
}
