// Recorded streams outside the tree: every message of every file must be understood, and where another collector's
// reading of the same bytes is at hand, prefixes, attributes, distinguishers, labels and views must agree with it.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "bmp-recv/objects.h"
#include "tests/unit/bmp-recv/captures.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

using Json = nlohmann::json;

// Rows by object, and what was counted as strange.
std::string summary(const Replay& replay) {
  std::map<std::string, std::size_t> counts;
  for (const Seen& s : replay.keep.seen()) {
    if (s.object.empty()) continue;
    const ObjectInfo* object = find_object(s.object);
    REQUIRE(object != nullptr);
    counts[s.object] += s.rows.size();
    for (const auto& row : s.rows) REQUIRE(row.size() >= object->columns.size());
  }
  const Counters& c = replay.shared.counters;
  for (std::size_t n = 0; n < kFaultCount; ++n)
    if (c.faults[n] != 0) counts["fault:" + std::string(fault_name(static_cast<Fault>(n)))] = c.faults[n];
  const std::pair<const char*, std::uint64_t> others[] = {{"!unknown_messages", c.unknown_messages.size()},
                                                          {"!other_families", c.other_families.size()},
                                                          {"!unknown_routes", c.unknown_routes},
                                                          {"!unknown_statistics", c.unknown_statistics},
                                                          {"!unknown_tlvs", c.unknown_tlvs},
                                                          {"!as_width_fallbacks", c.as_width_fallbacks},
                                                          {"!path_id_fallbacks", c.path_id_fallbacks},
                                                          {"!peers_first", c.peers_first},
                                                          {"!after_peer_down", c.after_peer_down},
                                                          {"!mirrored", c.mirrored}};
  for (const auto& [name, n] : others)
    if (n != 0) counts[name] = n;
  std::string out;
  for (const auto& [name, n] : counts) out += ' ' + name + '=' + std::to_string(n);
  return out;
}

// One route of a message, in the words of both sides.
std::string route_line(bool del, const std::string& peer, const std::string& view, const std::string& rd,
                       const std::string& family, const std::string& prefix, const std::string& rest) {
  return std::string(del ? "del " : "add ") + peer + ' ' + view + ' ' + (rd.empty() ? "0:0" : rd) + ' ' + family + ' ' +
         prefix + (del ? "" : ' ' + rest);
}

using Lines = std::map<std::string, int>;

// The other collector sorts communities.
std::string sorted(const std::string& list) {
  std::vector<std::string> parts = split(list, ' ');
  std::sort(parts.begin(), parts.end());
  std::string out;
  for (const std::string& one : parts) out += (out.empty() ? "" : " ") + one;
  return out;
}
// It writes route targets as "RT:64497:42"; no other kind but SoO is in these streams.
std::string ext_communities(const Json& list) {
  std::string out;
  for (const Json& one : list) {
    const std::string text = one.get<std::string>(), kind = text.substr(0, text.find(':'));
    REQUIRE((kind == "RT" || kind == "SoO"));
    out += (out.empty() ? "" : " ") + std::string(kind == "RT" ? "rt=" : "soo=") + text.substr(kind.size() + 1);
  }
  return sorted(out);
}
// It prints some IPv4 next hops in their mapped form, and 0.0.0.0 for none.
std::string next_hop_of(const std::string& ip) {
  if (ip.empty()) return "0.0.0.0";
  return ip.starts_with("::ffff:") ? ip.substr(7) : ip;
}
// It cannot read the AS_PATH of this route, which FRR passes on with 2-byte numbers although the OPENs agree on 4: one
// AS number, 65000.
std::string path_of(const std::string& next_hop, const std::string& path) {
  return next_hop == "169.254.0.1" && path.empty() ? "65000" : path;
}

std::string joined(const Json& list) {
  std::string out;
  for (const Json& one : list) out += (out.empty() ? "" : " ") + one.get<std::string>();
  return out;
}
std::string number_or_zero(const Json& j) { return j.is_null() ? "0" : std::to_string(j.get<std::uint64_t>()); }
std::string text_or_empty(const Json& j) { return j.is_null() ? "" : j.get<std::string>(); }
// Its own clock shows in no line: a time of zero is left, where here the time of receipt stands.
constexpr const char* kReceipt = "2023-11-14 22:15:00.000000";  // of Replay
std::string time_of(const Json& j) {
  const std::string text = j["timestamp"].get<std::string>();
  if (text == "0.000000") return kReceipt;
  const std::size_t point = text.find('.');
  std::string out(kTimestampText, '\0');
  TimestampText().put(out.data(), std::stoll(text.substr(0, point)),
                      static_cast<std::uint32_t>(std::stoul(text.substr(point + 1))));
  return out;
}
std::string rd_of(const Json& j) {
  const std::string rd = text_or_empty(j["rd"]);
  return rd.empty() ? "0:0" : rd.substr(rd.find(':') + 1);  // without its type
}
std::string view_of(const Json& j) { return j["is_loc"] == 1 ? "loc-rib" : j["is_post"] == 1 ? "in-post" : "in-pre"; }
std::string peer_of(const Json& j) { return j["is_loc"] == 1 ? "::" : j["peer_ip"].get<std::string>(); }
// It takes the Loc-RIB's AS number and BGP id from the peer that it knows under the same address, and it knows
// 0.0.0.0 from a Peer Up of 6WIND's FRR with no AS number, flagged as a peer of the global instance.
bool has_own_asn(const Json& j) { return j["is_loc"] != 1 || j["peer_asn"] != 0; }

Lines expected_lines(const std::string& name) {
  Lines lines;
  for (const std::string& line : split(read_packed_capture(name), '\n')) {
    if (line.empty()) continue;
    const Json j = Json::parse(line);
    const std::string kind = j.value("log_type", "");
    if (j.value("bmp_msg_type", "") != "route_monitor" || (kind != "update" && kind != "withdraw")) continue;
    // It leaves out the peer's distinguisher of labelled routes.
    const std::string rd = j["safi"] == 4 ? "" : rd_of(j), origin = text_or_empty(j["origin"]);
    for (const char* absent : {"aigp", "otc", "psid_li"}) REQUIRE(j[absent].is_null());
    const std::string rest = next_hop_of(j["bgp_nexthop"].get<std::string>()) + " [" +
                             path_of(j["bgp_nexthop"].get<std::string>(), joined(j["as_path"])) + "] [" +
                             sorted(joined(j["comms"])) + "] [" + sorted(joined(j["lcomms"])) + "] " +
                             (origin == "i"   ? "igp"
                              : origin == "e" ? "egp"
                                              : "incomplete") +
                             ' ' + number_or_zero(j["med"]) + ' ' + number_or_zero(j["local_pref"]) +
                             " labels=" + text_or_empty(j["mpls_label"]) + " [" + ext_communities(j["ecomms"]) +
                             "] id=" + number_or_zero(j["as_path_id"]) +
                             " as=" + (has_own_asn(j) ? number_or_zero(j["peer_asn"]) : "") + ' ' + time_of(j);
    ++lines[route_line(kind == "withdraw", peer_of(j), view_of(j), rd,
                       std::to_string(j["afi"].get<int>()) + "/" + std::to_string(j["safi"].get<int>()),
                       j["ip_prefix"].get<std::string>(), rest)];
  }
  return lines;
}

// Without AS numbers where the other collector has none of its own: its Loc-RIB of that stream.
Lines decoded_lines(const std::vector<Seen>& records, bool loc_rib_asn) {
  Lines lines;
  std::map<std::string, std::vector<std::string>> peers;  // by hash
  for (const Seen& s : records)
    for (const auto& c : s.rows) {
      if (s.object == "peer") peers[c[2]] = c;
      if (s.object != "unicast_prefix" && s.object != "l3vpn") continue;
      const auto& peer = peers.at(c[6]);
      const bool loc_rib = peer[28] == "1", vpn = s.object == "l3vpn";
      const std::string view = loc_rib ? "loc-rib" : c[29] == "1" ? "in-pre" : "in-post";
      const std::string safi = vpn ? "128" : c[28].empty() ? "1" : "4";
      const std::string rest = next_hop_of(c[17]) + " [" + c[14].substr(c[14].empty() ? 0 : 1) + "] [" + sorted(c[21]) +
                               "] [" + sorted(c[vpn ? 33 : 31]) + "] " + c[13] + ' ' + c[18] + ' ' + c[19] +
                               " labels=" + c[28] + " [" + sorted(c[22]) + "] id=" + c[27] +
                               " as=" + (loc_rib && !loc_rib_asn ? "" : c[8]) + ' ' + c[9];
      ++lines[route_line(c[0] == "del", c[7], view,
                         vpn           ? c[31]
                         : safi == "4" ? ""
                                       : peer[10],
                         (c[12] == "1" ? "1/" : "2/") + safi, c[10] + '/' + c[11], rest)];
    }
  return lines;
}

// ---- what routers say beside routes

std::string joined(std::initializer_list<std::string> words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : "|") + word;
  return out;
}

Lines expected_events(const std::string& name) {
  Lines lines;
  for (const std::string& line : split(read_packed_capture(name), '\n')) {
    if (line.empty()) continue;
    const Json j = Json::parse(line);
    const std::string type = j.value("bmp_msg_type", "");
    if (type == "init")
      ++lines[joined({"router", text_or_empty(j["bmp_init_info_sysname"]), text_or_empty(j["bmp_init_info_sysdescr"]),
                      text_or_empty(j["bmp_init_info_string"])})];
    if (type != "peer_up" && type != "peer_down" && type != "stats" && type != "route_monitor") continue;
    const std::string peer =
        joined({peer_of(j), has_own_asn(j) ? number_or_zero(j["peer_asn"]) : "", rd_of(j), time_of(j)});
    if (type == "peer_up") {
      // Of a Loc-RIB peer both addresses are zero; here they print as "::".
      const std::string local = j["is_loc"] == 1 ? "::" : j["local_ip"].get<std::string>();
      ++lines[joined({"up", peer, view_of(j), j["bgp_id"].get<std::string>(), number_or_zero(j["is_filtered"]),
                      number_or_zero(j["local_as"]), local, number_or_zero(j["local_port"]),
                      number_or_zero(j["remote_port"]), text_or_empty(j["bmp_peer_up_info_vrf_table_name"]),
                      text_or_empty(j["bmp_peer_up_info_string"])})];
    }
    if (type == "peer_down")
      ++lines[joined({"down", peer, j["bgp_id"].get<std::string>(), number_or_zero(j["reason_type"])})];
    if (type == "stats")
      ++lines[joined({"stat", peer, number_or_zero(j["counter_type"]), number_or_zero(j["counter_value"])})];
    if (j.value("log_type", "") == "end-of-rib")
      ++lines[joined({"eor", peer, view_of(j), number_or_zero(j["afi"]), number_or_zero(j["safi"])})];
  }
  return lines;
}

Lines decoded_events(const std::vector<Seen>& records, bool loc_rib_asn) {
  Lines lines;
  std::map<std::string, std::vector<std::string>> peers;  // by hash
  for (const Seen& s : records)
    for (const auto& c : s.rows) {
      if (s.object == "router") ++lines[joined({"router", c[2], c[5], c[8]})];
      if (s.object == "peer") {
        peers[c[2]] = c;
        const std::string peer = joined({c[9], c[8], c[10], c[7]});
        if (c[0] == "up")
          ++lines[joined({"up", peer,
                          c[28] == "1"   ? "loc-rib"
                          : c[26] == "1" ? "in-pre"
                                         : "in-post",
                          c[5], c[29], c[12], c[13], c[14], c[11], c[30], c[16]})];
        if (c[0] == "down") ++lines[joined({"down", peer, c[5], c[21]})];
      }
      if (s.object == "eor") {
        const auto& row = peers.at(c[2]);
        const std::string asn = row[28] == "1" && !loc_rib_asn ? "" : c[6];
        ++lines[joined({"eor", joined({c[5], asn, row[10], c[7]}),
                        row[28] == "1" ? "loc-rib"
                        : c[10] == "1" ? "in-pre"
                                       : "in-post",
                        c[8], c[9]})];
      }
      if (s.object != "bmp_stat" && s.object != "bmp_stat_ext") continue;
      const std::string peer = joined({c[5], c[6], peers.at(c[4])[10], c[7]});
      // A row of bmp_stat has all nine: what a router did not report is 0 there.
      if (s.object == "bmp_stat")
        for (std::size_t n = 0; n < 9; ++n) ++lines[joined({"stat", peer, std::to_string(n), c[8 + n]})];
      else
        ++lines[joined({"stat", peer, c[8], c[12]})];
    }
  return lines;
}

std::string event_differences(const Lines& want, const Lines& got) {
  std::string out;
  for (const auto& [line, n] : want)
    if (!got.contains(line) || got.at(line) != n) out += "- " + std::to_string(n) + ' ' + line + '\n';
  for (const auto& [line, n] : got)
    if (!want.contains(line) && !(line.starts_with("stat") && line.ends_with("|0")))
      out += "+ " + std::to_string(n) + ' ' + line + '\n';
  return out;
}

// ---- both

// What stands in one of them only, as text. The other collector holds a table and reports a withdrawal once, when it
// had the route; here every one is a row.
std::string differences(const Lines& want, const Lines& got) {
  const auto is_withdrawal = [](const std::string& line) { return line.starts_with("del "); };
  std::string out;
  for (const auto& [line, n] : want)
    if (!got.contains(line) || (got.at(line) != n && !is_withdrawal(line)))
      out += "- " + std::to_string(n) + ' ' + line + '\n';
  for (const auto& [line, n] : got)
    if (!is_withdrawal(line) && (!want.contains(line) || want.at(line) != n))
      out += "+ " + std::to_string(n) + ' ' + line + '\n';
  return out;
}

}  // namespace

// What each stream gives was checked once: captures.summary has a line for each.
TEST_CASE("every recorded stream is understood to its last message") {
  const char* const data = std::getenv("BMPHA_TEST_DATA");
  const std::string path = std::string(data == nullptr ? "tests/data" : data) + "/captures.summary";
  const bool rewrite = std::getenv("BMPHA_REWRITE_GOLDEN") != nullptr;
  std::string all;
  for (const std::string& line : split(read_file(path), '\n')) {
    if (line.empty()) continue;
    const std::string name = line.substr(0, line.find(' '));
    CAPTURE(name);
    const std::string stream = read_capture(name);
    if (stream.empty()) {
      all += line + '\n';
      continue;
    }
    Replay replay;
    REQUIRE(replay.feed(stream));
    const std::string got = name + summary(replay);
    if (!rewrite) CHECK(got == line);
    all += got + '\n';
  }
  REQUIRE(!all.empty());
  if (rewrite) std::ofstream(path, std::ios::binary) << all;
}

TEST_CASE("routes agree with another collector's reading of the same bytes") {
  for (const char* name : {"huawei-vrp-locrib", "cisco-xr74-rd-instance", "frr-6wind-peer-down"}) {
    CAPTURE(name);
    const std::string path = "vendors/" + std::string(name);
    const std::string stream = read_capture(path + ".bmp"), oracle = read_capture(path + ".expected.json.gz");
    if (stream.empty() || oracle.empty()) continue;
    Replay replay;
    REQUIRE(replay.feed(stream));
    const std::string expected = path + ".expected.json.gz";
    const bool loc_rib_asn = std::string(name) != "frr-6wind-peer-down";
    CHECK(differences(expected_lines(expected), decoded_lines(replay.keep.seen(), loc_rib_asn)) == "");
    CHECK(event_differences(expected_events(expected), decoded_events(replay.keep.seen(), loc_rib_asn)) == "");
  }
}
