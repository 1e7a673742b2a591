#include "bmp-recv/session_decoder.h"

#include <algorithm>

#include "bmp-recv/attribute_text.h"
#include "bmp-recv/bmp_parser.h"
#include "bmp-recv/compat_hash.h"
#include "bmp-recv/obmp_raw.h"
#include "bmp-recv/statistics.h"
#include "common/rules.h"

namespace bmpha::recv {
namespace {

std::size_t index_of(View v) { return static_cast<std::size_t>(v); }

// What one BGP session's Peer Up says in every view: addresses, ports and OPENs. Information TLVs are the view's own.
Hash128 digest_of(Bytes body, const PeerUp& up) {
  constexpr std::size_t kAddressAndPorts = 20;
  if (up.sent_open.empty() || up.received_open.empty()) return hash_of(body);
  return hash_of(body.first(kAddressAndPorts + up.sent_open.size() + up.received_open.size()));
}

// Of the BGP message that m begins with; 0: none that is whole.
std::size_t bgp_message_size(Bytes m) {
  constexpr std::size_t kMarker = 16, kHeader = 19;
  ByteReader r(m);
  Bytes marker;
  std::uint16_t size = 0;
  const bool whole = r.bytes(kMarker, marker) && r.u16(size) && size >= kHeader && size <= m.size();
  return whole && std::all_of(marker.begin(), marker.end(), [](std::uint8_t b) { return b == 0xff; }) ? size : 0;
}

// "192.0.2.1" or "192.0.2.1 65000:1": peers of one address differ by it.
std::string label_of(const PeerHeader& h, const std::string& ip) {
  if (h.distinguisher == RouteDistinguisher{}) return ip;
  TextBuffer rd;
  append_rd(rd, h.distinguisher);
  return ip + ' ' + std::string(rd.view());
}

PathIds yes_or_no(bool v) { return v ? PathIds::kYes : PathIds::kNo; }

const char* termination_reason(std::uint16_t reason) {  // RFC 7854 4.5
  static constexpr const char* kNames[] = {"administratively closed", "unspecified", "out of resources",
                                           "redundant connection", "permanently administratively closed"};
  return reason < std::size(kNames) ? kNames[reason] : "unknown";
}

}  // namespace

struct SessionDecoder::Peer {
  PeerKey key;
  Hash128 hash;
  std::string hash_text;
  PeerState state = PeerState::kNew;
  std::uint64_t idle_since = 0;  // counts up, over all peers; of one that is not up
  PeerContext context;
  // By View: path identifiers of 2^24 and more were seen for sure. Routers have them in some views of a peer only.
  std::array<bool, kViews> large_ids{};
  std::uint32_t asn = 0;
  std::string label;          // of its faults: address, and distinguisher if it has one
  std::string columns;        // "<hash>\t<ip>\t<asn>" of route rows
  std::uint8_t up_flags = 0;  // of the last Peer Up
  Hash128 up_digest;          // of its addresses, ports and OPENs
  // Pending in this pass.
  bool touched = false;
  std::unique_ptr<Rows> attributes;
  std::array<std::unique_ptr<Rows>, kRouteObjects> routes;  // by object
};

class SessionDecoder::PeerRows : public RouteRows {
 public:
  PeerRows(SessionDecoder& session, Peer& peer) : session_(session), peer_(peer) {}
  Rows& attributes() override { return need(peer_.attributes); }
  Rows& routes(Object object) override { return need(peer_.routes[static_cast<std::size_t>(object)]); }
  void flush_attributes() override { session_.flush_attributes(peer_); }
  void flush_routes(Object object) override { session_.flush_routes(peer_, object); }

 private:
  Rows& need(std::unique_ptr<Rows>& rows) {
    if (rows == nullptr) {
      if (!peer_.touched) session_.touched_.push_back(&peer_);
      peer_.touched = true;
      rows = session_.shared_.pool.take();
    }
    return *rows;
  }
  SessionDecoder& session_;
  Peer& peer_;
};

SessionDecoder::SessionDecoder(Settings settings, DecoderShared& shared, RecordSink& sink)
    : settings_(std::move(settings)),
      shared_(shared),
      builder_(settings_.identity, sink),
      dump_(settings_.dump),
      route_writer_(shared.routes, settings_.identity.openbmp_hashes),
      router_{to_hex(settings_.identity.router), settings_.router_ip},
      router_columns_(router_.hash + '\t' + router_.ip) {
  if (IpPrefix p; parse_ip_prefix(router_.ip, p)) router_address_ = p.address;
}
SessionDecoder::~SessionDecoder() = default;

void SessionDecoder::begin(const ReadTimes& times) {
  builder_.set_times(times);
  dump_.on_begin(times.read);
  Rows& rows = shared_.rows;
  rows.clear();
  rows.text.append(settings_.name);
  builder_.emit({RecordKind::kSessionBegin, TopicSelector::kOther, nullptr, settings_.identity.router, false}, rows);
}

void SessionDecoder::end(const ReadTimes& times) {
  builder_.set_times(times);
  emit_mark(RecordKind::kSessionEnd);
}

bool SessionDecoder::poll_dump(const ReadTimes& times) {
  if (!dump_.poll(times.read)) return false;
  emit_synced(times);
  return true;
}

bool SessionDecoder::poll_dump_cap(BootTime now, const ReadTimes& times) {
  if (!dump_.poll_cap(now)) return false;
  emit_synced(times);
  return true;
}

void SessionDecoder::emit_synced(const ReadTimes& times) {
  builder_.set_times(times);
  emit_mark(RecordKind::kSynced);
  builder_.set_in_dump(false);
}

void SessionDecoder::emit_mark(RecordKind kind) {
  shared_.rows.clear();
  builder_.emit({kind, TopicSelector::kOther, nullptr, settings_.identity.router, false}, shared_.rows);
}

void SessionDecoder::begin_pass(const ReadTimes& times) {
  builder_.set_times(times);
  shared_.routes.seen.next_pass();
}

void SessionDecoder::end_pass() {
  for (Peer* peer : touched_) write_pending(*peer);
  touched_.clear();
}

void SessionDecoder::flush_attributes(Peer& peer) {
  if (peer.attributes == nullptr || peer.attributes->count == 0) return;
  builder_.emit({RecordKind::kAttributes, TopicSelector::kBaseAttribute, "base_attribute", peer.hash, false},
                *peer.attributes);
  message_text_ += peer.attributes->text.size();
  peer.attributes->clear();
}

void SessionDecoder::flush_routes(Peer& peer, Object object) {
  flush_attributes(peer);  // the sets that these routes refer to go first
  Rows* rows = peer.routes[static_cast<std::size_t>(object)].get();
  if (rows == nullptr || rows->count == 0) return;
  const ObjectInfo& info = object_info(object);
  builder_.emit({info.kind, info.topic, info.name.data(), peer.hash, false}, *rows);
  message_text_ += rows->text.size();
  rows->clear();
}

void SessionDecoder::flush(Peer& peer) {
  if (!peer.touched) return;
  write_pending(peer);
  std::erase(touched_, &peer);
}

void SessionDecoder::write_pending(Peer& peer) {
  flush_attributes(peer);
  if (peer.attributes != nullptr) shared_.pool.give(std::move(peer.attributes));
  for (std::size_t n = 0; n < kRouteObjects; ++n) {
    if (peer.routes[n] == nullptr) continue;
    flush_routes(peer, static_cast<Object>(n));
    shared_.pool.give(std::move(peer.routes[n]));
  }
  peer.touched = false;
}

void SessionDecoder::emit_row(RecordKind kind, TopicSelector topic, const char* object, const Hash128& key,
                              bool opener) {
  builder_.emit({kind, topic, object, key, opener}, shared_.rows);
}

void SessionDecoder::count_fault(Fault f, std::uint64_t times) {
  shared_.counters.fault(f, times);
  faults_ += times;
  if (frame_fault_ == Fault::kNone) frame_fault_ = f;
  const std::string_view peer = frame_peer_ == nullptr ? std::string_view() : frame_peer_->label;
  auto at = peer_faults_.find(std::pair(peer, f));
  if (at == peer_faults_.end()) {
    const bool full = peer_faults_.size() >= kMaxPeerFaults;
    at = peer_faults_.try_emplace(std::pair(std::string(full ? kOtherPeers : peer), f)).first;
  }
  at->second += times;
  bool& seen = fault_seen_[static_cast<std::size_t>(f)];
  if (seen) return;
  seen = true;
  first_faults_.push_back({f, stream_offset_, std::string(peer)});
}

std::vector<SessionDecoder::FirstFault> SessionDecoder::take_first_faults() { return std::exchange(first_faults_, {}); }

// Bytes of the whole message: its header stands in front of its body.
void SessionDecoder::publish_raw(Bytes message) {
  shared_.rows.clear();
  append_obmp_raw(shared_.rows.text,
                  {builder_.times().wall_us, settings_.identity.collector, settings_.collector_id,
                   settings_.identity.router, router_address_, settings_.router_group, message},
                  raw_scratch_);
  shared_.rows.count = 1;
  ++shared_.counters.raw_messages;
  shared_.counters.raw_bytes += message.size();
  builder_.emit({RecordKind::kRaw, TopicSelector::kBmpRaw, nullptr, settings_.identity.router, false}, shared_.rows);
}

void SessionDecoder::on_frame(const BmpFrame& frame, std::uint64_t stream_offset) {
  stream_offset_ = stream_offset;
  frame_fault_ = Fault::kNone;
  frame_peer_ = nullptr;
  take_frame(frame);
  if (frame_fault_ != Fault::kNone && settings_.raw != nullptr) settings_.raw->on_malformed(frame, frame_fault_);
}

void SessionDecoder::take_frame(const BmpFrame& frame) {
  ++messages_;
  if (settings_.publish_raw) publish_raw(frame.whole);
  Counters& counters = shared_.counters;
  if (frame.type >= kBmpTypes) {
    ++counters.unknown_messages[frame.type];
    return;
  }
  ++counters.messages[frame.type];
  const auto type = static_cast<BmpType>(frame.type);
  const ByteReader body(frame.body, kBmpHeaderSize);
  switch (type) {
    case BmpType::kInitiation:
      on_initiation(body);
      break;
    case BmpType::kTermination:
      on_termination(body);
      break;
    case BmpType::kRouteMirroring:
      on_mirroring(frame);
      break;
    case BmpType::kRouteMonitoring:
    case BmpType::kStatistics:
    case BmpType::kPeerDown:
    case BmpType::kPeerUp:
      on_peer_message(type, frame.version, body);
      break;
  }
}

void SessionDecoder::on_termination(ByteReader body) {
  Termination t;
  if (const Fault f = parse_termination(body, t); f != Fault::kNone) count_fault(f);
  shared_.counters.unknown_tlvs += t.unknown;
  terminated_ = true;
  termination_ = std::to_string(t.reason) + " (" + termination_reason(t.reason) + ")";
  if (!t.text.empty()) termination_ += ": " + clean(t.text, 200);
}

// Its BGP messages are what a peer sent, not what the router holds: they are never routes here.
void SessionDecoder::on_mirroring(const BmpFrame& frame) {
  ByteReader body(frame.body, kBmpHeaderSize);
  PeerHeader h;
  Mirroring m;
  if (!parse_peer_header(body, h)) return count_fault(Fault::kPeerHeader);
  if (const Fault f = parse_mirroring(body, m); f != Fault::kNone) count_fault(f);
  shared_.counters.mirrored += m.messages;
  shared_.counters.mirrored_errored += m.errored;
  shared_.counters.mirrored_lost += m.lost;
  shared_.counters.unknown_tlvs += m.unknown;
}

void SessionDecoder::on_initiation(ByteReader body) {
  Initiation init;
  if (const Fault f = parse_initiation(body, init); f != Fault::kNone) count_fault(f);
  shared_.counters.unknown_tlvs += init.unknown;
  if (init.sys_name.empty()) init.sys_name = settings_.dns_name;
  shared_.rows.clear();
  append_router_init(shared_.rows, router_seq_++, router_, init, stamp_of(builder_.times().wall_us));
  emit_row(RecordKind::kRouter, TopicSelector::kRouter, "router", settings_.identity.router, false);
}

// Type and flags are not part of it: peers of one address and distinguisher share it.
Hash128 SessionDecoder::openbmp_peer_hash(const PeerHeader& h) const {
  TextBuffer rd;
  append_rd(rd, h.distinguisher);
  return compat::peer_hash(peer_ip_text(h), rd.view(), router_.hash, h.is_loc_rib());
}

// A peer that is forgotten while it is down begins anew with its next route.
bool SessionDecoder::make_room() {
  if (idle_.empty()) return false;
  Peer& longest = *idle_.begin()->second;
  flush(longest);
  recent_ = nullptr;
  idle_.erase(idle_.begin());
  peers_.erase(PeerKey(longest.key));
  return true;
}

SessionDecoder::Peer* SessionDecoder::find_peer(const PeerHeader& h) {
  const PeerKey key = peer_key(h);
  if (recent_ == nullptr || recent_->key != key) {
    auto at = peers_.find(key);
    if (at == peers_.end()) {
      if (peers_.size() >= kMaxPeers && !make_room()) return nullptr;
      at = peers_.emplace(key, std::make_unique<Peer>()).first;
      at->second->key = key;
      set_up(*at->second, PeerState::kNew);
      at->second->hash =
          settings_.identity.openbmp_hashes ? openbmp_peer_hash(h) : peer_hash(settings_.identity.router, key);
      at->second->hash_text = to_hex(at->second->hash);
    }
    recent_ = at->second.get();
  }
  if (recent_->columns.empty() || recent_->asn != h.asn) {
    recent_->asn = h.asn;
    const std::string ip = peer_ip_text(h);
    recent_->label = label_of(h, ip);
    recent_->columns = recent_->hash_text + '\t' + ip + '\t' + std::to_string(h.asn);
  }
  return recent_;
}

PeerRow SessionDecoder::peer_row(const PeerHeader& h, const Peer& peer, std::uint64_t& seq) const {
  return {seq++, h, peer.hash_text, router_, stamp_of(h, builder_.times().wall_us)};
}

void SessionDecoder::on_peer_message(BmpType type, std::uint8_t version, ByteReader body) {
  PeerHeader h;
  if (!parse_peer_header(body, h)) return count_fault(Fault::kPeerHeader);
  Peer* peer = find_peer(h);
  if (peer == nullptr) return count_fault(Fault::kTooManyPeers);
  frame_peer_ = peer;
  switch (type) {
    case BmpType::kRouteMonitoring:
      return version == kBmpVersionTlv ? on_monitoring_tlvs(h, *peer, body) : on_route_monitoring(h, *peer, body);
    case BmpType::kPeerUp:
      return on_peer_up(h, *peer, body);
    case BmpType::kPeerDown:
      return on_peer_down(h, *peer, body);
    default:
      return on_statistics(h, *peer, version, body);
  }
}

void SessionDecoder::set_up(Peer& peer, PeerState state) {
  if (peer.state != PeerState::kUp && state == PeerState::kUp) ++peers_up_;
  if (peer.state == PeerState::kUp && state != PeerState::kUp) --peers_up_;
  if (peer.state != PeerState::kUp) idle_.erase(peer.idle_since);
  peer.state = state;
  if (state == PeerState::kUp) return;
  peer.idle_since = ++idle_count_;
  idle_.emplace(peer.idle_since, &peer);
}

void SessionDecoder::on_peer_up(const PeerHeader& h, Peer& peer, ByteReader body) {
  PeerUp up;
  const Fault fault = parse_peer_up(body, up);
  if (fault != Fault::kNone) count_fault(fault);
  if (fault == Fault::kPeerUp) return;
  shared_.counters.unknown_tlvs += up.unknown;
  Open& sent = shared_.sent;
  Open& received = shared_.received;
  sent = {};
  received = {};
  const bool sent_read = !up.sent_open.empty() && parse_open(up.sent_open, sent);
  const bool received_read = !up.received_open.empty() && parse_open(up.received_open, received);
  const bool opens_read = sent_read && received_read;
  if (!opens_read && fault != Fault::kPeerUpOpen) count_fault(Fault::kPeerUpOpen);
  flush(peer);
  // Some routers announce one BGP session once per RIB view: the same OPENs, other flags, no Peer Down between. Only
  // the first of them opens the peer; the second would put an end to the first view's routes.
  const Hash128 digest = digest_of(body.rest(), up);
  const bool other_view = peer.state == PeerState::kUp && peer.up_digest == digest && peer.up_flags != h.flags;
  peer.up_digest = digest;
  peer.up_flags = h.flags;
  if (!other_view) peer.large_ids = {};
  peer.large_ids[index_of(view_of(h))] = false;
  peer.context = opens_read ? negotiate(sent, received) : PeerContext{};
  set_up(peer, PeerState::kUp);
  shared_.rows.clear();
  append_peer_up(shared_.rows, peer_row(h, peer, peer_seq_), up, sent_read ? &sent : nullptr,
                 received_read ? &received : nullptr);
  emit_row(RecordKind::kPeer, TopicSelector::kPeer, "peer", peer.hash, !other_view);
  const std::vector<Family> families = std::move(peer.context.families);  // there may be thousands: not kept
  if (!other_view) dump_.on_peer_open(peer.hash, families, builder_.times().read);
}

void SessionDecoder::on_peer_down(const PeerHeader& h, Peer& peer, ByteReader body) {
  PeerDown down;
  const Fault fault = parse_peer_down(body, down);
  if (fault != Fault::kNone) count_fault(fault);
  if (fault == Fault::kPeerDown) return;
  shared_.counters.unknown_tlvs += down.unknown;
  flush(peer);
  set_up(peer, PeerState::kDown);  // its context stays: what was on its way is encoded as before
  dump_.on_peer_gone(peer.hash);
  shared_.rows.clear();
  append_peer_down(shared_.rows, peer_row(h, peer, peer_seq_), down);
  emit_row(RecordKind::kPeer, TopicSelector::kPeer, "peer", peer.hash, false);
}

void SessionDecoder::on_statistics(const PeerHeader& h, Peer& peer, std::uint8_t version, ByteReader body) {
  Statistics& statistics = shared_.statistics;
  const Fault fault =
      version == kBmpVersionTlv ? parse_statistics_tlvs(body, statistics) : parse_statistics(body, statistics);
  if (fault != Fault::kNone) return count_fault(fault);
  shared_.counters.unknown_tlvs += statistics.unknown;
  Rows& rows = shared_.rows;
  rows.clear();
  append_stat(rows, peer_row(h, peer, stat_seq_), statistics);
  emit_row(RecordKind::kStat, TopicSelector::kBmpStat, "bmp_stat", peer.hash, false);
  rows.clear();
  const auto emit = [&] {
    if (rows.count != 0) emit_row(RecordKind::kStat, TopicSelector::kBmpStatExt, "bmp_stat_ext", peer.hash, false);
    rows.clear();
  };
  for (const Statistic& s : statistics.all) {
    if (statistic_name(s.type).empty()) ++shared_.counters.unknown_statistics;
    if (fits_bmp_stat(s)) continue;
    append_stat_ext(rows, peer_row(h, peer, stat_ext_seq_), s);
    if (rows.text.size() > kFlushBytes) emit();
  }
  emit();
}

// The families with path identifiers, in the direction that this message is of.
const FamilySet& SessionDecoder::path_ids(const PeerHeader& h, const PeerContext& p) {
  if (h.is_loc_rib()) return p.ids_named;
  return h.is_adj_in() ? p.ids_in : p.ids_out;
}

UpdateContext SessionDecoder::update_context(const PeerHeader& h, const Peer& peer) const {
  UpdateContext c;
  const PeerContext& p = peer.context;
  // Without the flag, a peer that cannot do 4-byte numbers may still be passed on in its own form.
  c.expect_as4 = (h.flags & kPeerFlagAs2) == 0 && p.as4;
  c.as_width_known = p.known || !c.expect_as4;
  if (h.is_loc_rib()) {  // the flag does not exist there
    c.expect_as4 = p.as4;
    c.as_width_known = p.known;
  }
  if (tlvs_ != nullptr && tlvs_->as4) c.expect_as4 = c.as_width_known = true;
  c.large_ids = peer.large_ids[index_of(view_of(h))];
  c.external = p.known && p.external;
  if (p.known) {
    const FamilySet& ids = path_ids(h, p);
    c.ids_v4 = yes_or_no(ids.contains(kIpv4Unicast));
    c.ids_v6 = yes_or_no(ids.contains(kIpv6Unicast));
  }
  if (tlvs_ != nullptr && tlvs_->ids.contains(kIpv4Unicast)) c.ids_v4 = PathIds::kYes;
  if (tlvs_ != nullptr && tlvs_->ids.contains(kIpv6Unicast)) c.ids_v6 = PathIds::kYes;
  return c;
}

NlriContext SessionDecoder::nlri_context(const PeerHeader& h, const Peer& peer, const Family& family) const {
  NlriContext c;
  c.family = family;
  const PeerContext& p = peer.context;
  if (p.known) {
    c.ids = yes_or_no(path_ids(h, p).contains(family));
    c.many_labels = yes_or_no(p.many_labels.contains(family));
  }
  if (tlvs_ != nullptr && tlvs_->ids.contains(family)) c.ids = PathIds::kYes;
  if (tlvs_ != nullptr && tlvs_->many_labels.contains(family)) c.many_labels = PathIds::kYes;
  return c;
}

void SessionDecoder::open_first(const PeerHeader& h, Peer& peer) {
  set_up(peer, PeerState::kUp);
  ++shared_.counters.peers_first;
  shared_.rows.clear();
  append_peer_first(shared_.rows, peer_row(h, peer, peer_seq_));
  emit_row(RecordKind::kPeer, TopicSelector::kPeer, "peer", peer.hash, true);
  dump_.on_peer_open(peer.hash, {}, builder_.times().read);
}

void SessionDecoder::note_update(const PeerHeader& h, Peer& peer) {
  const Update& u = shared_.update;
  Counters& counters = shared_.counters;
  const BootTime now = builder_.times().read;
  const View view = view_of(h);
  if (u.faults.withdraw != Fault::kNone) {
    count_fault(u.faults.withdraw);
    ++counters.treated_as_withdraw;
  }
  for (std::size_t n = 0; n < u.faults.discarded_count; ++n)
    count_fault(u.faults.discarded[n], u.faults.discarded_times[n]);
  for (const Fault f : {u.reach_fault, u.unreach_fault})
    if (f != Fault::kNone) count_fault(f);
  if ((u.attributes.present & ~decoded_attributes()).any())
    for (const RawAttribute& a : u.attributes.all)
      if (const auto type = static_cast<std::uint8_t>(a.type); !decoded_attributes()[type])
        ++counters.other_attributes[type];
  if (u.faults.other_as_width) ++counters.as_width_fallbacks;
  if (u.other_path_ids) ++counters.path_id_fallbacks;
  if (u.reach.has_value()) dump_.on_routes(peer.hash, view, u.reach->family, now);
  if (u.unreach.has_value()) dump_.on_routes(peer.hash, view, u.unreach->family, now);
  // IPv4 stands in the UPDATE itself and before IPv6 of MP_REACH: both at the most.
  for (const std::vector<Prefix>* list : {&u.announced, &u.withdrawn}) {
    if (list->empty()) continue;
    const auto family = [](const Prefix& p) { return p.v6 ? kIpv6Unicast : kIpv4Unicast; };
    dump_.on_routes(peer.hash, view, family(list->front()), now);
    if (list->back().v6 != list->front().v6) dump_.on_routes(peer.hash, view, family(list->back()), now);
  }
}

void SessionDecoder::on_route_monitoring(const PeerHeader& h, Peer& peer, ByteReader body) {
  message_text_ = 0;
  const Bytes update = body.rest();
  const std::size_t size = bgp_message_size(update);
  take_update(h, peer, update);
  if (size != 0 && size != update.size()) take_further_updates(h, peer, update.subspan(size));
}

// RFC 7854 4.6 speaks of one UPDATE; some routers send several. Together they become no more text than one may.
void SessionDecoder::take_further_updates(const PeerHeader& h, Peer& peer, Bytes rest) {
  while (!rest.empty()) {
    const std::size_t size = bgp_message_size(rest);
    if (size == 0) {
      count_fault(Fault::kBehindUpdate);
      break;
    }
    route_writer_.max_text = RouteWriter::kMaxText - std::min<std::size_t>(RouteWriter::kMaxText, message_text_);
    take_update(h, peer, rest.first(size));
    rest = rest.subspan(size);
  }
  route_writer_.max_text = RouteWriter::kMaxText;
}

void SessionDecoder::on_monitoring_tlvs(const PeerHeader& h, Peer& peer, ByteReader body) {
  MonitoringTlvs& tlvs = shared_.monitoring;
  if (const Fault f = parse_monitoring_tlvs(body, tlvs); f != Fault::kNone) return count_fault(f);
  shared_.counters.unknown_tlvs += tlvs.unknown;
  shared_.counters.path_marks += tlvs.marks.statuses();
  tlvs_ = &tlvs;
  if (const std::size_t size = bgp_message_size(tlvs.update); size != 0 && size != tlvs.update.size())
    count_fault(Fault::kBehindUpdate);  // a TLV has one message: its routes are numbered
  take_update(h, peer, tlvs.update);
  tlvs_ = nullptr;
}

// Routes are numbered as they stand in the message; in which order, where they stand in several places of it, nobody
// has said.
bool SessionDecoder::are_marks_placed() const {
  const Update& u = shared_.update;
  const int places =
      (u.classic_count != 0 ? 1 : 0) + (u.announced.size() > u.classic_count ? 1 : 0) + (u.reach.has_value() ? 1 : 0);
  return places <= 1;
}

void SessionDecoder::take_update(const PeerHeader& h, Peer& peer, Bytes message) {
  Update& u = shared_.update;
  if (const Fault f = parse_update(message, update_context(h, peer), u); f != Fault::kNone) return count_fault(f);
  peer.large_ids[index_of(view_of(h))] = u.large_ids;
  if (peer.state == PeerState::kNew && rule_on("G1-first")) open_first(h, peer);
  note_update(h, peer);
  if (u.end_of_rib.has_value()) return write_end_of_rib(h, peer);
  write_routes(h, peer);
}

void SessionDecoder::write_end_of_rib(const PeerHeader& h, Peer& peer) {
  const Family family = *shared_.update.end_of_rib;
  ++shared_.counters.end_of_rib;
  dump_.on_end_of_rib(peer.hash, view_of(h), family, builder_.times().read);
  flush(peer);
  shared_.rows.clear();
  append_eor(shared_.rows, peer_row(h, peer, eor_seq_), family);
  emit_row(RecordKind::kEor, TopicSelector::kEor, "eor", peer.hash, false);
}

void SessionDecoder::write_routes(const PeerHeader& h, Peer& peer) {
  Update& u = shared_.update;
  Counters& counters = shared_.counters;
  const bool withdrawn = u.faults.withdraw != Fault::kNone;
  if (tlvs_ != nullptr) {
    marks_placed_ = are_marks_placed();
    if (!marks_placed_ && tlvs_->marks.is_indexed()) ++counters.path_marks_unplaced;
  }
  if (u.unreach.has_value()) write_family(h, peer, *u.unreach, true, Fault::kMpUnreach);
  if (peer.state == PeerState::kDown && !u.announced.empty()) {
    counters.after_peer_down += u.announced.size();
    u.announced.clear();
    u.classic_count = 0;
  }
  if (!u.announced.empty() || !u.withdrawn.empty()) {
    PeerRows rows(*this, peer);
    if (!route_writer_.write_unicast(u, write_context(h, peer), rows)) {
      // What stands there now is no longer true, and what is true cannot be said.
      refuse_amplification();
      treat_as_withdraw(u);
      (void)route_writer_.write_unicast(u, write_context(h, peer), rows);
    }
    counters.prefixes_announced += u.announced.size();
    counters.prefixes_withdrawn += u.withdrawn.size();
  }
  if (u.reach.has_value()) write_family(h, peer, *u.reach, withdrawn, Fault::kMpReach);
}

RouteWriter::Context SessionDecoder::write_context(const PeerHeader& h, const Peer& peer) const {
  const bool marked = tlvs_ != nullptr && tlvs_->marks.any();
  return {h,
          peer.hash,
          peer.columns,
          router_columns_,
          stamp_of(h, builder_.times().wall_us),
          marked ? &tlvs_->marks : nullptr,
          marks_placed_};
}

void SessionDecoder::refuse_amplification() {
  count_fault(Fault::kAmplification);
  ++shared_.counters.treated_as_withdraw;
}

// Routes of a family other than unicast. What cannot be read costs that family's part of the message (RFC 7606 2,
// "AFI/SAFI disable", but for this message only: the session is the router's).
void SessionDecoder::write_family(const PeerHeader& h, Peer& peer, const FamilyRoutes& routes, bool withdrawn,
                                  Fault unreadable) {
  Counters& counters = shared_.counters;
  NlriContext nlri = nlri_context(h, peer, routes.family);
  nlri.withdrawn = withdrawn;
  if (peer.state == PeerState::kDown && !withdrawn) {
    FamilyCodec* codec = shared_.routes.codecs.find(routes.family);
    if (codec != nullptr && codec->parse(routes.nlri, nlri) != NlriResult::kBad)
      counters.after_peer_down += codec->size();
    return;
  }
  PeerRows rows(*this, peer);
  RouteWriter::Written done = route_writer_.write_family(shared_.update, routes, nlri, write_context(h, peer), rows);
  if (!done.proportionate) {
    refuse_amplification();
    nlri.withdrawn = withdrawn = true;
    done = route_writer_.write_family(shared_.update, routes, nlri, write_context(h, peer), rows);
  }
  if (!done.known_family) return counters.other_family(routes.family);
  if (!done.readable) return count_fault(unreadable);
  if (done.other_path_ids) ++counters.path_id_fallbacks;
  counters.unknown_routes += done.skipped;
  if (done.skipped != 0 && !withdrawn && tlvs_ != nullptr && marks_placed_ && tlvs_->marks.is_indexed())
    ++counters.path_marks_unplaced;
  (withdrawn ? counters.prefixes_withdrawn : counters.prefixes_announced) += done.routes;
}

}  // namespace bmpha::recv
