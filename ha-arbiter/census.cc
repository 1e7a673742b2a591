#include "ha-arbiter/census.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "ha-arbiter/words.h"

namespace bmpha::arbiter {
namespace {

constexpr std::string_view kHead = "bmpha-census 1 ";
constexpr std::size_t kIdSize = 32;

bool take_router(std::string_view word, PeerCounts& peers) {
  RouterId router;
  std::uint32_t n = 0;
  if (word.size() < kIdSize + 2 || word[kIdSize] != '=' || !from_hex(word.substr(0, kIdSize), router) ||
      !to_number(word.substr(kIdSize + 1), n))
    return false;
  return peers.emplace(router, n).second;
}

}  // namespace

std::string encode_census(const CensusText& c) {
  std::string out = fmt::format("{}{:016x} {}", kHead, c.inc, c.number);
  std::size_t told = 0;
  for (const auto& [router, n] : c.peers) {
    if (++told > kMaxCensusRouters) break;
    out += fmt::format(" {}={}", to_hex(router), n);
  }
  return out;
}

Result<CensusText> decode_census(std::string_view text) {
  using R = Result<CensusText>;
  if (text.size() > kMaxCensusText) return R::failure("census too long");
  if (!text.starts_with(kHead)) return R::failure("not a census of version 1");
  std::string_view rest = text.substr(kHead.size());
  CensusText c;
  const std::string_view inc = take_word(rest);
  if (inc.size() != 16 || !to_number(inc, c.inc, UINT64_MAX, 16) || !to_number(take_word(rest), c.number))
    return R::failure("census malformed in its head");
  while (!rest.empty())
    if (!take_router(take_word(rest), c.peers))
      return R::failure(fmt::format("census malformed before byte {}", text.size() - rest.size()));
  if (text.back() == ' ') return R::failure("census malformed at its end");
  return c;
}

void Census::count(const Decider& d, Nanos after, BootTime now) {
  own_.clear();
  if (d.gate_is_silent(now) || !d.gate_status().recv_alive) return synced_.clear();
  std::map<RouterId, Synced> synced;
  for (const auto& [router, st] : d.routers()) {
    const GateRouter* g = d.row(router);
    if (g == nullptr || !g->up || g->in_dump || !g->peers_up) continue;
    const auto before = synced_.find(router);
    const bool same =
        before != synced_.end() && before->second.session == g->session && before->second.peers == *g->peers_up;
    const Synced s{g->session, *g->peers_up, same ? before->second.since : now};
    synced.emplace(router, s);
    if (now - s.since >= after) own_[router] = *g->peers_up;
  }
  synced_ = std::move(synced);
}

std::size_t Census::take(const std::vector<std::pair<std::string, std::string>>& texts, const std::string& self,
                         BootTime now) {
  std::map<std::string, Node> nodes;
  std::size_t malformed = 0;
  for (const auto& [id, text] : texts) {
    if (id == self) continue;
    auto read = decode_census(text);
    if (!read) {
      ++malformed;
      continue;
    }
    const auto before = nodes_.find(id);
    const bool stands = before != nodes_.end() && before->second.text.inc == read.value().inc &&
                        before->second.text.number == read.value().number;
    nodes[id] = {std::move(read.value()), stands ? before->second.heard : now};
  }
  nodes_ = std::move(nodes);
  return malformed;
}

std::optional<std::uint32_t> Census::peers(const std::string& node, std::uint64_t inc, const RouterId& router,
                                           BootTime now) const {
  const auto n = nodes_.find(node);
  if (n == nodes_.end() || n->second.text.inc != inc || now - n->second.heard > kCensusTooOld) return std::nullopt;
  const auto r = n->second.text.peers.find(router);
  return r == n->second.text.peers.end() ? std::nullopt : std::optional(r->second);
}

}  // namespace bmpha::arbiter
