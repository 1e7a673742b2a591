// A recording in place of a router: a connection to this process's own listener and a thread that sends a file over it.
// The session stays open until the end, as that of a router would. Nothing in the path of a message knows the
// difference.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "bmp-recv/relay.h"
#include "common/result.h"

namespace bmpha::recv {

class Replay {
 public:
  Replay() = default;
  // Ends the session.
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;
  // `address` is ADDRESS:PORT of a listener that is open already. An error names what failed.
  Status start(const std::string& file, const std::string& address);

 private:
  void run(const std::string& name);
  Fd file_;
  std::unique_ptr<Relay> relay_;
  std::thread thread_;
};

}  // namespace bmpha::recv
