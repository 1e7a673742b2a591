#include "bmp-recv/framer.h"

#include <doctest/doctest.h>

#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

TEST_CASE("a message is framed only when all of its bytes are there") {
  const std::string message = initiation("r1");
  for (std::size_t n = 0; n < message.size(); ++n) {
    BmpFrame f;
    CHECK(next_frame(as_bytes(std::string_view(message).substr(0, n)), f) == FrameState::kNeedMore);
    CHECK(f.size == 0);
  }
  BmpFrame f;
  CHECK(next_frame(as_bytes(message + "tail"), f) == FrameState::kFrame);
  CHECK(f.size == message.size());
  CHECK(f.type == 4);
  CHECK(f.body.size() == message.size() - 6);
}

TEST_CASE("headers that no message can have are errors as soon as they can be seen") {
  const struct {
    const char* bytes;
    FrameState want;
  } cases[] = {
      {"05", FrameState::kBadVersion},           {"16 03 01", FrameState::kBadVersion},
      {"03 00 00 00 05", FrameState::kTooShort}, {"03 00 00 00 00", FrameState::kTooShort},
      {"03 00 04 00 01", FrameState::kTooLong},  {"03 ff ff ff ff", FrameState::kTooLong},
      {"03 00 04 00 00", FrameState::kNeedMore},  // the largest
      {"03 00 00 00 06 04", FrameState::kFrame},  // the smallest
      {"04 00 00 00 06 04", FrameState::kFrame},
  };
  for (const auto& c : cases) {
    CAPTURE(c.bytes);
    BmpFrame f;
    CHECK(next_frame(as_bytes(hex(c.bytes)), f) == c.want);
  }
}

TEST_CASE("the size of an unfinished message is a header's, then what the header says") {
  const std::string message = initiation("r1");
  for (std::size_t n = 0; n < message.size(); ++n)
    CHECK(frame_size(as_bytes(std::string_view(message).substr(0, n))) == (n < 5 ? 6 : message.size()));
}

TEST_CASE("any message type is framed, known or not") {
  BmpFrame f;
  CHECK(next_frame(as_bytes(bmp(200, "x")), f) == FrameState::kFrame);
  CHECK(f.type == 200);
}
