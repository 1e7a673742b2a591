#include "kafka-gate/metrics.h"

#include <algorithm>
#include <array>
#include <optional>

namespace bmpha::gate {
namespace {

constexpr Role kRoles[] = {Role::kStandby, Role::kActive, Role::kReleasing};

struct Counted {
  std::uint64_t HeldCounters::*count;
  const char* name;
  const char* help;
};
constexpr Counted kCounted[] = {
    {&HeldCounters::received, "bmpha_gate_received_total", "records accepted from bmp-recv"},
    {&HeldCounters::duplicates, "bmpha_gate_duplicates_total", "records received again"},
    {&HeldCounters::gaps, "bmpha_gate_gaps_total", "sequence numbers that never came"},
    {&HeldCounters::late, "bmpha_gate_late_total", "records of sessions that were over, dropped"},
    {&HeldCounters::dropped_torn, "bmpha_gate_dropped_torn_total", "records of dumps dropped for the byte limit"},
    {&HeldCounters::dropped_aborted, "bmpha_gate_dropped_aborted_total", "records of dumps that broke off"},
    {&HeldCounters::produced, "bmpha_gate_produced_total", "copies handed to Kafka"},
    {&HeldCounters::replayed, "bmpha_gate_replayed_total", "copies handed to Kafka as replay"},
    {&HeldCounters::acknowledged, "bmpha_gate_acknowledged_total", "copies that Kafka acknowledged"},
    {&HeldCounters::late_answers, "bmpha_gate_late_answers_total", "Kafka's answers for an earlier start, ignored"},
    {&HeldCounters::skipped, "bmpha_gate_produce_errors_total", "copies that Kafka refused for ever"},
    {&HeldCounters::trimmed, "bmpha_gate_trimmed_total", "records dropped since the owner has delivered them"},
    {&HeldCounters::aged, "bmpha_gate_aged_total", "records dropped for their age alone"},
    {&HeldCounters::freed, "bmpha_gate_freed_total", "acknowledged records freed by the byte limit"},
    {&HeldCounters::runs, "bmpha_gate_runs_total", "`run` records written"},
};
static_assert(sizeof(HeldCounters) == sizeof(std::uint64_t) * std::size(kCounted), "each of them is shown");

struct Sums {
  std::array<std::uint64_t, std::size(kRoles)> routers{}, records{}, bytes{}, in_flight{};
  std::uint64_t up = 0, torn = 0, paused = 0, blocked = 0;
  std::optional<BootTime> oldest_unacked;
};

Sums sum_up(const GateStatus& status) {
  Sums s;
  for (const GateRouter& g : status.routers) {
    const auto role = static_cast<std::size_t>(g.role);
    ++s.routers.at(role);
    s.records.at(role) += g.records;
    s.bytes.at(role) += g.bytes;
    s.in_flight.at(role) += g.in_flight;
    s.up += g.up ? 1 : 0;
    s.torn += g.torn ? 1 : 0;
    s.paused += g.read_paused ? 1 : 0;
    s.blocked += g.blocked ? 1 : 0;
    if (g.oldest_unacked && *g.oldest_unacked != BootTime{})
      s.oldest_unacked = std::min(s.oldest_unacked.value_or(*g.oldest_unacked), *g.oldest_unacked);
  }
  return s;
}

void put_routers(MetricsPage& page, const GateStatus& status, BootTime now) {
  const Sums s = sum_up(status);
  for (const Role r : kRoles) {
    const auto n = static_cast<std::size_t>(r);
    const MetricsPage::Labels role = {{"role", role_name(r)}};
    page.gauge("bmpha_gate_routers", "routers by role", s.routers.at(n), role);
    page.gauge("bmpha_gate_held_records", "records held, by their router's role", s.records.at(n), role);
    page.gauge("bmpha_gate_held_bytes", "bytes of records held, by their router's role", s.bytes.at(n), role);
    page.gauge("bmpha_gate_in_flight", "records handed to Kafka without an answer yet", s.in_flight.at(n), role);
  }
  page.gauge("bmpha_gate_routers_up", "routers with a session", s.up);
  page.gauge("bmpha_gate_routers_torn", "routers that cannot be continued until a dump has ended", s.torn);
  page.gauge("bmpha_gate_routers_paused", "routers that are not read for want of room", s.paused);
  page.gauge("bmpha_gate_routers_blocked", "active routers of which nothing may be sent now", s.blocked);
  const Nanos age = s.oldest_unacked ? Nanos(now - *s.oldest_unacked) : Nanos{0};
  page.gauge("bmpha_gate_oldest_unacked_age_seconds", "age of the oldest record without Kafka's acknowledgement",
             std::chrono::duration<double>(age).count());
}

}  // namespace

void CounterTotals::update(const std::map<RouterId, HeldRecords>& routers) {
  std::erase_if(seen_, [&](const auto& s) { return !routers.contains(s.first); });
  for (const auto& [id, r] : routers) {
    HeldCounters& before = seen_[id];
    const HeldCounters& after = r.counters();
    for (const Counted& c : kCounted) {
      const bool anew = after.*c.count < before.*c.count;  // forgotten and back
      sum_.*c.count += after.*c.count - (anew ? 0 : before.*c.count);
    }
    before = after;
  }
}

MetricsPage metrics_page(const Gate& gate, const GateStatus& status, const DumpFacts& facts,
                         const HeldCounters& counters, BootTime now) {
  MetricsPage page = tool_page("kafka-gate");
  put_routers(page, status, now);
  page.gauge("bmpha_gate_bytes_limit", "bytes-limit", gate.bytes_limit());
  page.gauge("bmpha_gate_recv_up", "1 while bmp-recv is heard", status.recv_alive);
  page.gauge("bmpha_gate_kafka_up", "1 while Kafka counts as good", facts.kafka_ok);
  page.gauge("bmpha_gate_producing", "1 while records may be sent", facts.producing);
  page.gauge("bmpha_gate_outstanding", "copies in the Kafka client", facts.outstanding);
  page.gauge("bmpha_gate_outstanding_bytes", "bytes in the Kafka client", facts.outstanding_bytes);
  page.counter("bmpha_gate_producers_total", "Kafka clients made; more than one: the ones before failed for good",
               facts.producers);
  page.counter("bmpha_gate_malformed_total", "frames that could not be read", facts.malformed);
  page.counter("bmpha_gate_dropped_old_receiver_total", "records of a bmp-recv that has been replaced, dropped",
               gate.dropped_old_receiver());
  for (const Counted& c : kCounted) page.counter(c.name, c.help, counters.*c.count);
  return page;
}

}  // namespace bmpha::gate
