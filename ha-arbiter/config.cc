#include "ha-arbiter/config.h"

#include <fmt/format.h>

#include "common/metrics.h"
#include "common/node_name.h"
#include "common/value_checks.h"
#include "ha-arbiter/timing.h"

namespace bmpha::arbiter {
namespace {

std::string check_url(const std::string& text) {
  const auto address = parse_redis_url(text);
  return address ? std::string() : address.error();
}
// Files are loaded here, so that --check finds what is wrong with them.
std::string check_redis(const Config& c) {
  const auto address = parse_redis_url(c.redis_url);
  if (!address || c.standalone) return {};
  if (!c.redis_user.empty() && c.redis_password.empty() && address.value().password.empty())
    return "key redis-user: needs redis-password";
  if (!c.sentinel_user.empty() && c.sentinel_password.empty()) return "key sentinel-user: needs sentinel-password";
  if (!address.value().by_sentinel() && !c.sentinel_password.empty())
    return "key sentinel-password: redis-url names no Sentinels";
  const TlsSettings& t = c.redis_tls;
  if (!address.value().tls) {
    const bool any = !t.ca.empty() || !t.cert.empty() || !t.key.empty() || !t.name.empty();
    return any ? "key redis-ca, redis-cert, redis-key, redis-tls-name: redis-url is without TLS HINT: rediss://" : "";
  }
  if (t.cert.empty() != t.key.empty()) return "key redis-cert, redis-key: one needs the other";
  const auto loaded = TlsContext::load(t);
  return loaded ? std::string() : loaded.error();
}

std::string check_path(const std::string& text) { return text.empty() ? "expected a path" : ""; }

// The largest difference in time at which two nodes read the same change. It is what `hold` says, but for records that
// are dropped by their age `hold` is that age.
constexpr Millis kMargin{2000};
bool is_by_age(const Config& c) { return c.trim == "time"; }
Timing timing_of(const Config& c) {
  return {c.tick, c.redis_timeout, c.ttl, c.lease, is_by_age(c) ? kMargin : c.hold, c.retain};
}

}  // namespace

std::string check_timing(const Config& c) {
  if (std::string e = check_node_name_given(c.node); !e.empty()) return e;
  if (const auto broken = broken_bound(timing_of(c))) return fmt::format("key {}: {}", broken->key, broken->why);
  if (c.lease <= c.tick)
    return fmt::format("key lease: {} ms is not more than tick = {} ms", c.lease.count(), c.tick.count());
  if (c.down_delay < c.stale_delay)
    return fmt::format("key router-down-delay: {} ms is less than router-stale-delay = {} ms", c.down_delay.count(),
                       c.stale_delay.count());
  return {};
}

std::string hold_warning(const Config& c) {
  const Nanos need = safe_hold(timing_of(c));
  if (!is_by_age(c) || c.hold >= need) return {};
  return fmt::format(
      "trim = time with hold = {} ms: a node that takes over after a fault lacks what was dropped before "
      "HINT: hold must be at least {} ms, or trim = evidence",
      c.hold.count(), std::chrono::duration_cast<Millis>(need).count());
}

void add_options(Options& o, Config& c) {
  constexpr Millis kDay{86'400'000};
  constexpr Millis kMinute{60'000};
  o.text("node-name", &c.node, "name of this node, unique in the cluster", check_node_name);
  o.text("cluster-name", &c.cluster_name, "name of the cluster", check_node_name);
  o.number("cluster-id", &c.cluster_id, "number of the cluster", 0, UINT32_MAX);
  o.text("redis-url", &c.redis_url,
         "redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss://... (TLS), unix:///PATH[?db=N], "
         "sentinel://HOST[:PORT],.../MASTER[/DB] or rediss+sentinel://...",
         check_url);
  o.text("redis-user", &c.redis_user, "user for Redis (ACL), in place of one in redis-url");
  o.secret("redis-password", &c.redis_password, "password for Redis, in place of one in redis-url");
  o.text("redis-ca", &c.redis_tls.ca, "TLS: file or directory of the authorities to believe; empty: the system's");
  o.text("redis-cert", &c.redis_tls.cert, "TLS: this node's certificate");
  o.text("redis-key", &c.redis_tls.key, "TLS: the key of redis-cert");
  o.text("redis-tls-name", &c.redis_tls.name, "TLS: the name that certificates must have, in place of the host");
  o.text("sentinel-user", &c.sentinel_user, "user for the Sentinels themselves");
  o.secret("sentinel-password", &c.sentinel_password, "password for the Sentinels themselves");
  o.flag("standalone", &c.standalone, "single node without Redis: every router is active");
  o.text("status-socket", &c.status_socket, "where kafka-gate publishes its state", check_endpoint);
  o.text("roles-socket", &c.roles_socket, "where the roles are published", check_endpoint);
  o.text("control-socket", &c.control_socket, "where scripts/bmp-ha gives its orders", check_endpoint);
  o.text("state-file", &c.state_file, "file for the highest epoch and the gen", check_path);
  o.choice("grain", &c.grain, {"router", "collector"},
           "what has one active node: every router, or the collector with all its routers");
  o.choice("trim", &c.trim, {"evidence", "time"},
           "held records are dropped when the owner is known to have sent them, or when they are older than hold");
  add_metrics_option(o, &c.metrics_listen);
  o.text("dump-file", &c.dump_file, "file for the state dump on SIGUSR1; empty: one line on stdout");
  o.duration("tick", &c.tick, "time between two exchanges with Redis", Millis{50}, kMinute);
  o.duration("redis-timeout", &c.redis_timeout, "deadline of one exchange with Redis", Millis{20}, kMinute);
  o.duration("ttl", &c.ttl, "silence after which another node is dead, or Redis unreachable", Millis{200}, kMinute);
  o.duration("hold", &c.hold,
             "largest difference in time at which two nodes read the same change; with trim = time: age", Millis{0},
             kDay);
  o.duration("retain", &c.retain, "as kafka-gate's: what it keeps behind the owner's progress", Millis{0}, kDay);
  o.duration("lease", &c.lease, "kafka-gate stops sending when it has heard nothing for this long", Millis{100},
             kMinute);
  o.duration("router-stale-delay", &c.stale_delay, "a router without a session anywhere is stale after this", Millis{0},
             kDay);
  o.duration("router-down-delay", &c.down_delay, "... and down after this", Millis{0}, kDay);
  o.duration("stall-timeout", &c.stall_timeout, "a session silent for this long while another node's reads is stalled",
             Millis{1000}, kDay);
  o.duration("alarm-after", &c.alarm_after,
             "a router on one node only, or owned by none or by two, for this long is an alarm", Millis{0}, kDay);
  o.reloadable({"alarm-after", "router-stale-delay", "router-down-delay", "stall-timeout", "dump-file"});
  o.cross_check([&c] { return check_timing(c); });
  o.cross_check([&c] { return check_redis(c); });
}

DeciderSettings decider_settings(const Config& c, std::uint64_t inc) {
  DeciderSettings s;
  s.node = c.node;
  s.inc = inc;
  s.tick = c.tick;
  s.redis_timeout = c.redis_timeout;
  s.ttl = c.ttl;
  s.grain = c.grain == "collector" ? Grain::kCollector : Grain::kRouter;
  s.by_age = is_by_age(c);
  s.hold = c.hold;
  s.margin = timing_of(c).margin;
  s.lease = c.lease;
  s.stale_delay = c.stale_delay;
  s.down_delay = c.down_delay;
  s.stall_timeout = c.stall_timeout;
  return s;
}

RedisSettings redis_settings(const Config& c) {
  RedisSettings s;
  if (auto address = parse_redis_url(c.redis_url)) s.address = address.value();
  if (!c.redis_user.empty()) s.address.user = c.redis_user;
  if (!c.redis_password.empty()) s.address.password = c.redis_password;
  s.tls = c.redis_tls;
  s.sentinel_user = c.sentinel_user;
  s.sentinel_password = c.sentinel_password;
  s.cluster_name = c.cluster_name;
  s.cluster_id = c.cluster_id;
  s.node = c.node;
  s.timeout = c.redis_timeout;
  s.ttl = c.ttl;
  return s;
}

}  // namespace bmpha::arbiter
