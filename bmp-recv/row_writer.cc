#include "bmp-recv/row_writer.h"

#include "bmp-recv/attribute_text.h"
#include "bmp-recv/statistics.h"

namespace bmpha::recv {
namespace {

constexpr std::uint32_t kYear2000 = 946684800;
constexpr std::size_t kNameLimit = 200;
constexpr std::size_t kTextLimit = 255;
constexpr std::size_t kLongLimit = 4096;

char* put_peer_ip(char* p, const PeerHeader& h) {
  static constexpr std::array<std::uint8_t, 16> kAny{};
  if (h.is_loc_rib()) return put_ipv6(p, kAny.data());
  return h.prints_v4() ? put_ipv4(p, h.address.data() + 12) : put_ipv6(p, h.address.data());
}

// Column by column; the separator stands before each column but the first.
class Row {
 public:
  Row(Rows& rows, const char* action) : rows_(rows), text_(rows.text) { text_.append(action); }
  ~Row() {
    text_.append('\n');
    ++rows_.count;
  }
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;

  Row& number(std::uint64_t v) {
    text_.append('\t');
    text_.number(v);
    return *this;
  }
  Row& plain(std::string_view s) {
    text_.append('\t');
    text_.append(s);
    return *this;
  }
  Row& cleaned(std::string_view s, std::size_t limit) {
    text_.append('\t');
    append_clean(text_, s, limit);
    return *this;
  }
  Row& flag(bool v) { return plain(v ? "1" : "0"); }
  Row& empty(std::size_t columns) {
    for (std::size_t n = 0; n < columns; ++n) text_.append('\t');
    return *this;
  }
  Row& stamp(const Stamp& s) {
    TimestampText format;
    text_.append('\t');
    text_.commit(format.put(text_.room(kTimestampText), s.seconds, s.micros));
    return *this;
  }
  Row& ipv4(const std::array<std::uint8_t, 4>& a) {
    text_.append('\t');
    text_.commit(put_ipv4(text_.room(kMaxIpText), a.data()));
    return *this;
  }
  Row& peer_ip(const PeerHeader& h) {
    text_.append('\t');
    text_.commit(put_peer_ip(text_.room(kMaxIpText), h));
    return *this;
  }
  // A column that is written straight into the text.
  TextBuffer& open() {
    text_.append('\t');
    return text_;
  }

 private:
  Rows& rows_;
  TextBuffer& text_;
};

std::string address_text(const std::uint8_t* sixteen, bool v4) {
  char text[kMaxIpText];
  const char* end = v4 ? put_ipv4(text, sixteen + 12) : put_ipv6(text, sixteen);
  return {text, static_cast<std::size_t>(end - text)};
}

// Columns 2 to 11 of a peer row.
void begin_peer(Row& r, const PeerRow& row) {
  r.number(row.seq).plain(row.peer_hash).plain(row.router.hash).empty(1).ipv4(row.header.bgp_id);
  r.plain(row.router.ip).stamp(row.stamp).number(row.header.asn).peer_ip(row.header);
  append_rd(r.open(), row.header.distinguisher);
}
// Columns 26 to 31, and the 32nd where there is something to say in it.
void end_peer(Row& r, const PeerHeader& h, const PeerInfo& info) {
  r.flag(h.type == static_cast<std::uint8_t>(PeerType::kRdInstance)).flag(h.is_pre_policy()).flag(h.prints_v4());
  r.flag(h.is_loc_rib()).flag(h.is_loc_rib_filtered()).cleaned(info.table_name, kTextLimit);
  if (!info.admin_label.empty()) r.cleaned(info.admin_label, kTextLimit);
}

void append_down_text(TextBuffer& out, const PeerDown& down) {
  const std::size_t before = out.size();
  if (down.is(DownReason::kLocalNotification) || down.is(DownReason::kRemoteNotification)) {
    append_notification(out, down.error_code, down.error_subcode, down.error_data);
  } else if (down.is(DownReason::kLocalEvent)) {
    out.append("local system closed, FSM event ");
    out.number(down.fsm_event);
  }
  if (down.info.empty()) return;
  if (out.size() != before) out.append("; ");
  append_clean(out, down.info, 128);
}

// Columns 2 to 8 of both objects of statistics.
void begin_stat(Row& r, const PeerRow& row) {
  r.number(row.seq).plain(row.router.hash).plain(row.router.ip).plain(row.peer_hash).peer_ip(row.header);
  r.number(row.header.asn).stamp(row.stamp);
}

}  // namespace

bool fits_bmp_stat(const Statistic& s) { return s.type < kBmpStatTypes && s.has_value && !s.has_family; }

Stamp stamp_of(std::int64_t wall_us) { return {wall_us / 1000000, static_cast<std::uint32_t>(wall_us % 1000000)}; }
Stamp stamp_of(const PeerHeader& h, std::int64_t receipt_us) {
  return h.seconds < kYear2000 ? stamp_of(receipt_us) : Stamp{h.seconds, h.micros};
}

std::string peer_ip_text(const PeerHeader& h) {
  char text[kMaxIpText];
  const char* end = put_peer_ip(text, h);
  return {text, static_cast<std::size_t>(end - text)};
}

void append_peer_first(Rows& rows, const PeerRow& row) {
  Row r(rows, "first");
  begin_peer(r, row);
  r.empty(14);
  end_peer(r, row.header, {});
}

void append_peer_up(Rows& rows, const PeerRow& row, const PeerUp& up, const Open* sent, const Open* received) {
  Row r(rows, "up");
  begin_peer(r, row);
  r.number(up.remote_port);
  if (sent != nullptr) {
    r.number(sent->asn);
  } else {
    r.empty(1);
  }
  r.plain(address_text(up.local_address.data(), row.header.prints_v4())).number(up.local_port);
  if (sent != nullptr) {
    r.ipv4(sent->bgp_id);
  } else {
    r.empty(1);
  }
  r.cleaned(up.info, kTextLimit);
  for (const Open* open : {sent, received}) {
    if (open != nullptr) {
      append_capabilities(r.open(), *open, kLongLimit);
    } else {
      r.empty(1);
    }
  }
  for (const Open* open : {received, sent}) {
    if (open != nullptr) {
      r.number(open->hold_time);
    } else {
      r.empty(1);
    }
  }
  r.empty(4);
  end_peer(r, row.header, up);
}

void append_peer_down(Rows& rows, const PeerRow& row, const PeerDown& down) {
  Row r(rows, "down");
  begin_peer(r, row);
  r.empty(10).number(down.reason).number(down.error_code).number(down.error_subcode);
  append_down_text(r.open(), down);
  end_peer(r, row.header, down);
}

void append_stat(Rows& rows, const PeerRow& row, const Statistics& statistics) {
  std::array<std::uint64_t, kBmpStatTypes> value{};  // the object has no more columns (contract P13)
  for (const Statistic& s : statistics.all)
    if (fits_bmp_stat(s)) value[s.type] += s.value;
  Row r(rows, "add");
  begin_stat(r, row);
  for (const std::uint64_t v : value) r.number(v);
}

void append_stat_ext(Rows& rows, const PeerRow& row, const Statistic& s) {
  Row r(rows, "add");
  begin_stat(r, row);
  const std::string_view name = statistic_name(s.type);
  r.number(s.type).plain(name);
  if (s.has_family) {
    r.number(s.family.afi).number(s.family.safi);
  } else {
    r.empty(2);
  }
  if (s.has_value) {
    r.number(s.value);
  } else {
    r.empty(1);
  }
  if (name.empty() || !s.has_value) {
    TextBuffer& out = r.open();
    out.commit(put_hex(out.room(2 * s.raw.size()), s.raw));
  } else {
    r.empty(1);
  }
}

void append_eor(Rows& rows, const PeerRow& row, const Family& family) {
  Row r(rows, "add");
  r.number(row.seq).plain(row.peer_hash).plain(row.router.hash).plain(row.router.ip).peer_ip(row.header);
  r.number(row.header.asn).stamp(row.stamp).number(family.afi).number(family.safi);
  r.flag(row.header.is_pre_policy()).flag(row.header.is_adj_in());
}

void append_router_init(Rows& rows, std::uint64_t seq, const RouterText& router, const Initiation& init, Stamp stamp) {
  Row r(rows, "init");
  r.number(seq).cleaned(init.sys_name, kNameLimit).plain(router.hash).plain(router.ip);
  r.cleaned(init.sys_descr, kTextLimit).number(0).empty(1).cleaned(init.text, kLongLimit).empty(1).stamp(stamp);
  r.empty(1);  // BGP id: must stay empty (contract P7)
}

void append_collector(Rows& rows, const CollectorRow& row) {
  Row r(rows, row.action);
  r.number(row.seq).cleaned(row.collector_id, 64).plain(row.collector_hash).plain(row.routers);
  r.number(row.router_count).stamp(row.stamp);
}

}  // namespace bmpha::recv
