#include "common/role.h"

#include <fmt/format.h>

#include "common/byte_writer.h"
#include "common/peer_counts.h"

namespace bmpha {
namespace {

constexpr std::uint8_t kStatusTag = 0x53;               // 'S'
constexpr std::uint8_t kRolesTag = 0x52;                // 'R'
constexpr std::int64_t kMaxMs = std::int64_t{1} << 42;  // 139 years, which fits in nanoseconds
constexpr std::uint32_t kMaxRouters = 200'000;
constexpr std::uint32_t kMaxBrackets = 10'000;

void put_time(ByteWriter& w, BootTime t) { w.i64(to_ns(t)); }
void put_time(ByteWriter& w, const std::optional<BootTime>& t) {
  w.u8(t.has_value() ? 1 : 0);
  w.i64(t.has_value() ? to_ns(*t) : 0);
}
bool get_time(ByteReader& r, BootTime& out) {
  std::int64_t ns = 0;
  if (!r.i64(ns)) return false;
  out = boot_from_ns(ns);
  return true;
}
bool get_time(ByteReader& r, std::optional<BootTime>& out) {
  std::uint8_t has = 0;
  BootTime t;
  if (!r.u8(has) || !get_time(r, t)) return false;
  out.reset();
  if (has != 0) out = t;
  return true;
}
void put_session(ByteWriter& w, const SessionId& s) {
  w.u64(s.recv_inc);
  w.u64(s.number);
}
bool get_session(ByteReader& r, SessionId& s) { return r.u64(s.recv_inc) && r.u64(s.number); }
bool get_bool(ByteReader& r, bool& out) {
  std::uint8_t v = 0;
  if (!r.u8(v)) return false;
  out = v != 0;
  return true;
}
bool get_role(ByteReader& r, Role& out) {
  std::uint8_t v = 0;
  if (!r.u8(v) || v > 2) return false;
  out = static_cast<Role>(v);
  return true;
}

void put_gate_router(ByteWriter& w, const GateRouter& g) {
  w.bytes(g.router.bytes);
  w.text8(g.name);
  put_session(w, g.session);
  w.u8(static_cast<std::uint8_t>(g.role));
  for (const bool flag :
       {g.up, g.in_dump, g.torn, g.read_paused, g.solo, g.unclean, g.blocked, g.unsent_tail, g.front_is_opener})
    w.u8(flag ? 1 : 0);
  w.u64(g.epoch);
  put_session(w, g.claimed_session);
  put_time(w, g.w);
  put_time(w, g.oldest_unacked);
  w.u32(g.in_flight);
  w.u64(g.bytes);
  w.u64(g.records);
  put_time(w, g.last_read);
  put_time(w, g.trimmed_to);
  w.u8(g.emitted);
  w.u32(static_cast<std::uint32_t>(g.brackets.size()));
  for (const Bracket& b : g.brackets) {
    put_session(w, b.session);
    put_time(w, b.first);
    put_time(w, b.synced);
  }
}

bool get_gate_router(ByteReader& r, GateRouter& g) {
  std::string_view name;
  std::uint32_t brackets = 0;
  if (!r.copy(g.router.bytes.data(), 16) || !r.text8(name) || !get_session(r, g.session) || !get_role(r, g.role))
    return false;
  g.name = name;
  for (bool* flag : {&g.up, &g.in_dump, &g.torn, &g.read_paused, &g.solo, &g.unclean, &g.blocked, &g.unsent_tail,
                     &g.front_is_opener})
    if (!get_bool(r, *flag)) return false;
  if (!r.u64(g.epoch) || !get_session(r, g.claimed_session) || !get_time(r, g.w) || !get_time(r, g.oldest_unacked) ||
      !r.u32(g.in_flight) || !r.u64(g.bytes) || !r.u64(g.records) || !get_time(r, g.last_read) ||
      !get_time(r, g.trimmed_to) || !r.u8(g.emitted) || !r.u32(brackets) || brackets > kMaxBrackets)
    return false;
  for (std::uint32_t n = 0; n < brackets; ++n) {
    Bracket b;
    if (!get_session(r, b.session) || !get_time(r, b.first) || !get_time(r, b.synced)) return false;
    g.brackets.push_back(b);
  }
  return true;
}

void put_role_router(ByteWriter& w, const RoleRouter& g) {
  w.bytes(g.router.bytes);
  w.u8(static_cast<std::uint8_t>(g.role));
  w.u64(g.epoch);
  put_session(w, g.session);
  put_time(w, g.cover);
  put_time(w, g.start);
  w.u8(static_cast<std::uint8_t>(g.emit));
  put_session(w, g.reset_session);
  w.u8(static_cast<std::uint8_t>(std::min<std::size_t>(g.settles.size(), kMaxSettled)));
  for (std::size_t n = 0; n < g.settles.size() && n < kMaxSettled; ++n) {
    w.text8(g.settles[n].node);
    w.u64(g.settles[n].gen);
  }
}

bool get_role_router(ByteReader& r, RoleRouter& g) {
  std::uint8_t emit = 0, settles = 0;
  if (!r.copy(g.router.bytes.data(), 16) || !get_role(r, g.role) || !r.u64(g.epoch) || !get_session(r, g.session) ||
      !get_time(r, g.cover) || !get_time(r, g.start) || !r.u8(emit) || emit > 2 || !get_session(r, g.reset_session) ||
      !r.u8(settles))
    return false;
  g.emit = static_cast<Emit>(emit);
  for (std::uint8_t n = 0; n < settles; ++n) {
    SettledGen s;
    std::string_view node;
    if (!r.text8(node) || !r.u64(s.gen)) return false;
    s.node = node;
    g.settles.push_back(std::move(s));
  }
  return true;
}

// Checks tag and version; the reader then stands at the first field.
std::string check_head(ByteReader& r, std::uint8_t tag, const char* what, std::uint8_t& version) {
  std::uint8_t seen = 0;
  if (!r.u8(seen) || !r.u8(version)) return fmt::format("{} table shorter than its header", what);
  if (seen != tag) return fmt::format("not a {} table (tag {})", what, seen);
  if (version == 0 || version > kRoleTableVersion)
    return fmt::format("{} table version {} is not supported (this build reads 1 to {})", what, version,
                       kRoleTableVersion);
  return {};
}

}  // namespace

const char* role_name(Role r) {
  switch (r) {
    case Role::kStandby:
      return "standby";
    case Role::kActive:
      return "active";
    case Role::kReleasing:
      return "releasing";
  }
  return "unknown";
}

BootTime step_back(const std::vector<Bracket>& brackets, BootTime start) {
  for (const Bracket& b : brackets)
    if (b.first <= start && (!b.synced || start <= *b.synced)) return b.first;
  return start;
}

std::string encode_gate_status(const GateStatus& m) {
  std::string out;
  ByteWriter w(out);
  const bool plain = m.retain == kDefaultRetain;
  w.u8(kStatusTag);
  w.u8(plain ? 1 : kRoleTableVersion);
  w.u64(m.gate_inc);
  w.u64(m.recv_inc);
  w.u8(m.recv_alive ? 1 : 0);
  w.u64(m.n);
  put_time(w, m.sent);
  w.u8(m.kafka_ok ? 1 : 0);
  if (!plain) w.i64(m.retain.count());
  w.u32(static_cast<std::uint32_t>(m.routers.size()));
  for (const GateRouter& g : m.routers) put_gate_router(w, g);
  put_peer_counts(w, m.routers);
  return out;
}

Result<GateStatus> decode_gate_status(Bytes frame) {
  using R = Result<GateStatus>;
  ByteReader r(frame);
  std::uint8_t version = 0;
  if (std::string e = check_head(r, kStatusTag, "gate status", version); !e.empty()) return R::failure(e);
  GateStatus m;
  std::int64_t retain = kDefaultRetain.count();
  std::uint32_t count = 0;
  if (!r.u64(m.gate_inc) || !r.u64(m.recv_inc) || !get_bool(r, m.recv_alive) || !r.u64(m.n) || !get_time(r, m.sent) ||
      !get_bool(r, m.kafka_ok) || (version >= 2 && (!r.i64(retain) || retain < 0 || retain > kMaxMs)) ||
      !r.u32(count) || count > kMaxRouters)
    return R::failure("gate status table cut short in its head");
  m.retain = Millis(retain);
  for (std::uint32_t n = 0; n < count; ++n) {
    GateRouter g;
    if (!get_gate_router(r, g)) return R::failure(fmt::format("gate status table malformed at byte {}", r.offset()));
    m.routers.push_back(std::move(g));
  }
  if (!get_peer_counts(r, m.routers))
    return R::failure(fmt::format("gate status table malformed at byte {}", r.offset()));
  return m;
}

std::string encode_roles(const Roles& m) {
  std::string out;
  ByteWriter w(out);
  w.u8(kRolesTag);
  w.u8(m.by_age ? kRoleTableVersion : 1);
  w.u64(m.arbiter_inc);
  w.u64(m.tick);
  put_time(w, m.sent);
  w.i64(m.lease.count());
  w.u8(m.solo ? 1 : 0);
  if (m.by_age) w.u8(1);
  w.u64(m.gen);
  w.text8(m.node);
  w.u32(static_cast<std::uint32_t>(m.routers.size()));
  for (const RoleRouter& g : m.routers) put_role_router(w, g);
  return out;
}

Result<Roles> decode_roles(Bytes frame) {
  using R = Result<Roles>;
  ByteReader r(frame);
  std::uint8_t version = 0;
  if (std::string e = check_head(r, kRolesTag, "roles", version); !e.empty()) return R::failure(e);
  Roles m;
  std::int64_t lease = 0;
  std::string_view node;
  std::uint32_t count = 0;
  if (!r.u64(m.arbiter_inc) || !r.u64(m.tick) || !get_time(r, m.sent) || !r.i64(lease) || !get_bool(r, m.solo) ||
      (version >= 2 && !get_bool(r, m.by_age)) || !r.u64(m.gen) || !r.text8(node) || !r.u32(count) ||
      count > kMaxRouters)
    return R::failure("roles table cut short in its head");
  if (lease < 0 || lease > kMaxMs) return R::failure(fmt::format("roles table with a lease of {} ms", lease));
  m.lease = Millis(lease);
  m.node = node;
  for (std::uint32_t n = 0; n < count; ++n) {
    RoleRouter g;
    if (!get_role_router(r, g)) return R::failure(fmt::format("roles table malformed at byte {}", r.offset()));
    m.routers.push_back(std::move(g));
  }
  return m;
}

}  // namespace bmpha
