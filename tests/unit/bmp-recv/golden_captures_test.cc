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

// The text of a gzip file that is there.
std::string unpacked(const std::string& name) {
  const char* const root = std::getenv("BMPHA_CAPTURES");
  const std::string path = std::string(root == nullptr ? "../shared/captures" : root) + "/" + name;
  FILE* pipe = popen(("gzip -dc '" + path + "'").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  char part[65536];
  while (const std::size_t n = std::fread(part, 1, sizeof part, pipe)) text.append(part, n);
  REQUIRE(pclose(pipe) == 0);
  return text;
}

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

Lines expected_lines(const std::string& name) {
  Lines lines;
  for (const std::string& line : split(unpacked(name), '\n')) {
    if (line.empty()) continue;
    const Json j = Json::parse(line);
    const std::string kind = j.value("log_type", "");
    if (j.value("bmp_msg_type", "") != "route_monitor" || (kind != "update" && kind != "withdraw")) continue;
    const bool loc_rib = j["is_loc"] == 1;
    const std::string view = loc_rib ? "loc-rib" : j["is_post"] == 1 ? "in-post" : "in-pre";
    std::string rd = j["rd"].is_null() ? "" : j["rd"].get<std::string>();
    if (!rd.empty()) rd.erase(0, rd.find(':') + 1);  // its type
    const std::string origin = j["origin"].is_null() ? "" : j["origin"].get<std::string>();
    if (j["safi"] == 4) rd.clear();  // it leaves out the peer's distinguisher of labelled routes
    const std::string rest = next_hop_of(j["bgp_nexthop"].get<std::string>()) + " [" +
                             path_of(j["bgp_nexthop"].get<std::string>(), joined(j["as_path"])) + "] [" +
                             sorted(joined(j["comms"])) + "] [" + sorted(joined(j["lcomms"])) + "] " +
                             (origin == "i"   ? "igp"
                              : origin == "e" ? "egp"
                                              : "incomplete") +
                             ' ' + number_or_zero(j["med"]) + ' ' + number_or_zero(j["local_pref"]) +
                             " labels=" + (j["mpls_label"].is_null() ? "" : j["mpls_label"].get<std::string>());
    ++lines[route_line(kind == "withdraw", loc_rib ? "::" : j["peer_ip"].get<std::string>(), view, rd,
                       std::to_string(j["afi"].get<int>()) + "/" + std::to_string(j["safi"].get<int>()),
                       j["ip_prefix"].get<std::string>(), rest)];
  }
  return lines;
}

Lines decoded_lines(const std::vector<Seen>& records) {
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
                               " labels=" + c[28];
      ++lines[route_line(c[0] == "del", c[7], view,
                         vpn           ? c[31]
                         : safi == "4" ? ""
                                       : peer[10],
                         (c[12] == "1" ? "1/" : "2/") + safi, c[10] + '/' + c[11], rest)];
    }
  return lines;
}

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
    CHECK(differences(expected_lines(path + ".expected.json.gz"), decoded_lines(replay.keep.seen())) == "");
  }
}
