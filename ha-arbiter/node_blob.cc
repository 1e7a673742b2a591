#include "ha-arbiter/node_blob.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/node_name.h"
#include "ha-arbiter/words.h"

namespace bmpha::arbiter {
namespace {

constexpr const char* kHolds[] = {"none", "tail", "torn", "up"};
constexpr const char* kRoles[] = {"standby", "active", "releasing"};
constexpr std::int64_t kMaxAge = std::int64_t{1} << 42;  // milliseconds: 139 years, which fits in nanoseconds

// Takes words and lines off the front of a text.
struct Cursor {
  std::string_view rest;
  bool failed = false;

  std::string_view line() {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) {
      failed = true;
      return {};
    }
    const std::string_view l = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    return l;
  }
};

bool to_counter(std::string_view text, std::uint64_t& out) { return to_number(text, out, kMaxCounter); }
bool to_hex64(std::string_view text, std::uint64_t& out) { return to_number(text, out, UINT64_MAX, 16); }

// "name value"
bool named(std::string_view line, std::string_view name, std::string_view& value) {
  if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ' ') return false;
  value = line.substr(name.size() + 1);
  return true;
}

template <class E, std::size_t N>
bool to_enum(std::string_view text, const char* const (&names)[N], E& out) {
  for (std::size_t n = 0; n < N; ++n)
    if (text == names[n]) {
      out = static_cast<E>(n);
      return true;
    }
  return false;
}

bool to_age(std::string_view text, std::optional<Millis>& out) {
  out.reset();
  if (text == "-") return true;
  std::int64_t ms = 0;
  if (!to_number(text, ms, kMaxAge)) return false;
  out = Millis(ms);
  return true;
}
std::string age_text(const std::optional<Millis>& age) {
  return age ? fmt::format("{}", std::clamp<std::int64_t>(age->count(), 0, kMaxAge)) : "-";
}

struct FlagName {
  const char* name;
  bool* value;
};
template <std::size_t N>
std::string flags_text(const FlagName (&flags)[N]) {
  std::string out;
  for (const FlagName& f : flags)
    if (*f.value) out += (out.empty() ? "" : ",") + std::string(f.name);
  return out.empty() ? "-" : out;
}
template <std::size_t N>
bool to_flags(std::string_view text, const FlagName (&flags)[N]) {
  if (text == "-") return true;
  if (text.empty()) return false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const auto f = std::find_if(std::begin(flags), std::end(flags),
                                [&](const FlagName& x) { return text.substr(0, end) == x.name; });
    if (f == std::end(flags) || *f->value) return false;
    *f->value = true;
    if (end + 1 == text.size()) return false;  // a comma at the end
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return true;
}

bool to_session(std::string_view text, SessionId& out) {
  const std::size_t dot = text.find('.');
  return dot != std::string_view::npos && to_hex64(text.substr(0, dot), out.recv_inc) &&
         to_number(text.substr(dot + 1), out.number, UINT64_MAX);
}

bool to_router(std::string_view line, std::uint64_t version, RouterEntry& e) {
  std::uint64_t cls = 0;
  const auto word = [&line] { return take_word(line); };
  const FlagName flags[] = {{"unclean", &e.unclean}, {"solo", &e.solo}, {"wanted", &e.wanted}};
  if (!from_hex(word(), e.router) || !to_enum(word(), kHolds, e.hold) || !to_number(word(), cls, std::uint64_t{3}) ||
      !to_counter(word(), e.since) || !to_enum(word(), kRoles, e.role) || !to_counter(word(), e.epoch) ||
      !to_session(word(), e.session) || !to_age(word(), e.w_age) || !to_age(word(), e.read_age) ||
      !to_flags(word(), flags))
    return false;
  e.cls = static_cast<std::uint8_t>(cls);
  return line.empty() && (version >= 2 || !e.wanted);
}

bool to_collector(std::string_view line, CollectorEntry& e) {
  std::uint64_t cls = 0;
  if (!to_counter(take_word(line), e.since) || !to_number(take_word(line), cls, std::uint64_t{3}) ||
      !to_hex64(take_word(line), e.recv_inc))
    return false;
  e.cls = static_cast<std::uint8_t>(cls);
  return line.empty();
}

std::string decode_head(Cursor& c, NodeBlob& b, std::uint64_t& version, std::string_view& next) {
  std::string_view value;
  if (!named(c.line(), "bmpha-node", value) || !to_number(value, version, UINT64_MAX))
    return "first line is not \"bmpha-node VERSION\"";
  if (version == 0 || version > kBlobVersion || version + 1 < kBlobVersion)
    return fmt::format("version {} is not supported (this build reads {} and {})", version, kBlobVersion - 1,
                       kBlobVersion);
  if (!named(c.line(), "id", value) || !is_node_name(value)) return "line 2 is not a node id";
  b.id = value;
  if (!named(c.line(), "inc", value) || !to_hex64(value, b.inc)) return "line 3 is not an incarnation";
  if (!named(c.line(), "tick", value) || !to_counter(value, b.tick)) return "line 4 is not a tick";
  if (!named(c.line(), "gen", value) || !to_counter(value, b.gen)) return "line 5 is not a gen";
  const FlagName flags[] = {{"leaving", &b.leaving},
                            {"forced-active", &b.forced_active},
                            {"forced-standby", &b.forced_standby},
                            {"solo", &b.solo},
                            {"settled", &b.settled}};
  if (!named(c.line(), "flags", value) || !to_flags(value, flags)) return "line 6 is not a list of flags";
  next = c.line();
  if (version >= 2 && named(next, "collector", value)) {
    if (!to_collector(value, b.collector.emplace())) return "the line \"collector\" is malformed";
    next = c.line();
  }
  for (; named(next, "seen", value); next = c.line()) {
    const std::string id(take_word(value));
    std::uint64_t gen = 0;
    if (!is_node_name(id) || !to_counter(value, gen) || b.seen.size() >= kMaxNodes || !b.seen.emplace(id, gen).second)
      return "a line \"seen\" is malformed";
  }
  return {};
}

}  // namespace

const char* hold_name(Hold h) { return kHolds[static_cast<std::size_t>(h)]; }

// The version before, as long as nothing is said that it does not know: its readers go on reading.
std::uint64_t version_of(const NodeBlob& b) {
  const bool any = std::any_of(b.routers.begin(), b.routers.end(), [](const RouterEntry& e) { return e.wanted; });
  return any || b.collector ? kBlobVersion : kBlobVersion - 1;
}

std::string encode_head(const NodeBlob& blob, std::uint64_t version) {
  NodeBlob b = blob;
  const FlagName flags[] = {{"leaving", &b.leaving},
                            {"forced-active", &b.forced_active},
                            {"forced-standby", &b.forced_standby},
                            {"solo", &b.solo},
                            {"settled", &b.settled}};
  std::string out = fmt::format("bmpha-node {}\nid {}\ninc {:016x}\ntick {}\ngen {}\nflags {}\n", version, b.id, b.inc,
                                b.tick, b.gen, flags_text(flags));
  if (b.collector)
    out += fmt::format("collector {} {} {:016x}\n", b.collector->since, b.collector->cls, b.collector->recv_inc);
  for (const auto& [node, gen] : b.seen) out += fmt::format("seen {} {}\n", node, gen);
  return out;
}

std::string encode_router(const RouterEntry& entry) {
  RouterEntry e = entry;
  const FlagName flags[] = {{"unclean", &e.unclean}, {"solo", &e.solo}, {"wanted", &e.wanted}};
  return fmt::format("router {} {} {} {} {} {} {:016x}.{} {} {} {}\n", to_hex(e.router), hold_name(e.hold), e.cls,
                     e.since, role_name(e.role), e.epoch, e.session.recv_inc, e.session.number, age_text(e.w_age),
                     age_text(e.read_age), flags_text(flags));
}

std::string encode_tail(std::size_t routers) { return fmt::format("end {}\n", routers); }

std::string encode_blob(const NodeBlob& b) {
  std::string out = encode_head(b, version_of(b));
  for (const RouterEntry& e : b.routers) out += encode_router(e);
  return out + encode_tail(b.routers.size());
}

Result<NodeBlob> decode_blob(std::string_view text) {
  using R = Result<NodeBlob>;
  if (text.size() > kMaxBlob) return R::failure("longer than any blob");
  NodeBlob b;
  Cursor c{text};
  std::string_view line, value;
  std::uint64_t version = 0;
  if (std::string e = decode_head(c, b, version, line); !e.empty()) return R::failure(e);
  std::set<RouterId> routers;
  for (; named(line, "router", value); line = c.line()) {
    RouterEntry e;
    if (!to_router(value, version, e)) return R::failure(fmt::format("router {} is malformed", b.routers.size() + 1));
    if (routers.size() >= kMaxRouters || !routers.insert(e.router).second)
      return R::failure(fmt::format("router {} stands twice, or there are too many", to_hex(e.router)));
    b.routers.push_back(e);
  }
  std::uint64_t count = 0;
  if (c.failed || !named(line, "end", value) || !to_number(value, count, UINT64_MAX) || count != b.routers.size())
    return R::failure("the line \"end\" with the number of routers is missing");
  if (!c.rest.empty()) return R::failure("bytes after the end");
  return b;
}

Result<KeyValueText> split_key(std::string_view value) {
  using R = Result<KeyValueText>;
  KeyValueText k;
  k.blob = value;
  if (!to_number(take_word(k.blob), k.pub_ms, std::int64_t{1} << 60)) return R::failure("no time before the blob");
  return k;
}

std::string encode_owner(const std::string& node, std::uint64_t epoch) { return fmt::format("{} {}", node, epoch); }

ClaimRequest encode_claims(const ClaimBatch& batch, const std::string& node, std::int64_t made_ms) {
  ClaimRequest r;
  r.made_ms = made_ms;
  NodeBlob all = batch.base;
  for (const ClaimBatch::Item& i : batch.items) all.routers.insert(all.routers.end(), {i.won, i.lost});
  r.head = encode_head(batch.base, version_of(all));
  for (const RouterEntry& e : batch.base.routers) r.head += encode_router(e);
  r.tail = encode_tail(batch.base.routers.size() + batch.items.size());
  for (const ClaimBatch::Item& i : batch.items)
    r.items.push_back(
        {to_hex(i.router), i.expected, encode_owner(node, i.epoch), encode_router(i.won), encode_router(i.lost)});
  return r;
}

OwnEntry decode_owner(std::string_view value) {
  OwnEntry e;
  e.raw = value;
  const std::string_view node = take_word(value);
  std::uint64_t epoch = 0;
  if (!is_node_name(node) || !to_counter(value, epoch)) return e;
  e.node = node;
  e.epoch = epoch;
  return e;
}

Observation read_observation(const TickReply& reply, BootTime at, std::size_t& malformed) {
  Observation o;
  o.at = at;
  o.redis_ms = reply.redis_ms;
  for (const auto& [id, value] : reply.nodes) {
    if (!is_node_name(id) || o.nodes.size() >= kMaxNodes) {
      ++malformed;
      continue;
    }
    if (value.empty()) continue;  // expired
    const auto key = split_key(value);
    if (!key) {
      ++malformed;
      continue;
    }
    NodeReading& reading = o.nodes[id];
    reading.pub_ms = key.value().pub_ms;
    auto blob = decode_blob(key.value().blob);
    if (blob && blob.value().id == id)
      reading.blob = std::move(blob.value());
    else
      ++malformed;
  }
  for (const auto& [router, value] : reply.owners) {
    RouterId id;
    if (!from_hex(router, id) || o.own.size() >= kMaxRouters) {
      ++malformed;
      continue;
    }
    o.own[id] = decode_owner(value);
    if (o.own[id].node.empty()) ++malformed;
  }
  return o;
}

}  // namespace bmpha::arbiter
