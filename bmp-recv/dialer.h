// Dials routers that listen for a collector instead of dialling one themselves (BMP passive mode, RFC 7854 3.2).
//
// One connection at a time for each address. A name is looked up at each attempt, by who owns the Dialer, and all that
// it stands for is tried in turn. What fails or ends is tried again after 1 s, then twice as long each time, up to 5
// minutes; a connection that has lived for kStable makes the next wait short again.
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
  static constexpr Millis kLookupTimeout{30000};
  static constexpr Millis kStable{30000};
  // Gets an established connection, and the number and tag of its address.
  using Take = std::function<void(std::size_t number, const std::string& tag, Accepted connection)>;

  // Asks for the addresses of a name; resolved() is to be called with the answer. False: it cannot be asked now.
  using Lookup = std::function<bool(std::size_t number, const std::string& host)>;

  Dialer(std::vector<ListenAddress> addresses, Lookup lookup);

  // Looks at connections on their way and begins those that are due. To be called every now and then.
  void poll(BootTime now, const Take& take);
  // What a lookup has given: addresses, or why there are none. Without effect when it has taken too long.
  void resolved(std::size_t number, std::vector<IpAddress> addresses, const std::string& error, BootTime now);
  // The connection that was handed over has ended (or was refused) after so long.
  void ended(std::size_t number, BootTime now, Nanos lived);
  std::uint64_t failures() const { return failures_; }

 private:
  struct Dial {
    ListenAddress address;
    Backoff backoff{kFirstWait, kLongestWait};
    Fd fd;                              // on its way
    BootTime begun;                     // of fd, or of the lookup
    bool is_looked_up = false;          // the answer is awaited
    std::vector<ListenAddress> others;  // of the name, to be tried if this one fails; the last one first
    IpAddress ip{};                     // of fd
    BootTime next;                      // try again then
    bool taken = false;                 // handed over
  };
  void begin(std::size_t number, BootTime now);
  void connect(Dial& d, const ListenAddress& address, BootTime now);
  void fail(Dial& d, BootTime now, const std::string& reason);

  Lookup lookup_;
  std::vector<Dial> dials_;
  std::uint64_t failures_ = 0;
};

}  // namespace bmpha::recv
