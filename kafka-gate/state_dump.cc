#include "kafka-gate/state_dump.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace bmpha::gate {
namespace {

using Json = nlohmann::ordered_json;

Json age_ms(const std::optional<BootTime>& t, BootTime now) {
  if (!t || *t == BootTime{}) return nullptr;
  return std::chrono::duration_cast<Millis>(now - *t).count();
}
std::string session_text(const SessionId& s) { return fmt::format("{:016x}.{}", s.recv_inc, s.number); }

Json counters_json(const HeldCounters& c) {
  return {{"received", c.received},
          {"duplicates", c.duplicates},
          {"gaps", c.gaps},
          {"late", c.late},
          {"dropped_torn", c.dropped_torn},
          {"dropped_aborted", c.dropped_aborted},
          {"produced", c.produced},
          {"replayed", c.replayed},
          {"acknowledged", c.acknowledged},
          {"late_answers", c.late_answers},
          {"skipped", c.skipped},
          {"trimmed", c.trimmed},
          {"aged", c.aged},
          {"freed", c.freed},
          {"runs", c.runs}};
}

Json router_json(const GateRouter& g, const HeldCounters& c, BootTime now) {
  return {{"router", to_hex(g.router)},
          {"name", g.name},
          {"session", session_text(g.session)},
          {"up", g.up},
          {"in_dump", g.in_dump},
          {"torn", g.torn},
          {"read_paused", g.read_paused},
          {"role", role_name(g.role)},
          {"solo", g.solo},
          {"unclean", g.unclean},
          {"epoch", g.epoch},
          {"claimed_session", session_text(g.claimed_session)},
          {"blocked", g.blocked},
          {"unsent_tail", g.unsent_tail},
          {"held_records", g.records},
          {"held_bytes", g.bytes},
          {"in_flight", g.in_flight},
          {"w_age_ms", age_ms(g.w, now)},
          {"oldest_unacked_age_ms", age_ms(g.oldest_unacked, now)},
          {"last_read_age_ms", age_ms(g.last_read, now)},
          {"trimmed_to_age_ms", age_ms(g.trimmed_to, now)},
          {"emitted", g.emitted},
          {"counters", counters_json(c)}};
}

}  // namespace

std::string state_json(const Gate& gate, const GateStatus& status, const DumpFacts& facts, BootTime now) {
  Json routers = Json::array();
  for (const GateRouter& g : status.routers)
    routers.push_back(router_json(g, gate.routers().at(g.router).counters(), now));
  const Json j = {{"tool", "kafka-gate"},
                  {"node", facts.node},
                  {"gate_inc", fmt::format("{:016x}", status.gate_inc)},
                  {"recv_inc", fmt::format("{:016x}", status.recv_inc)},
                  {"recv_alive", status.recv_alive},
                  {"kafka_ok", facts.kafka_ok},
                  {"producing", facts.producing},
                  {"producers", facts.producers},
                  {"outstanding", facts.outstanding},
                  {"outstanding_bytes", facts.outstanding_bytes},
                  {"held_bytes", gate.bytes()},
                  {"bytes_limit", gate.bytes_limit()},
                  {"malformed", facts.malformed},
                  {"dropped_old_receiver", gate.dropped_old_receiver()},
                  {"routers", std::move(routers)}};
  // A router's name is the router's own text: bytes that are no UTF-8 are replaced.
  return j.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace bmpha::gate
