// One request is a command with its arguments and a function that takes the reply. Only one connection exists at a
// time; a connection that is given up is detached first, so that its late callbacks find nobody.
#include "ha-arbiter/redis_store.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <netdb.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "common/backoff.h"

namespace bmpha::arbiter {
namespace {

// Stores the blob, reads everybody's, the owners and Redis' own time, atomically. A blob that comes late is not
// stored: its ages would look younger than they are. Ids are data, never patterns.
constexpr const char* kTickScript = R"lua(
-- KEYS: owners, known ids, own node key. ARGV: id, blob or '', ttl_ms, prefix of node keys, made_ms or 0, late_ms
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local text = string.format('%.0f', now)
local made = tonumber(ARGV[5])
if made > 0 and math.abs(now - made) > tonumber(ARGV[6]) then return {1, text} end
local before = redis.call('GET', KEYS[3]) or ''
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[3], text .. ' ' .. ARGV[2], 'PX', ARGV[3])
  redis.call('ZADD', KEYS[2], text, ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - 86400000))
end
local nodes = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, 1023)) do
  nodes[#nodes + 1] = id
  nodes[#nodes + 1] = redis.call('GET', ARGV[4] .. id) or ''
end
return {0, text, before, nodes, redis.call('HGETALL', KEYS[1])}
)lua";

// Takes routers whose owner is still the value that was read, and shows it in the blob in the same step, so that nobody
// can read the new owner beside the old role.
constexpr const char* kClaimScript = R"lua(
-- KEYS: owners, own node key. ARGV: ttl_ms, made_ms or 0, late_ms, head, tail, then per router: id, expected value or
-- '', new value, line if won, line if lost
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local text = string.format('%.0f', now)
local made = tonumber(ARGV[2])
if made > 0 and math.abs(now - made) > tonumber(ARGV[3]) then return {1, text} end
local won = {}
local blob = {ARGV[4]}
for i = 6, #ARGV, 5 do
  if (redis.call('HGET', KEYS[1], ARGV[i]) or '') == ARGV[i + 1] then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
    won[#won + 1] = 1
    blob[#blob + 1] = ARGV[i + 3]
  else
    won[#won + 1] = 0
    blob[#blob + 1] = ARGV[i + 4]
  end
end
blob[#blob + 1] = ARGV[5]
redis.call('SET', KEYS[2], text .. ' ' .. table.concat(blob), 'PX', ARGV[1])
return {0, text, won}
)lua";

// KEYS: owners. ARGV: router and expected value, in turns.
constexpr const char* kForgetScript = R"lua(
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 1
)lua";

using Arguments = std::vector<std::string>;

std::string text_of(const redisReply* r) {
  return r != nullptr && r->str != nullptr ? std::string(r->str, static_cast<std::size_t>(r->len)) : std::string();
}
bool is_text(const redisReply* r) { return r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS; }
const redisReply* element(const redisReply* r, std::size_t n) {
  return r->type == REDIS_REPLY_ARRAY && n < r->elements ? r->element[n] : nullptr;
}

bool to_ms(const redisReply* r, std::int64_t& out) {
  if (r == nullptr || !is_text(r)) return false;
  const std::string text = text_of(r);
  if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos) return false;
  out = std::strtoll(text.c_str(), nullptr, 10);
  return true;
}

bool to_pairs(const redisReply* r, std::vector<std::pair<std::string, std::string>>& out) {
  if (r == nullptr || r->type != REDIS_REPLY_ARRAY || r->elements % 2 != 0) return false;
  for (std::size_t n = 0; n < r->elements; n += 2) {
    if (!is_text(r->element[n]) || !is_text(r->element[n + 1])) return false;
    out.emplace_back(text_of(r->element[n]), text_of(r->element[n + 1]));
  }
  return true;
}

// The first two elements of both scripts' answers. False: not of that form.
bool to_head(const redisReply* r, bool& late, std::int64_t& redis_ms) {
  const redisReply* first = element(r, 0);
  if (first == nullptr || first->type != REDIS_REPLY_INTEGER || !to_ms(element(r, 1), redis_ms)) return false;
  late = first->integer != 0;
  return true;
}

Result<TickReply> read_tick(const redisReply* r) {
  using R = Result<TickReply>;
  TickReply reply;
  if (!to_head(r, reply.late, reply.redis_ms)) return R::failure("answer of the tick script has another form");
  if (reply.late) return reply;
  const redisReply* before = element(r, 2);
  if (before == nullptr || !is_text(before) || !to_pairs(element(r, 3), reply.nodes) ||
      !to_pairs(element(r, 4), reply.owners))
    return R::failure("answer of the tick script has another form");
  reply.before = text_of(before);
  return reply;
}

Result<ClaimReply> read_claim(const redisReply* r, std::size_t items) {
  using R = Result<ClaimReply>;
  ClaimReply reply;
  if (!to_head(r, reply.late, reply.redis_ms)) return R::failure("answer of the claim script has another form");
  if (reply.late) return reply;
  const redisReply* won = element(r, 2);
  if (won == nullptr || won->type != REDIS_REPLY_ARRAY || won->elements != items)
    return R::failure("answer of the claim script has another form");
  for (std::size_t n = 0; n < items; ++n) reply.won.push_back(won->element[n]->integer == 1);
  return reply;
}

bool is_numeric(const std::string& host) {
  unsigned char buffer[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), buffer) == 1 || inet_pton(AF_INET6, host.c_str(), buffer) == 1;
}

// One name lookup on a thread of its own; the eventfd tells the loop.
struct Lookup {
  std::mutex mutex;
  std::string address;  // empty: failed
  std::string error;
  int event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  Lookup() = default;
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;
  ~Lookup() { close(event_fd); }

  void work(const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const int code = getaddrinfo(host.c_str(), nullptr, &hints, &list);
    char text[NI_MAXHOST] = "";
    if (code == 0 && list != nullptr)
      getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
    if (list != nullptr) freeaddrinfo(list);
    {
      const std::lock_guard lock(mutex);
      address = text;
      if (address.empty()) error = fmt::format("cannot resolve {}: {}", host, gai_strerror(code));
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = write(event_fd, &one, sizeof one);
  }
};

}  // namespace

RedisKeys redis_keys(const std::string& cluster_name, std::uint64_t cluster_id, const std::string& node) {
  const std::string base = fmt::format("bmpha:{{{}-{}}}:", cluster_name, cluster_id);
  return {base + "own", base + "nodes", base + "node:" + node, base + "node:"};
}

// A connection outlives its store's interest: `store` is cleared when it is given up.
struct Connection : std::enable_shared_from_this<Connection> {
  EventLoop* loop = nullptr;
  RedisStore::Impl* store = nullptr;
  redisAsyncContext* context = nullptr;
  int fd = -1;
  std::uint32_t events = 0;

  void want(std::uint32_t bits, bool on) {
    events = on ? events | bits : events & ~bits;
    if (context == nullptr) return;
    loop->watch(fd, events, [self = shared_from_this()](std::uint32_t ready) { self->ready(ready); });
  }
  void ready(std::uint32_t bits) {
    const bool broken = (bits & (EPOLLERR | EPOLLHUP)) != 0;
    if (context != nullptr && ((bits & EPOLLIN) != 0 || broken)) redisAsyncHandleRead(context);
    if (context != nullptr && ((bits & EPOLLOUT) != 0 || (broken && (events & EPOLLOUT) != 0)))
      redisAsyncHandleWrite(context);
  }
  void cleanup() {
    const std::shared_ptr<Connection> self = shared_from_this();  // the loop's callback may be the last owner
    loop->unwatch(fd);
    context = nullptr;
  }
};

struct RedisStore::Impl {
  Impl(EventLoop& l, RedisSettings s)
      : loop(l), settings(std::move(s)), keys(redis_keys(settings.cluster_name, settings.cluster_id, settings.node)) {}
  ~Impl() {
    close_connection();
    if (lookup) loop.unwatch(lookup->event_fd);
    if (deadline != 0) loop.cancel(deadline);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  using Take = std::function<Status(const redisReply*)>;  // an error: the reply is of no use
  using Fail = std::function<void(const std::string&)>;

  // The request under way.
  std::uint64_t number = 0;  // counts requests; answers to others are ignored
  bool busy = false;
  BootTime sent;
  const char* script = nullptr;
  Arguments arguments;  // after EVALSHA and its hash
  bool by_hash = false;
  Take take;
  Fail fail;
  EventLoop::TimerId deadline = 0;

  EventLoop& loop;
  RedisSettings settings;
  RedisKeys keys;
  std::shared_ptr<Connection> connection;
  std::map<std::string, std::string, std::less<>> hashes;  // script to SHA1
  Backoff backoff{Millis{100}, Millis{1000}};
  BootTime not_before;
  std::shared_ptr<Lookup> lookup;
  std::string resolved;

  void start(const char* what, Arguments args, Take on_reply, Fail on_failure);
  void send();
  Status connect();
  void start_lookup();
  void adopt(redisAsyncContext* context);
  void command(const Arguments& args, std::uint64_t id);
  void setup_command(const Arguments& args);
  void close_connection();
  void failed(const std::string& reason);
  void replied(std::uint64_t id, const redisReply* reply);
  void setup_replied(const redisReply* reply);
  void finish();
};

namespace {

Connection* connection_of(const redisAsyncContext* c) { return static_cast<Connection*>(c->data); }

void on_reply(redisAsyncContext* c, void* reply, void* id) {
  Connection* connection = connection_of(c);
  if (connection == nullptr || connection->store == nullptr) return;
  connection->store->replied(reinterpret_cast<std::uintptr_t>(id), static_cast<const redisReply*>(reply));
}
void on_setup_reply(redisAsyncContext* c, void* reply, void*) {
  Connection* connection = connection_of(c);
  if (connection != nullptr && connection->store != nullptr)
    connection->store->setup_replied(static_cast<const redisReply*>(reply));
}
void on_connect(const redisAsyncContext* c, int status) {
  Connection* connection = connection_of(c);
  if (status == REDIS_OK || connection == nullptr || connection->store == nullptr) return;
  // hiredis frees the context itself after this callback.
  RedisStore::Impl* store = std::exchange(connection->store, nullptr);
  store->connection.reset();
  store->failed(fmt::format("cannot connect: {}", c->errstr));
}
void on_disconnect(const redisAsyncContext* c, int) {
  Connection* connection = connection_of(c);
  if (connection != nullptr && connection->store != nullptr)
    connection->store->failed(fmt::format("connection lost: {}", c->errstr != nullptr ? c->errstr : "closed"));
}

void add_read(void* p) { static_cast<Connection*>(p)->want(EPOLLIN, true); }
void del_read(void* p) { static_cast<Connection*>(p)->want(EPOLLIN, false); }
void add_write(void* p) { static_cast<Connection*>(p)->want(EPOLLOUT, true); }
void del_write(void* p) { static_cast<Connection*>(p)->want(EPOLLOUT, false); }
void cleanup(void* p) { static_cast<Connection*>(p)->cleanup(); }

}  // namespace

// --- connection

void RedisStore::Impl::adopt(redisAsyncContext* context) {
  connection = std::make_shared<Connection>();
  connection->loop = &loop;
  connection->store = this;
  connection->context = context;
  connection->fd = context->c.fd;
  context->data = connection.get();
  context->ev.data = connection.get();
  context->ev.addRead = add_read;
  context->ev.delRead = del_read;
  context->ev.addWrite = add_write;
  context->ev.delWrite = del_write;
  context->ev.cleanup = cleanup;
  redisAsyncSetConnectCallback(context, on_connect);
  redisAsyncSetDisconnectCallback(context, on_disconnect);
}

void RedisStore::Impl::close_connection() {
  if (!connection) return;
  const std::shared_ptr<Connection> old = std::exchange(connection, nullptr);
  old->store = nullptr;
  if (old->context != nullptr) redisAsyncFree(old->context);  // deferred by hiredis while in one of its callbacks
}

void RedisStore::Impl::start_lookup() {
  if (lookup) return;
  lookup = std::make_shared<Lookup>();
  loop.watch(lookup->event_fd, EPOLLIN, [this](std::uint32_t) {
    const std::shared_ptr<Lookup> done = std::exchange(lookup, nullptr);
    loop.unwatch(done->event_fd);
    const std::lock_guard lock(done->mutex);
    if (!done->address.empty()) resolved = done->address;
    if (!busy || connection) return;
    if (done->address.empty()) return failed(done->error);
    send();
  });
  std::thread([l = lookup, host = settings.address.host] { l->work(host); }).detach();
}

// Fails at once where that is known at once. While a name is being looked up there is no connection yet.
Status RedisStore::Impl::connect() {
  const RedisAddress& a = settings.address;
  redisAsyncContext* context = nullptr;
  if (a.host.empty()) {
    context = redisAsyncConnectUnix(a.path.c_str());
  } else if (is_numeric(a.host)) {
    context = redisAsyncConnect(a.host.c_str(), a.port);
  } else {
    start_lookup();  // also when an address is known: it may have changed
    if (resolved.empty()) return Status::ok();
    context = redisAsyncConnect(resolved.c_str(), a.port);
  }
  if (context == nullptr) return Status::error("no memory for a connection");
  if (context->err != 0) {
    const std::string reason = fmt::format("cannot connect: {}", context->errstr);
    redisAsyncFree(context);
    return Status::error(reason);
  }
  adopt(context);
  if (!a.password.empty() && a.user.empty()) setup_command({"AUTH", a.password});
  if (!a.password.empty() && !a.user.empty()) setup_command({"AUTH", a.user, a.password});
  if (a.db != 0) setup_command({"SELECT", std::to_string(a.db)});
  return Status::ok();
}

// --- requests

void RedisStore::Impl::command(const Arguments& args, std::uint64_t id) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  texts.reserve(args.size());
  sizes.reserve(args.size());
  for (const std::string& a : args) {
    texts.push_back(a.data());
    sizes.push_back(a.size());
  }
  redisAsyncCommandArgv(
      connection->context, id != 0 ? on_reply : on_setup_reply,
      reinterpret_cast<void*>(static_cast<std::uintptr_t>(id)),  // NOLINT: a number that hiredis carries
      static_cast<int>(args.size()), texts.data(), sizes.data());
}

void RedisStore::Impl::setup_command(const Arguments& args) { command(args, 0); }

void RedisStore::Impl::start(const char* what, Arguments args, Take on_take, Fail on_failure) {
  if (busy) return on_failure("a request is under way");
  const BootTime now = BootClock::now();
  if (!connection && now < not_before) return on_failure("waiting before the next attempt to connect");
  busy = true;
  ++number;
  sent = now;
  script = what;
  arguments = std::move(args);
  take = std::move(on_take);
  fail = std::move(on_failure);
  deadline = loop.after(settings.timeout, [this, id = number] {
    if (!busy || number != id) return;
    deadline = 0;
    failed(fmt::format("no answer within {} ms", settings.timeout.count()));
  });
  if (!connection) {
    if (Status s = connect(); !s) return failed(s.message());
    if (!connection) return;  // the lookup will send it
  }
  send();
}

void RedisStore::Impl::send() {
  if (!connection) {
    if (Status s = connect(); !s) return failed(s.message());
    if (!connection) return;
  }
  Arguments args;
  if (script != nullptr) {
    const auto hash = hashes.find(script);
    by_hash = hash != hashes.end();
    if (!by_hash) setup_command({"SCRIPT", "LOAD", script});
    args = {by_hash ? "EVALSHA" : "EVAL", by_hash ? hash->second : script};
  }
  args.insert(args.end(), arguments.begin(), arguments.end());
  command(args, number);
}

void RedisStore::Impl::finish() {
  busy = false;
  if (deadline != 0) loop.cancel(std::exchange(deadline, 0));
}

void RedisStore::Impl::failed(const std::string& reason) {
  close_connection();
  not_before = BootClock::now() + backoff.next();
  if (!busy) return;
  finish();
  const Fail f = std::move(fail);
  take = nullptr;
  f(reason);
}

void RedisStore::Impl::replied(std::uint64_t id, const redisReply* reply) {
  if (!busy || id != number) return;
  if (reply == nullptr) return failed("connection lost");
  if (reply->type == REDIS_REPLY_ERROR) {
    const std::string error = text_of(reply);
    if (by_hash && error.starts_with("NOSCRIPT")) {
      hashes.erase(script);
      return send();
    }
    return failed(error);
  }
  // The loop may have been held up: what comes late is no answer.
  if (BootClock::now() - sent > settings.timeout)
    return failed(fmt::format("no answer within {} ms", settings.timeout.count()));
  backoff.reset();
  finish();
  const Take t = std::move(take);
  const Fail f = std::move(fail);
  if (Status s = t(reply); !s) {
    close_connection();
    f(s.message());
  }
}

// Answers of AUTH, SELECT and SCRIPT LOAD.
void RedisStore::Impl::setup_replied(const redisReply* reply) {
  if (reply == nullptr) return;
  if (reply->type == REDIS_REPLY_ERROR) return failed(text_of(reply));
  if (reply->type == REDIS_REPLY_STRING && script != nullptr && reply->len == 40) hashes[script] = text_of(reply);
}

RedisStore::RedisStore(EventLoop& loop, RedisSettings settings)
    : impl_(std::make_unique<Impl>(loop, std::move(settings))) {}
RedisStore::~RedisStore() = default;

void RedisStore::tick(const TickRequest& request, TickDone done) {
  Impl& i = *impl_;
  Arguments args{"3",
                 i.keys.own,
                 i.keys.nodes,
                 i.keys.node,
                 i.settings.node,
                 request.blob,
                 std::to_string(i.settings.ttl.count()),
                 i.keys.node_prefix,
                 std::to_string(request.made_ms),
                 std::to_string(i.settings.timeout.count())};
  auto shared = std::make_shared<TickDone>(std::move(done));
  i.start(
      kTickScript, std::move(args),
      [shared](const redisReply* r) {
        auto reply = read_tick(r);
        if (!reply) return Status::error(reply.error());
        (*shared)(std::move(reply));
        return Status::ok();
      },
      [shared](const std::string& reason) { (*shared)(Result<TickReply>::failure(reason)); });
}

void RedisStore::claim(const ClaimRequest& request, ClaimDone done) {
  Impl& i = *impl_;
  Arguments args{"2",
                 i.keys.own,
                 i.keys.node,
                 std::to_string(i.settings.ttl.count()),
                 std::to_string(request.made_ms),
                 std::to_string(i.settings.timeout.count()),
                 request.head,
                 request.tail};
  for (const ClaimRequest::Item& item : request.items)
    for (const std::string* text : {&item.router, &item.expected, &item.value, &item.won, &item.lost})
      args.push_back(*text);
  auto shared = std::make_shared<ClaimDone>(std::move(done));
  i.start(
      kClaimScript, std::move(args),
      [shared, items = request.items.size()](const redisReply* r) {
        auto reply = read_claim(r, items);
        if (!reply) return Status::error(reply.error());
        (*shared)(std::move(reply));
        return Status::ok();
      },
      [shared](const std::string& reason) { (*shared)(Result<ClaimReply>::failure(reason)); });
}

void RedisStore::forget(const std::vector<std::pair<std::string, std::string>>& routers, Done done) {
  Arguments args{"1", impl_->keys.own};
  for (const auto& [router, expected] : routers) {
    args.push_back(router);
    args.push_back(expected);
  }
  auto shared = std::make_shared<Done>(std::move(done));
  impl_->start(
      kForgetScript, std::move(args),
      [shared](const redisReply*) {
        (*shared)(Status::ok());
        return Status::ok();
      },
      [shared](const std::string& reason) { (*shared)(Status::error(reason)); });
}

void RedisStore::leave(Done done) {
  auto shared = std::make_shared<Done>(std::move(done));
  impl_->start(
      nullptr, {"DEL", impl_->keys.node},
      [shared](const redisReply*) {
        (*shared)(Status::ok());
        return Status::ok();
      },
      [shared](const std::string& reason) { (*shared)(Status::error(reason)); });
}

}  // namespace bmpha::arbiter
