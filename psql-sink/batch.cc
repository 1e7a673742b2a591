#include "psql-sink/batch.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/rules.h"

namespace bmpha::sink {
namespace {

constexpr std::int64_t kDayUs = 86'400'000'000;
constexpr std::size_t kMaxCapabilities = 4096;

View view_of(bool loc_rib, const UnicastRow& r) {
  if (loc_rib) return View::kLocRib;
  if (r.adj_rib_in) return r.pre_policy ? View::kInPre : View::kInPost;
  return r.pre_policy ? View::kOutPre : View::kOutPost;
}

}  // namespace

bool AttributeCache::know(const Hash128& id) {
  const auto at = index_.find(id);
  if (at != index_.end()) {
    order_.splice(order_.begin(), order_, at->second);
    return true;
  }
  order_.push_front(id);
  index_.emplace(id, order_.begin());
  if (index_.size() > limit_) {
    index_.erase(order_.back());
    order_.pop_back();
  }
  return false;
}

void AttributeCache::forget(const Hash128& id) {
  const auto at = index_.find(id);
  if (at == index_.end()) return;
  order_.erase(at->second);
  index_.erase(at);
}

void AttributeCache::clear() {
  index_.clear();
  order_.clear();
}

BatchBuilder::BatchBuilder(PartitionState& state, AttributeCache& attributes, std::int64_t next_offset,
                           std::int64_t now_us)
    : state_(state), attributes_(attributes), now_us_(now_us) {
  batch_.old_offset = batch_.new_offset = next_offset;
}

std::int64_t BatchBuilder::receipt_time(const KafkaHeader& header, const InputRecord& record) const {
  // History is partitioned by this time, so a clock far off must not scatter rows over the centuries.
  const auto plausible = [&](std::int64_t us) { return us > now_us_ - 400 * kDayUs && us < now_us_ + kDayUs; };
  if (plausible(header.read_wall_us)) return header.read_wall_us;
  return plausible(record.kafka_time_us) ? record.kafka_time_us : now_us_;
}

bool BatchBuilder::add(const InputRecord& record) {
  if (record.hole_from >= 0) batch_.holes.push_back({record.hole_from, record.offset});
  batch_.new_offset = record.offset + 1;
  ++batch_.counts.records;
  if (!record.has_header) {
    ++batch_.counts.foreign;
    return false;
  }
  Result<KafkaHeader> header = decode_kafka_header(record.header);
  if (!header) {
    reject(record.offset, "bmpha header: " + header.error(), record.value);
    return false;
  }
  if (header.value().epoch > INT64_MAX) {
    reject(record.offset, "bmpha header: epoch out of range", record.value);
    return false;
  }
  Context c;
  c.record = &record;
  c.header = std::move(header.value());
  // Names become keys in the database: the same text there and here.
  c.header.node = clean_text(c.header.node, kMaxNodeName);
  for (SettledGen& s : c.header.settled) s.node = clean_text(s.node, kMaxNodeName);
  c.rx_us = receipt_time(c.header, record);
  std::vector<PeerChange> changes;
  if (state_.generations.admit(record.offset, c.header, changes) != Verdict::kAccepted) {
    ++batch_.counts.fenced;
    batch_.fenced_routers[c.header.router] = c.header.node;
    return false;
  }
  c.node = node_index(c.header.node);
  for (const PeerChange& change : changes) apply(c, change);
  accepted(c);
  return !batch_.leftovers.empty();
}

void BatchBuilder::set_aside(const InputRecord& record, std::string_view reason) {
  batch_.new_offset = record.offset + 1;
  ++batch_.counts.records;
  reject(record.offset, reason, record.value);
}

void BatchBuilder::accepted(const Context& c) {
  const KafkaHeader& h = c.header;
  batch_.accepted_routers.insert(h.router);
  if (h.replay) ++batch_.counts.replayed;
  if (!h.replay && !is_control(h.kind)) batch_.read_times_us.push_back(h.read_wall_us);
  switch (h.kind) {
    case RecordKind::kRun:
      batch_.fences[h.router] = *state_.generations.find_fence(h.router);
      return;
    case RecordKind::kStale:
      batch_.routers_stale[h.router] = c.rx_us;
      return;
    case RecordKind::kDown:
      batch_.routers_down[h.router] = c.rx_us;
      return;
    case RecordKind::kSynced:
      return;
    case RecordKind::kRaw:
      ++batch_.counts.unsupported;
      skipped_.insert("bmp_raw");
      return;
    default:
      break;
  }
  TextMessage message;
  if (const char* reason = parse_framing(c.record->value, message))
    return reject(c.record->offset, reason, c.record->value);
  rows_of(c, message);
}

void BatchBuilder::rows_of(const Context& c, const TextMessage& message) {
  route_peer_ = {};
  RowCursor cursor(message.rows);
  std::string_view row;
  bool complete = false;
  while (cursor.next(row, complete)) {
    const char* reason = complete ? row_of(c, message, row) : "row without line feed";
    if (reason != nullptr) reject(c.record->offset, fmt::format("{}: {}", message.object.substr(0, 64), reason), row);
  }
}

const char* BatchBuilder::row_of(const Context& c, const TextMessage& message, std::string_view row) {
  ++batch_.counts.rows;
  switch (c.header.kind) {
    case RecordKind::kRoutes:
      if (message.object == "unicast_prefix") return unicast(c, message, row);
      ++batch_.counts.unsupported;
      skipped_.insert(clean_text(message.object, 64));
      return nullptr;
    case RecordKind::kPeer:
      return c.header.detached ? nullptr : peer(c, row);  // a copy stands in the topic of its routes
    case RecordKind::kStat:
      if (message.object == "bmp_stat") return stat(c, row);
      ++batch_.counts.unsupported;
      skipped_.insert(clean_text(message.object, 64));
      return nullptr;
    case RecordKind::kEor:
      return c.header.detached ? nullptr : eor(c, row);
    case RecordKind::kRouter:
      return router(c, row);
    case RecordKind::kCollector:
      return collector(c, row);
    case RecordKind::kAttributes:
      ++batch_.counts.attribute_rows;  // route rows carry everything
      return nullptr;
    default:
      return "record of a kind that has no rows";
  }
}

const char* BatchBuilder::check_owner(const Context& c, const RouterId& router, const PeerHash& peer) const {
  // The fence is per router: a row that belongs to another one would slip through it.
  if (router != c.header.router) return "router hash differs from the record's header";
  const PeerState* known = state_.generations.find_peer(peer);
  if (known != nullptr && known->router != router) return "peer hash belongs to another router";
  return nullptr;
}

const char* BatchBuilder::unicast(const Context& c, const TextMessage& message, std::string_view row) {
  UnicastRow r;
  if (const char* reason = reader_.unicast(row, r, columns_)) return reason;
  if (!r.withdrawn && !message.hashes_tell_all) r.attributes = reader_.hash_attributes(columns_);
  if (const char* reason = find_route_peer(c, r)) return reason;
  if (r.labelled) {
    ++batch_.counts.unsupported;
    skipped_.insert("labelled unicast");
    return nullptr;
  }
  if (!r.withdrawn && last_attributes_ != r.attributes)
    if (const char* reason = remember_attributes(r)) return reason;
  const PeerState& peer = *route_peer_.state;
  RouteEvent e;
  e.peer = route_peer_.index;
  e.prefix = r.prefix;
  e.view = static_cast<std::int16_t>(view_of(route_peer_.loc_rib, r));
  e.withdrawn = r.withdrawn;
  e.replay = c.header.replay;
  e.node = c.node;
  e.path_id = r.path_id;
  e.has_attributes = !r.withdrawn;
  e.attributes = r.attributes;
  e.has_origin_as = r.origin_as.has_value();
  e.origin_as = r.origin_as.value_or(0);
  e.ts_us = r.timestamp_us;
  e.rx_us = c.rx_us;
  e.epoch = peer.epoch;
  e.live_epoch = peer.live_epoch;
  batch_.routes.push_back(e);
  return nullptr;
}

const char* BatchBuilder::find_route_peer(const Context& c, const UnicastRow& row) {
  if (row.router != c.header.router) return "router hash differs from the record's header";
  if (c.header.detached) return "routes in a topic that does not order them";
  if (route_peer_.state != nullptr && route_peer_.hash == row.peer) return nullptr;
  if (const char* reason = check_owner(c, row.router, row.peer)) return reason;
  route_peer_.hash = row.peer;
  route_peer_.state = &state_.generations.touch_peer(row.router, row.peer);
  route_peer_.index = peer_index(row.peer, row.router);
  route_peer_.loc_rib = state_.peers[row.peer].loc_rib;
  return nullptr;
}

const char* BatchBuilder::remember_attributes(const UnicastRow& row) {
  if (attributes_.know(row.attributes)) {
    ++batch_.counts.attribute_hits;
  } else {
    AttributeSet set;
    if (const char* reason = parse_attributes(row, columns_, set)) {
      attributes_.forget(row.attributes);  // not stored, so not known
      return reason;
    }
    ++batch_.counts.attribute_misses;
    batch_.attributes.push_back(std::move(set));
  }
  last_attributes_ = row.attributes;
  return nullptr;
}

const char* BatchBuilder::peer(const Context& c, std::string_view row) {
  PeerRow r;
  if (const char* reason = reader_.peer(row, r)) return reason;
  if (const char* reason = check_owner(c, r.router, r.peer)) return reason;
  const bool down = r.action == PeerRow::Action::kDown;
  Generations& g = state_.generations;
  const PeerChange change = down ? g.close_peer(c.header, r.peer) : g.open_peer(c.record->offset, c.header, r.peer);
  const std::uint32_t index = peer_index(r.peer, r.router);
  state_.peers[r.peer].loc_rib = r.loc_rib;
  PeerUpdate& update = update_of(index);
  update.loc_rib = r.loc_rib;
  if (down) {
    update.down_at = c.rx_us;
  } else {
    update.up_at = c.rx_us;
    update.clear_stale = true;
    update.stale_at.reset();
  }
  PeerInfo& info = batch_.peer_infos.emplace_back();
  info.peer = index;
  info.action = r.action;
  for (std::size_t n = 0; n < kPeerColumns; ++n) info.columns.push_back(clean_text(r.columns[n], kMaxCapabilities));
  const auto number = [](std::string_view text) {
    std::uint64_t v = 0;
    return parse_u64(text, UINT32_MAX, v) ? fmt::format("{}", v) : std::string("null");
  };
  std::string text = "{}";
  if (down)
    text = fmt::format(R"({{"reason":{},"error":{},"suberror":{}}})", number(r.columns[21]), number(r.columns[22]),
                       number(r.columns[23]));
  else if (change.kind == ChangeKind::kRefreshed)
    text = R"({"refresh":true})";
  const EventKind kind = down                                  ? EventKind::kDown
                         : r.action == PeerRow::Action::kFirst ? EventKind::kFirst
                                                               : EventKind::kUp;
  event(c, index, kind, r.timestamp_us, std::move(text));
  return nullptr;
}

const char* BatchBuilder::stat(const Context& c, std::string_view row) {
  StatRow r;
  if (const char* reason = reader_.stat(row, r)) return reason;
  if (const char* reason = check_owner(c, r.router, r.peer)) return reason;
  // Of a peer whose life another topic orders only the id is of use here.
  if (!c.header.detached) state_.generations.touch_peer(r.router, r.peer);
  batch_.stats.push_back(
      {peer_index(r.peer, r.router, c.header.detached), c.node, r.timestamp_us, c.rx_us, r.counters});
  return nullptr;
}

const char* BatchBuilder::eor(const Context& c, std::string_view row) {
  EorRow r;
  if (const char* reason = reader_.eor(row, r)) return reason;
  if (const char* reason = check_owner(c, r.router, r.peer)) return reason;
  state_.generations.touch_peer(r.router, r.peer);
  event(c, peer_index(r.peer, r.router), EventKind::kEor, r.timestamp_us,
        fmt::format(R"({{"afi":{},"safi":{},"pre_policy":{},"adj_rib_in":{}}})", r.afi, r.safi, r.pre_policy,
                    r.adj_rib_in));
  return nullptr;
}

const char* BatchBuilder::router(const Context& c, std::string_view row) {
  RouterRow r;
  if (const char* reason = reader_.router(row, r)) return reason;
  if (r.router != c.header.router) return "router hash differs from the record's header";
  if (!r.init) return nullptr;  // that a router is lost is the cluster's decision
  const auto ip_or_none = [](std::string_view text) {
    IpAddress a;
    return parse_ip(text, a) ? std::string(text) : std::string();
  };
  batch_.routers[r.router] = {clean_text(r.name, 255),       ip_or_none(r.ip),     clean_text(r.description, 4096),
                              clean_text(r.init_data, 4096), ip_or_none(r.bgp_id), c.rx_us};
  return nullptr;
}

const char* BatchBuilder::collector(const Context& c, std::string_view row) {
  CollectorRow r;
  if (const char* reason = reader_.collector(row, r)) return reason;
  if (r.collector != c.header.router) return "collector hash differs from the record's header";
  CollectorInfo& info = batch_.collectors[r.collector];
  info = {
      r.collector, clean_text(r.admin_id, 255), clean_text(r.routers, 65536), clean_text(r.action, 32), r.router_count,
      c.rx_us};
  return nullptr;
}

void BatchBuilder::apply(const Context& c, const PeerChange& change) {
  const std::uint32_t index = peer_index(change.peer, c.header.router);
  PeerUpdate& update = update_of(index);
  EventKind kind = EventKind::kSynced;
  switch (change.kind) {
    case ChangeKind::kSynced:
      update.synced_at = c.rx_us;
      update.complete = true;
      update.clear_stale = true;
      update.stale_at.reset();
      if (change.was_up && change.old_live < change.new_live && rule_on("S5-leftovers")) {
        batch_.leftovers.push_back({index, change.old_live, change.new_live});
        batch_.leftovers_at_us = c.rx_us;
        batch_.leftovers_node = c.header.node;
        batch_.leftovers_replay = c.header.replay;
      }
      break;
    case ChangeKind::kNotDumped:
    case ChangeKind::kRouterDown:
      update.down_at = c.rx_us;
      kind = change.kind == ChangeKind::kNotDumped ? EventKind::kNotDumped : EventKind::kRouterDown;
      break;
    case ChangeKind::kStale:
      update.stale_at = c.rx_us;
      update.clear_stale = false;
      kind = EventKind::kStale;
      break;
    default:
      return;
  }
  event(c, index, kind, c.rx_us, "{}");
}

void BatchBuilder::event(const Context& c, std::uint32_t peer, EventKind kind, std::int64_t ts_us, std::string info) {
  const PeerState& state = *state_.generations.find_peer(batch_.peers[peer].hash);
  batch_.events.push_back({peer, state.epoch, ts_us, c.rx_us, kind, std::move(info)});
}

std::uint32_t BatchBuilder::peer_index(const PeerHash& peer, const RouterId& router, bool detached) {
  const auto [at, is_new] = peer_index_.try_emplace(peer, static_cast<std::uint32_t>(batch_.peers.size()));
  if (is_new) batch_.peers.push_back({peer, router, detached});
  return at->second;
}

std::uint32_t BatchBuilder::node_index(const std::string& node) {
  const auto at = std::find(batch_.nodes.begin(), batch_.nodes.end(), node);
  if (at != batch_.nodes.end()) return static_cast<std::uint32_t>(at - batch_.nodes.begin());
  batch_.nodes.push_back(node);
  return static_cast<std::uint32_t>(batch_.nodes.size() - 1);
}

PeerUpdate& BatchBuilder::update_of(std::uint32_t peer) { return batch_.peer_updates[peer]; }

void BatchBuilder::reject(std::int64_t offset, std::string_view reason, std::string_view raw) {
  ++batch_.counts.rejected;
  if (batch_.rejected.size() >= kMaxRejectedPerBatch) return;
  batch_.rejected.push_back({offset, clean_text(reason, 500), std::string(raw.substr(0, kMaxRejectedBytes))});
}

Batch BatchBuilder::finish() {
  for (auto& [index, update] : batch_.peer_updates)
    update.state = *state_.generations.find_peer(batch_.peers[index].hash);
  batch_.stamp();
  return std::move(batch_);
}

}  // namespace bmpha::sink
