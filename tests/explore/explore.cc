// explore: tries every way on from a warmed-up world, breadth first, states that are equal once.
//
// Each scenario is a fault (or several), a script of changes, and who has a session at the start. Free choices are when
// each change and fault comes, whom it hits, how long it lasts, what of the copies in flight lands and when, and with
// --any-order which node acts first. Everything else that can be late (--stages) deviates at most --late times in a
// run, each time for one of the --delays. Ends with a line for each scenario; exit code 1 when a property was violated.
//
// From every state one owner is reachable, and the right rows: each state that is kept has a way on, so it leads to one
// of the ends, and every end is let come to rest. A state that is cut (--max) leads nowhere: it is let come to rest
// itself. Time only goes on, so there is no way back, and no other state.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <mutex>
#include <sstream>
#include <thread>
#include <unordered_set>

#include "tests/explore/state_bytes.h"
#include "tests/explore/world.h"

namespace bmpha::explore {
namespace {

constexpr int kRest = 60;   // steps after which everything has come to rest
constexpr int kStill = 12;  // ... and when nothing is on its way

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

struct Limits {
  std::size_t states = 20000;    // of one step; more are cut
  std::size_t rest_every = 500;  // ... such a state comes to rest at once, with the faults that have not begun left out
};

struct Outcome {
  std::size_t steps = 0, states = 0, ends = 0;
  double seconds = 0;
  bool cut = false;
  std::string violation;
  std::shared_ptr<const Path> path;
};

std::size_t hash_of(const World& w) { return std::hash<std::string>{}(StateBytes::of(w)); }

// Lets everything come to rest: one owner, and the right rows. At rest is a world in which nothing is on its way for a
// while and everything is right; what is not right then has still the rest of the time.
class Rest {
 public:
  explicit Rest(std::size_t& steps) : steps_(steps) {}

  // What is violated on the way, or at the end of it.
  std::string from(World w) {
    std::vector<std::size_t> way;
    int still = 0;
    for (int n = 0; n < kRest; ++n) {
      w.settle();
      ++steps_;
      if (!w.violation().empty()) return w.violation();
      if (n % kNoted == 0) {
        way.push_back(hash_of(w) ^ std::hash<std::int64_t>{}(w.time().count()) * 31);
        if (right_.contains(way.back())) break;
      }
      still = w.is_over() && w.is_still() ? still + 1 : 0;
      if (still < kStill) continue;
      World end = w;
      end.finish();
      if (end.violation().empty()) break;
    }
    if (way.empty() || !right_.contains(way.back())) w.finish();
    if (w.violation().empty()) right_.insert(way.begin(), way.end());
    return w.violation();
  }

 private:
  static constexpr int kNoted = 3;  // one state of so many on the way
  std::size_t& steps_;
  std::unordered_set<std::size_t> right_;  // states that come to rest: many ways run into one
};

class Search {
 public:
  Search(const std::shared_ptr<const Scenario>& scenario, Limits limits) : scenario_(scenario), limits_(limits) {}

  Outcome run() {
    const auto begun = std::chrono::steady_clock::now();
    search();
    outcome_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    return outcome_;
  }

 private:
  void search() {
    World start(scenario_);
    start.warm_up();
    if (!start.violation().empty()) {
      outcome_.violation = "at rest: " + start.violation();
      return;
    }
    layer_.push_back({start, nullptr});
    // While choices remain; then everything comes to rest.
    while (!std::all_of(layer_.begin(), layer_.end(),
                        [](const State& s) { return s.world.budget() == 0 && s.world.is_over(); }))
      if (!next_layer()) return;
    outcome_.ends = layer_.size();
    for (const State& s : layer_)
      if (violated(rest_.from(s.world), s.path)) return;
  }

  bool violated(const std::string& what, const std::shared_ptr<const Path>& path) {
    if (what.empty()) return false;
    outcome_.violation = what;
    outcome_.path = path;
    return true;
  }

  bool next_layer() {
    std::vector<State> next;
    std::unordered_set<std::size_t> seen;
    for (State& s : layer_) {
      Enumerator choices;
      do {
        World w = s.world;
        w.step(choices);
        if (!w.violation().empty())
          return !violated(w.violation(), std::make_shared<Path>(Path{s.path, choices.made()}));
        ++outcome_.steps;
        if (!seen.insert(hash_of(w)).second) continue;
        ++outcome_.states;
        const bool cut = next.size() >= limits_.states;
        if (cut || (limits_.rest_every != 0 && outcome_.states % limits_.rest_every == 0))
          if (const std::string v = rest_.from(w); !v.empty())
            return !violated("from here: " + v, std::make_shared<Path>(Path{s.path, choices.made()}));
        outcome_.cut = outcome_.cut || cut;
        if (cut) continue;
        next.push_back({std::move(w), std::make_shared<Path>(Path{s.path, choices.made()})});
      } while (choices.advance());
    }
    layer_ = std::move(next);
    return true;
  }

  std::shared_ptr<const Scenario> scenario_;
  Limits limits_;
  Outcome outcome_;
  std::vector<State> layer_;
  Rest rest_{outcome_.steps};
};

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
  for (int n = 0; n < kRest; ++n) {
    fmt::print("  rest {}\n", n);
    w.settle();
  }
}

struct Script {
  const char* name;
  std::vector<Change> changes;
};
// By peer: A announced anew, W withdrawn, D the peer goes down, U it comes up again. W1A0: peer 1 first, then peer 0.
const std::vector<Script>& scripts() {
  static const std::vector<Script> all = {
      {"A/-", {{0, What::kAnnounce}}},
      {"W/-", {{0, What::kWithdraw}}},
      {"D/-", {{0, What::kPeerDown}}},
      {"W/W", {{0, What::kWithdraw}, {1, What::kWithdraw}}},
      {"WA/-", {{0, What::kWithdraw}, {0, What::kAnnounce}}},
      {"DU/-", {{0, What::kPeerDown}, {0, What::kPeerUp}}},
      {"A/AW", {{0, What::kAnnounce}, {1, What::kAnnounce}, {1, What::kWithdraw}}},
      {"W1A0", {{1, What::kWithdraw}, {0, What::kAnnounce}}},
      {"WAW/-", {{0, What::kWithdraw}, {0, What::kAnnounce}, {0, What::kWithdraw}}},
  };
  return all;
}

struct Named {
  std::string name;
  std::shared_ptr<const Scenario> scenario;
  bool matches(const std::string& word) const {
    std::istringstream words(name);
    for (std::string w; words >> w;)
      if (w == word) return true;
    return false;
  }
};

std::vector<Named> scenarios(const Scenario& common, const std::vector<Fault>& second) {
  std::vector<Named> out;
  for (const Start start : {Start::kWarm, Start::kJoin, Start::kCold})
    for (const bool tight : {true, false})
      for (const Script& script : scripts())
        for (int f = 0; f < kFaults; ++f) {
          // The active collector's lost routers move nothing, and this one is lost for ever; and what is dropped by its
          // age is gone before so slow a fault is found.
          if ((common.by_collector || common.by_age) && static_cast<Fault>(f) == Fault::kSilent) continue;
          Scenario s = common;
          s.start = start;
          s.tight = tight;
          s.faults = {static_cast<Fault>(f)};
          s.faults.insert(s.faults.end(), second.begin(), second.end());
          s.changes = script.changes;
          out.push_back({fmt::format("{} {} {} {}", fault_name(s.faults[0]), start_name(start),
                                     tight ? "tight" : "slack", script.name),
                         std::make_shared<Scenario>(s)});
        }
  return out;
}

struct Options {
  Scenario common;
  Limits limits;
  std::vector<std::string> only, second, delays = {"1"}, stages;
  bool list = false, traced = false, first = false, table = false;
  int threads = 2;
};

void declare(CLI::App& app, Options& o) {
  app.add_option("--late", o.common.late, "deviations in one run")->capture_default_str();
  app.add_option("--delays", o.delays, "how long one may last: steps, `over` (until the faults are over), `after`")
      ->capture_default_str();
  app.add_option("--stages", o.stages, "what may be late (all): read append answer status tick walk order");
  app.add_flag("--partial", o.common.partial, "what is late may be through in part");
  app.add_flag("--any-order", o.common.any_order, "the order of the nodes is free in every step");
  app.add_option("--nodes", o.common.nodes, "2 or 3")->capture_default_str();
  app.add_option("--window", o.common.window, "steps in which changes and faults begin")->capture_default_str();
  app.add_option("--and", o.second, "a second fault in every scenario");
  app.add_option("--max", o.limits.states, "states kept of one step; more are cut")->capture_default_str();
  app.add_option("--rest-every", o.limits.rest_every, "each such state is let come to rest at once (0: none)")
      ->capture_default_str();
  app.add_flag("--collector", o.common.by_collector, "grain = collector");
  app.add_flag("--by-age", o.common.by_age, "trim = time");
  app.add_flag("--per-object", o.common.per_object, "layout = per-object: peers and routes in topics of their own");
  app.add_option("--only", o.only, "scenarios whose names have all these words");
  app.add_option("--threads", o.threads, "at once")->capture_default_str();
  app.add_flag("--list", o.list, "names of the scenarios");
  app.add_flag("--first", o.first, "end with the first violation");
  app.add_flag("--trace", o.traced, "tell the way to a violation");
  app.add_flag("--table", o.table, "at the end states and seconds by fault and number of changes");
}

// Names into values; false: an unknown one was told.
bool understand(Options& o, std::vector<Fault>& second) {
  o.common.delays.clear();
  for (const std::string& d : o.delays)
    o.common.delays.push_back(d == "over" ? kUntilOver : d == "after" ? kAfterOver : std::max(1, std::atoi(d.c_str())));
  if (!o.stages.empty()) o.common.stages = 0;
  for (const std::string& name : o.stages) {
    int s = 0;
    while (s < kStages && name != stage_name(static_cast<Stage>(s))) ++s;
    if (s == kStages) return fmt::print("explore: no stage \"{}\"\n", name), false;
    o.common.stages |= 1u << s;
  }
  for (const std::string& name : o.second) {
    int f = 0;
    while (f < kFaults && name != fault_name(static_cast<Fault>(f))) ++f;
    if (f == kFaults) return fmt::print("explore: no fault \"{}\"\n", name), false;
    second.push_back(static_cast<Fault>(f));
  }
  return true;
}

class Run {
 public:
  Run(Options options, std::vector<Named> all) : o_(std::move(options)), all_(std::move(all)) {}

  int all() {
    std::vector<std::thread> others;
    for (int n = 1; n < o_.threads; ++n) others.emplace_back([this] { work(); });
    work();
    for (std::thread& t : others) t.join();
    if (o_.table) print_table();
    fmt::print("explored: {} scenarios, {} steps, {} cut, {} violated\n", all_.size(), steps_, cut_, violated_.load());
    return violated_ == 0 ? 0 : 1;
  }

 private:
  void work() {
    for (std::size_t n = next_++; n < all_.size() && !(o_.first && violated_ > 0); n = next_++) {
      const Outcome found = Search(all_[n].scenario, o_.limits).run();
      const std::lock_guard lock(print_);
      steps_ += found.steps;
      cut_ += found.cut ? 1 : 0;
      Cell& cell = cells_[{all_[n].scenario->faults[0], all_[n].scenario->changes.size()}];
      ++cell.scenarios;
      cell.cut += found.cut ? 1 : 0;
      cell.states += found.states;
      cell.seconds += found.seconds;
      fmt::print("{:<36} {} {:>9} steps {:>6} ends {}\n", all_[n].name, found.cut ? "cut" : "all", found.steps,
                 found.ends, found.violation);
      if (!found.violation.empty()) {
        ++violated_;
        if (o_.traced) trace(all_[n].scenario, found.path);
      }
      std::fflush(stdout);
    }
  }

  void print_table() const {
    fmt::print("| fault | changes | scenarios | cut | states | s |\n|---|---|---|---|---|---|\n");
    for (const auto& [of, c] : cells_)
      fmt::print("| {} | {} | {} | {} | {} | {:.1f} |\n", fault_name(of.first), of.second, c.scenarios, c.cut, c.states,
                 c.seconds);
  }

  struct Cell {
    int scenarios = 0, cut = 0;
    std::size_t states = 0;
    double seconds = 0;
  };
  Options o_;
  std::vector<Named> all_;
  std::map<std::pair<Fault, std::size_t>, Cell> cells_;
  std::atomic<std::size_t> next_{0};
  std::mutex print_;
  std::atomic<int> violated_ = 0;
  int cut_ = 0;
  std::size_t steps_ = 0;
};

int run(int argc, char** argv) {
  Options o;
  CLI::App app{"explores the decider, the gate's records and the sink's generations in all orders"};
  declare(app, o);
  CLI11_PARSE(app, argc, argv);
  std::vector<Fault> second;
  if (!understand(o, second)) return 100;
  std::vector<Named> all = scenarios(o.common, second);
  std::erase_if(all, [&](const Named& s) {
    return !std::all_of(o.only.begin(), o.only.end(), [&](const std::string& w) { return s.matches(w); });
  });
  // Nothing to explore would pass.
  if (all.empty()) return fmt::print("explore: no scenario has all of: {} HINT: --list\n", fmt::join(o.only, " ")), 100;
  if (o.list) {
    for (const Named& s : all) fmt::print("{}\n", s.name);
    return 0;
  }
  return Run(std::move(o), std::move(all)).all();
}

}  // namespace
}  // namespace bmpha::explore

int main(int argc, char** argv) {
  try {
    return bmpha::explore::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "explore: %s\n", e.what());
    return 1;
  }
}
