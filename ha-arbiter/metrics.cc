#include "ha-arbiter/metrics.h"

#include <algorithm>
#include <array>
#include <string>

namespace bmpha::arbiter {
namespace {

constexpr std::size_t kClasses = 4;
constexpr Role kRoles[] = {Role::kStandby, Role::kActive, Role::kReleasing};

double seconds(Nanos n) { return std::chrono::duration<double>(n).count(); }

void put_alarms(MetricsPage& page, const AlarmWatch& alarms) {
  for (const Alarm a : kAlarms) {
    const std::size_t raised = alarms.raised(a);
    page.gauge("bmpha_alarm", "1 while the alarm is raised", raised > 0, {{"alarm", alarm_name(a)}});
    page.gauge("bmpha_alarm_count", "how often the alarm is raised now: routers, or 1 for the cluster's own",
               static_cast<double>(raised), {{"alarm", alarm_name(a)}});
  }
}

void put_routers(MetricsPage& page, const Decider& d, BootTime now) {
  std::array<std::uint64_t, std::size(kRoles)> roles{};
  std::array<std::uint64_t, kClasses> classes{};
  std::uint64_t solo = 0, unclean = 0, stalled = 0;
  Nanos oldest{0};
  for (const auto& [id, st] : d.routers()) {
    ++roles.at(static_cast<std::size_t>(st.role));
    ++classes.at(std::min<std::size_t>(st.cls, kClasses - 1));
    solo += st.solo ? 1 : 0;
    unclean += st.unclean ? 1 : 0;
    stalled += st.stalled ? 1 : 0;
    if (st.role == Role::kActive && st.w) oldest = std::max(oldest, Nanos(now - *st.w));
  }
  for (const Role r : kRoles)
    page.gauge("bmpha_arbiter_routers", "routers by this node's role",
               static_cast<double>(roles.at(static_cast<std::size_t>(r))), {{"role", role_name(r)}});
  for (std::size_t n = 0; n < kClasses; ++n)
    page.gauge("bmpha_arbiter_routers_by_class", "routers by this node's class for them; 0 is the best",
               static_cast<double>(classes.at(n)), {{"class", std::to_string(n)}});
  page.gauge("bmpha_arbiter_routers_solo", "routers taken or kept without Redis", static_cast<double>(solo));
  page.gauge("bmpha_arbiter_routers_unclean", "routers taken over unclean", static_cast<double>(unclean));
  page.gauge("bmpha_arbiter_routers_stalled", "routers whose session here is stalled", static_cast<double>(stalled));
  page.gauge("bmpha_arbiter_delivered_age_seconds",
             "age of the delivered watermark W, the largest of the routers that are active here", seconds(oldest));
}

void put_node(MetricsPage& page, const Decider& d, bool redis_up, BootTime now) {
  const auto live =
      std::count_if(d.nodes().begin(), d.nodes().end(), [&](const auto& n) { return d.is_live(n.second, now); });
  page.gauge("bmpha_arbiter_nodes_live", "nodes of the cluster that live, this one too", static_cast<double>(live + 1));
  for (const Mode m : {Mode::kAutomatic, Mode::kForcedActive, Mode::kForcedStandby})
    page.gauge("bmpha_arbiter_mode", "1 for the mode that is set", d.mode() == m, {{"mode", mode_name(m)}});
  page.gauge("bmpha_arbiter_joined", "1 when this node takes part", d.has_joined());
  page.gauge("bmpha_arbiter_solo", "1 while this node decides without Redis", d.is_solo());
  page.gauge("bmpha_arbiter_leaving", "1 while this node hands over to stop", d.is_leaving());
  page.gauge("bmpha_arbiter_gen", "this node's generation", static_cast<double>(d.gen()));
  page.gauge("bmpha_arbiter_highest_epoch", "highest epoch of a claim that this node knows",
             static_cast<double>(d.persisted().epoch));
  page.gauge("bmpha_arbiter_redis_up", "1 while Redis answers", redis_up);
  page.gauge("bmpha_arbiter_tick_lateness_seconds", "how late the last tick was", seconds(d.lateness()));
  page.gauge("bmpha_arbiter_timing_broken", "1 while a bound of time is broken and nothing is trimmed",
             d.broken_timing().has_value());
  page.gauge("bmpha_arbiter_gate_up", "1 while kafka-gate is heard", !d.gate_is_silent(now));
  page.gauge("bmpha_arbiter_recv_up", "1 while kafka-gate hears bmp-recv", d.gate_status().recv_alive);
  page.gauge("bmpha_arbiter_kafka_up", "1 while kafka-gate calls Kafka good", d.gate_status().kafka_ok);
}

void put_counters(MetricsPage& page, const DumpFacts& f) {
  page.counter("bmpha_arbiter_switches_total", "routers that this node became active for", f.switches);
  page.counter("bmpha_arbiter_claims_total", "claims sent to Redis", f.claims);
  page.counter("bmpha_arbiter_ticks_total", "exchanges with Redis", f.ticks);
  page.counter("bmpha_arbiter_failed_ticks_total", "exchanges with Redis that failed or were too late", f.failed_ticks);
  page.counter("bmpha_arbiter_control_requests_total", "orders and questions on control-socket", f.control_requests);
  page.counter("bmpha_arbiter_malformed_total", "input that could not be read", f.malformed, {{"source", "redis"}});
  page.counter("bmpha_arbiter_malformed_total", "input that could not be read", f.gate_malformed, {{"source", "gate"}});
  page.counter("bmpha_arbiter_malformed_total", "input that could not be read", f.control_malformed,
               {{"source", "control"}});
}

}  // namespace

MetricsPage metrics_page(const Decider& decider, const DumpFacts& facts, bool redis_up, const AlarmWatch& alarms,
                         BootTime now) {
  MetricsPage page = tool_page("ha-arbiter");
  put_alarms(page, alarms);
  put_routers(page, decider, now);
  put_node(page, decider, redis_up, now);
  put_counters(page, facts);
  return page;
}

}  // namespace bmpha::arbiter
