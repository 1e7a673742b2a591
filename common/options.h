// Command line, environment and configuration file of every tool, with one precedence (command line, then
// environment, then file, then default) and one form of error: which source, which key, which value, what is right.
// The only file pair that includes CLI11.
//
//   Options o("kafka-gate", "forwards held records to Kafka while active");
//   o.text("node-name", &cfg.node, "name of this node, unique in the cluster");
//   o.duration("hold", &cfg.hold, "margin ...");
//   if (auto code = o.parse(argc, argv)) return *code;
//
// Key `node-name` is `--node-name`, `node-name = "..."` in the file, and KAFKA_GATE_NODE_NAME in the environment.
// Every tool has --config FILE, --check, --version, --help and --verbose.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"

namespace bmpha {

inline constexpr int kExitDone = 0;
inline constexpr int kExitUsage = 100;        // usage or configuration
inline constexpr int kExitBug = 101;          // an assumption of ours failed
inline constexpr int kExitEnvironment = 111;  // a system call or a server failed

const char* version();

class Options {
 public:
  // Returns an empty string when the value is right, else what would be ("expected ...").
  using Check = std::function<std::string(const std::string&)>;

  Options(std::string tool, std::string description);
  ~Options();
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;

  // Targets must outlive the object; their current values are the defaults that --help shows.
  void text(const std::string& key, std::string* target, const std::string& help, const Check& check = {});
  void list(const std::string& key, std::vector<std::string>* target, const std::string& help, const Check& check = {});
  void number(const std::string& key, std::uint64_t* target, const std::string& help, std::uint64_t min = 0,
              std::uint64_t max = UINT64_MAX);
  void flag(const std::string& key, bool* target, const std::string& help);
  // "500ms", "2s", "15m", "1h".
  void duration(const std::string& key, Millis* target, const std::string& help, Millis min = Millis{0},
                Millis max = Millis::max());
  // "65536", "64KiB", "512MiB", "4GiB".
  void bytes(const std::string& key, std::uint64_t* target, const std::string& help, std::uint64_t min = 0,
             std::uint64_t max = UINT64_MAX);
  // Secrets are read from file or environment only, are never accepted on the command line and never shown.
  void secret(const std::string& key, std::string* target, const std::string& help);
  // A choice of fixed words.
  void choice(const std::string& key, std::string* target, std::vector<std::string> words, const std::string& help);
  // A word without a key, on the command line only; may be left out.
  void positional(const std::string& name, std::string* target, const std::string& help);
  // Checks that concern several keys; an error names the key to change. Run last.
  void cross_check(std::function<std::string()> check);

  // Exit code when the program should end now (help, version, error: already printed), none to go on. With --check
  // the tool should go on to checks of its own that need no server, then call finish_check().
  std::optional<int> parse(int argc, const char* const* argv);
  // Keys that reload() changes; all others keep the value of the start.
  void reloadable(const std::vector<std::string>& keys);
  struct Reloaded {
    std::string error;  // why nothing has changed, or empty
    std::vector<std::string> changed;
    std::vector<std::string> needs_restart;  // keys whose value is now another one than that in use
  };
  // Reads file and environment again (HUP); a key that stands nowhere any more has its default. Targets change only
  // when everything is right.
  Reloaded reload();
  bool check_only() const;
  bool verbose() const;
  const std::string& config_file() const;
  // Prints "configuration ok" and returns 0.
  int finish_check() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The text forms that Options uses, for tools that parse values inside values.
bool parse_duration(const std::string& text, Millis& out);
bool parse_bytes(const std::string& text, std::uint64_t& out);

}  // namespace bmpha
