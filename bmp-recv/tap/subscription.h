// What a bmp-recv publishes (publish-socket), as it comes. Lossy: who reads too slowly misses records.
#pragma once

#include <functional>
#include <string>

#include "common/record.h"
#include "common/result.h"
#include "common/zmq_socket.h"

namespace bmpha::recv {

class Subscription {
 public:
  // `prefix` of the topics "<router hash> <kind>"; empty: all.
  static Result<Subscription> open(ZmqContext& context, const std::string& endpoint, const std::string& prefix);
  // Waits for records and hands them over until f returns false. `idle` is called when nothing is left for now.
  Status run(const std::function<bool(const Envelope&, std::string_view payload)>& f,
             const std::function<bool()>& idle);

 private:
  explicit Subscription(ZmqSocket socket) : socket_(std::move(socket)) {}
  ZmqSocket socket_;
};

}  // namespace bmpha::recv
