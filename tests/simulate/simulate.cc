// simulate: seeded runs of a cluster in virtual time (sim.h). Each seed is a run; a failing one tells how to see it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "tests/simulate/sim.h"

namespace bmpha::simulate {
namespace {

struct Options {
  Settings settings;
  std::uint64_t seed = 0, from = 1, seeds = 100;
  int skew_ms = 1500, margin_ms = 2000, threads = 2;
  bool first = false;
  std::vector<std::string> which;
};

struct Totals {
  int runs = 0, violated = 0, healed = 0, lossy = 0;
  long changes = 0, lost = 0, claims = 0, records = 0, fenced = 0;
  Nanos replayed{0}, beyond{0};
};

void add(Totals& t, const Verdict& v) {
  ++t.runs;
  t.violated += v.violation.empty() ? 0 : 1;
  t.healed += v.healed ? 1 : 0;
  t.lossy += v.lost > 0 ? 1 : 0;
  t.changes += v.changes;
  t.lost += v.lost;
  t.claims += v.claims;
  t.records += v.records;
  t.fenced += v.fenced;
  t.replayed = std::max(t.replayed, v.replayed);
  t.beyond = std::max(t.beyond, v.beyond);
}

double seconds(Nanos d) { return static_cast<double>(d.count()) / 1e9; }

int run(int argc, char** argv) {
  Options o;
  CLI::App app{"three nodes in virtual time, with the real classes"};
  app.add_option("--seed", o.seed, "this one only");
  app.add_option("--from", o.from, "first seed")->capture_default_str();
  app.add_option("--seeds", o.seeds, "how many")->capture_default_str();
  app.add_option("--faults", o.settings.faults, "in each run")->capture_default_str();
  app.add_option("--fault", o.which, "only these");
  app.add_option("--skew", o.skew_ms, "ms by which sessions of a router differ at most")->capture_default_str();
  app.add_option("--margin", o.margin_ms, "ms")->capture_default_str();
  app.add_option("--threads", o.threads, "at once")->capture_default_str();
  app.add_flag("--first", o.first, "end with the first violation");
  app.add_flag("--trace", o.settings.trace, "tell what happens");
  CLI11_PARSE(app, argc, argv);
  o.settings.skew = Millis(o.skew_ms);
  o.settings.margin = Millis(o.margin_ms);
  for (const std::string& name : o.which) {
    int f = 0;
    while (f < kFaults && name != fault_name(static_cast<Fault>(f))) ++f;
    if (f == kFaults) return fmt::print("simulate: no fault \"{}\"\n", name), 100;
    o.settings.which.push_back(static_cast<Fault>(f));
  }
  if (o.seed != 0) {
    o.from = o.seed;
    o.seeds = 1;
  }
  std::atomic<std::uint64_t> next{o.from};
  std::atomic<bool> failed = false;
  std::mutex guard;
  Totals totals;
  const auto work = [&] {
    for (std::uint64_t seed = next++; seed < o.from + o.seeds && !(o.first && failed); seed = next++) {
      Settings s = o.settings;
      s.seed = seed;
      const Verdict v = Sim(s).run();
      const std::lock_guard lock(guard);
      add(totals, v);
      if (v.violation.empty()) continue;
      failed = true;
      fmt::print("seed {}: {} ({})\n  again: simulate --seed {} --faults {} --skew {} --margin {}{}{} --trace\n", seed,
                 v.violation, v.story, seed, s.faults, o.skew_ms, o.margin_ms, o.which.empty() ? "" : " --fault ",
                 fmt::join(o.which, " "));
      std::fflush(stdout);
    }
  };
  std::vector<std::thread> others;
  for (int n = 1; n < o.threads; ++n) others.emplace_back(work);
  work();
  for (std::thread& t : others) t.join();
  fmt::print("{} changes, {} records, {} fenced, {} claims, replayed at most {:.3f} s\n", totals.changes,
             totals.records, totals.fenced, totals.claims, seconds(totals.replayed));
  fmt::print("{} changes lost in {} runs, read at most {:.3f} s before a start; {} runs healed by the next dump\n",
             totals.lost, totals.lossy, seconds(totals.beyond), totals.healed);
  fmt::print("simulated: {} runs, {} violated\n", totals.runs, totals.violated);
  return totals.violated == 0 ? 0 : 1;
}

}  // namespace
}  // namespace bmpha::simulate

int main(int argc, char** argv) { return bmpha::simulate::run(argc, argv); }
