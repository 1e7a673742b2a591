// Asks the system's name service (getnameinfo(3), getaddrinfo(3)) in a thread of its own, one question after the other:
// a slow name server delays nothing but answers. The thread begins with the first question.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bmp-recv/tcp.h"

namespace bmpha::recv {

class Resolver {
 public:
  static constexpr std::size_t kMaxWaiting = 10000;
  static constexpr std::size_t kMaxAddresses = 16;  // of one name

  // The name of an address; empty: it has none, or the name service has failed.
  struct NameAnswer {
    IpAddress address{};
    std::string name;
  };
  // The addresses of a name, in the order of the name service; else what went wrong.
  struct AddressAnswer {
    std::size_t number = 0;  // the asker's own
    std::vector<IpAddress> addresses;
    std::string error;
  };
  struct Answers {
    std::vector<NameAnswer> names;
    std::vector<AddressAnswer> addresses;
  };

  // `wake` is called in the thread when answers are there to take(). It is not called any more once the Resolver has
  // gone.
  explicit Resolver(std::function<void()> wake);
  // Does not wait for a question that is under way: its thread ends after it.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // False: too many questions wait, or there can be no thread.
  [[nodiscard]] bool ask_name(const IpAddress& address);
  // Before all that ask for names: few, and a router waits for them.
  [[nodiscard]] bool ask_addresses(std::size_t number, const std::string& host);
  Answers take();

 private:
  struct Shared;
  bool begin();
  std::shared_ptr<Shared> shared_;
  bool begun_ = false;
};

}  // namespace bmpha::recv
