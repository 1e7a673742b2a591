#include "ha-arbiter/resolver.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace bmpha::arbiter {

// Shared with the thread, which may outlive the resolver; the eventfd tells the loop.
struct Resolver::Task {
  std::mutex mutex;
  Result<Addresses> result = Result<Addresses>::failure("not finished");
  int event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (event_fd >= 0) close(event_fd);
  }

  void work(const Lookup& lookup, const std::string& host) {
    Result<Addresses> found = lookup(host);
    {
      const std::lock_guard lock(mutex);
      result = std::move(found);
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = write(event_fd, &one, sizeof one);
  }
};

bool is_numeric_address(const std::string& host) {
  unsigned char buffer[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), buffer) == 1 || inet_pton(AF_INET6, host.c_str(), buffer) == 1;
}

Result<Resolver::Addresses> Resolver::look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int code = getaddrinfo(host.c_str(), nullptr, &hints, &list);
  Addresses found;
  for (const addrinfo* a = code == 0 ? list : nullptr; a != nullptr; a = a->ai_next) {
    char text[NI_MAXHOST] = "";
    if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0) continue;
    if (is_numeric_address(text) && std::find(found.begin(), found.end(), text) == found.end())
      found.emplace_back(text);
  }
  if (list != nullptr) freeaddrinfo(list);
  if (!found.empty()) return found;
  const char* why = code != 0 ? gai_strerror(code) : "no usable address";
  return Result<Addresses>::failure(fmt::format("cannot resolve {}: {}", host, why));
}

Resolver::Resolver(EventLoop& loop, Lookup lookup) : loop_(loop), lookup_(std::move(lookup)) {}

Resolver::~Resolver() {
  for (const auto& [host, name] : names_)
    if (name.task) loop_.unwatch(name.task->event_fd);
}

void Resolver::resolve(const std::string& host, Done done) {
  if (is_numeric_address(host)) return done(Addresses{host});
  Name& name = names_[host];
  const Status started = name.task ? Status::ok() : start(host, name);
  if (name.known.empty()) {
    if (!started) return done(Result<Addresses>::failure(started.message()));
    name.waiting.push_back(std::move(done));
    return;
  }
  const Addresses known = name.known;
  done(known);
}

Status Resolver::start(const std::string& host, Name& name) {
  const auto task = std::make_shared<Task>();
  if (task->event_fd < 0) return Status::error(fmt::format("cannot resolve {}: {}", host, std::strerror(errno)));
  try {
    std::thread([task, lookup = lookup_, host] { task->work(lookup, host); }).detach();
  } catch (const std::system_error& e) {
    return Status::error(fmt::format("cannot resolve {}: {}", host, e.what()));
  }
  name.task = task;
  loop_.watch(task->event_fd, EPOLLIN, [this, host](std::uint32_t) { finished(host); });
  return Status::ok();
}

void Resolver::finished(const std::string& host) {
  Name& name = names_[host];
  const std::shared_ptr<Task> task = std::exchange(name.task, nullptr);
  loop_.unwatch(task->event_fd);
  Result<Addresses> result = Result<Addresses>::failure("");
  {
    const std::lock_guard lock(task->mutex);
    result = task->result;
  }
  if (result) name.known = result.value();
  for (const Done& done : std::exchange(name.waiting, {})) done(result);
}

}  // namespace bmpha::arbiter
