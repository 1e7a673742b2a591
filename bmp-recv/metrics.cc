#include "bmp-recv/metrics.h"

#include <fmt/format.h>

#include <string>

namespace bmpha::recv {
namespace {

struct Counted {
  std::uint64_t Counters::*count;
  const char* name;
  const char* help;
};
constexpr Counted kCounted[] = {
    {&Counters::bad_frames, "bmpha_recv_bad_frames_total", "sessions closed for bad framing"},
    {&Counters::prefixes_announced, "bmpha_recv_prefixes_announced_total", "prefixes announced"},
    {&Counters::prefixes_withdrawn, "bmpha_recv_prefixes_withdrawn_total", "prefixes withdrawn"},
    {&Counters::treated_as_withdraw, "bmpha_recv_treated_as_withdraw_total",
     "messages with malformed attributes, taken as withdrawals (RFC 7606)"},
    {&Counters::after_peer_down, "bmpha_recv_after_peer_down_total", "announced prefixes of peers that are down"},
    {&Counters::unknown_routes, "bmpha_recv_unknown_routes_total", "routes of types that are not decoded"},
    {&Counters::end_of_rib, "bmpha_recv_end_of_rib_total", "End-of-RIB markers"},
    {&Counters::peers_first, "bmpha_recv_peers_first_total", "peers whose routes came before their Peer Up"},
    {&Counters::as_width_fallbacks, "bmpha_recv_as_width_fallbacks_total", "AS_PATHs in another width than agreed"},
    {&Counters::path_id_fallbacks, "bmpha_recv_path_id_fallbacks_total", "path identifiers against what was agreed"},
    {&Counters::unknown_statistics, "bmpha_recv_unknown_statistics_total", "statistics of types without a name here"},
    {&Counters::unknown_tlvs, "bmpha_recv_unknown_tlvs_total", "TLVs that were skipped, statistics apart"},
    {&Counters::mirrored, "bmpha_recv_mirrored_total", "BGP messages in Route Mirroring"},
    {&Counters::mirrored_errored, "bmpha_recv_mirrored_errored_total",
     "marks of Route Mirroring: the router took a message for malformed"},
    {&Counters::mirrored_lost, "bmpha_recv_mirrored_lost_total",
     "marks of Route Mirroring: the router has lost messages"},
    {&Counters::path_marks, "bmpha_recv_path_marks_total", "path status TLVs of BMP version 4"},
    {&Counters::path_marks_unplaced, "bmpha_recv_path_marks_unplaced_total",
     "messages with path status TLVs of single routes that cannot be told"},
    {&Counters::raw_messages, "bmpha_recv_raw_messages_total", "BMP messages published as they came"},
    {&Counters::raw_bytes, "bmpha_recv_raw_bytes_total", "bytes of BMP messages published as they came"},
    {&Counters::records, "bmpha_recv_records_total", "records made"},
    {&Counters::record_bytes, "bmpha_recv_record_bytes_total", "bytes of records made"},
    {&Counters::read_bytes, "bmpha_recv_read_bytes_total", "bytes read from routers"},
    {&Counters::sessions_opened, "bmpha_recv_sessions_opened_total", "sessions begun"},
    {&Counters::sessions_refused, "bmpha_recv_sessions_refused_total",
     "connections refused: allow list, limit, router id in use"},
    {&Counters::name_lookups, "bmpha_recv_name_lookups_total", "names of routers' addresses that were asked for"},
    {&Counters::names_not_found, "bmpha_recv_names_not_found_total", "addresses of routers that have no name"},
    {&Counters::handshake_timeouts, "bmpha_recv_handshake_timeouts_total", "connections closed by handshake-timeout"},
    {&Counters::idle_timeouts, "bmpha_recv_idle_timeouts_total", "sessions closed by idle-timeout"},
    {&Counters::resets, "bmpha_recv_resets_total", "sessions closed on the gate's request"},
    {&Counters::pauses, "bmpha_recv_pauses_total", "times that reading of a session was paused"},
    {&Counters::link_errors, "bmpha_recv_link_errors_total", "malformed messages on the gate's socket"},
};

void put_messages(MetricsPage& page, const Counters& c) {
  const auto put = [&](const std::string& type, std::uint64_t count) {
    page.counter("bmpha_recv_messages_total", "BMP messages by type", count, {{"type", type}});
  };
  for (std::size_t n = 0; n < kBmpTypes; ++n) put(message_type_name(n), c.messages[n]);
  std::uint64_t unknown = 0;
  for (const auto& [type, count] : c.unknown_messages) unknown += count;
  put("unknown", unknown);
}

// Every reason is there from the start, so that its first error is a rise.
void put_faults(MetricsPage& page, const Counters& c) {
  for (std::size_t n = 1; n < kFaultCount; ++n)
    page.counter("bmpha_recv_parse_errors_total", "messages or parts of them that could not be used, by reason",
                 c.faults[n], {{"reason", fault_name(static_cast<Fault>(n))}});
}

void put_undecoded(MetricsPage& page, const Counters& c) {
  std::uint64_t attributes = 0, families = c.other_families_more;
  for (const std::uint64_t count : c.other_attributes) attributes += count;
  for (const auto& [family, count] : c.other_families) families += count;
  page.counter("bmpha_recv_other_families_total", "messages with address families that are not decoded", families);
  page.counter("bmpha_recv_other_attributes_total", "attributes that are not decoded, one a message", attributes);
}

void put_sessions(MetricsPage& page, const StateView& state) {
  std::map<std::string, std::uint64_t> phases = {{"handshake", 0}, {"waiting", 0}, {"up", 0}};
  std::uint64_t paused = 0, dumping = 0, peers = 0;
  for (const StateView::Session& s : state.sessions) {
    ++phases[s.phase];
    paused += s.paused ? 1 : 0;
    dumping += s.phase == "up" && !s.synced ? 1U : 0U;
    peers += s.peers_up;
  }
  for (const auto& [phase, count] : phases)
    page.gauge("bmpha_recv_sessions", "connections by phase", count, {{"phase", phase}});
  page.gauge("bmpha_recv_sessions_paused", "connections that are not read for want of room", paused);
  page.gauge("bmpha_recv_sessions_dumping", "sessions whose first dump goes on", dumping);
  page.gauge("bmpha_recv_peers_up", "BGP peers that are up, over all sessions", peers);
}

}  // namespace

MetricsPage metrics_page(const StateView& state) {
  MetricsPage page = tool_page("bmp-recv");
  put_sessions(page, state);
  put_messages(page, state.counters);
  put_faults(page, state.counters);
  put_undecoded(page, state.counters);
  for (const Counted& c : kCounted) page.counter(c.name, c.help, state.counters.*c.count);
  page.counter("bmpha_recv_malformed_kept_total", "messages written to keep-malformed", state.malformed.kept());
  page.counter("bmpha_recv_malformed_not_kept_total", "messages that keep-malformed had no room for",
               state.malformed.not_kept());
  page.counter("bmpha_recv_dial_failures_total", "routers that could not be dialled", state.dial_failures);
  const MetricsPage::Labels clash = {{"alarm", "router-id-in-use"}};
  page.gauge("bmpha_alarm", "1 while the alarm is raised", state.ids_in_use > 0, clash);
  page.gauge("bmpha_alarm_count", "how often the alarm is raised now: router ids", state.ids_in_use, clash);
  page.gauge("bmpha_recv_gate_up", "1 while kafka-gate is connected", state.gate_inc != 0);
  page.gauge("bmpha_recv_ring_bytes", "bytes of records that the gate has not released", state.ring.bytes());
  page.gauge("bmpha_recv_ring_records", "records that the gate has not released", state.ring.records());
  page.gauge("bmpha_recv_ring_limit_bytes", "ring-bytes", state.ring.limit());
  return page;
}

}  // namespace bmpha::recv
