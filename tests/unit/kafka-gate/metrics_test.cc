#include "kafka-gate/metrics.h"

#include <doctest/doctest.h>

#include "tests/unit/kafka-gate/gate_support.h"

using namespace bmpha;
using namespace bmpha::gate;

namespace {

std::uint64_t received_total(const MetricsPage& page) {
  return static_cast<std::uint64_t>(page.families().at("bmpha_gate_received_total").samples.at(0).value);
}

}  // namespace

TEST_CASE("the totals of all routers never fall when one is forgotten, and count on when it is back") {
  CounterTotals totals;
  std::map<RouterId, HeldRecords> routers;
  const auto receive = [&](std::uint8_t router, std::uint64_t session, int records) {
    HeldRecords& held = routers.try_emplace(router_id(router), router_id(router), held_settings()).first->second;
    Writer w{session, router};
    for (int n = 0; n < records; ++n) {
      const Envelope e = w.next(n == 0 ? RecordKind::kSessionBegin : RecordKind::kRoutes, n);
      held.record(e, body_of(e), at_ms(n));
    }
  };
  receive(1, 1, 5);
  receive(2, 1, 3);
  totals.update(routers);
  CHECK(totals.sum().received == 8);
  totals.update(routers);
  CHECK(totals.sum().received == 8);
  routers.erase(router_id(1));
  totals.update(routers);
  CHECK(totals.sum().received == 8);
  receive(1, 2, 2);
  totals.update(routers);
  CHECK(totals.sum().received == 10);
  routers.erase(router_id(1));
  receive(1, 3, 1);  // both between two updates
  totals.update(routers);
  CHECK(totals.sum().received == 11);
}

TEST_CASE("what is held is shown by role, and the oldest record without an answer by its age") {
  Gate::Settings settings;
  settings.held = held_settings();
  Gate g(settings);
  GateStatus status;
  GateRouter row;
  row.role = Role::kActive;
  row.bytes = 100;
  row.records = 3;
  row.oldest_unacked = at_ms(500);
  status.routers.push_back(row);
  row.oldest_unacked = at_ms(250);
  status.routers.push_back(row);
  row.role = Role::kStandby;
  row.oldest_unacked.reset();
  row.torn = true;
  status.routers.push_back(row);
  HeldCounters counters;
  counters.received = 42;
  const MetricsPage page = metrics_page(g, status, DumpFacts{}, counters, at_ms(1250));
  const auto value = [&](const std::string& name, const std::string& role) {
    for (const MetricsPage::Sample& s : page.families().at(name).samples)
      if (role.empty() || s.labels.at(0).second == role) return s.value;
    return -1.0;
  };
  CHECK(value("bmpha_gate_routers", "active") == 2);
  CHECK(value("bmpha_gate_routers", "releasing") == 0);
  CHECK(value("bmpha_gate_held_bytes", "active") == 200);
  CHECK(value("bmpha_gate_held_records", "standby") == 3);
  CHECK(value("bmpha_gate_routers_torn", "") == 1);
  CHECK(value("bmpha_gate_oldest_unacked_age_seconds", "") == 1);
  CHECK(received_total(page) == 42);
}
