// The router's side of a BMP session: a TCP connection that messages are written to. Blocking, for threads and tools
// that do nothing else.
#pragma once

#include <string>

#include "bmp-recv/tcp.h"
#include "common/byte_reader.h"
#include "common/clock.h"
#include "common/result.h"

namespace bmpha::recv {

class Relay {
 public:
  // Connects to a name or an address. An error says what was tried.
  static Result<Relay> connect(const std::string& host_port);
  Status send(Bytes bytes);
  // Says that nothing more comes, after waiting for `hold`, and waits for the other side to have read it all: until it
  // closes as well, or for a few seconds. True: the other side ended the session in the meantime.
  bool finish(Millis hold);
  int fd() const { return fd_.get(); }

 private:
  Relay(std::string name, Fd fd) : name_(std::move(name)), fd_(std::move(fd)) {}
  std::string name_;
  Fd fd_;
};

}  // namespace bmpha::recv
