// A Kafka value as psql-sink and bmp-tap read it. The first byte chooses: a whole value, or a row of one object behind
// headers that are made.
#include <nlohmann/json.hpp>

#include "bmp-recv/tap/row_printer.h"
#include "psql-sink/attribute_set.h"
#include "psql-sink/text_rows.h"
#include "tests/fuzz/checks.h"

namespace {
using namespace bmpha;
using fuzz::require;

constexpr std::string_view kObjects[] = {"unicast_prefix", "peer", "router", "bmp_stat", "eor", "collector", "l3vpn"};

void read_row(std::string_view object, std::string_view row) {
  static sink::RowReader reader;
  if (object == "unicast_prefix") {
    sink::UnicastRow r;
    sink::Columns columns;
    if (reader.unicast(row, r, columns) != nullptr || r.withdrawn) return;
    sink::AttributeSet set;
    const char* const why = sink::parse_attributes(r, columns, set);
    require(why != nullptr || set.origin_as.has_value() >= r.origin_as.has_value());
    (void)reader.hash_attributes(columns);
  } else if (object == "peer") {
    sink::PeerRow r;
    (void)reader.peer(row, r);
  } else if (object == "router") {
    sink::RouterRow r;
    if (reader.router(row, r) == nullptr) require(sink::clean_text(r.name, 20).size() <= 20);
  } else if (object == "bmp_stat") {
    sink::StatRow r;
    (void)reader.stat(row, r);
  } else if (object == "eor") {
    sink::EorRow r;
    (void)reader.eor(row, r);
  } else if (object == "collector") {
    sink::CollectorRow r;
    (void)reader.collector(row, r);
  }
}

// Every line is JSON, whatever stands in the value.
void print_all(std::string_view value) {
  static std::string out;
  for (const auto form : {recv::RowPrinter::Form::kJson, recv::RowPrinter::Form::kText}) {
    recv::RowPrinter printer(form, {});
    out.clear();
    (void)printer.print({}, value, out);
    require(fuzz::count_of(out, '\n') == printer.rows());
    if (form == recv::RowPrinter::Form::kText) continue;
    for (std::size_t at = 0; at < out.size();) {
      const std::size_t end = out.find('\n', at);
      require(nlohmann::json::accept(out.begin() + static_cast<std::ptrdiff_t>(at),
                                     out.begin() + static_cast<std::ptrdiff_t>(end)));
      at = end + 1;
    }
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static std::string value;
  value.clear();
  if (const unsigned object = data[0] % (std::size(kObjects) + 1); object < std::size(kObjects))
    value.append("V: 1.7\nT: ").append(kObjects[object]).append("\n\n");
  value.append(reinterpret_cast<const char*>(data + 1), size - 1);
  TextMessage message;
  if (parse_framing(value, message) == nullptr) {
    require(!message.object.empty() && message.rows.size() <= value.size());
    RowCursor cursor(message.rows);
    std::string_view row;
    bool complete = false;
    while (cursor.next(row, complete)) {
      require(row.find('\n') == std::string_view::npos);
      read_row(message.object, row);
    }
  }
  print_all(value);
  return 0;
}
