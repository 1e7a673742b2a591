// Recorded streams of real routers against what those routers say themselves, and against rows that were checked once.
#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "bmp-recv/objects.h"
#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

std::string data_path(const std::string& name) {
  const char* root = std::getenv("BMPHA_TEST_DATA");
  return std::string(root == nullptr ? "tests/data" : root) + "/" + name;
}

// View, peer, family, prefix -> what is known of the route; those of peers that are up.
struct Known {
  std::string as_path, med, next_hop, origin;
  bool operator==(const Known&) const = default;
};
using Table = std::map<std::string, Known>;

// FRR puts its own AS number in front of what eBGP peers have sent.
std::string sent_path(std::string path) {
  if (path == "65001") return "";
  if (path.starts_with("65001 ")) path.erase(0, 6);
  return path;
}

void apply(const Seen& record, Table& table) {
  for (const auto& c : record.rows) {
    if (record.object == "peer") {
      // A new life or the end of a peer: its routes go.
      std::erase_if(table, [&](const auto& entry) { return split(entry.first, '\t')[1] == c[9]; });
    }
    if (record.object != "unicast_prefix") continue;
    const bool pre = c[29] == "1";
    const std::string key =
        (pre ? "in-pre\t" : "in-post\t") + c[7] + '\t' + (c[12] == "1" ? "ipv4" : "ipv6") + '\t' + c[10] + '/' + c[11];
    if (c[0] == "del")
      table.erase(key);
    else
      table[key] = {sent_path(c[14].substr(c[14].empty() ? 0 : 1)), c[18], pre ? c[17] : "", pre ? c[13] : ""};
  }
}

// Without those that FRR's stream does not tell: of several paths of a peer to a prefix it gives one, without a path
// identifier.
Table truth(std::size_t& several) {
  Table t;
  std::map<std::string, int> paths;
  for (const std::string& line : split(read_file(data_path("frr_truth.txt")), '\n')) {
    const std::vector<std::string> c = split(line, '\t');
    if (c.size() < 6) continue;
    const std::string key = c[0] + '\t' + c[1] + '\t' + c[2] + '\t' + c[3];
    ++paths[key];
    t[key] = {c[4], c[5], c.size() > 6 ? c[6] : "", c.size() > 7 ? c[7] : ""};
    // An IPv4 route over an IPv6 next hop, which FRR sends without a next hop.
    if (t[key].next_hop == "fd99::6" && c[2] == "ipv4") t[key].next_hop.clear();
  }
  for (const auto& [key, count] : paths)
    if (count > 1) several += t.erase(key);
  return t;
}

void check_records(const std::vector<Seen>& records) {
  std::uint64_t seq = 0;
  for (const Seen& r : records) {
    REQUIRE(r.envelope.seq == ++seq);
    REQUIRE(r.envelope.rows == r.rows.size());
    if (r.object.empty()) continue;
    REQUIRE(r.announced_length == r.data.size());
    REQUIRE(r.announced_rows == r.rows.size());
    const ObjectInfo* object = find_object(r.object);
    REQUIRE(object != nullptr);
    const std::size_t columns = object->columns.size(), more = columns + extra_attribute_columns().size();
    for (const auto& row : r.rows) REQUIRE((row.size() == columns || row.size() == more));
  }
}

// Rows without what depends on our hashes.
std::string short_rows(const std::vector<Seen>& records) {
  std::string out;
  for (const Seen& r : records) {
    if (r.object == "base_attribute" || r.object.empty()) continue;
    out += "# " + r.object + (r.envelope.opener ? " opener" : "") + " rows=" + std::to_string(r.rows.size()) + '\n';
    for (const auto& row : r.rows) {
      for (std::size_t n = 0; n < row.size(); ++n) {
        if (row[n].size() == 32 && row[n].find_first_not_of("0123456789abcdef") == std::string::npos) continue;
        out += (n == 0 ? "" : "|") + row[n];
      }
      out += '\n';
    }
  }
  return out;
}

void check_golden(const std::string& name) {
  const std::string stream = read_file(data_path(name + ".bmp"));
  REQUIRE(!stream.empty());
  Replay replay;
  REQUIRE(replay.feed(stream));
  CHECK(replay.rest == 0);
  const std::vector<Seen> records = replay.keep.seen();
  check_records(records);
  const std::string rows = short_rows(records);
  const std::string path = data_path(name + ".rows");
  if (std::getenv("BMPHA_REWRITE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << rows;
  const std::vector<std::string> want = split(read_file(path), '\n'), got = split(rows, '\n');
  CHECK(got.size() == want.size());
  for (std::size_t n = 0; n < std::min(want.size(), got.size()); ++n) REQUIRE(got[n] == want[n]);
}

}  // namespace

TEST_CASE("a recorded FRR stream gives exactly the routes that FRR itself had") {
  const std::string stream = read_file(data_path("frr_ha_b2.bmp"));
  REQUIRE(stream.size() == 328016);
  std::size_t several = 0;
  const Table want = truth(several);
  REQUIRE(want.size() == 1125 + 1121);  // before and after policy
  REQUIRE(several == 2);
  for (const std::size_t chunk : {std::size_t{262144}, std::size_t{1460}, std::size_t{97}}) {
    Replay replay;
    REQUIRE(replay.feed(stream, chunk));
    const std::vector<Seen> records = replay.keep.seen();
    check_records(records);
    Table got;
    for (const Seen& r : records) apply(r, got);
    CHECK(got.size() == want.size() + several);
    for (const auto& wanted : want) {
      CAPTURE(wanted.first);
      REQUIRE(got.contains(wanted.first));
      const auto& route = got[wanted.first];
      REQUIRE(route.as_path == wanted.second.as_path);
      REQUIRE(route.med == wanted.second.med);
      REQUIRE(route.next_hop == wanted.second.next_hop);
      REQUIRE(route.origin == wanted.second.origin);
    }
  }
}

TEST_CASE(
    "routes of many families, as GoBGP passes them on and as it encodes them anew, give the rows that were checked "
    "once") {
  for (const char* name : {"gobgp_families", "gobgp_ls"}) {
    CAPTURE(name);
    check_golden(name);
    // What is withdrawn was announced under the same hash, in each view.
    Replay replay;
    REQUIRE(replay.feed(read_file(data_path(std::string(name) + ".bmp"))));
    std::set<std::string> announced;
    std::size_t withdrawn = 0;
    for (const Seen& r : replay.keep.seen()) {
      if (r.object == "base_attribute") continue;
      for (const auto& row : r.rows) {
        if (row[0] == "add") announced.insert(r.object + row[2]);
        if (row[0] != "del") continue;
        ++withdrawn;
        CHECK(announced.contains(r.object + row[2]));
      }
    }
    CHECK(withdrawn >= 19);
  }
}

TEST_CASE("recorded streams of flapping peers give the rows that were checked once") {
  check_golden("frr_flap");
  check_golden("gobgp_flap");
}
