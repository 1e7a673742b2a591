#include "bmp-recv/tap/row_printer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

#include "bmp-recv/obmp_raw.h"
#include "bmp-recv/text.h"
#include "common/text_message.h"
#include "common/utf8.h"

namespace bmpha::recv {
namespace {

template <class A>
bool is_one_of(const A& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool is_decimal(std::string_view s) {
  return !s.empty() && s.size() <= 20 && s.find_first_not_of("0123456789") == std::string_view::npos &&
         (s.size() == 1 || s[0] != '0');
}

// What our tools write is clean already; a topic may hold what others wrote.
void append_json(std::string& out, std::string_view s) {
  out += '"';
  while (!s.empty()) {
    const char c = s[0];
    std::size_t size = 1;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else if (size = utf8_length(s); size != 0) {
      out.append(s.substr(0, size));
    } else {
      out += '?';
      size = 1;
    }
    s.remove_prefix(size);
  }
  out += '"';
}

void append_list(std::string& out, std::string_view s, char separator) {
  out += '[';
  bool first = true;
  while (!s.empty()) {
    const std::size_t end = std::min(s.find(separator), s.size());
    if (end > 0) {
      if (!first) out += ',';
      append_json(out, s.substr(0, end));
      first = false;
    }
    s.remove_prefix(std::min(end + 1, s.size()));
  }
  out += ']';
}

// A word of text form: quoted when it could be taken for more than one.
void append_word(std::string& out, std::string_view s) {
  const bool plain = s.find_first_of(" \"") == std::string_view::npos &&
                     std::all_of(s.begin(), s.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x20; });
  if (plain) {
    out += s;
  } else {
    append_json(out, s);
  }
}

void split_row(std::string_view row, std::vector<std::string_view>& out) {
  out.clear();
  for (;;) {
    const std::size_t end = row.find('\t');
    out.push_back(row.substr(0, end));
    if (end == std::string_view::npos) return;
    row.remove_prefix(end + 1);
  }
}

std::string_view at(const std::vector<std::string_view>& row, std::size_t place) {
  return place < row.size() ? row[place] : std::string_view();
}

}  // namespace

const RowPrinter::Plan& RowPrinter::plan_of(std::string_view object) {
  if (const auto found = plans_.find(object); found != plans_.end()) return found->second;
  constexpr std::size_t kMaxObjects = 1000;  // names come from outside
  if (plans_.size() >= kMaxObjects) plans_.clear();
  Plan p;
  p.object = object;
  if (const ObjectInfo* info = find_object(object)) {
    p.columns.assign(info->columns.begin(), info->columns.end());
    p.columns.insert(p.columns.end(), info->optional.begin(), info->optional.end());
  }
  const auto place = [&](std::string_view name) {
    const auto found = std::find(p.columns.begin(), p.columns.end(), name);
    return found == p.columns.end() ? kNone : static_cast<std::size_t>(found - p.columns.begin());
  };
  const bool is_router = object == "router", is_peer = object == "peer";
  p.in = place("is_adj_rib_in");
  p.pre = p.in == kNone ? kNone : place("is_pre_policy");
  p.router_hash = place(is_router ? "hash" : "router_hash");
  p.router_ip = place(is_router ? "ip" : "router_ip");
  p.router_name = is_router ? place("name") : kNone;
  p.peer_hash = place(is_peer ? "hash" : "peer_hash");
  p.peer_ip = place(is_peer ? "remote_ip" : "peer_ip");
  p.peer_asn = place(is_peer ? "remote_asn" : "peer_asn");
  p.prefix = place("prefix");
  p.prefix_length = place("prefix_len");
  return plans_.emplace(object, std::move(p)).first->second;
}

bool RowPrinter::type_wanted(std::string_view object) const {
  return filter_.types.empty() || is_one_of(filter_.types, object);
}

bool RowPrinter::router_wanted(std::string_view hash, std::string_view ip) const {
  return filter_.routers.empty() || is_one_of(filter_.routers, hash) ||
         (!ip.empty() && is_one_of(filter_.routers, ip)) || named_routers_.contains(hash);
}

bool RowPrinter::prefix_wanted(const Plan& plan, const Row& row) const {
  if (filter_.prefixes.empty()) return true;
  IpPrefix p;
  if (!parse_ip_prefix(fmt::format("{}/{}", at(row, plan.prefix), at(row, plan.prefix_length)), p)) return false;
  return std::any_of(filter_.prefixes.begin(), filter_.prefixes.end(),
                     [&](const IpPrefix& f) { return f.length <= p.length && f.contains(p.address); });
}

bool RowPrinter::wanted(const Plan& plan, const Row& row) const {
  if (!router_wanted(at(row, plan.router_hash), at(row, plan.router_ip))) return false;
  if (!filter_.peers.empty()) {
    const std::string_view hash = at(row, plan.peer_hash), ip = at(row, plan.peer_ip), asn = at(row, plan.peer_asn);
    const bool found = std::any_of(filter_.peers.begin(), filter_.peers.end(), [&](const std::string& f) {
      return !hash.empty() && (f == hash || f == ip || (f.starts_with("AS") && asn == std::string_view(f).substr(2)));
    });
    if (!found) return false;
  }
  return prefix_wanted(plan, row);
}

const char* RowPrinter::print(const RecordOrigin& origin, std::string_view payload, std::string& out) {
  if (is_done()) return nullptr;
  if (origin.kind == RecordKind::kRaw) {
    print_raw(origin, payload, out);
    return nullptr;
  }
  if (is_session_mark(origin.kind) || is_control(origin.kind)) {
    print_mark(origin, payload, out);
    return nullptr;
  }
  return print_rows(origin, payload, out);
}

const char* RowPrinter::print_rows(const RecordOrigin& origin, std::string_view payload, std::string& out) {
  TextMessage message;
  if (const char* why = parse_framing(payload, message); why != nullptr) return why;
  const Plan& plan = plan_of(message.object);
  const bool print = type_wanted(message.object);
  if (!print && plan.router_name == kNone) return nullptr;
  RowCursor cursor(message.rows);
  std::string_view row;
  bool complete = false;
  while (!is_done() && cursor.next(row, complete)) {
    if (!complete) return "a row without an end";
    split_row(row, row_);
    if (plan.router_name != kNone && is_one_of(filter_.routers, at(row_, plan.router_name)))
      named_routers_.emplace(at(row_, plan.router_hash));
    if (print && wanted(plan, row_)) print_row(plan, row_, origin, out);
  }
  return nullptr;
}

void RowPrinter::print_row(const Plan& plan, const Row& row, const RecordOrigin& origin, std::string& out) {
  ++rows_;
  if (form_ == Form::kJson)
    print_json(plan, row, origin, out);
  else
    print_text(plan, row, origin, out);
  out += '\n';
}

namespace {

// A Loc-RIB peer has no address of its own, and both flags are 0 in its rows, as they are in those of Adj-RIB-Out.
const char* view_text(std::string_view pre, std::string_view in, std::string_view peer_ip) {
  if (in == "1") return pre == "1" ? "in-pre" : "in-post";
  if (pre == "1") return "out-pre";
  return peer_ip == "::" ? "loc-rib" : "out-post";
}

void append_origin(std::string& out, const RecordOrigin& o) {
  if (o.epoch)
    fmt::format_to(std::back_inserter(out), ",\"epoch\":{}", *o.epoch);
  else
    out += ",\"epoch\":null";
  out += ",\"node\":";
  if (o.node.empty())
    out += "null";
  else
    append_json(out, o.node);
}

}  // namespace

void RowPrinter::print_json(const Plan& plan, const Row& row, const RecordOrigin& origin, std::string& out) const {
  out += "{\"object\":";
  append_json(out, plan.object);
  out += ",\"action\":";
  append_json(out, at(row, 0));
  if (plan.in != kNone) {
    out += ",\"view\":\"";
    out += view_text(at(row, plan.pre), at(row, plan.in), at(row, plan.peer_ip));
    out += '"';
  }
  append_origin(out, origin);
  for (std::size_t n = 1; n < row.size(); ++n) {
    const bool is_known = n < plan.columns.size();
    out += ',';
    if (is_known)
      append_json(out, plan.columns[n].name);
    else
      fmt::format_to(std::back_inserter(out), "\"column_{}\"", n + 1);
    out += ':';
    const std::string_view v = row[n];
    switch (is_known ? plan.columns[n].kind : ColumnKind::kText) {
      case ColumnKind::kList:
        append_list(out, v, ' ');
        continue;
      case ColumnKind::kCommaList:
        append_list(out, v, ',');
        continue;
      case ColumnKind::kFlag:
        if (v == "0" || v == "1") {
          out += v == "1" ? "true" : "false";
          continue;
        }
        break;
      case ColumnKind::kNumber:
        if (is_decimal(v)) {
          out += v;
          continue;
        }
        break;
      case ColumnKind::kText:
        append_json(out, v);
        continue;
    }
    if (v.empty())
      out += "null";
    else
      append_json(out, v);
  }
  out += '}';
}

// Columns with a value only.
void RowPrinter::print_text(const Plan& plan, const Row& row, const RecordOrigin& origin, std::string& out) const {
  out += plan.object;
  out += ' ';
  append_word(out, at(row, 0));
  if (plan.in != kNone) {
    out += " view=";
    out += view_text(at(row, plan.pre), at(row, plan.in), at(row, plan.peer_ip));
  }
  if (origin.epoch) fmt::format_to(std::back_inserter(out), " epoch={}", *origin.epoch);
  if (!origin.node.empty()) {
    out += " node=";
    append_word(out, origin.node);
  }
  for (std::size_t n = 1; n < row.size(); ++n) {
    if (row[n].empty()) continue;
    out += ' ';
    if (n < plan.columns.size())
      out += plan.columns[n].name;
    else
      fmt::format_to(std::back_inserter(out), "column_{}", n + 1);
    out += '=';
    append_word(out, row[n]);
  }
}

// Begin, end, synced, run, ...: of a whole router, with no row of their own.
void RowPrinter::print_mark(const RecordOrigin& origin, std::string_view payload, std::string& out) {
  const std::string hash = to_hex(origin.router);
  const char* kind = kind_name(origin.kind);
  if (!type_wanted(kind) || !filter_.peers.empty() || !filter_.prefixes.empty() || !router_wanted(hash, {})) return;
  Plan plan;
  plan.object = kind;
  plan.columns = {"action", "router_hash", "name"};
  row_ = {"mark", hash};
  if (!payload.empty()) row_.push_back(payload);
  print_row(plan, row_, origin, out);
}

void RowPrinter::print_raw(const RecordOrigin& origin, std::string_view payload, std::string& out) {
  if (!type_wanted("bmp_raw") || !filter_.peers.empty() || !filter_.prefixes.empty()) return;
  RawMessage raw;
  if (!parse_obmp_raw(as_bytes(payload), raw)) return;
  const std::string hash = to_hex(raw.router), ip = ip_text(raw.router_ip), size = std::to_string(raw.message.size());
  if (!router_wanted(hash, ip)) return;
  const std::string collector = to_hex(raw.collector);
  std::string time(kTimestampText, '\0'), hex(2 * raw.message.size(), '\0');
  TimestampText().put(time.data(), raw.receipt_us / 1000000, static_cast<std::uint32_t>(raw.receipt_us % 1000000));
  put_hex(hex.data(), raw.message);
  static const Plan kPlan = [] {
    Plan p;
    p.object = "bmp_raw";
    p.columns = {"action",         "router_hash", "router_ip", "router_group",
                 "collector_hash", "admin_id",    "timestamp", {"size", ColumnKind::kNumber},
                 "message"};
    return p;
  }();
  row_ = {"add", hash, ip, raw.router_group, collector, raw.admin_id, time, size, hex};
  print_row(kPlan, row_, origin, out);
}

}  // namespace bmpha::recv
