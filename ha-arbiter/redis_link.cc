#include "ha-arbiter/redis_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace bmpha::arbiter {

RedisLink::RedisLink(EventLoop& loop, RedisLinkSettings settings, std::function<void()> on_up,
                     std::function<void(const std::string&)> on_down)
    : loop_(loop),
      settings_(std::move(settings)),
      on_up_(std::move(on_up)),
      on_down_(std::move(on_down)),
      resolver_(loop, settings_.lookup) {
  const RedisAddress& a = settings_.address;
  if (a.tls) {
    auto context = TlsContext::load(settings_.tls);
    if (context)
      tls_ = context.value();
    else
      tls_error_ = context.error();
  }
  if (!a.by_sentinel()) return;
  SentinelSettings s;
  s.sentinels = a.sentinels;
  s.master = a.master;
  s.user = settings_.sentinel_user;
  s.password = settings_.sentinel_password;
  s.timeout = settings_.timeout;
  sentinel_ = std::make_unique<Sentinel>(loop_, resolver_, std::move(s), tls_);
}

RedisLink::~RedisLink() { reset(); }

std::string RedisLink::doing() const {
  switch (phase_) {
    case Phase::kDown:
    case Phase::kFinding:
      return "asking the Sentinels";
    case Phase::kResolving:
      return fmt::format("resolving {}", where_.host);
    case Phase::kOpening:
      return connection_ ? connection_->doing() : "connecting";
    case Phase::kSetup:
      return "logging in";
    case Phase::kUp:
      break;
  }
  return "waiting for an answer";
}

void RedisLink::reset() {
  phase_ = Phase::kDown;
  moved_ = false;
  alive_.reset();
  if (timer_ != 0) loop_.cancel(std::exchange(timer_, 0));
  if (const auto old = std::exchange(connection_, nullptr)) old->close();
}

void RedisLink::close() {
  if (phase_ == Phase::kUp && sentinel_ && !moved_) sentinel_->blame();
  reset();
}

void RedisLink::fail(const std::string& reason) {
  reset();
  on_down_(reason);
}

void RedisLink::open() {
  if (!is_down()) return;
  phase_ = Phase::kFinding;
  alive_ = std::make_shared<int>();
  ++attempts_;
  loop_.after(Nanos{0}, [this, weak = std::weak_ptr<int>(alive_)] {
    if (!weak.expired()) begin();
  });
}

void RedisLink::begin() {
  const RedisAddress& a = settings_.address;
  if (a.tls && !tls_) return fail(tls_error_);
  if (sentinel_)
    return sentinel_->find([this, weak = std::weak_ptr<int>(alive_)](const Result<HostPort>& master) {
      if (!weak.expired()) found(master);
    });
  if (a.host.empty()) return connect(a.path);
  resolve({a.host, a.port});
}

void RedisLink::found(const Result<HostPort>& master) {
  if (!master) return fail(master.error());
  resolve(master.value());
}

void RedisLink::resolve(const HostPort& where) {
  phase_ = Phase::kResolving;
  where_ = where;
  resolver_.resolve(where.host, [this, weak = std::weak_ptr<int>(alive_)](const Result<Resolver::Addresses>& r) {
    if (!weak.expired()) resolved(r);
  });
}

void RedisLink::resolved(const Result<Resolver::Addresses>& addresses) {
  if (!addresses) {
    if (sentinel_) sentinel_->blame();
    return fail(addresses.error());
  }
  connect(addresses.value()[attempts_ % addresses.value().size()]);
}

void RedisLink::connect(const std::string& address) {
  phase_ = Phase::kOpening;
  address_ = address;
  connection_ = RedisConnection::make(loop_, tls_);
  const auto failed = [this](const std::string& reason) {
    if (sentinel_) sentinel_->blame();
    fail(sentinel_ ? fmt::format("{}: {}", to_text(where_), reason) : reason);
  };
  const Status opened = connection_->open(
      {address, where_.port, where_.host}, settings_.timeout, [this] { set_up(); }, failed);
  if (!opened) failed(opened.message());
}

void RedisLink::set_up() {
  const RedisAddress& a = settings_.address;
  phase_ = Phase::kSetup;
  setups_ = 0;
  if (!a.password.empty() && a.user.empty()) setup_command({"AUTH", a.password});
  if (!a.password.empty() && !a.user.empty()) setup_command({"AUTH", a.user, a.password});
  if (a.db != 0) setup_command({"SELECT", std::to_string(a.db)});
  if (sentinel_) setup_command({"ROLE"});
  if (setups_ == 0) return up();
  timer_ = loop_.after(settings_.timeout, [this] {
    timer_ = 0;
    fail(fmt::format("no answer within {} ms: logging in", settings_.timeout.count()));
  });
}

void RedisLink::setup_command(const std::vector<std::string>& command) {
  ++setups_;
  connection_->send(command, [this, is_role = command.front() == "ROLE"](const RedisReply& reply) {
    setup_answered(reply, is_role);
  });
}

void RedisLink::setup_answered(const RedisReply& reply, bool is_role) {
  if (reply.is_error()) return fail(without_arguments(reply.text));
  if (is_role && (!reply.is_list() || reply.list.empty() || reply.list[0].text != "master")) {
    sentinel_->blame();
    return fail(fmt::format("{} is not the master that a Sentinel takes it for", to_text(where_)));
  }
  if (--setups_ == 0) up();
}

void RedisLink::up() {
  if (timer_ != 0) loop_.cancel(std::exchange(timer_, 0));
  phase_ = Phase::kUp;
  poll();
  on_up_();
}

// A master that was cut off together with this node, or paused, does not say that it has been replaced.
void RedisLink::poll() {
  if (!sentinel_) return;
  timer_ = loop_.after(settings_.sentinel_poll, [this] {
    timer_ = 0;
    sentinel_->find([this, weak = std::weak_ptr<int>(alive_)](const Result<HostPort>& master) {
      if (weak.expired()) return;
      if (!master || master.value() == where_) return poll();
      compare(master.value());
    });
  });
}

// One Sentinel may say a name and another the address: that is no other master.
void RedisLink::compare(const HostPort& master) {
  if (master.port != where_.port) {
    moved_ = true;
    return;
  }
  resolver_.resolve(master.host, [this, weak = std::weak_ptr<int>(alive_)](const Result<Resolver::Addresses>& r) {
    if (weak.expired()) return;
    if (r && std::find(r.value().begin(), r.value().end(), address_) == r.value().end())
      moved_ = true;
    else
      poll();
  });
}

void RedisLink::send(const std::vector<std::string>& command, RedisConnection::OnReply on_reply) {
  if (connection_) connection_->send(command, std::move(on_reply));
}

}  // namespace bmpha::arbiter
