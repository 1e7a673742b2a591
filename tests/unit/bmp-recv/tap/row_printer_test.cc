#include "bmp-recv/tap/row_printer.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

using Json = nlohmann::ordered_json;
using Form = RowPrinter::Form;

std::vector<const ObjectInfo*> all_objects() {
  std::vector<const ObjectInfo*> all;
  for (std::size_t n = 0; n < kObjects; ++n) all.push_back(&object_info(static_cast<Object>(n)));
  return all;
}
std::vector<Column> all_columns(const ObjectInfo& o) {
  std::vector<Column> all(o.columns.begin(), o.columns.end());
  all.insert(all.end(), o.optional.begin(), o.optional.end());
  return all;
}

std::string wire_page() {
  const char* root = std::getenv("BMPHA_TEST_DATA");
  const std::string page = read_file(std::string(root == nullptr ? "tests/data" : root) + "/../../docs/wire.md");
  REQUIRE(!page.empty());
  return page;
}

// The list of docs/wire.md as it has to be.
std::string written(std::string_view name, std::span<const Column> columns) {
  std::string out, line = std::string(name) + ':';
  for (const Column& c : columns) {
    std::string word(c.name);
    if (c.kind == ColumnKind::kNumber) word += '#';
    if (c.kind == ColumnKind::kFlag) word += '?';
    if (c.kind == ColumnKind::kList || c.kind == ColumnKind::kCommaList) word += "[]";
    if (line.size() + 1 + word.size() > 118) {
      out += line + '\n';
      line = " ";
    }
    line += ' ' + word;
  }
  return out + line + '\n';
}

std::string message(std::string_view object, const std::vector<std::vector<std::string>>& rows) {
  std::string out = "V: 1.7\nT: " + std::string(object) + "\n\n";
  for (const auto& row : rows) {
    for (std::size_t n = 0; n < row.size(); ++n) out += (n == 0 ? "" : "\t") + row[n];
    out += '\n';
  }
  return out;
}

std::string print(Form form, const std::string& payload, const RowFilter& filter = {},
                  const RecordOrigin& origin = {}) {
  RowPrinter printer(form, filter);
  std::string out;
  CHECK(printer.print(origin, payload, out) == nullptr);
  return out;
}
std::vector<Json> json_lines(const std::string& text) {
  std::vector<Json> all;
  for (const std::string& line : split(text, '\n'))
    if (!line.empty()) all.push_back(Json::parse(line));
  return all;
}

// A row with a value of its kind in every column.
std::vector<std::string> full_row(const std::vector<Column>& columns) {
  std::vector<std::string> row;
  for (const Column& c : columns) {
    const std::string name(c.name);
    row.push_back(c.kind == ColumnKind::kNumber      ? "18446744073709551615"
                  : c.kind == ColumnKind::kFlag      ? "1"
                  : c.kind == ColumnKind::kList      ? "a b"
                  : c.kind == ColumnKind::kCommaList ? "1,2"
                                                     : name);
  }
  row[0] = "add";
  return row;
}

std::vector<std::string> route(const std::string& prefix, const std::string& length,
                               const std::string& peer_ip = "192.0.2.1", const std::string& pre = "1",
                               const std::string& in = "1") {
  const ObjectInfo& o = object_info(Object::kUnicastPrefix);
  std::vector<std::string> row(o.columns.size());
  const auto set = [&](std::string_view name, const std::string& value) {
    row[static_cast<std::size_t>(std::find(o.columns.begin(), o.columns.end(), name) - o.columns.begin())] = value;
  };
  row[0] = "add";
  set("router_hash", std::string(32, 'a'));
  set("router_ip", "192.0.2.254");
  set("peer_hash", std::string(32, 'b'));
  set("peer_ip", peer_ip);
  set("peer_asn", "65001");
  set("prefix", prefix);
  set("prefix_len", length);
  set("is_pre_policy", pre);
  set("is_adj_rib_in", in);
  return row;
}

}  // namespace

TEST_CASE("docs/wire.md lists the columns of every object and what they hold") {
  std::string want = "```\n";
  for (const ObjectInfo* o : all_objects()) want += written(o->name, o->columns);
  // What may stand behind them: the first of routes and base_attribute, both of routes, the last of peer.
  const std::span<const Column> more = object_info(Object::kUnicastPrefix).optional;
  const std::size_t attributes = extra_attribute_columns().size();
  want += written("attributes", more.first(attributes)) + written("marks", more.subspan(attributes));
  want += written("label", object_info(Object::kPeer).optional);
  want += "```\n";
  const std::string page = wire_page();
  const std::size_t section = page.find("\n### Names of the columns\n");
  REQUIRE(section != std::string::npos);
  const std::size_t begin = page.find("```\n", section), end = page.find("```\n", begin + 4);
  REQUIRE(end != std::string::npos);
  CHECK(page.substr(begin, end + 4 - begin) == want);
  // Their number stands in the table of objects.
  for (const ObjectInfo* o : all_objects()) {
    const std::string line = "\n| `" + std::string(o->name) + "` | " + std::to_string(o->columns.size()) + " | ";
    CHECK_MESSAGE(page.find(line) != std::string::npos, line);
  }
}

TEST_CASE("JSON has the object, where it comes from, and every column by its name and kind") {
  RecordOrigin origin;
  origin.epoch = 7;
  origin.node = "collector-1";
  for (const ObjectInfo* o : all_objects()) {
    CAPTURE(o->name);
    const std::vector<Column> columns = all_columns(*o);
    const bool has_view = std::find(columns.begin(), columns.end(), std::string_view("is_adj_rib_in")) != columns.end();
    std::vector<std::string> keys{"object", "action"};
    if (has_view) keys.emplace_back("view");
    keys.insert(keys.end(), {"epoch", "node"});
    for (std::size_t n = 1; n < columns.size(); ++n) keys.emplace_back(columns[n].name);
    const std::vector<Json> lines = json_lines(print(
        Form::kJson, message(o->name, {full_row(columns), std::vector<std::string>(columns.size())}), {}, origin));
    REQUIRE(lines.size() == 2);
    for (const Json& line : lines) {
      std::vector<std::string> got;
      for (const auto& [key, value] : line.items()) got.push_back(key);
      CHECK(got == keys);
      CHECK(line["object"] == o->name);
      CHECK(line["epoch"] == 7);
      CHECK(line["node"] == "collector-1");
    }
    CHECK(lines[0]["action"] == "add");
    if (has_view) CHECK(lines[0]["view"] == "in-pre");
    for (std::size_t n = 1; n < columns.size(); ++n) {
      const std::string name(columns[n].name);
      CAPTURE(name);
      const Json &full = lines[0][name], &empty = lines[1][name];
      switch (columns[n].kind) {
        case ColumnKind::kNumber:
          CHECK(full == UINT64_MAX);
          CHECK(empty.is_null());
          break;
        case ColumnKind::kFlag:
          CHECK(full == true);
          CHECK(empty.is_null());
          break;
        case ColumnKind::kList:
          CHECK(full == Json{"a", "b"});
          CHECK(empty == Json::array());
          break;
        case ColumnKind::kCommaList:
          CHECK(full == Json{"1", "2"});
          CHECK(empty == Json::array());
          break;
        case ColumnKind::kText:
          CHECK(full == name);
          CHECK(empty == "");
          break;
      }
    }
  }
}

TEST_CASE("the lists of JSON are communities of all kinds and labels, wherever they stand") {
  for (const ObjectInfo* o : all_objects())
    for (const Column& c : o->columns) {
      CAPTURE(o->name);
      CAPTURE(std::string(c.name));
      const bool is_list = c == "communities" || c == "large_communities" || c == "ext_communities";
      CHECK((c.kind == ColumnKind::kList) == is_list);
      CHECK((c.kind == ColumnKind::kCommaList) == (c == "labels"));
      CHECK((c.kind == ColumnKind::kFlag) == c.name.starts_with("is_"));
    }
}

TEST_CASE("the view of a route is told by its flags and its peer") {
  const struct {
    const char *pre, *in, *peer_ip, *want;
  } cases[] = {{"1", "1", "192.0.2.1", "in-pre"},
               {"0", "1", "192.0.2.1", "in-post"},
               {"1", "0", "192.0.2.1", "out-pre"},
               {"0", "0", "192.0.2.1", "out-post"},
               {"0", "0", "::", "loc-rib"}};
  for (const auto& c : cases) {
    const std::string payload = message("unicast_prefix", {route("10.0.0.0", "8", c.peer_ip, c.pre, c.in)});
    CHECK(json_lines(print(Form::kJson, payload)).at(0)["view"] == c.want);
    CHECK(print(Form::kText, payload).starts_with("unicast_prefix add view=" + std::string(c.want) + ' '));
  }
}

TEST_CASE("filters leave out what does not have what they ask for") {
  const std::string routes = message("unicast_prefix", {route("10.1.0.0", "16"), route("10.1.2.0", "24", "192.0.2.2"),
                                                        route("2001:db8:1::", "48"), route("10.0.0.0", "8")});
  const auto prefixes = [&](const RowFilter& filter) {
    std::string out;
    for (const Json& line : json_lines(print(Form::kJson, routes, filter)))
      out += line["prefix"].get<std::string>() + '/' + std::to_string(line["prefix_len"].get<int>()) + ' ';
    return out;
  };
  const auto within = [](const char* text) {
    RowFilter filter;
    REQUIRE(parse_ip_prefix(text, filter.prefixes.emplace_back()));
    return filter;
  };
  const std::string all = "10.1.0.0/16 10.1.2.0/24 2001:db8:1::/48 10.0.0.0/8 ";
  CHECK(prefixes({}) == all);
  CHECK(prefixes(within("10.1.0.0/16")) == "10.1.0.0/16 10.1.2.0/24 ");
  CHECK(prefixes(within("10.1.2.3/32")).empty());
  CHECK(prefixes(within("2001:db8::/32")) == "2001:db8:1::/48 ");
  CHECK(prefixes({{}, {"192.0.2.2"}, {}, {}}) == "10.1.2.0/24 ");
  CHECK(prefixes({{}, {"AS65001"}, {}, {}}) == all);
  CHECK(prefixes({{}, {"AS6500"}, {}, {}}).empty());
  CHECK(prefixes({{}, {std::string(32, 'b')}, {}, {}}) == all);
  CHECK(prefixes({{"192.0.2.254"}, {}, {}, {}}) == all);
  CHECK(prefixes({{std::string(32, 'a')}, {}, {}, {}}) == all);
  CHECK(prefixes({{"192.0.2.1"}, {}, {}, {}}).empty());
  CHECK(prefixes({{}, {}, {"peer"}, {}}).empty());
  CHECK(prefixes({{}, {}, {"peer", "unicast_prefix"}, {}}) == all);
}

TEST_CASE("a router is found by its name once its own row has passed") {
  std::vector<std::string> row(object_info(Object::kRouter).columns.size());
  row[0] = "init";
  row[2] = "edge1";
  row[3] = std::string(32, 'a');
  RowFilter filter;
  filter.routers = {"edge1"};
  filter.types = {"unicast_prefix"};
  RowPrinter printer(Form::kText, filter);
  std::string out;
  const std::string routes = message("unicast_prefix", {route("10.0.0.0", "8")});
  CHECK(printer.print({}, routes, out) == nullptr);
  CHECK(out.empty());
  CHECK(printer.print({}, message("router", {row}), out) == nullptr);
  CHECK(out.empty());
  CHECK(printer.print({}, routes, out) == nullptr);
  CHECK(split(out, '\n').size() == 2);
}

TEST_CASE("a topic may hold what others wrote: every line is JSON all the same") {
  std::vector<std::string> row = route("\"10.0.0.0\\", "08");
  row[4] = "\xff\xc3\xa4\xed\xa0\x80\x01";  // not UTF-8, UTF-8, a surrogate, a control character
  row.resize(45, "more");
  const std::vector<Json> lines = json_lines(print(Form::kJson, message("unicast_prefix", {row})));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["prefix"] == "\"10.0.0.0\\");
  CHECK(lines[0]["prefix_len"] == "08");  // no number
  CHECK(lines[0]["router_ip"] == "?\xc3\xa4???\x01");
  CHECK(lines[0]["column_45"] == "more");
  CHECK(json_lines(print(Form::kJson, message("foreign", {{"x", "y"}}))).at(0) ==
        Json{{"object", "foreign"}, {"action", "x"}, {"epoch", nullptr}, {"node", nullptr}, {"column_2", "y"}});
  CHECK(print(Form::kText, message("foreign", {{"x y", "", "z\t"}})) == "foreign \"x y\" column_3=z\n");
}

TEST_CASE("a payload that is cut is told, and what was whole is printed") {
  const std::string payload = message("unicast_prefix", {route("10.0.0.0", "8"), route("10.1.0.0", "16")});
  const std::size_t head = payload.find("\n\n") + 2, first = payload.find('\n', head) + 1;
  for (std::size_t n = 0; n <= payload.size(); ++n) {
    CAPTURE(n);
    RowPrinter printer(Form::kText, {});
    std::string out;
    const bool whole = n == head || n == first || n == payload.size();
    CHECK((printer.print({}, std::string_view(payload).substr(0, n), out) == nullptr) == whole);
    CHECK(printer.rows() == (n < first ? 0U : n < payload.size() ? 1U : 2U));
  }
}

TEST_CASE("printing stops after the rows that were asked for") {
  RowPrinter printer(Form::kText, {});
  printer.set_limit(3);
  std::string out;
  const std::string payload = message("unicast_prefix", {route("10.0.0.0", "8"), route("10.1.0.0", "16")});
  CHECK(printer.print({}, payload, out) == nullptr);
  CHECK(!printer.is_done());
  CHECK(printer.print({}, payload, out) == nullptr);
  CHECK(printer.is_done());
  CHECK(printer.rows() == 3);
}
