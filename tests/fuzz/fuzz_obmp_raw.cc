// A record of the topic of raw messages: what can be read must be written alike.
#include "bmp-recv/obmp_raw.h"
#include "tests/fuzz/checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bmpha;
  using namespace bmpha::recv;
  using fuzz::require;
  RawMessage raw, again;
  if (!parse_obmp_raw(Bytes(data, size), raw)) return 0;
  static TextBuffer out;
  static std::string scratch;
  out.clear();
  append_obmp_raw(out, raw, scratch);
  require(out.size() <= size);
  require(parse_obmp_raw(as_bytes(out.view()), again));
  require(raw.collector == again.collector && raw.router == again.router && raw.router_ip == again.router_ip);
  require(raw.router_group.substr(0, kMaxObmpText) == again.router_group);
  require(raw.admin_id.substr(0, kMaxObmpText) == again.admin_id);
  require(std::equal(raw.message.begin(), raw.message.end(), again.message.begin(), again.message.end()));
  return 0;
}
