// A session under fuzzing: messages go in, and every record that comes out must be what its envelope and headers say;
// the rows of an object must all have its number of columns.
#pragma once

#include <charconv>
#include <cstring>
#include <string>
#include <string_view>

#include "bmp-recv/framer.h"
#include "bmp-recv/objects.h"
#include "bmp-recv/obmp_raw.h"
#include "bmp-recv/session_decoder.h"
#include "tests/fuzz/checks.h"

namespace bmpha::fuzz {

class RecordCheck : public recv::RecordSink {
 public:
  void on_record(const recv::Record& record) override {
    Result<Envelope> e = decode_envelope(record.bytes());
    require(e.is_ok() && e.value().seq == ++seq_);
    require(e.value().drained_time <= e.value().read_time);
    const Bytes bytes = record.bytes().subspan(kEnvelopeSize);
    if (is_session_mark(record.kind) || is_control(record.kind)) return;
    if (record.kind == RecordKind::kRaw) {
      recv::RawMessage raw;
      require(recv::parse_obmp_raw(bytes, raw));
      return;
    }
    const std::string_view payload(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::size_t blank = payload.find("\n\n");
    require(blank != std::string_view::npos && payload.starts_with("V: 1.7\n"));
    const std::string_view head = payload.substr(0, blank + 1), data = payload.substr(blank + 2);
    require(number(head, "\nL: ") == data.size());
    require(number(head, "\nR: ") == e.value().rows);
    check_rows(header(head, "\nT: "), data, e.value().rows);
  }

 private:
  static std::string_view header(std::string_view head, std::string_view key) {
    const std::size_t at = head.find(key);
    require(at != std::string_view::npos);
    const std::size_t begin = at + key.size();
    return head.substr(begin, head.find('\n', begin) - begin);
  }
  static std::size_t number(std::string_view head, std::string_view key) {
    const std::string_view text = header(head, key);
    std::size_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    require(error == std::errc() && end == text.data() + text.size());
    return n;
  }
  static void check_rows(std::string_view object, std::string_view data, std::size_t want) {
    const recv::ObjectInfo* info = recv::find_object(object);
    require(info != nullptr);
    const std::size_t columns = info->columns.size(), extra = columns + recv::extra_attribute_columns().size(),
                      optional = columns + info->optional.size();
    std::size_t rows = 0;
    while (!data.empty()) {
      const std::size_t end = data.find('\n');
      require(end != std::string_view::npos);
      const std::string_view row = data.substr(0, end);
      require(is_column(row, true));
      const std::size_t count = count_of(row, '\t') + 1;
      require(count == columns || count == extra || count == optional);
      data.remove_prefix(end + 1);
      ++rows;
    }
    require(rows == want);
  }
  std::uint64_t seq_ = 0;
};

struct SessionForm {
  bool openbmp_hashes = false;
  bool publish_raw = false;
};

// Reads a whole stream in passes of seven messages.
inline void run_session(Bytes stream, const SessionForm& form) {
  using namespace bmpha::recv;
  RecordCheck check;
  static DecoderShared shared;  // scratch space only: what one session leaves behind is of no effect on the next
  SessionDecoder::Settings s;
  s.identity = {router_hash("fuzz", "r"), {1, 1}, collector_hash("fuzz"), form.openbmp_hashes};
  s.router_ip = "192.0.2.1";
  s.name = "fuzz";
  s.publish_raw = form.publish_raw;
  s.collector_id = "fuzz";
  SessionDecoder decoder(std::move(s), shared, check);
  ReadTimes times{BootTime(Nanos(2)), BootTime(Nanos(1)), 1700000000000000};
  decoder.begin(times);
  std::size_t at = 0;
  BmpFrame f;
  decoder.begin_pass(times);
  for (unsigned n = 1; next_frame(stream.subspan(at), f) == FrameState::kFrame; ++n) {
    decoder.on_frame(f, at);
    at += f.size;
    if (n % 7 != 0) continue;
    decoder.end_pass();
    times.read += Millis{20000};
    decoder.poll_dump(times);
    decoder.begin_pass(times);
  }
  decoder.end_pass();
  decoder.end(times);
}

}  // namespace bmpha::fuzz
