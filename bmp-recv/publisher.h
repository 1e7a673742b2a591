// Records for anyone who wants to look: XPUB, lossy, and without cost while nobody subscribes.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "bmp-recv/loop.h"
#include "bmp-recv/record_builder.h"
#include "common/zmq_socket.h"

namespace bmpha::recv {

class Publisher {
 public:
  Publisher(Loop& loop, ZmqContext& context);
  Status bind(const std::string& endpoint);
  // Two frames: "<router hash> <kind>", then the record. A subscriber that is too slow loses it.
  void publish(const std::string& router_hex, const Record& record);
  bool wanted() const { return !subscriptions_.empty(); }

 private:
  void drain();
  ZmqSocket socket_;
  std::unique_ptr<Loop::Watch> watch_;
  std::set<std::string> subscriptions_;
};

}  // namespace bmpha::recv
