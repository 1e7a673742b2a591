#include "common/link.h"

#include <fmt/format.h>

#include "common/byte_writer.h"
#include "common/peer_counts.h"
#include "common/versions.h"

namespace bmpha {
namespace {

// Upper bounds before anything is allocated; far above what a node can have.
constexpr std::uint32_t kMaxEntries = 1'000'000;

void put_session(ByteWriter& w, const RouterId& router, const SessionId& s) {
  w.bytes(router.bytes);
  w.u64(s.recv_inc);
  w.u64(s.number);
}
bool get_session(ByteReader& r, RouterId& router, SessionId& s) {
  return r.copy(router.bytes.data(), 16) && r.u64(s.recv_inc) && r.u64(s.number);
}
ByteWriter begin(std::string& out, LinkType type) {
  ByteWriter w(out);
  w.u8(static_cast<std::uint8_t>(type));
  w.u8(kLinkVersion);
  return w;
}

bool get_control(ByteReader& r, Control& m) {
  std::uint32_t count = 0;
  if (!r.u64(m.gate_inc) || !r.u32(count) || count > kMaxEntries) return false;
  for (std::uint32_t n = 0; n < count; ++n) {
    ControlEntry e;
    std::uint8_t flags = 0;
    if (!get_session(r, e.router, e.session) || !r.u64(e.release_seq) || !r.u64(e.credit_bytes) || !r.u8(flags))
      return false;
    e.reset = (flags & 1) != 0;
    m.entries.push_back(e);
  }
  return true;
}

bool get_alive(ByteReader& r, Alive& m) {
  std::uint32_t count = 0;
  if (!r.u64(m.recv_inc) || !r.u64(m.gate_inc) || !r.u32(count) || count > kMaxEntries) return false;
  for (std::uint32_t n = 0; n < count; ++n) {
    AliveSession s;
    std::uint8_t flags = 0;
    std::int64_t last_read = 0, released = 0;
    std::string_view name;
    if (!get_session(r, s.router, s.session) || !r.u8(flags) || !r.i64(last_read) || !r.u64(s.released_seq) ||
        !r.i64(released) || !r.u64(s.last_seq) || !r.text8(name))
      return false;
    s.up = (flags & 1) != 0;
    s.read_paused = (flags & 2) != 0;
    s.last_read = boot_from_ns(last_read);
    s.released_read_time = boot_from_ns(released);
    s.name = name;
    m.sessions.push_back(std::move(s));
  }
  return get_peer_counts(r, m.sessions);
}

}  // namespace

std::string encode_hello(const Hello& m) {
  std::string out;
  ByteWriter w = begin(out, LinkType::kHello);
  w.u64(m.gate_inc);
  return out;
}

std::string encode_control(const Control& m) {
  std::string out;
  ByteWriter w = begin(out, LinkType::kControl);
  w.u64(m.gate_inc);
  w.u32(static_cast<std::uint32_t>(m.entries.size()));
  for (const ControlEntry& e : m.entries) {
    put_session(w, e.router, e.session);
    w.u64(e.release_seq);
    w.u64(e.credit_bytes);
    w.u8(e.reset ? 1 : 0);
  }
  return out;
}

std::string encode_alive(const Alive& m) {
  std::string out;
  ByteWriter w = begin(out, LinkType::kAlive);
  w.u64(m.recv_inc);
  w.u64(m.gate_inc);
  w.u32(static_cast<std::uint32_t>(m.sessions.size()));
  for (const AliveSession& s : m.sessions) {
    put_session(w, s.router, s.session);
    w.u8(static_cast<std::uint8_t>((s.up ? 1 : 0) | (s.read_paused ? 2 : 0)));
    w.i64(to_ns(s.last_read));
    w.u64(s.released_seq);
    w.i64(to_ns(s.released_read_time));
    w.u64(s.last_seq);
    w.text8(s.name);
  }
  put_peer_counts(w, m.sessions);
  return out;
}

bool is_data_frame(Bytes frame) { return frame.size() >= 2 && frame[0] == 0x42 && frame[1] == 0x48; }

Result<LinkMessage> decode_link_message(Bytes frame) {
  using R = Result<LinkMessage>;
  ByteReader r(frame);
  std::uint8_t type = 0, version = 0;
  if (!r.u8(type) || !r.u8(version)) return R::failure("link message shorter than its header");
  if (!reads_version(version, kLinkVersion)) return R::failure(version_refused("link", version, kLinkVersion));
  const auto cut = [&] {
    return R::failure(fmt::format("link message type {} is malformed at byte {}", type, r.offset()));
  };
  switch (static_cast<LinkType>(type)) {
    case LinkType::kHello: {
      Hello m;
      if (!r.u64(m.gate_inc)) return cut();
      return LinkMessage(m);
    }
    case LinkType::kControl: {
      Control m;
      if (!get_control(r, m)) return cut();
      return LinkMessage(std::move(m));
    }
    case LinkType::kAlive: {
      Alive m;
      if (!get_alive(r, m)) return cut();
      return LinkMessage(std::move(m));
    }
  }
  return R::failure(fmt::format("unknown link message type {}", type));
}

}  // namespace bmpha
