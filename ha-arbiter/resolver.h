// Names to addresses, off the loop: every lookup runs on a thread of its own, however long it takes, and at most one
// for a name at a time. What a name had last is given at once while it is looked up again, since it may have changed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/event_loop.h"
#include "common/result.h"

namespace bmpha::arbiter {

bool is_numeric_address(const std::string& host);

class Resolver {
 public:
  using Addresses = std::vector<std::string>;  // numeric, never empty
  using Done = std::function<void(const Result<Addresses>&)>;
  using Lookup = std::function<Result<Addresses>(const std::string& host)>;  // blocks; runs on a thread of its own

  // What the system knows (getaddrinfo).
  static Result<Addresses> look_up(const std::string& host);

  // loop must outlive the object.
  explicit Resolver(EventLoop& loop, Lookup lookup = look_up);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Calls done once: from within the call when the host is an address or known from before, or nothing can be looked
  // up for want of threads or descriptors, else from the loop. No
  // call comes after the object's end.
  void resolve(const std::string& host, Done done);

 private:
  struct Task;
  struct Name {
    Addresses known;
    std::shared_ptr<Task> task;
    std::vector<Done> waiting;
  };
  Status start(const std::string& host, Name& name);
  void finished(const std::string& host);

  EventLoop& loop_;
  Lookup lookup_;
  std::map<std::string, Name, std::less<>> names_;
};

}  // namespace bmpha::arbiter
