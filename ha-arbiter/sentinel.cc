#include "ha-arbiter/sentinel.h"

#include <fmt/format.h>

#include <utility>

#include "ha-arbiter/words.h"

namespace bmpha::arbiter {

Sentinel::Sentinel(EventLoop& loop, Resolver& resolver, SentinelSettings settings, std::shared_ptr<TlsContext> tls)
    : loop_(loop),
      resolver_(resolver),
      settings_(std::move(settings)),
      tls_(std::move(tls)),
      failures_(settings_.sentinels.size()) {}

Sentinel::~Sentinel() { stop(); }

void Sentinel::stop() {
  alive_.reset();
  if (timer_ != 0) loop_.cancel(std::exchange(timer_, 0));
  if (const auto old = std::exchange(connection_, nullptr)) old->close();
}

void Sentinel::blame() { at_ = (at_ + 1) % settings_.sentinels.size(); }

void Sentinel::find(Done done) {
  stop();
  done_ = std::move(done);
  asked_ = 0;
  reasons_.clear();
  ask();
}

void Sentinel::finish(const Result<HostPort>& result) {
  stop();
  if (const Done tell = std::exchange(done_, nullptr)) tell(result);
}

void Sentinel::ask() {
  alive_ = std::make_shared<int>();
  ++asked_;
  timer_ = loop_.after(settings_.timeout, [this] {
    timer_ = 0;
    next(fmt::format("no answer within {} ms", settings_.timeout.count()));
  });
  // From the loop, also where the address is known: the caller is not called from within its own call.
  loop_.after(Nanos{0}, [this, weak = std::weak_ptr<int>(alive_)] {
    if (weak.expired()) return;
    resolver_.resolve(current().host, [this, weak](const Result<Resolver::Addresses>& addresses) {
      if (!weak.expired()) resolved(addresses);
    });
  });
}

void Sentinel::resolved(const Result<Resolver::Addresses>& addresses) {
  if (!addresses) return next(addresses.error());
  connection_ = RedisConnection::make(loop_, tls_);
  const Resolver::Addresses& all = addresses.value();
  const RedisTarget target{all[failures_[at_] % all.size()], current().port, current().host};
  const Status opened = connection_->open(
      target, settings_.timeout, [this] { query(); }, [this](const std::string& reason) { next(reason); });
  if (!opened) next(opened.message());
}

void Sentinel::query() {
  if (!settings_.password.empty()) {
    std::vector<std::string> auth{"AUTH"};
    if (!settings_.user.empty()) auth.push_back(settings_.user);
    auth.push_back(settings_.password);
    connection_->send(auth, [this](const RedisReply& reply) {
      if (reply.is_error()) next(without_arguments(reply.text));
    });
  }
  connection_->send({"SENTINEL", "get-master-addr-by-name", settings_.master},
                    [this](const RedisReply& reply) { answered(reply); });
}

void Sentinel::answered(const RedisReply& reply) {
  if (reply.is_error()) return next(reply.text);
  if (reply.type == RedisReply::Type::kNil)
    return next(
        fmt::format("knows no master \"{}\" HINT: redis-url must name it as the Sentinels do", settings_.master));
  HostPort master;
  if (!reply.is_list() || reply.list.size() != 2 || !reply.list[0].is_text() || !reply.list[1].is_text() ||
      reply.list[0].text.empty() || !to_number(reply.list[1].text, master.port) || master.port == 0)
    return next("the answer has another form");
  master.host = reply.list[0].text;
  finish(master);
}

void Sentinel::next(const std::string& reason) {
  stop();
  reasons_ += fmt::format("{}{}: {}", reasons_.empty() ? "" : "; ", to_text(current()), reason);
  ++failures_[at_];
  blame();
  if (asked_ < settings_.sentinels.size()) return ask();
  finish(Result<HostPort>::failure("no Sentinel names the master: " + reasons_));
}

}  // namespace bmpha::arbiter
