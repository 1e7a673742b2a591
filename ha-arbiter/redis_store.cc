// One request at a time: a command with its arguments and a function that takes the reply.
#include "ha-arbiter/redis_store.h"

#include <fmt/format.h>

#include <map>
#include <string_view>

#include "common/backoff.h"
#include "ha-arbiter/census.h"
#include "ha-arbiter/redis_scripts.h"

namespace bmpha::arbiter {
namespace {

using Arguments = std::vector<std::string>;

RedisLinkSettings link_settings(const RedisSettings& s) {
  RedisLinkSettings l;
  l.address = s.address;
  l.tls = s.tls;
  l.sentinel_user = s.sentinel_user;
  l.sentinel_password = s.sentinel_password;
  l.timeout = s.timeout;
  if (s.lookup) l.lookup = s.lookup;
  return l;
}

// What can be done about an error reply of Redis.
std::string with_hint(const std::string& error) {
  struct Hint {
    const char* prefix;
    const char* text;
  };
  constexpr Hint kHints[] = {
      {"NOAUTH", "redis-password is missing"},
      {"WRONGPASS", "redis-user or redis-password is not what Redis knows"},
      {"NOPERM", "the user needs the commands and keys that docs/operations.md lists"},
      {"ERR The user executing the script can't run", "the user needs the commands that docs/operations.md lists"},
      {"READONLY", "this server is a replica; name the master, or its Sentinels (sentinel://)"},
      {"OOM", "raise maxmemory of Redis; what is kept there is small"},
      {"MISCONF", "Redis cannot write its snapshot; nothing of ours needs one (save \"\")"},
      {"NOREPLICAS", "the master lacks the replicas of its min-replicas-to-write; it may have been replaced"},
      {"MOVED", "a Redis Cluster is not supported; use one server, or Sentinels"},
      {"CLUSTERDOWN", "a Redis Cluster is not supported; use one server, or Sentinels"},
      {"DENIED", "Redis is in protected mode; give it a password or a bind address"},
  };
  for (const Hint& h : kHints)
    if (error.starts_with(h.prefix)) return fmt::format("{} HINT: {}", error, h.text);
  return error;
}

}  // namespace

RedisKeys redis_keys(const std::string& cluster_name, std::uint64_t cluster_id, const std::string& node) {
  const std::string base = fmt::format("bmpha:{{{}-{}}}:", cluster_name, cluster_id);
  return {base + "own", base + "nodes", base + "node:" + node, base + "node:", base + "census"};
}

struct RedisStore::Impl {
  Impl(EventLoop& l, RedisSettings s)
      : loop(l),
        settings(std::move(s)),
        keys(redis_keys(settings.cluster_name, settings.cluster_id, settings.node)),
        link(
            l, link_settings(settings), [this] { link_up(); }, [this](const std::string& why) { lost(why); }) {}
  ~Impl() {
    if (deadline != 0) loop.cancel(deadline);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  using Take = std::function<Status(const RedisReply&)>;  // an error: the reply is of no use
  using Fail = std::function<void(const std::string&)>;

  // The request under way.
  std::uint64_t number = 0;  // counts requests; answers to others are ignored
  bool busy = false;
  BootTime started, sent_at;
  bool missed = false;    // the connection's last request went unanswered
  bool reopened = false;  // a connection was made at once since the last answer
  const char* script = nullptr;
  Arguments arguments;  // after EVALSHA and its hash
  bool by_hash = false;
  Take take;
  Fail fail;
  EventLoop::TimerId deadline = 0;

  EventLoop& loop;
  RedisSettings settings;
  RedisKeys keys;
  RedisLink link;
  std::map<std::string, std::string, std::less<>> hashes;  // script to SHA1
  Backoff backoff{Millis{100}, Millis{1000}};
  BootTime not_before;
  std::string last_failure;

  void start(const char* what, Arguments args, Take on_reply, Fail on_failure);
  void link_up();
  void send();
  void late();
  void lost(const std::string& reason);
  void failed(const std::string& reason);
  void give_up(const std::string& reason);
  void replied(std::uint64_t id, const RedisReply& reply);
  void load_script(const char* text);
  void finish();
};

void RedisStore::Impl::start(const char* what, Arguments args, Take on_take, Fail on_failure) {
  if (busy) return on_failure("a request is under way");
  const BootTime now = BootClock::now();
  if (link.has_moved()) link.close();
  if (link.is_down() && now < not_before)
    return on_failure("waiting before the next attempt to connect, after: " + last_failure);
  busy = true;
  ++number;
  started = now;
  script = what;
  arguments = std::move(args);
  take = std::move(on_take);
  fail = std::move(on_failure);
  deadline = loop.after(settings.timeout, [this] {
    deadline = 0;
    late();
  });
  if (link.is_up()) return send();
  link.open();  // or it is being opened already
}

void RedisStore::Impl::link_up() {
  missed = false;
  if (busy) send();
}

// A server that is silent twice loses its connection: after one lost packet TCP is sooner there again than a new
// connection and its log-in. One that is still being connected to, or has only just been, keeps its chance: the next
// request gives it the whole time.
void RedisStore::Impl::late() {
  const std::string what = fmt::format("no answer within {} ms", settings.timeout.count());
  if (link.is_up()) {
    const bool silent = BootClock::now() - sent_at >= settings.timeout / 2;
    return silent && std::exchange(missed, true) ? lost(what) : give_up(what);
  }
  give_up(fmt::format("{}: {}", what, link.doing()));
}

void RedisStore::Impl::load_script(const char* text) {
  link.send({"SCRIPT", "LOAD", in_force(text, kScriptRules)}, [this, text](const RedisReply& reply) {
    if (reply.is_error()) return failed(with_hint(reply.text));
    if (reply.is_text() && reply.text.size() == 40) hashes[text] = reply.text;
  });
}

void RedisStore::Impl::send() {
  Arguments args;
  if (script != nullptr) {
    const auto hash = hashes.find(script);
    by_hash = hash != hashes.end();
    if (!by_hash) load_script(script);
    args = {by_hash ? "EVALSHA" : "EVAL", by_hash ? hash->second : in_force(script, kScriptRules)};
  }
  args.insert(args.end(), arguments.begin(), arguments.end());
  sent_at = BootClock::now();
  link.send(args, [this, id = number](const RedisReply& reply) { replied(id, reply); });
}

void RedisStore::Impl::finish() {
  busy = false;
  if (deadline != 0) loop.cancel(std::exchange(deadline, 0));
}

void RedisStore::Impl::give_up(const std::string& reason) {
  if (!busy) return;
  finish();
  const Fail f = std::move(fail);
  take = nullptr;
  f(reason);
}

// The first connection after an answer is made at once: the next request finds it, and does not fall into a pause. When
// it fails too, the pauses begin.
void RedisStore::Impl::lost(const std::string& reason) {
  if (std::exchange(reopened, true)) return failed(reason);
  link.close();
  last_failure = with_hint(reason);
  not_before = BootClock::now();
  link.open();
  give_up(last_failure);
}

void RedisStore::Impl::failed(const std::string& reason) {
  link.close();
  last_failure = with_hint(reason);
  not_before = BootClock::now() + backoff.next();
  give_up(last_failure);
}

void RedisStore::Impl::replied(std::uint64_t id, const RedisReply& reply) {
  if (!busy || id != number) return;
  if (reply.is_error()) {
    if (by_hash && reply.text.starts_with("NOSCRIPT")) {
      hashes.erase(script);
      return send();
    }
    return failed(reply.text);
  }
  // The loop may have been held up: what comes late is no answer.
  if (BootClock::now() - started > settings.timeout)
    return failed(fmt::format("no answer within {} ms", settings.timeout.count()));
  missed = reopened = false;
  backoff.reset();
  finish();
  const Take t = std::move(take);
  const Fail f = std::move(fail);
  if (Status s = t(reply); !s) {
    link.close();
    f(s.message());
  }
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
      [shared](const RedisReply& r) {
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
      [shared, items = request.items.size()](const RedisReply& r) {
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
      [shared](const RedisReply&) {
        (*shared)(Status::ok());
        return Status::ok();
      },
      [shared](const std::string& reason) { (*shared)(Status::error(reason)); });
}

void RedisStore::leave(Done done) {
  auto shared = std::make_shared<Done>(std::move(done));
  impl_->start(
      nullptr, {"DEL", impl_->keys.node},
      [shared](const RedisReply&) {
        (*shared)(Status::ok());
        return Status::ok();
      },
      [shared](const std::string& reason) { (*shared)(Status::error(reason)); });
}

// Not by start(): it must not take the place of a tick, nor close the connection when it is refused.
void RedisStore::census(const std::string& text, CensusDone done) {
  Impl& i = *impl_;
  if (!i.link.is_up()) return;
  const Arguments command{"EVAL",       kCensusScript,   "2",  i.keys.census,
                          i.keys.nodes, i.settings.node, text, std::to_string(kMaxCensusText)};
  i.link.send(command, [shared = std::make_shared<CensusDone>(std::move(done))](const RedisReply& reply) {
    (*shared)(reply.is_error() ? Result<Pairs>::failure(with_hint(reply.text)) : read_census(reply));
  });
}

}  // namespace bmpha::arbiter
