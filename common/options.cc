#include "common/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <utility>

#ifndef BMPHA_VERSION
#define BMPHA_VERSION "0.1.0"
#endif

namespace bmpha {
namespace {

using Values = std::vector<std::string>;

// Levenshtein distance, for "did you mean".
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t n = 0; n < row.size(); ++n) row[n] = n;
  for (std::size_t n = 1; n <= a.size(); ++n) {
    std::size_t diagonal = row[0];
    row[0] = n;
    for (std::size_t m = 1; m <= b.size(); ++m) {
      const std::size_t above = row[m];
      row[m] = std::min({row[m] + 1, row[m - 1] + 1, diagonal + (a[n - 1] == b[m - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string env_name(const std::string& tool, const std::string& key) {
  std::string s = tool + "_" + key;
  for (char& c : s) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return s;
}

bool parse_number(const std::string& text, std::uint64_t& out) {
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, out);
  return error == std::errc() && at == end && !text.empty();
}

}  // namespace

const char* version() { return BMPHA_VERSION; }

bool parse_duration(const std::string& text, Millis& out) {
  static constexpr std::pair<const char*, std::int64_t> kUnits[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
  const std::size_t digits = text.find_first_not_of("0123456789");
  std::uint64_t n = 0;
  if (digits == std::string::npos || !parse_number(text.substr(0, digits), n) || n > 1'000'000'000) return false;
  for (const auto& [unit, factor] : kUnits)
    if (text.substr(digits) == unit) {
      out = Millis(static_cast<std::int64_t>(n) * factor);
      return true;
    }
  return false;
}

bool parse_bytes(const std::string& text, std::uint64_t& out) {
  static constexpr std::pair<const char*, int> kUnits[] = {{"", 0}, {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  std::uint64_t n = 0;
  if (!parse_number(text.substr(0, digits), n)) return false;
  for (const auto& [unit, shift] : kUnits)
    if (text.substr(digits) == unit && (n << shift) >> shift == n) {
      out = n << shift;
      return true;
    }
  return false;
}

// A target's value at some time.
struct Kept {
  std::function<void()> put_back;
  std::function<bool()> is_same;  // the target has it now
};

struct Options::Impl {
  struct Key {
    std::string name;
    bool is_flag = false;
    bool is_list = false;
    bool is_secret = false;
    CLI::Option* cli = nullptr;
    Values given;                                     // from the command line
    std::function<std::string(const Values&)> check;  // "expected ..." or empty
    std::function<void(const Values&)> set;
    std::function<Kept()> keep;
    Kept initial;  // the default
    bool is_reloadable = false;
  };

  std::string tool;
  CLI::App app;
  std::map<std::string, std::unique_ptr<Key>> keys;
  std::vector<std::function<std::string()>> cross;
  std::string config;
  bool check = false;
  bool verbose = false;
  bool started = false;  // the first reading was right
  Reloaded reloaded;     // what the last reading changed

  Impl(std::string t, std::string description) : tool(std::move(t)), app(std::move(description), tool) {}

  Key& add(const std::string& name, const std::string& help) {
    auto key = std::make_unique<Key>();
    Key& k = *key;
    k.name = name;
    keys.emplace(name, std::move(key));
    k.cli = nullptr;
    if (help.empty()) return k;
    k.cli = app.add_option("--" + name, k.given, help)->group("Settings")->expected(1)->take_all();
    k.cli->allow_extra_args(false);  // one value each time: what follows may be a word without a key
    return k;
  }

  std::string nearest(const std::string& name) const {
    std::string best;
    std::size_t best_distance = 1000;
    for (const auto& [known, unused] : keys)
      if (const std::size_t d = edit_distance(name, known); d < best_distance) {
        best = known;
        best_distance = d;
      }
    return best_distance <= std::max<std::size_t>(3, name.size() / 2) ? best : std::string();
  }

  std::string unknown(const std::string& where, const std::string& name) const {
    if (const auto at = keys.find(name); at != keys.end() && at->second->is_secret)
      return fmt::format("{}: \"{}\" is a secret HINT: give it in the configuration file or as {}", where, name,
                         env_name(tool, name));
    const std::string near = nearest(name);
    return near.empty() ? fmt::format("{}: unknown key \"{}\" HINT: --help lists the keys", where, name)
                        : fmt::format("{}: unknown key \"{}\" HINT: did you mean \"{}\"?", where, name, near);
  }

  // Collects what file and environment say, checks everything, then sets everything. Empty on success.
  std::string apply() {
    std::map<std::string, std::pair<std::string, Values>> found;  // key -> (where, values)
    if (!config.empty())
      if (std::string e = read_file(found); !e.empty()) return e;
    for (const auto& [name, key] : keys) {
      const std::string variable = env_name(tool, name);
      if (const char* value = std::getenv(variable.c_str()))
        found[name] = {fmt::format("environment variable {}", variable), split_env(*key, value)};
      if (!key->given.empty()) found[name] = {fmt::format("command line --{}", name), key->given};
    }
    for (const auto& [name, entry] : found) {
      const Key& k = *keys.at(name);
      if (std::string e = k.check(entry.second); !e.empty())
        return fmt::format("{}: key \"{}\": value \"{}\": {}", entry.first, name,
                           k.is_secret ? "(hidden)" : fmt::format("{}", fmt::join(entry.second, ", ")), e);
    }
    std::map<std::string, Kept> before;
    for (const auto& [name, key] : keys) {
      before[name] = key->keep();
      key->initial.put_back();
    }
    for (const auto& [name, entry] : found) keys.at(name)->set(entry.second);
    for (const auto& check_all : cross)
      if (std::string e = check_all(); !e.empty()) {
        for (const auto& [name, kept] : before) kept.put_back();
        return fmt::format("{}: {}", config.empty() ? "configuration" : "file " + config, e);
      }
    settle(before);
    return {};
  }

  // All targets have their new values; at a reload, those that need a restart get the old ones back.
  void settle(const std::map<std::string, Kept>& before) {
    if (!std::exchange(started, true)) return;
    reloaded = {};
    for (const auto& [name, kept] : before) {
      if (kept.is_same()) continue;
      const bool takes_effect = keys.at(name)->is_reloadable;
      (takes_effect ? reloaded.changed : reloaded.needs_restart).push_back(name);
      if (!takes_effect) kept.put_back();
    }
  }

  static Values split_env(const Key& k, const std::string& value) {
    if (!k.is_list) return {value};
    Values out;
    std::size_t from = 0;
    while (from <= value.size()) {
      const std::size_t comma = std::min(value.find(',', from), value.size());
      if (comma > from) out.push_back(value.substr(from, comma - from));
      from = comma + 1;
    }
    return out;
  }

  std::string read_file(std::map<std::string, std::pair<std::string, Values>>& found) {
    std::vector<CLI::ConfigItem> items;
    try {
      items = CLI::ConfigTOML().from_file(config);
    } catch (const CLI::Error& e) {
      return fmt::format("cannot read configuration file {}: {}", config, e.what());
    }
    const std::string where = "file " + config;
    for (const CLI::ConfigItem& item : items) {
      if (item.name == "++" || item.name == "--") continue;  // section marks of the parser
      if (!item.parents.empty())
        return fmt::format("{}: section [{}] is not known HINT: one file per tool, keys without sections", where,
                           fmt::join(item.parents, "."));
      if (!keys.contains(item.name)) return unknown(where, item.name);
      auto& entry = found[item.name];
      if (!entry.second.empty() && !keys.at(item.name)->is_list)
        return fmt::format("{}: key \"{}\" is given twice", where, item.name);
      entry.first = where;
      entry.second.insert(entry.second.end(), item.inputs.begin(), item.inputs.end());
    }
    return {};
  }
};

Options::Options(std::string tool, std::string description)
    : impl_(std::make_unique<Impl>(std::move(tool), std::move(description))) {
  impl_->app.set_help_flag("--help,-h", "print this help and exit");
  impl_->app.set_version_flag("--version", std::string(impl_->tool) + " " + version());
  impl_->app.add_option("--config", impl_->config, "configuration file (TOML); keys are the option names")
      ->envname(env_name(impl_->tool, "config"));
  impl_->app.add_flag("--check", impl_->check, "check the configuration and exit");
  impl_->app.add_flag("--verbose,-v", impl_->verbose, "log debug events too");
  impl_->app.footer(
      fmt::format("Every setting is also a key of the configuration file and an environment variable, for example {}.\n"
                  "Exit codes: 0 done, 100 usage or configuration, 101 bug, 111 environment. Manual: man {}",
                  env_name(impl_->tool, "node-name"), impl_->tool));
}
Options::~Options() = default;

namespace {
// Lets the key's target be put back: to what it was before a reading that fails, and to the default that it has now.
template <class K, class T>
void keeps(K& key, T* target) {
  key.keep = [target] {
    return Kept{[target, value = *target] { *target = value; }, [target, value = *target] { return *target == value; }};
  };
  key.initial = key.keep();
}
std::string one_value(const Values& v) { return v.size() == 1 ? std::string() : "expected one value"; }
std::string with_default(const std::string& help, const std::string& shown) {
  return shown.empty() ? help : fmt::format("{} [{}]", help, shown);
}
}  // namespace

void Options::text(const std::string& key, std::string* target, const std::string& help, const Check& check) {
  auto& k = impl_->add(key, with_default(help, *target));
  k.check = [check](const Values& v) {
    if (std::string e = one_value(v); !e.empty()) return e;
    return check ? check(v[0]) : std::string();
  };
  keeps(k, target);
  k.set = [target](const Values& v) { *target = v[0]; };
}

void Options::list(const std::string& key, std::vector<std::string>* target, const std::string& help,
                   const Check& check) {
  auto& k = impl_->add(key, with_default(help + " (repeatable)", fmt::format("{}", fmt::join(*target, ", "))));
  k.is_list = true;
  k.check = [check](const Values& v) {
    for (const std::string& one : v)
      if (check)
        if (std::string e = check(one); !e.empty()) return e;
    return std::string();
  };
  keeps(k, target);
  k.set = [target](const Values& v) { *target = v; };
}

void Options::number(const std::string& key, std::uint64_t* target, const std::string& help, std::uint64_t min,
                     std::uint64_t max) {
  auto& k = impl_->add(key, with_default(help, fmt::format("{}", *target)));
  k.check = [min, max](const Values& v) {
    std::uint64_t n = 0;
    if (v.size() == 1 && parse_number(v[0], n) && n >= min && n <= max) return std::string();
    return max == UINT64_MAX ? fmt::format("expected a whole number of at least {}", min)
                             : fmt::format("expected a whole number from {} to {}", min, max);
  };
  keeps(k, target);
  k.set = [target](const Values& v) { parse_number(v[0], *target); };
}

void Options::flag(const std::string& key, bool* target, const std::string& help) {
  auto& k = impl_->add(key, {});
  k.is_flag = true;
  k.cli = impl_->app
              .add_flag_callback(
                  "--" + key, [&k] { k.given = {"true"}; }, help)
              ->group("Settings");
  k.check = [](const Values& v) {
    return v.size() == 1 && (v[0] == "true" || v[0] == "false" || v[0] == "1" || v[0] == "0")
               ? std::string()
               : std::string("expected true or false");
  };
  keeps(k, target);
  k.set = [target](const Values& v) { *target = v[0] == "true" || v[0] == "1"; };
}

void Options::duration(const std::string& key, Millis* target, const std::string& help, Millis min, Millis max) {
  auto& k = impl_->add(key, with_default(help, fmt::format("{}ms", target->count())));
  k.check = [min, max](const Values& v) {
    Millis d{};
    if (v.size() == 1 && parse_duration(v[0], d) && d >= min && d <= max) return std::string();
    std::string e = "expected a time with unit, such as 500ms, 2s, 15m or 1h";
    if (min > Millis{0}) e += fmt::format(", at least {}ms", min.count());
    if (max < Millis::max()) e += fmt::format(", at most {}ms", max.count());
    return e;
  };
  keeps(k, target);
  k.set = [target](const Values& v) { parse_duration(v[0], *target); };
}

void Options::bytes(const std::string& key, std::uint64_t* target, const std::string& help, std::uint64_t min,
                    std::uint64_t max) {
  auto& k = impl_->add(key, with_default(help, fmt::format("{}", *target)));
  k.check = [min, max](const Values& v) {
    std::uint64_t n = 0;
    if (v.size() == 1 && parse_bytes(v[0], n) && n >= min && n <= max) return std::string();
    std::string e = "expected a size such as 65536, 64KiB, 512MiB or 4GiB";
    if (min > 0) e += fmt::format(", at least {} bytes", min);
    if (max < UINT64_MAX) e += fmt::format(", at most {} bytes", max);
    return e;
  };
  keeps(k, target);
  k.set = [target](const Values& v) { parse_bytes(v[0], *target); };
}

void Options::secret(const std::string& key, std::string* target, const std::string& help) {
  auto& k = impl_->add(key, {});
  k.is_secret = true;
  k.check = one_value;
  keeps(k, target);
  k.set = [target](const Values& v) { *target = v[0]; };
  impl_->app.footer(impl_->app.get_footer() + fmt::format("\nOnly in the file or the environment: {} ({})", key, help));
}

void Options::choice(const std::string& key, std::string* target, std::vector<std::string> words,
                     const std::string& help) {
  const std::string all = fmt::format("{}", fmt::join(words, ", "));
  auto& k = impl_->add(key, with_default(fmt::format("{}: {}", help, all), *target));
  k.check = [words, all](const Values& v) {
    return v.size() == 1 && std::find(words.begin(), words.end(), v[0]) != words.end()
               ? std::string()
               : fmt::format("expected one of {}", all);
  };
  keeps(k, target);
  k.set = [target](const Values& v) { *target = v[0]; };
}

void Options::positional(const std::string& name, std::string* target, const std::string& help) {
  impl_->app.add_option(name, *target, help);
}

void Options::cross_check(std::function<std::string()> check) { impl_->cross.push_back(std::move(check)); }

std::optional<int> Options::parse(int argc, const char* const* argv) {
  try {
    impl_->app.parse(argc, argv);
  } catch (const CLI::Success& e) {  // --help, --version
    return impl_->app.exit(e) == 0 ? kExitDone : kExitUsage;
  } catch (const CLI::ExtrasError&) {
    for (const std::string& word : impl_->app.remaining()) {
      const std::string name = word.substr(std::min(word.find_first_not_of('-'), word.size()));
      fmt::print(stderr, "{}: {}\n", impl_->tool, impl_->unknown("command line", name.substr(0, name.find('='))));
    }
    return kExitUsage;
  } catch (const CLI::Error& e) {
    fmt::print(stderr, "{}: command line: {} HINT: see --help\n", impl_->tool, e.what());
    return kExitUsage;
  }
  if (std::string e = impl_->apply(); !e.empty()) {
    fmt::print(stderr, "{}: {}\n", impl_->tool, e);
    return kExitUsage;
  }
  return std::nullopt;
}

void Options::reloadable(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) impl_->keys.at(key)->is_reloadable = true;
}

Options::Reloaded Options::reload() {
  Reloaded failed;
  failed.error = impl_->apply();
  return failed.error.empty() ? impl_->reloaded : failed;
}
bool Options::check_only() const { return impl_->check; }
bool Options::verbose() const { return impl_->verbose; }
const std::string& Options::config_file() const { return impl_->config; }
int Options::finish_check() const {
  fmt::print("{}: configuration ok\n", impl_->tool);
  return kExitDone;
}

}  // namespace bmpha
