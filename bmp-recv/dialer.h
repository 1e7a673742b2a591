// Dials routers that listen for a collector instead of dialling one themselves (BMP passive mode, RFC 7854 3.2).
//
// One connection at a time for each address. What fails or ends is tried again after 1 s, then twice as long each time,
// up to 5 minutes; a connection that has lived for kStable makes the next wait short again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bmp-recv/tcp.h"
#include "common/backoff.h"
#include "common/clock.h"

namespace bmpha::recv {

class Dialer {
 public:
  static constexpr Millis kFirstWait{1000};
  static constexpr Millis kLongestWait{300000};
  static constexpr Millis kConnectTimeout{10000};
  static constexpr Millis kStable{30000};
  // Gets an established connection, and the number and tag of its address.
  using Take = std::function<void(std::size_t number, const std::string& tag, Accepted connection)>;

  explicit Dialer(std::vector<ListenAddress> addresses);

  // Looks at connections on their way and begins those that are due. To be called every now and then.
  void poll(BootTime now, const Take& take);
  // The connection that was handed over has ended (or was refused) after so long.
  void ended(std::size_t number, BootTime now, Nanos lived);
  std::uint64_t failures() const { return failures_; }

 private:
  struct Dial {
    ListenAddress address;
    Backoff backoff{kFirstWait, kLongestWait};
    Fd fd;               // on its way
    BootTime begun;      // of fd
    BootTime next;       // try again then
    bool taken = false;  // handed over
  };
  void begin(Dial& d, BootTime now);
  void fail(Dial& d, BootTime now, const std::string& reason);

  std::vector<Dial> dials_;
  std::uint64_t failures_ = 0;
};

}  // namespace bmpha::recv
