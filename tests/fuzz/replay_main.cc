// Runs a fuzz target over files and directories instead of random input: the corpus as a regression test, with any
// compiler. Prints how many inputs were run.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::vector<std::filesystem::path> files_of(const char* argument) {
  if (!std::filesystem::is_directory(argument)) return {argument};
  std::vector<std::filesystem::path> list;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(argument))
    if (entry.is_regular_file()) list.push_back(entry.path());
  std::sort(list.begin(), list.end());
  return list;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t inputs = 0;
  for (int n = 1; n < argc; ++n)
    for (const auto& path : files_of(argv[n])) {
      std::ifstream in(path, std::ios::binary);
      const std::vector<char> bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
      if (!in.good() && !in.eof()) {
        std::fprintf(stderr, "cannot read %s\n", path.c_str());
        return 111;
      }
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
      ++inputs;
    }
  std::printf("%s: %zu inputs\n", argv[0], inputs);
  return inputs == 0 ? 100 : 0;
}
