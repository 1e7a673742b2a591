#include "bmp-recv/state_dump.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

namespace bmpha::recv {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kTypeNames[kBmpTypes] = {"route_monitoring", "statistics",  "peer_down",      "peer_up",
                                               "initiation",       "termination", "route_mirroring"};

Json counters_json(const Counters& c) {
  Json messages, faults, families, attributes = Json::object();
  for (std::size_t n = 0; n < kBmpTypes; ++n) messages[kTypeNames[n]] = c.messages[n];
  std::uint64_t unknown = 0;
  for (const auto& [type, count] : c.unknown_messages) unknown += count;
  messages["unknown"] = unknown;
  for (std::size_t n = 1; n < kFaultCount; ++n)
    if (c.faults[n] != 0) faults[fault_name(static_cast<Fault>(n))] = c.faults[n];
  for (const auto& [family, count] : c.other_families) families[fmt::format("{}/{}", family.afi, family.safi)] = count;
  for (std::size_t type = 0; type < c.other_attributes.size(); ++type)
    if (c.other_attributes[type] != 0) attributes[std::to_string(type)] = c.other_attributes[type];
  if (c.other_families_more != 0) families["more"] = c.other_families_more;
  return {{"messages", messages},
          {"parse_errors", faults.is_null() ? Json::object() : faults},
          {"other_families", families.is_null() ? Json::object() : families},
          {"other_attributes", attributes},
          {"bad_frames", c.bad_frames},
          {"prefixes_announced", c.prefixes_announced},
          {"prefixes_withdrawn", c.prefixes_withdrawn},
          {"treated_as_withdraw", c.treated_as_withdraw},
          {"after_peer_down", c.after_peer_down},
          {"unknown_routes", c.unknown_routes},
          {"end_of_rib", c.end_of_rib},
          {"peers_first", c.peers_first},
          {"as_width_fallbacks", c.as_width_fallbacks},
          {"path_id_fallbacks", c.path_id_fallbacks},
          {"unknown_statistics", c.unknown_statistics},
          {"unknown_tlvs", c.unknown_tlvs},
          {"mirrored", c.mirrored},
          {"mirrored_errored", c.mirrored_errored},
          {"mirrored_lost", c.mirrored_lost},
          {"path_marks", c.path_marks},
          {"path_marks_unplaced", c.path_marks_unplaced},
          {"raw_messages", c.raw_messages},
          {"raw_bytes", c.raw_bytes},
          {"records", c.records},
          {"record_bytes", c.record_bytes},
          {"read_bytes", c.read_bytes},
          {"sessions_opened", c.sessions_opened},
          {"sessions_refused", c.sessions_refused},
          {"name_lookups", c.name_lookups},
          {"names_not_found", c.names_not_found},
          {"handshake_timeouts", c.handshake_timeouts},
          {"idle_timeouts", c.idle_timeouts},
          {"resets", c.resets},
          {"pauses", c.pauses},
          {"link_errors", c.link_errors}};
}

// {"<peer>": {"<reason>": count}}; what is of no peer stands under "".
Json peer_faults_json(const StateView::Session& s) {
  Json all = Json::object();
  if (s.peer_faults == nullptr) return all;
  for (const auto& [key, count] : *s.peer_faults) all[key.first][fault_name(key.second)] = count;
  return all;
}

Json session_json(const StateView::Session& s) {
  return {{"router", s.name},
          {"id", s.id},
          {"ip", s.ip},
          {"port", s.port},
          {"tag", s.tag},
          {"phase", s.phase},
          {"session", s.session},
          {"synced", s.synced},
          {"paused", s.paused},
          {"bytes", s.bytes},
          {"messages", s.messages},
          {"parse_errors", s.faults},
          {"parse_errors_by_peer", peer_faults_json(s)},
          {"peers_up", s.peers_up},
          {"peers_known", s.peers_known},
          {"last_read_age_ms", s.last_read_age_ms},
          {"drained_age_ms", s.drained_age_ms}};
}

Json ring_json(const RecordRing& ring) {
  Json queues = Json::array();
  for (const RecordRing::Queue& q : ring.queues())
    queues.push_back({{"router", to_hex(q.router)},
                      {"name", q.name},
                      {"session", q.session.number},
                      {"up", q.up},
                      {"bytes", q.bytes},
                      {"records", q.records.size()},
                      {"unsent", q.records.size() - q.next},
                      {"last_seq", q.last_seq},
                      {"released_seq", q.released_seq},
                      {"sent_bytes", q.sent_bytes},
                      {"credit", q.credit}});
  return {{"bytes", ring.bytes()}, {"limit", ring.limit()}, {"records", ring.records()}, {"queues", queues}};
}

}  // namespace

const char* message_type_name(std::size_t type) { return kTypeNames[type]; }

std::string state_json(const StateView& state) {
  Json sessions = Json::array();
  for (const StateView::Session& s : state.sessions) sessions.push_back(session_json(s));
  const Json all = {{"tool", "bmp-recv"},
                    {"node", state.config.node_name},
                    {"collector", state.config.collector()},
                    {"recv_inc", state.recv_inc},
                    {"gate_inc", state.gate_inc},
                    {"gate_connected", state.gate_inc != 0},
                    {"subscribers", state.subscribers},
                    {"dial_failures", state.dial_failures},
                    {"ids_in_use", state.ids_in_use},
                    {"malformed_kept", state.malformed.kept()},
                    {"malformed_not_kept", state.malformed.not_kept()},
                    {"sessions", sessions},
                    {"counters", counters_json(state.counters)},
                    {"ring", ring_json(state.ring)}};
  return all.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace bmpha::recv
