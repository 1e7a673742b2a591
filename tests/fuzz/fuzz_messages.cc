// The body of a BMP message behind its per-peer header; the first byte chooses the type. What is counted and kept must
// lie in the message.
#include "bmp-recv/bmp_parser.h"
#include "bmp-recv/statistics.h"
#include "tests/fuzz/checks.h"

namespace {
using namespace bmpha;
using namespace bmpha::recv;
using fuzz::require;

void inside(Bytes whole, Bytes part) {
  require(part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size()));
}
void inside(Bytes whole, std::string_view part) { inside(whole, as_bytes(part)); }

void check(Bytes body, const Statistics& s, Fault f) {
  require(4 * s.all.size() <= body.size() && (f == Fault::kNone || f == Fault::kStatistics));
  for (const Statistic& one : s.all) {
    inside(body, one.raw);
    require(!one.has_family || one.has_value);
    require(!one.has_value || one.raw.size() == 4 || one.raw.size() == 8 || one.raw.size() == 11);
    (void)statistic_name(one.type);
  }
}
void statistics(Bytes body) {
  static Statistics s;  // reused, as by the decoder
  const Fault f = parse_statistics(ByteReader(body), s);
  check(body, s, f);
}
void statistics_tlvs(Bytes body) {
  static Statistics s;
  const Fault f = parse_statistics_tlvs(ByteReader(body), s);
  check(body, s, f);
}
void mirroring(Bytes body) {
  Mirroring m;
  (void)parse_mirroring(ByteReader(body), m);
  require(std::size_t{4} * (m.messages + m.unknown) + std::size_t{6} * (m.errored + m.lost) <= body.size());
}
void monitoring(Bytes body) {
  static MonitoringTlvs t;  // reused, as by the decoder
  const Fault f = parse_monitoring_tlvs(ByteReader(body), t);
  inside(body, t.update);
  inside(body, t.marks.table());
  require((f == Fault::kNone) <= (t.update.size() >= 18));
  require(6 * (t.marks.groups() + t.marks.statuses() + t.unknown) <= body.size());
  static TextBuffer text;
  for (const std::size_t route : {0U, 1U, 2U, 9U, 40000U}) {
    text.clear();
    t.marks.append_columns(text, route);
    require(text.size() <= RouteMarks::kMaxBytes && fuzz::is_column(text.view(), true));
    require(fuzz::count_of(text.view(), '\t') == route_mark_columns().size());
  }
}
void peer_up(Bytes body) {
  PeerUp up;
  const Fault f = parse_peer_up(ByteReader(body), up);
  inside(body, up.sent_open);
  inside(body, up.received_open);
  for (const std::string_view text : {up.info, up.table_name, up.admin_label}) inside(body, text);
  require((f == Fault::kNone || f == Fault::kPeerUpTlv) == !up.received_open.empty());
}
void peer_down(Bytes body) {
  PeerDown down;
  const Fault f = parse_peer_down(ByteReader(body), down);
  require((f == Fault::kPeerDown) == body.empty());
  inside(body, down.error_data);
  inside(body, down.table_name);
  inside(body, down.info);
}
void information(Bytes body) {
  Initiation i;
  (void)parse_initiation(ByteReader(body), i);
  for (const std::string_view text : {i.sys_descr, i.sys_name, i.text}) inside(body, text);
  Termination t;
  (void)parse_termination(ByteReader(body), t);
  inside(body, t.text);
}
void header(Bytes body) {
  ByteReader r(body);
  PeerHeader h;
  require(parse_peer_header(r, h) == (body.size() >= 42));
  require(r.remaining() == (body.size() < 42 ? body.size() : body.size() - 42));
  require(view_of(h) <= View::kLocRib);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static constexpr void (*kParsers[])(Bytes) = {statistics, mirroring,   monitoring, peer_up,
                                                peer_down,  information, header,     statistics_tlvs};
  kParsers[data[0] % std::size(kParsers)](Bytes(data + 1, size - 1));
  return 0;
}
