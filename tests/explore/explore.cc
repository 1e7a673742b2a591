// explore: tries every way on from a warmed-up world, breadth first, states that are equal once.
//
//   explore [--late N] [--window STEPS] [--max STATES] [--only WORDS] [--first] [--list] [--trace]
//
// Each scenario is a fault, a script of changes, and whether the second node has joined. Free choices are when each
// change and the fault come, whom it hits, how long it lasts, and what of the copies in flight lands and when.
// Everything else that can be late (a read, an append, an answer, a tick, the order of nodes) deviates at most `late`
// times in a run. Ends with a line for each scenario; exit code 1 when a property was violated.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "tests/explore/state_bytes.h"
#include "tests/explore/world.h"

namespace bmpha::explore {
namespace {

constexpr int kRest = 40;  // steps after which everything has come to rest

// Plays a list of choices, then always 0; says afterwards which list comes next.
class Enumerator : public Oracle {
 public:
  int choose(int ways) override {
    if (at_ == made_.size()) {
      made_.push_back(0);
      ways_.push_back(ways);
    }
    return made_[at_++];
  }
  bool advance() {
    at_ = 0;
    while (!made_.empty()) {
      if (++made_.back() < ways_.back()) return true;
      made_.pop_back();
      ways_.pop_back();
    }
    return false;
  }
  const std::vector<int>& made() const { return made_; }

 private:
  std::vector<int> made_, ways_;
  std::size_t at_ = 0;
};

class Player : public Oracle {
 public:
  explicit Player(std::vector<int> list) : list_(std::move(list)) {}
  int choose(int) override { return at_ < list_.size() ? list_[at_++] : 0; }

 private:
  std::vector<int> list_;
  std::size_t at_ = 0;
};

struct Path {
  std::shared_ptr<const Path> before;
  std::vector<int> choices;
};
struct State {
  World world;
  std::shared_ptr<const Path> path;
};

struct Outcome {
  std::size_t states = 0, ends = 0;
  bool cut = false;
  std::string violation;
  std::shared_ptr<const Path> path;
};

std::size_t hash_of(const World& w) { return std::hash<std::string>{}(StateBytes::of(w)); }

Outcome explore(const std::shared_ptr<const Scenario>& scenario, std::size_t most) {
  Outcome outcome;
  World start(scenario);
  start.warm_up();
  if (!start.violation().empty()) {
    outcome.violation = "at rest: " + start.violation();
    return outcome;
  }
  std::vector<State> layer;
  layer.push_back({start, nullptr});
  // While choices remain, and until faults are over and everything is at rest.
  int rest = 0;
  while (!layer.empty() && rest < kRest) {
    const bool over = std::all_of(layer.begin(), layer.end(),
                                  [](const State& s) { return s.world.budget() == 0 && s.world.is_over(); });
    rest = over ? rest + 1 : 0;
    std::vector<State> next;
    std::unordered_set<std::size_t> seen;
    for (State& s : layer) {
      Enumerator choices;
      do {
        World w = s.world;
        if (over)
          w.settle();
        else
          w.step(choices);
        if (!w.violation().empty()) {
          outcome.violation = w.violation();
          outcome.path = std::make_shared<Path>(Path{s.path, choices.made()});
          return outcome;
        }
        ++outcome.states;
        if (!seen.insert(hash_of(w)).second) continue;
        if (next.size() >= most) {
          outcome.cut = true;
          continue;
        }
        next.push_back({std::move(w), std::make_shared<Path>(Path{s.path, choices.made()})});
      } while (!over && choices.advance());
    }
    layer = std::move(next);
  }
  outcome.ends = layer.size();
  for (State& s : layer) {
    s.world.finish();
    if (s.world.violation().empty()) continue;
    outcome.violation = s.world.violation();
    outcome.path = s.path;
    break;
  }
  return outcome;
}

void trace(const std::shared_ptr<const Scenario>& scenario, const std::shared_ptr<const Path>& path) {
  std::vector<const Path*> steps;
  for (const Path* p = path.get(); p != nullptr; p = p->before.get()) steps.insert(steps.begin(), p);
  World w(scenario);
  w.warm_up();
  w.verbose = true;
  for (std::size_t n = 0; n < steps.size(); ++n) {
    fmt::print("  step {} choices [{}]\n", n, fmt::join(steps[n]->choices, " "));
    Player player(steps[n]->choices);
    w.step(player);
  }
}

struct Script {
  const char* name;
  std::vector<Change> changes;
};
const std::vector<Script>& scripts() {
  static const std::vector<Script> all = {
      {"A/-", {{0, What::kAnnounce}}},
      {"W/W", {{0, What::kWithdraw}, {1, What::kWithdraw}}},
      {"WA/-", {{0, What::kWithdraw}, {0, What::kAnnounce}}},
      {"DU/-", {{0, What::kPeerDown}, {0, What::kPeerUp}}},
      {"A/AW", {{0, What::kAnnounce}, {1, What::kAnnounce}, {1, What::kWithdraw}}},
  };
  return all;
}

struct Named {
  std::string name;
  std::shared_ptr<const Scenario> scenario;
};

std::vector<Named> scenarios(int late, int window) {
  std::vector<Named> out;
  for (const bool join : {false, true})
    for (const bool tight : {true, false})
      for (const Script& script : scripts())
        for (int f = 0; f < kFaults; ++f) {
          Scenario s;
          s.join = join;
          s.tight = tight;
          s.fault = static_cast<Fault>(f);
          s.changes = script.changes;
          s.late = late;
          s.window = window;
          out.push_back({fmt::format("{} {} {} {}", fault_name(s.fault), join ? "join" : "warm",
                                     tight ? "tight" : "slack", script.name),
                         std::make_shared<Scenario>(s)});
        }
  return out;
}

int run(int argc, char** argv) {
  int late = 1, window = 4;
  std::size_t most = 20000;
  std::vector<std::string> only;
  bool list = false, traced = false, first = false;
  CLI::App app{"explores the decider, the gate's records and the sink's generations in all orders"};
  app.add_option("--late", late, "deviations in one run")->capture_default_str();
  app.add_option("--window", window, "steps in which changes and the fault begin")->capture_default_str();
  app.add_option("--max", most, "states kept of one step; more are cut")->capture_default_str();
  app.add_option("--only", only, "scenarios whose names contain all these words");
  app.add_flag("--list", list, "names of the scenarios");
  app.add_flag("--first", first, "end with the first violation");
  app.add_flag("--trace", traced, "tell the way to a violation");
  CLI11_PARSE(app, argc, argv);

  std::vector<Named> all = scenarios(late, window);
  std::erase_if(all, [&](const Named& s) {
    return std::any_of(only.begin(), only.end(),
                       [&](const std::string& w) { return s.name.find(w) == std::string::npos; });
  });
  std::atomic<std::size_t> next{0};
  std::mutex print;
  std::atomic<int> violated = 0;
  int cut = 0;
  std::size_t states = 0;
  const auto work = [&] {
    for (std::size_t n = next++; n < all.size() && !(first && violated > 0); n = next++) {
      if (list) {
        const std::lock_guard lock(print);
        fmt::print("{}\n", all[n].name);
        continue;
      }
      const Outcome o = explore(all[n].scenario, most);
      const std::lock_guard lock(print);
      states += o.states;
      cut += o.cut ? 1 : 0;
      fmt::print("{:<36} {} {:>9} steps {:>6} ends {}\n", all[n].name, o.cut ? "cut" : "all", o.states, o.ends,
                 o.violation);
      std::fflush(stdout);
      if (o.violation.empty()) continue;
      ++violated;
      if (traced) trace(all[n].scenario, o.path);
    }
  };
  std::thread other(work);
  work();
  other.join();
  if (list) return 0;
  fmt::print("explored: {} scenarios, {} steps, {} cut, {} violated\n", all.size(), states, cut, violated.load());
  return violated == 0 ? 0 : 1;
}

}  // namespace
}  // namespace bmpha::explore

int main(int argc, char** argv) { return bmpha::explore::run(argc, argv); }
