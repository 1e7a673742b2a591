#include "bmp-recv/resolver.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace bmpha::recv {
namespace {

struct FreeAddresses {
  void operator()(addrinfo* a) const { freeaddrinfo(a); }
};

std::string name_of(const IpAddress& address) {
  char host[NI_MAXHOST] = {};
  const bool four = ip_text(address).find(':') == std::string::npos;
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (four) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    std::memcpy(&a.sin_addr, address.data() + 12, 4);
    std::memcpy(&storage, &a, size = sizeof a);
  } else {
    sockaddr_in6 a{};
    a.sin6_family = AF_INET6;
    std::memcpy(&a.sin6_addr, address.data(), 16);
    std::memcpy(&storage, &a, size = sizeof a);
  }
  const int e =
      getnameinfo(reinterpret_cast<const sockaddr*>(&storage), size, host, sizeof host, nullptr, 0, NI_NAMEREQD);
  return e == 0 ? host : std::string();
}

bool read_address(const addrinfo& from, IpAddress& out) {
  static constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (from.ai_family == AF_INET) {
    sockaddr_in a{};
    std::memcpy(&a, from.ai_addr, sizeof a);
    std::copy(kMapped.begin(), kMapped.end(), out.begin());
    std::memcpy(out.data() + 12, &a.sin_addr, 4);
    return true;
  }
  if (from.ai_family != AF_INET6) return false;
  sockaddr_in6 a{};
  std::memcpy(&a, from.ai_addr, sizeof a);
  std::memcpy(out.data(), &a.sin6_addr, 16);
  return true;
}

Resolver::AddressAnswer addresses_of(std::size_t number, const std::string& host) {
  Resolver::AddressAnswer answer;
  answer.number = number;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int e = getaddrinfo(host.c_str(), nullptr, &hints, &found); e != 0) {
    answer.error = gai_strerror(e);
    return answer;
  }
  const std::unique_ptr<addrinfo, FreeAddresses> all(found);
  std::vector<IpAddress>& list = answer.addresses;
  for (const addrinfo* a = found; a != nullptr && list.size() < Resolver::kMaxAddresses; a = a->ai_next)
    if (IpAddress ip{}; read_address(*a, ip) && std::find(list.begin(), list.end(), ip) == list.end())
      list.push_back(ip);
  if (list.empty()) answer.error = "no address";
  return answer;
}

}  // namespace

// Of the Resolver and its thread, whichever lives longer.
struct Resolver::Shared {
  std::mutex mutex;
  std::condition_variable news;
  std::function<void()> wake;  // empty: nobody wants to know any more
  bool stopped = false;
  std::deque<IpAddress> addresses;
  std::deque<std::pair<std::size_t, std::string>> hosts;
  Answers answers;

  void run();
};

void Resolver::Shared::run() {
  std::unique_lock lock(mutex);
  for (;;) {
    news.wait(lock, [this] { return stopped || !hosts.empty() || !addresses.empty(); });
    if (stopped) return;
    if (!hosts.empty()) {
      const std::pair<std::size_t, std::string> host = std::move(hosts.front());
      hosts.pop_front();
      lock.unlock();
      AddressAnswer answer = addresses_of(host.first, host.second);
      lock.lock();
      answers.addresses.push_back(std::move(answer));
    } else {
      const IpAddress address = addresses.front();
      addresses.pop_front();
      lock.unlock();
      NameAnswer answer{address, name_of(address)};
      lock.lock();
      answers.names.push_back(std::move(answer));
    }
    if (wake) wake();
  }
}

Resolver::Resolver(std::function<void()> wake) : shared_(std::make_shared<Shared>()) {
  shared_->wake = std::move(wake);
}

Resolver::~Resolver() {
  const std::lock_guard lock(shared_->mutex);
  shared_->stopped = true;
  shared_->wake = nullptr;
  shared_->news.notify_all();
}

bool Resolver::begin() {
  if (begun_) return true;
  try {
    std::thread([shared = shared_] { shared->run(); }).detach();
  } catch (const std::system_error&) {  // no thread now: the next question tries again
    return false;
  }
  begun_ = true;
  return true;
}

bool Resolver::ask_name(const IpAddress& address) {
  if (!begin()) return false;
  const std::lock_guard lock(shared_->mutex);
  if (shared_->addresses.size() >= kMaxWaiting) return false;
  shared_->addresses.push_back(address);
  shared_->news.notify_one();
  return true;
}

bool Resolver::ask_addresses(std::size_t number, const std::string& host) {
  if (!begin()) return false;
  const std::lock_guard lock(shared_->mutex);
  if (shared_->hosts.size() >= kMaxWaiting) return false;
  shared_->hosts.emplace_back(number, host);
  shared_->news.notify_one();
  return true;
}

Resolver::Answers Resolver::take() {
  const std::lock_guard lock(shared_->mutex);
  return std::exchange(shared_->answers, {});
}

}  // namespace bmpha::recv
