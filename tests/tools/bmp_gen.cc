// A BMP stream as a router with a full table would send it, for measurements and tests.
//
//   bmp_gen [--out FILE] [--v4 N] [--v6 N] [--peers P] [--max-nlri K] [--seed S] [--churn C] [--no-dump-end]
//           [--name SYSNAME]
//
// Initiation; per peer a Peer Up, its table and End-of-RIB per family; then C churn updates. The same seed gives the
// same bytes. Sizes follow real tables: half of the attribute sets have one prefix, the mean is about six; paths of 4.5
// AS numbers; four of five routes carry communities. --max-nlri 1 is the way of FRR and GoBGP: one prefix a message.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "common/byte_writer.h"

namespace {

using bmpha::ByteWriter;

// splitmix64: small, fast, and the same everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  std::uint32_t below(std::uint64_t n) { return static_cast<std::uint32_t>(next() % n); }
  bool chance(std::uint32_t percent) { return below(100) < percent; }

 private:
  std::uint64_t state_;
};

struct Weighted {
  std::uint32_t value, weight;
};
template <std::size_t N>
std::uint32_t pick(Random& r, const std::array<Weighted, N>& list) {
  std::uint32_t total = 0;
  for (const Weighted& w : list) total += w.weight;
  std::uint32_t at = r.below(total);
  for (const Weighted& w : list) {
    if (at < w.weight) return w.value;
    at -= w.weight;
  }
  return list.back().value;
}

// Weights in tenths of a percent.
constexpr std::array<Weighted, 14> kLength4{{{12, 1},
                                             {13, 1},
                                             {14, 1},
                                             {15, 2},
                                             {16, 14},
                                             {17, 8},
                                             {18, 14},
                                             {19, 25},
                                             {20, 44},
                                             {21, 52},
                                             {22, 112},
                                             {23, 102},
                                             {24, 622},
                                             {32, 2}}};
constexpr std::array<Weighted, 10> kLength6{
    {{29, 40}, {32, 135}, {33, 25}, {36, 55}, {40, 95}, {42, 16}, {44, 80}, {46, 31}, {47, 9}, {48, 514}}};
constexpr std::array<Weighted, 16> kGroup{{{1, 4960},
                                           {2, 1580},
                                           {3, 780},
                                           {4, 540},
                                           {5, 340},
                                           {6, 240},
                                           {7, 180},
                                           {8, 170},
                                           {12, 582},
                                           {23, 320},
                                           {45, 165},
                                           {90, 73},
                                           {180, 33},
                                           {360, 13},
                                           {720, 7},
                                           {1600, 2}}};
constexpr std::array<Weighted, 8> kHops{{{2, 86}, {3, 260}, {4, 310}, {5, 180}, {6, 95}, {7, 40}, {8, 16}, {11, 13}}};
constexpr std::array<Weighted, 10> kCommunities{
    {{0, 192}, {1, 44}, {2, 86}, {3, 235}, {4, 61}, {5, 79}, {6, 114}, {9, 95}, {12, 68}, {20, 26}}};

struct Settings {
  std::uint64_t v4 = 1000000, v6 = 200000, peers = 1, max_nlri = 0, seed = 1, churn = 0;
  bool end_of_rib = true;
  std::string out, name = "gen1";
};

struct Group {
  std::uint32_t origin = 0;
  std::vector<std::string> nlri;  // encoded
};

std::string encode_prefix(std::uint64_t high_bits, std::uint32_t length) {  // of the top 64 bits
  std::string s;
  s.push_back(static_cast<char>(length));
  for (std::uint32_t n = 0; n < (length + 7) / 8; ++n) s.push_back(static_cast<char>(high_bits >> (56 - 8 * n)));
  return s;
}

// Distinct prefixes, ascending: each begins where the one before ended.
std::vector<Group> make_groups(Random& r, std::uint64_t count, bool v6) {
  std::vector<Group> groups;
  // IPv4 has room for ten million /24: a step past 223/8 begins a new round of longer prefixes.
  std::uint64_t at = v6 ? 0x2001000000000000ULL : 0x0100000000000000ULL;
  const std::uint64_t end = v6 ? 0x3fff000000000000ULL : 0xe000000000000000ULL;
  std::uint32_t round = 0;
  while (count != 0) {
    Group g;
    g.origin = r.chance(50) ? 131072 + r.below(270000) : 1 + r.below(23000);
    std::uint64_t size = pick(r, kGroup);
    for (size = std::min(size, count); size != 0; --size, --count) {
      const std::uint32_t length = round != 0 ? 24 + round : v6 ? pick(r, kLength6) : pick(r, kLength4);
      const std::uint64_t step = std::uint64_t{1} << (64 - length);
      at = (at + step - 1) & ~(step - 1);
      if (at >= end) {
        ++round;
        at = v6 ? 0x2001000000000000ULL : 0x0100000000000000ULL;
      }
      g.nlri.push_back(encode_prefix(at, length));
      at += step;
    }
    groups.push_back(std::move(g));
  }
  for (std::size_t n = groups.size(); n > 1; --n) std::swap(groups[n - 1], groups[r.below(n)]);
  return groups;
}

class Stream {
 public:
  explicit Stream(const Settings& s) : s_(s), random_(s.seed) {}
  bool run() {
    file_ = s_.out.empty() ? stdout : std::fopen(s_.out.c_str(), "wb");
    if (file_ == nullptr) return false;
    v4_ = make_groups(random_, s_.v4, false);
    v6_ = make_groups(random_, s_.v6, true);
    std::string init;
    ByteWriter w(init);
    w.u16(1);
    w.text16("bmp_gen");
    w.u16(2);
    w.text16(s_.name);
    message(4, init);
    for (std::uint64_t p = 0; p < s_.peers; ++p) {
      peer_up(p);
      table(p, v4_, false);
      table(p, v6_, true);
    }
    for (std::uint64_t n = 0; n < s_.churn; ++n) churn_one();
    const bool good = flush();
    std::fprintf(stderr, "updates %llu prefixes %llu withdrawn %llu\n", static_cast<unsigned long long>(updates_),
                 static_cast<unsigned long long>(prefixes_), static_cast<unsigned long long>(withdrawn_));
    return (s_.out.empty() ? std::fflush(file_) : std::fclose(file_)) == 0 && good;
  }

 private:
  void message(unsigned type, const std::string& body) {
    ByteWriter w(buffer_);
    w.u8(3);
    w.u32(static_cast<std::uint32_t>(body.size() + 6));
    w.u8(static_cast<std::uint8_t>(type));
    buffer_ += body;
    if (buffer_.size() > (1U << 20)) flush();
  }
  bool flush() {
    const bool good = std::fwrite(buffer_.data(), 1, buffer_.size(), file_) == buffer_.size();
    buffer_.clear();
    return good;
  }
  static std::uint32_t peer_ip(std::uint64_t p) { return 0xc6120001U + static_cast<std::uint32_t>(p); }  // 198.18/15
  static std::uint32_t peer_asn(std::uint64_t p) { return 64600 + static_cast<std::uint32_t>(p); }
  std::string peer_header(std::uint64_t p) const {
    std::string s;
    ByteWriter w(s);
    w.u16(0);
    w.u64(0);
    w.u64(0);
    w.u32(0);
    w.u32(peer_ip(p));
    w.u32(peer_asn(p));
    w.u32(peer_ip(p));
    w.u32(1700000000 + static_cast<std::uint32_t>(updates_ / 20000));
    w.u32(static_cast<std::uint32_t>(updates_ * 37 % 1000000));
    return s;
  }
  static std::string bgp(unsigned type, const std::string& body) {
    std::string s(16, '\xff');
    ByteWriter w(s);
    w.u16(static_cast<std::uint16_t>(body.size() + 19));
    w.u8(static_cast<std::uint8_t>(type));
    return s + body;
  }
  static std::string open(std::uint32_t asn, std::uint32_t id) {
    std::string caps, s;
    ByteWriter c(caps), w(s);
    for (const std::uint16_t afi : std::array<std::uint16_t, 2>{1, 2}) {
      c.u16(0x0104);
      c.u16(afi);
      c.u16(1);
    }
    c.u16(0x4104);
    c.u32(asn);
    w.u8(4);
    w.u16(asn < 65536 ? static_cast<std::uint16_t>(asn) : 23456);
    w.u16(180);
    w.u32(id);
    w.u8(static_cast<std::uint8_t>(caps.size() + 2));
    w.u8(2);
    w.u8(static_cast<std::uint8_t>(caps.size()));
    return bgp(1, s + caps);
  }
  void peer_up(std::uint64_t p) {
    std::string s = peer_header(p);
    ByteWriter w(s);
    w.u64(0);
    w.u32(0);
    w.u32(0xc0000201);
    w.u16(179);
    w.u16(40000);
    message(3, s + open(64512, 0xc0000201) + open(peer_asn(p), peer_ip(p)));
  }
  static void attribute(std::string& out, unsigned flags, unsigned type, const std::string& value) {
    ByteWriter w(out);
    const bool extended = value.size() > 255;
    w.u8(static_cast<std::uint8_t>(flags | (extended ? 0x10U : 0U)));
    w.u8(static_cast<std::uint8_t>(type));
    if (extended) {
      w.u16(static_cast<std::uint16_t>(value.size()));
    } else {
      w.u8(static_cast<std::uint8_t>(value.size()));
    }
    out += value;
  }
  std::string attributes(Random& r, std::uint64_t p, std::uint32_t origin, bool v6) {
    std::string out, value;
    attribute(out, 0x40, 1, std::string(1, r.chance(88) ? '\0' : '\2'));
    const std::uint32_t hops = pick(r, kHops);
    std::vector<std::uint32_t> path{peer_asn(p)};
    while (path.size() < hops - 1) path.push_back(100 + r.below(9000));
    for (std::uint32_t repeat = r.chance(85) ? 1 : 2 + r.below(3); repeat != 0; --repeat) path.push_back(origin);
    ByteWriter w(value);
    w.u8(2);
    w.u8(static_cast<std::uint8_t>(path.size()));
    for (const std::uint32_t asn : path) w.u32(asn);
    attribute(out, 0x40, 2, value);
    value.clear();
    w.u32(peer_ip(p));
    if (!v6) attribute(out, 0x40, 3, value);
    value.clear();
    w.u32(r.below(500));
    if (r.chance(20)) attribute(out, 0x80, 4, value);
    value.clear();
    w.u32(origin);
    w.u32(r.below(0xffffffff));
    if (r.chance(9)) attribute(out, 0xc0, 7, value);
    value.clear();
    for (std::uint32_t n = pick(r, kCommunities); n != 0; --n) {
      w.u16(static_cast<std::uint16_t>(path[r.below(path.size())]));
      w.u16(static_cast<std::uint16_t>(100 * (1 + r.below(30)) + r.below(60)));
    }
    if (!value.empty()) attribute(out, 0xc0, 8, value);
    value.clear();
    w.u32(path.back());
    w.u32(r.below(10));
    w.u32(r.below(3000));
    if (r.chance(10)) attribute(out, 0xc0, 32, value);
    return out;
  }
  static std::string next_hop6(std::uint64_t p) {
    std::string s;
    ByteWriter w(s);
    w.u64(0x20010db800000000ULL);
    w.u64(p + 1);
    return s;
  }
  // Announces the prefixes in as many messages as the size and --max-nlri ask for.
  void announce(std::uint64_t p, const std::string& attrs, const std::vector<std::string>& nlri, std::size_t count,
                bool v6) {
    const std::size_t room = 4096 - 23 - attrs.size() - (v6 ? 32 : 0);
    for (std::size_t at = 0; at < count;) {
      std::string chunk;
      std::size_t taken = 0;
      while (at < count && chunk.size() + nlri[at].size() <= room && (s_.max_nlri == 0 || taken < s_.max_nlri)) {
        chunk += nlri[at++];
        ++taken;
      }
      std::string a = attrs, body;
      if (v6) {
        std::string mp("\0\2\1\x10", 4);
        attribute(a, 0x80, 14, mp + next_hop6(p) + std::string(1, '\0') + chunk);
      }
      ByteWriter w(body);
      w.u16(0);
      w.u16(static_cast<std::uint16_t>(a.size()));
      body += a;
      if (!v6) body += chunk;
      message(0, peer_header(p) + bgp(2, body));
      ++updates_;
      prefixes_ += taken;
    }
  }
  void withdraw(std::uint64_t p, const std::string& nlri, bool v6) {
    std::string a, body;
    if (v6) attribute(a, 0x80, 15, std::string("\0\2\1", 3) + nlri);
    ByteWriter w(body);
    w.u16(v6 ? 0 : static_cast<std::uint16_t>(nlri.size()));
    if (!v6) body += nlri;
    w.u16(static_cast<std::uint16_t>(a.size()));
    message(0, peer_header(p) + bgp(2, body + a));
    ++updates_;
    ++withdrawn_;
  }
  void table(std::uint64_t p, const std::vector<Group>& groups, bool v6) {
    Random r(s_.seed * 1000003 + p * 2 + (v6 ? 1 : 0));
    for (const Group& g : groups) announce(p, attributes(r, p, g.origin, v6), g.nlri, g.nlri.size(), v6);
    if (s_.end_of_rib) withdraw(p, {}, v6);  // an empty one is the End-of-RIB
    if (s_.end_of_rib) --withdrawn_;
  }
  void churn_one() {
    const std::uint64_t p = random_.below(s_.peers);
    const bool v6 = !v6_.empty() && (v4_.empty() || random_.chance(30));
    const std::vector<Group>& groups = v6 ? v6_ : v4_;
    if (groups.empty()) return;
    const Group& g = groups[random_.below((groups.size() + 9) / 10)];  // a tenth of the table makes the churn
    if (random_.chance(5)) return withdraw(p, g.nlri[random_.below(g.nlri.size())], v6);
    const std::size_t count = random_.chance(70) ? 1 : 1 + random_.below(std::min<std::size_t>(g.nlri.size(), 8));
    announce(p, attributes(random_, p, g.origin, v6), g.nlri, count, v6);
  }

  const Settings& s_;
  Random random_;
  std::FILE* file_ = nullptr;
  std::string buffer_;
  std::vector<Group> v4_, v6_;
  std::uint64_t updates_ = 0, prefixes_ = 0, withdrawn_ = 0;
};

int usage() {
  std::fprintf(stderr,
               "usage: bmp_gen [--out FILE] [--v4 N] [--v6 N] [--peers P] [--max-nlri K] [--seed S] [--churn C]\n"
               "               [--name SYSNAME] [--no-dump-end]\n");
  return 100;
}

}  // namespace

int main(int argc, char** argv) {
  Settings s;
  const std::pair<const char*, std::uint64_t*> numbers[] = {{"--v4", &s.v4},       {"--v6", &s.v6},
                                                            {"--peers", &s.peers}, {"--max-nlri", &s.max_nlri},
                                                            {"--seed", &s.seed},   {"--churn", &s.churn}};
  for (int n = 1; n < argc; ++n) {
    const std::string_view key = argv[n];
    if (key == "--no-dump-end") {
      s.end_of_rib = false;
      continue;
    }
    if (n + 1 >= argc) return usage();
    const char* value = argv[++n];
    if (key == "--out") {
      s.out = value;
    } else if (key == "--name") {
      s.name = value;
    } else {
      std::uint64_t* target = nullptr;
      for (const auto& [name, number] : numbers)
        if (key == name) target = number;
      char* end = nullptr;
      if (target == nullptr) return usage();
      *target = std::strtoull(value, &end, 10);
      if (*value == '\0' || *end != '\0') return usage();
    }
  }
  if (s.peers == 0 || s.peers > 60000) return usage();
  return Stream(s).run() ? 0 : 111;
}
