#include "bmp-recv/route_writer.h"

#include <algorithm>

#include "bmp-recv/attribute_text.h"
#include "bmp-recv/compat_hash.h"

namespace bmpha::recv {
namespace {

// Room for the parts of a row that differ from row to row: action, sequence, hash, prefix, length, path identifier.
constexpr std::size_t kRowOwn = 4 + kMaxNumberText + 1 + kHexText + kMaxIpText + 4 + 11;
// The rest of a row besides the columns of peer and router and the attributes: hash, timestamp, flags, separators.
constexpr std::size_t kRowFixed = kRowOwn + kHexText + kTimestampText + 16;

// An upper bound of a row, from the sizes of its attributes' bytes: quick, and coarse.
std::size_t row_bound(const Update& u) {
  const PathAttributes& a = u.attributes;
  return 600 + a.as_path.asns.size() * 11 + a.as_path.segments.size() * 4 + a.communities.size() * 3 +
         a.ext_communities.size() * 6 + a.large_communities.size() * 3 + a.cluster_list.size() * 4 + a.extra.bytes();
}

std::size_t mark_bytes(const RouteWriter::Context& c) { return c.marks == nullptr ? 0 : RouteMarks::kMaxBytes; }

std::string_view flag(bool v) { return v ? "1" : "0"; }

}  // namespace

bool AttributesSeen::insert(const Hash128& attributes, const Hash128& peer) {
  std::uint64_t a = 0, p = 0;
  std::memcpy(&a, attributes.bytes.data(), sizeof a);
  std::memcpy(&p, peer.bytes.data(), sizeof p);
  const std::uint64_t key = a ^ (p * 0x9e3779b97f4a7c15ULL);
  Slot& slot = slots_[key % kSlots];
  if (slot.key == key && slot.pass == pass_) return false;
  slot = {key, pass_};
  return true;
}

void RouteWriter::print_attributes(const Update& update, const Address& next_hop) {
  const PathAttributes& a = update.attributes;
  TextBuffer& t = s_.attributes;
  t.clear();
  t.append(a.has(AttributeType::kOrigin) ? origin_text(a.origin) : "");
  t.append('\t');
  append_as_path(t, a.as_path);
  t.append('\t');
  t.number(a.as_path.asns.size());
  t.append('\t');
  t.number(a.as_path.asns.empty() ? 0 : a.as_path.asns.back());
  t.append('\t');
  append_address(t, next_hop);
  t.append('\t');
  t.number(a.med);
  t.append('\t');
  t.number(a.local_pref);
  t.append('\t');
  if (a.has_aggregator) {
    t.number(a.aggregator_asn);
    t.append(' ');
    t.commit(put_ipv4(t.room(kMaxIpText), a.aggregator_id.data()));
  }
  t.append('\t');
  append_communities(t, a.communities);
  t.append('\t');
  append_ext_communities(t, a.ext_communities);
  t.append('\t');
  append_cluster_list(t, a.cluster_list);
  t.append('\t');
  t.append(flag(a.has(AttributeType::kAtomicAggregate)));
  t.append('\t');
  t.append(flag(next_hop.size == 4));
  t.append('\t');
  if (a.has(AttributeType::kOriginatorId)) t.commit(put_ipv4(t.room(kMaxIpText), a.originator_id.data()));
  s_.large.clear();
  append_large_communities(s_.large, a.large_communities);
  s_.extra.clear();
  if (a.extra.any()) a.extra.append_columns(s_.extra);
}

// BGP-LS objects have these attributes only (contract A5.9).
void RouteWriter::print_ls_attributes(const Update& update, const Address& next_hop) {
  const PathAttributes& a = update.attributes;
  TextBuffer& t = s_.ls_attributes;
  t.clear();
  append_as_path(t, a.as_path);
  t.append('\t');
  t.number(a.local_pref);
  t.append('\t');
  t.number(a.med);
  t.append('\t');
  append_address(t, next_hop);
}

// Of a withdrawal: as many columns, all empty.
void RouteWriter::print_empty_attributes() {
  s_.attributes.clear();
  s_.attributes.append("\t\t\t\t\t\t\t\t\t\t\t\t\t");
  s_.ls_attributes.clear();
  s_.ls_attributes.append("\t\t\t");
  s_.large.clear();
  s_.extra.clear();
}

void RouteWriter::prepare_before(const Context& c, std::string_view attributes_hash) {
  TextBuffer& t = s_.before;
  t.clear();
  t.append('\t');
  t.append(c.router_columns);
  t.append('\t');
  t.append(attributes_hash);
  t.append('\t');
  t.append(c.peer_columns);
  t.append('\t');
  t.commit(s_.timestamp.put(t.room(kTimestampText), c.stamp.seconds, c.stamp.micros));
  t.append('\t');
}

// The columns of other attributes: empty ones where marks follow and there are none.
void RouteWriter::append_extra(TextBuffer& out, const RouteMarks* marks) const {
  out.append(s_.extra.view());
  if (marks == nullptr || s_.extra.size() != 0) return;
  for (std::size_t n = 0; n < kExtraColumns; ++n) out.append('\t');
}

void RouteWriter::prepare_after(const Context& c, const RouteMarks* marks) {
  TextBuffer& t = s_.after;
  t.clear();
  t.append("\t\t");  // no labels
  t.append(flag(c.header.is_pre_policy()));
  t.append('\t');
  t.append(flag(c.header.is_adj_in()));
  t.append('\t');
  t.append(s_.large.view());
  append_extra(t, marks);
  if (marks == nullptr) t.append('\n');
}

void RouteWriter::write_attribute_row(const Hash128& hash, const Context& c, RouteRows& out) {
  const std::size_t need =
      s_.attributes.size() + s_.large.size() + s_.extra.size() + c.router_columns.size() + c.peer_columns.size() + 128;
  if (out.attributes().count != 0 && out.attributes().text.size() + need > kFlushBytes) out.flush_attributes();
  Rows& rows = out.attributes();
  char* p = rows.text.room(need);
  p = put_text(p, "add\t");
  p = put_number(p, attribute_seq++);
  *p++ = '\t';
  p = put_hash(p, hash);
  *p++ = '\t';
  p = put_text(p, c.router_columns);
  *p++ = '\t';
  p = put_text(p, c.peer_columns);
  *p++ = '\t';
  p = s_.timestamp.put(p, c.stamp.seconds, c.stamp.micros);
  *p++ = '\t';
  p = put_text(p, s_.attributes.view());
  *p++ = '\t';
  p = put_text(p, s_.large.view());
  p = put_text(p, s_.extra.view());
  *p++ = '\n';
  rows.text.commit(p);
  ++rows.count;
}

void RouteWriter::write_rows(const char* action, const Prefix* begin, const Prefix* end, const RouteMarks* marks,
                             const Context& c, RouteRows& out) {
  const std::string_view before = s_.before.view(), between = s_.between.view(), after = s_.after.view();
  const std::size_t need =
      before.size() + between.size() + after.size() + kRowOwn + (marks == nullptr ? 0 : RouteMarks::kMaxBytes);
  const View view = view_of(c.header);
  std::uint64_t& seq = route_seq[static_cast<std::size_t>(Object::kUnicastPrefix)];
  Rows* rows = &out.routes(Object::kUnicastPrefix);
  for (const Prefix* prefix = begin; prefix != end; ++prefix) {
    if (rows->count != 0 && rows->text.size() + need > kFlushBytes) {
      out.flush_routes(Object::kUnicastPrefix);
      rows = &out.routes(Object::kUnicastPrefix);
    }
    char* p = rows->text.room(need);
    std::memcpy(p, action, 4);
    p = put_number(p + 4, seq++);
    *p++ = '\t';
    p = put_hash(p, openbmp_hashes_ ? openbmp_route_hash(*prefix, c) : route_hash(c.peer, *prefix, view));
    p = put_text(p, before);
    p = prefix->v6 ? put_ipv6(p, prefix->address.data()) : put_ipv4(p, prefix->address.data());
    *p++ = '\t';
    p = put_number(p, prefix->length);
    p = put_text(p, between);
    p = put_number(p, prefix->path_id);
    p = put_text(p, after);
    rows->text.commit(p);
    if (marks != nullptr) {
      marks->append_columns(rows->text, c.marks_placed ? static_cast<std::size_t>(prefix - begin) + 1 : 0);
      rows->text.append('\n');
    }
    ++rows->count;
  }
}

void RouteWriter::write_withdrawn(const Update& update, const Context& c, RouteRows& out) {
  if (update.withdrawn.empty()) return;
  s_.large.clear();
  s_.extra.clear();
  prepare_before(c, {});
  prepare_after(c, nullptr);
  const Prefix* at = update.withdrawn.data();
  const Prefix* const end = at + update.withdrawn.size();
  while (at != end) {  // runs of one address family
    const Prefix* run = at;
    while (run != end && run->v6 == at->v6) ++run;
    s_.between.clear();
    s_.between.append(at->v6 ? "\t0" : "\t1");
    s_.between.append("\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t");  // columns 14 to 27 are empty
    write_rows("del\t", at, run, nullptr, c, out);
    at = run;
  }
}

// Of the texts as print_attributes() has left them.
Hash128 RouteWriter::openbmp_attributes_hash(const PathAttributes& a, const Context& c) {
  std::array<std::string_view, 14> column;
  std::string_view rest = s_.attributes.view();
  for (std::string_view& text : column) {
    const std::size_t end = std::min(rest.find('\t'), rest.size());
    text = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return compat::attributes_hash(
      {column[1], column[4], column[7], column[0], a.med, a.local_pref, column[8], column[9]},
      c.peer_columns.substr(0, kHexText), s_.openbmp_hash);
}

Hash128 RouteWriter::openbmp_route_hash(const Prefix& p, const Context& c) {
  char text[kMaxIpText];
  const char* end = p.v6 ? put_ipv6(text, p.address.data()) : put_ipv4(text, p.address.data());
  compat::RouteTexts r;
  r.prefix = {text, static_cast<std::size_t>(end - text)};
  r.length = p.length;
  r.peer_hex = c.peer_columns.substr(0, kHexText);
  r.path_id = p.path_id;
  r.view = view_of(c.header);
  return compat::route_hash(r, s_.openbmp_hash);
}

// Into the row that is printed. Objects that the contract does not know keep the hash that they have.
void RouteWriter::put_openbmp_hash(const ObjectInfo& object, const Context& c) {
  Hash128 hash;
  const std::string_view row = s_.row.view();
  if (!compat::row_hash(object, row, view_of(c.header), s_.openbmp_hash, hash)) return;
  const std::size_t at = row.find('\t', row.find('\t') + 1) + 1;
  put_hash(s_.row.room(0) - row.size() + at, hash);
}

// Prints what all rows of an announcement share, and writes the base_attribute row when it is new.
Hash128 RouteWriter::write_shared(const Update& update, const Address& next_hop, const Context& c, RouteRows& out) {
  print_attributes(update, next_hop);
  const Hash128 hash = openbmp_hashes_ ? openbmp_attributes_hash(update.attributes, c)
                                       : attributes_hash(update.attributes, next_hop, s_.hash);
  if (next_hop.size != 0 && (openbmp_hashes_ || s_.seen.insert(hash, c.peer))) write_attribute_row(hash, c, out);
  return hash;
}

void RouteWriter::write_announced(const Update& update, std::size_t begin, std::size_t end, const Address& next_hop,
                                  const Context& c, RouteRows& out) {
  if (begin == end) return;
  const Hash128 hash = write_shared(update, next_hop, c, out);
  char hash_text[kHexText];
  put_hash(hash_text, hash);
  prepare_before(c, {hash_text, kHexText});
  prepare_after(c, c.marks);
  const Prefix* list = update.announced.data();
  s_.between.clear();
  s_.between.append(list[begin].v6 ? "\t0\t" : "\t1\t");
  s_.between.append(s_.attributes.view());
  s_.between.append('\t');
  write_rows("add\t", list + begin, list + end, c.marks, c, out);
}

// What the rows really come to, a little rounded up.
std::size_t RouteWriter::measure(const Update& update, const Context& c) {
  const std::size_t bare = kRowFixed + c.router_columns.size() + c.peer_columns.size();
  std::size_t sum = (update.announced.size() + update.withdrawn.size()) * bare;
  const auto announced = [&](std::size_t rows, const Address& next_hop) {
    if (rows == 0) return;
    print_attributes(update, next_hop);
    sum += rows * (s_.attributes.size() + s_.large.size() + s_.extra.size() + mark_bytes(c));
  };
  announced(update.classic_count, update.attributes.next_hop);
  announced(update.announced.size() - update.classic_count, update.mp_next_hop);
  return sum;
}

bool RouteWriter::write_unicast(const Update& update, const Context& c, RouteRows& out) {
  const std::size_t rows = update.announced.size() + update.withdrawn.size();
  if (!update.announced.empty() && row_bound(update) + mark_bytes(c) > max_text / rows && measure(update, c) > max_text)
    return false;
  write_withdrawn(update, c, out);
  write_announced(update, 0, update.classic_count, update.attributes.next_hop, c, out);
  write_announced(update, update.classic_count, update.announced.size(), update.mp_next_hop, c, out);
  return true;
}

// ---- other families

void RouteWriter::append_head(const ObjectInfo& object, const Hash128& route, std::string_view attributes_hash,
                              const Context& c) {
  TextBuffer& t = s_.row;
  t.append('\t');
  t.commit(put_hash(t.room(kHexText), route));
  t.append('\t');
  if (object.attributes_first) {
    t.append(attributes_hash);
    t.append('\t');
  }
  t.append(c.router_columns);
  t.append('\t');
  if (!object.attributes_first) {
    t.append(attributes_hash);
    t.append('\t');
  }
  t.append(c.peer_columns);
  t.append('\t');
  t.commit(s_.timestamp.put(t.room(kTimestampText), c.stamp.seconds, c.stamp.micros));
}

void RouteWriter::print_part(RowPart part, const FamilyCodec& codec, std::size_t n, const NlriContext& nlri,
                             const Context& c) {
  TextBuffer& t = s_.row;
  switch (part) {
    case RowPart::kOwn:
    case RowPart::kRelated:
      break;
    case RowPart::kFamily:
      t.number(nlri.family.afi);
      t.append('\t');
      t.number(nlri.family.safi);
      break;
    case RowPart::kPathId:
      t.number(codec.path_id(n));
      break;
    case RowPart::kView:
      t.append(flag(c.header.is_pre_policy()));
      t.append('\t');
      t.append(flag(c.header.is_adj_in()));
      break;
    case RowPart::kAttributes:
      t.append(s_.attributes.view());
      break;
    case RowPart::kLsAttributes:
      t.append(s_.ls_attributes.view());
      break;
    case RowPart::kLarge:
      t.append(s_.large.view());
      break;
  }
}

void RouteWriter::print_related(const FamilyCodec& codec, std::size_t n, unsigned related, const NlriContext& nlri,
                                const Context& c) {
  s_.hash.clear();
  codec.append_related_key(n, related, s_.hash);
  Hash128 hash = route_hash(c.peer, nlri.family, view_of(c.header), 0, s_.hash);
  if (openbmp_hashes_) (void)codec.openbmp_related_hash(n, related, s_.openbmp_hash, hash);
  s_.row.commit(put_hash(s_.row.room(kHexText), hash));
}

// The row of route n, in s_.row.
void RouteWriter::print_row(const FamilyCodec& codec, std::size_t n, const NlriContext& nlri,
                            std::string_view attributes_hash, const Context& c) {
  const Object o = codec.object(n);
  const ObjectInfo& object = object_info(o);
  s_.hash.clear();
  codec.append_key(n, s_.hash);
  Hash128 hash = route_hash(c.peer, nlri.family, view_of(c.header), codec.path_id(n), s_.hash);
  if (openbmp_hashes_) (void)codec.openbmp_hash(n, c.peer_columns.substr(0, kHexText), s_.openbmp_hash, hash);
  TextBuffer& t = s_.row;
  t.clear();
  t.append(nlri.withdrawn ? "del\t" : "add\t");
  t.number(route_seq[static_cast<std::size_t>(o)]++);
  append_head(object, hash, attributes_hash, c);
  unsigned own = 0, related = 0;
  for (const RowPart part : object.layout) {
    t.append('\t');
    if (part == RowPart::kOwn) {
      codec.print(n, own++, nlri.withdrawn, t);
    } else if (part == RowPart::kRelated) {
      print_related(codec, n, related++, nlri, c);
    } else {
      print_part(part, codec, n, nlri, c);
    }
  }
  const RouteMarks* marks = nlri.withdrawn ? nullptr : c.marks;
  append_extra(t, marks);
  // Routes that were skipped are numbered, too.
  if (marks != nullptr) marks->append_columns(t, c.marks_placed && codec.skipped() == 0 ? n + 1 : 0);
  t.append('\n');
  if (openbmp_hashes_) put_openbmp_hash(object, c);
}

RouteWriter::Written RouteWriter::write_family(const Update& update, const FamilyRoutes& routes,
                                               const NlriContext& nlri, const Context& c, RouteRows& out) {
  Written done;
  FamilyCodec* codec = s_.codecs.find(nlri.family);
  if (codec == nullptr) return {.known_family = false};
  const NlriResult result = codec->parse(routes.nlri, nlri);
  if (result == NlriResult::kBad) return {.readable = false};
  done.routes = codec->size();
  done.skipped = codec->skipped();
  done.other_path_ids = result == NlriResult::kOkOtherForm;
  if (done.routes == 0) return done;
  char hash_text[kHexText];
  std::string_view hash;
  if (nlri.withdrawn) {
    print_empty_attributes();
  } else {
    codec->prepare(update.attributes);
    print_attributes(update, routes.next_hop);
    print_ls_attributes(update, routes.next_hop);
    const std::size_t each = kRowFixed + s_.attributes.size() + s_.large.size() + s_.extra.size() +
                             s_.ls_attributes.size() + codec->repeated_bytes() + mark_bytes(c);
    if (each > max_text / done.routes) return {.proportionate = false};
    put_hash(hash_text, write_shared(update, routes.next_hop, c, out));
    hash = {hash_text, kHexText};
  }
  for (std::size_t n = 0; n < done.routes; ++n) {
    const Object object = codec->object(n);
    print_row(*codec, n, nlri, hash, c);
    Rows* rows = &out.routes(object);
    if (rows->count != 0 && rows->text.size() + s_.row.size() > kFlushBytes) {
      out.flush_routes(object);
      rows = &out.routes(object);
    }
    rows->text.append(s_.row.view());
    ++rows->count;
  }
  return done;
}

}  // namespace bmpha::recv
