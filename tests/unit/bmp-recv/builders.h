// Byte builders for BMP and BGP messages, and a sink that keeps records. For tests only.
#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "bmp-recv/record_builder.h"
#include "bmp-recv/session_decoder.h"
#include "common/byte_writer.h"

namespace bmpha::recv::testing {

// "40 01 01 00" -> bytes; white space is free.
inline std::string hex(std::string_view text) {
  std::string out;
  int half = -1;
  for (const char c : text) {
    const int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (v < 0) continue;
    if (half < 0) {
      half = v;
    } else {
      out.push_back(static_cast<char>(half * 16 + v));
      half = -1;
    }
  }
  return out;
}

inline std::string be16(std::size_t v) {
  std::string s;
  ByteWriter(s).u16(static_cast<std::uint16_t>(v));
  return s;
}
inline std::string be32(std::size_t v) {
  std::string s;
  ByteWriter(s).u32(static_cast<std::uint32_t>(v));
  return s;
}

inline std::string bmp(unsigned type, const std::string& body) {
  return hex("03") + be32(body.size() + 6) + static_cast<char>(type) + body;
}
inline std::string bgp(unsigned type, const std::string& body) {
  return std::string(16, '\xff') + be16(body.size() + 19) + static_cast<char>(type) + body;
}
// With the flags that the type has to have, and the length in two bytes.
inline std::string attribute(unsigned type, const std::string& value) {
  static constexpr std::string_view kWellKnown("\x01\x02\x03\x05\x06", 5);
  static constexpr std::string_view kNotTransitive("\x04\x09\x0a\x0e\x0f\x1a\x1d", 7);
  const auto is_in = [c = static_cast<char>(type)](std::string_view list) { return list.find(c) != list.npos; };
  const char flags = is_in(kWellKnown) ? '\x50' : is_in(kNotTransitive) ? '\x90' : '\xd0';
  return std::string{flags, static_cast<char>(type)} + be16(value.size()) + value;
}
inline std::string update(const std::string& withdrawn, const std::string& attributes, const std::string& nlri) {
  return bgp(2, be16(withdrawn.size()) + withdrawn + be16(attributes.size()) + attributes + nlri);
}
inline std::string open(unsigned asn, const std::string& capabilities) {
  std::string body = hex("04") + be16(asn) + be16(180) + hex("0a 00 00 01");
  if (capabilities.empty()) return bgp(1, body + hex("00"));
  body += static_cast<char>(capabilities.size() + 2);
  body += hex("02");
  body += static_cast<char>(capabilities.size());
  return bgp(1, body + capabilities);
}
inline std::string as4_capability(unsigned asn) { return hex("41 04") + be32(asn); }

// 192.0.2.n, AS 65000+n, at 2023-11-14 22:13:20.
inline std::string peer_header(unsigned n, unsigned flags = 0, unsigned type = 0) {
  std::string s{static_cast<char>(type), static_cast<char>(flags)};
  s += std::string(8, '\0');
  s += type == 3 ? std::string(16, '\0') : std::string(12, '\0') + hex("c0 00 02") + static_cast<char>(n);
  return s + be32(65000 + n) + hex("c0 00 02") + static_cast<char>(n) + be32(1700000000) + be32(250);
}
inline std::string initiation(const std::string& name) {
  return bmp(4, be16(1) + be16(4) + "test" + be16(2) + be16(name.size()) + name);
}
inline std::string peer_up(const std::string& header, const std::string& sent, const std::string& received) {
  return bmp(3, header + std::string(12, '\0') + hex("c0 00 02 fe 00 b3 9c 40") + sent + received);
}
inline std::string peer_down(const std::string& header, unsigned reason = 4) {
  return bmp(2, header + static_cast<char>(reason));
}
inline std::string monitoring(const std::string& header, const std::string& bgp_update) {
  return bmp(0, header + bgp_update);
}
// ORIGIN igp, AS_PATH of one 4-byte AS, NEXT_HOP 192.0.2.1.
inline std::string plain_attributes(unsigned asn = 65001) {
  return attribute(1, hex("00")) + attribute(2, hex("02 01") + be32(asn)) + attribute(3, hex("c0 00 02 01"));
}

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// A record as a reader sees it.
struct Seen {
  Envelope envelope;
  std::string object;  // the T header
  std::size_t announced_length = 0, announced_rows = 0;
  std::string data;  // behind the blank line
  std::vector<std::vector<std::string>> rows;
};

inline std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t at = 0;;) {
    const std::size_t end = text.find(separator, at);
    parts.emplace_back(text.substr(at, end - at));
    if (end == std::string_view::npos) return parts;
    at = end + 1;
  }
}

inline Seen read_record(const Record& record) {
  Seen seen;
  Result<Envelope> e = decode_envelope(record.bytes());
  if (!e) return seen;
  seen.envelope = e.value();
  std::string_view payload(reinterpret_cast<const char*>(record.data.get()) + kEnvelopeSize,
                           record.size - kEnvelopeSize);
  const std::size_t blank = payload.find("\n\n");
  if (!payload.starts_with("V: 1.7\n") || blank == std::string_view::npos) {
    seen.data = payload;
    return seen;
  }
  for (const std::string& line : split(payload.substr(0, blank), '\n')) {
    const std::vector<std::string> part = split(line, ':');
    if (part.size() != 2 || part[1].size() < 2) return Seen{};
    if (part[0] == "T") seen.object = part[1].substr(1);
    if (part[0] == "L") seen.announced_length = std::stoul(part[1]);
    if (part[0] == "R") seen.announced_rows = std::stoul(part[1]);
  }
  seen.data = payload.substr(blank + 2);
  if (!seen.data.empty() && seen.data.back() == '\n')
    for (const std::string& row : split(std::string_view(seen.data).substr(0, seen.data.size() - 1), '\n'))
      seen.rows.push_back(split(row, '\t'));
  return seen;
}

class Keep : public RecordSink {
 public:
  void on_record(const Record& record) override { records.push_back(record); }
  std::vector<Seen> seen() const {
    std::vector<Seen> all;
    for (const Record& r : records) all.push_back(read_record(r));
    return all;
  }
  std::vector<Record> records;
};

// A session decoder with its surroundings; feeds whole streams.
class Replay {
 public:
  explicit Replay(DumpTracker::Settings dump = {}, RawSink* raw = nullptr, bool publish_raw = false) {
    SessionDecoder::Settings s;
    s.identity = {router_hash("test", "192.0.2.254"), {7, 1}, collector_hash("test")};
    s.router_ip = "192.0.2.254";
    s.name = "r1";
    s.dump = dump;
    s.raw = raw;
    s.publish_raw = publish_raw;
    decoder = std::make_unique<SessionDecoder>(std::move(s), shared, keep);
    decoder->begin(times());
  }
  ReadTimes times() const { return {now, now, 1700000100000000}; }
  // In reads of `chunk` bytes. False: bad framing.
  bool feed(const std::string& stream, std::size_t chunk = 65536) {
    std::string pending;
    for (std::size_t at = 0; at < stream.size(); at += chunk) {
      pending += stream.substr(at, chunk);
      decoder->begin_pass(times());
      std::size_t used = 0;
      BmpFrame frame;
      FrameState state = next_frame(as_bytes(pending), frame);
      while (state == FrameState::kFrame) {
        decoder->on_frame(frame, 0);
        used += frame.size;
        state = next_frame(as_bytes(std::string_view(pending).substr(used)), frame);
      }
      decoder->end_pass();
      if (state != FrameState::kNeedMore) return false;
      pending.erase(0, used);
    }
    rest = pending.size();
    return true;
  }
  std::uint64_t faults(Fault f) const { return shared.counters.faults[static_cast<std::size_t>(f)]; }

  BootTime now = BootTime(Nanos(1000000000));
  DecoderShared shared;
  Keep keep;
  std::unique_ptr<SessionDecoder> decoder;
  std::size_t rest = 0;
};

}  // namespace bmpha::recv::testing
