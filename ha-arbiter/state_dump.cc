#include "ha-arbiter/state_dump.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace bmpha::arbiter {
namespace {

using Json = nlohmann::ordered_json;

Json age_ms(const std::optional<BootTime>& t, BootTime now) {
  if (!t) return nullptr;
  return std::chrono::duration_cast<Millis>(now - *t).count();
}
std::string session_text(const SessionId& s) { return fmt::format("{:016x}.{}", s.recv_inc, s.number); }

// How a node ranks where one role is for all its routers.
void put_collector(Json& j, const std::optional<CollectorEntry>& c) {
  if (!c) return;
  j["since"] = c->since;
  j["class"] = c->cls;
}

Json own_node_json(const Decider& d) {
  Json j = {{"id", d.settings().node}, {"live", true}, {"self", true}, {"mode", mode_name(d.mode())}, {"gen", d.gen()}};
  put_collector(j, d.collector());
  return j;
}

Json node_json(const NodeView& v, const Decider& d, BootTime now) {
  const char* mode = v.blob.forced_active ? "forced-active" : v.blob.forced_standby ? "forced-standby" : "auto";
  Json j = {{"id", v.blob.id},
            {"live", d.is_live(v, now)},
            {"self", false},
            {"readable", v.readable},
            {"mode", mode},
            {"leaving", v.blob.leaving},
            {"solo", v.blob.solo},
            {"gen", v.blob.gen},
            {"silent_ms", age_ms(v.advanced, now)}};
  put_collector(j, v.blob.collector);
  return j;
}

Json errand_json(const RouterState& st, const Decider& d, BootTime now) {
  if (st.errand.order == Order::kNone) return nullptr;
  return {{"order", order_name(st.errand.order)},
          {"step", d.errand_step(st)},
          {"for_ms", age_ms(st.errand.begun, now)},
          {"left_ms", std::chrono::duration_cast<Millis>(st.errand.deadline - now).count()}};
}
Json errand_end_json(const ErrandEnd& e, BootTime now) {
  if (e.order == Order::kNone) return nullptr;
  return {{"order", order_name(e.order)}, {"ok", e.ok}, {"how", e.how}, {"ms_ago", age_ms(e.at, now)}};
}

Json alarms_json(const AlarmWatch& alarms, BootTime now) {
  Json out = Json::array();
  for (const auto& [key, e] : alarms.entries())
    if (e.raised)
      out.push_back({{"alarm", alarm_name(key.first)},
                     {"router", key.second.is_zero() ? Json(nullptr) : Json(to_hex(key.second))},
                     {"name", e.name},
                     {"why", e.detail},
                     {"for_ms", age_ms(e.raised, now)}});
  return out;
}

Json own_view(const RouterState& st, const Decider& d, BootTime now) {
  Json j = {{"role", role_name(st.role)},
            {"class", st.cls},
            {"hold", hold_name(st.hold)},
            {"epoch", st.epoch},
            {"since", st.since},
            {"w_age_ms", age_ms(st.w, now)},
            {"session", session_text(st.session_seen)},
            {"unclean", st.unclean},
            {"stalled", st.stalled},
            {"solo", st.solo},
            {"errand", errand_json(st, d, now)},
            {"errand_end", errand_end_json(st.errand_end, now)}};
  if (const GateRouter* g = d.row(st.router)) {
    j["held_bytes"] = g->bytes;
    j["held_records"] = g->records;
    j["in_flight"] = g->in_flight;
    j["peers_up"] = g->peers_up ? Json(*g->peers_up) : Json(nullptr);
  }
  return j;
}

Json other_view(const NodeView::Router& r, BootTime now) {
  const RouterEntry& e = r.entry;
  return {{"role", role_name(e.role)},
          {"class", e.cls},
          {"hold", hold_name(e.hold)},
          {"epoch", e.epoch},
          {"since", e.since},
          {"w_age_ms", age_ms(r.w, now)},
          {"session", session_text(e.session)}};
}

Json router_json(const RouterState& st, const Decider& d, BootTime now) {
  Json nodes = Json::object();
  nodes[d.settings().node] = own_view(st, d, now);
  for (const auto& [id, v] : d.nodes()) {
    const auto r = v.routers.find(st.router);
    if (r != v.routers.end() && d.is_live(v, now)) nodes[id] = other_view(r->second, now);
  }
  const auto own = d.owners().find(st.router);
  const bool owned = own != d.owners().end() && !own->second.node.empty();
  return {{"router", to_hex(st.router)},
          {"name", st.name},
          {"owner", owned ? Json(own->second.node) : Json(nullptr)},
          {"epoch", owned ? own->second.epoch : 0},
          {"last_switch_ms_ago", age_ms(st.changed_at, now)},
          {"last_switch_why", st.why},
          {"nodes", std::move(nodes)}};
}

}  // namespace

std::string state_json(const Decider& d, const Config& config, const DumpFacts& facts, const AlarmWatch& alarms,
                       BootTime now) {
  Json nodes = Json::array();
  nodes.push_back(own_node_json(d));
  for (const auto& [id, v] : d.nodes()) nodes.push_back(node_json(v, d, now));
  Json routers = Json::array();
  for (const auto& [id, st] : d.routers()) routers.push_back(router_json(st, d, now));
  const GateStatus& gate = d.gate_status();
  const Json all = {{"tool", "ha-arbiter"},
                    {"node", config.node},
                    {"cluster", fmt::format("{}-{}", config.cluster_name, config.cluster_id)},
                    {"mode", mode_name(d.mode())},
                    {"standalone", config.standalone},
                    {"grain", config.grain},
                    {"active_collector", d.first_collector(now) ? Json(*d.first_collector(now)) : Json(nullptr)},
                    {"trim", config.trim},
                    {"timing_broken", d.broken_timing() ? Json(d.broken_timing()->why) : Json(nullptr)},
                    {"joined", d.has_joined()},
                    {"solo", d.is_solo()},
                    {"leaving", d.is_leaving()},
                    {"gen", d.gen()},
                    {"highest_epoch", d.persisted().epoch},
                    {"unsettled", d.persisted().unsettled},
                    {"redis", facts.redis},
                    {"gate",
                     {{"silent", d.gate_is_silent(now)},
                      {"kafka_ok", gate.kafka_ok},
                      {"recv_alive", gate.recv_alive},
                      {"gate_inc", fmt::format("{:016x}", gate.gate_inc)},
                      {"recv_inc", fmt::format("{:016x}", gate.recv_inc)}}},
                    {"counters",
                     {{"ticks", facts.ticks},
                      {"failed_ticks", facts.failed_ticks},
                      {"claims", facts.claims},
                      {"switches", facts.switches},
                      {"control_requests", facts.control_requests},
                      {"control_malformed", facts.control_malformed},
                      {"census", facts.census},
                      {"failed_census", facts.failed_census},
                      {"malformed_census", facts.malformed_census},
                      {"malformed_redis", facts.malformed},
                      {"malformed_gate", facts.gate_malformed}}},
                    {"alarms", alarms_json(alarms, now)},
                    {"nodes", std::move(nodes)},
                    {"routers", std::move(routers)}};
  // A router's name is the router's own text: bytes that are no UTF-8 are replaced.
  return all.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace bmpha::arbiter
