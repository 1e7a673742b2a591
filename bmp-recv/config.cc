#include "bmp-recv/config.h"

#include <fmt/format.h>

#include <set>

#include "bmp-recv/md5.h"
#include "bmp-recv/router_groups.h"
#include "common/metrics.h"
#include "common/node_name.h"
#include "common/value_checks.h"

namespace bmpha::recv {
namespace {

std::string check_listen(const std::string& text) {
  ListenAddress a;
  return parse_listen_address(text, a)
             ? std::string()
             : "expected ADDRESS:PORT such as 192.0.2.1:1790 or [::]:1790, with ,tag=NAME if wanted";
}
std::string check_dial(const std::string& text) {
  ListenAddress a;
  return parse_dial_address(text, a) ? std::string()
                                     : "expected HOST:PORT such as 192.0.2.1:1790, [2001:db8::1]:1790 or "
                                       "r1.example.net:1790, with ,tag=NAME if wanted";
}
bool parse_router_name(const std::string& text, std::string& name, IpAddress& address) {
  const std::size_t equals = text.rfind('=');
  IpPrefix p;
  if (equals == 0 || equals > 64 || text.find('/') != std::string::npos || !parse_ip_prefix(text.substr(equals + 1), p))
    return false;
  name = text.substr(0, equals);
  address = p.address;
  return name.find_first_of("\t\r\n '\"") == std::string::npos;
}
std::string check_router_name(const std::string& text) {
  std::string name;
  IpAddress address{};
  return parse_router_name(text, name, address)
             ? std::string()
             : "expected NAME=ADDRESS such as edge-1=192.0.2.1, a name of at most 64 characters without spaces";
}
std::string check_prefix(const std::string& text) {
  IpPrefix p;
  return parse_ip_prefix(text, p) ? std::string() : "expected a prefix such as 192.0.2.0/24 or 2001:db8::/32";
}
std::string check_name(const std::string& text) {
  const bool plain = text.find_first_of("\t\r\n '\"") == std::string::npos;
  return plain && text.size() <= 64 ? std::string() : "expected at most 64 characters without spaces or quotes";
}

std::vector<ListenAddress> parsed(const std::vector<std::string>& texts) {
  std::vector<ListenAddress> list;
  for (const std::string& text : texts)
    if (ListenAddress a; parse_dial_address(text, a)) list.push_back(std::move(a));
  return list;
}

std::string check_tags(const Config& c) {
  if (c.router_id != "tag") return {};
  std::set<std::string> seen;
  const auto check = [&seen](const char* key, const std::vector<ListenAddress>& list) {
    for (const ListenAddress& a : list) {
      if (a.tag.empty())
        return fmt::format("key {}: {}: router-id is tag, so each address needs ,tag=NAME", key, a.text);
      if (!seen.insert(a.tag).second)
        return fmt::format("key {}: tag {} stands at two addresses; each router needs its own", key, a.tag);
    }
    return std::string();
  };
  const std::string listen = check("listen", c.listen_addresses());
  return listen.empty() ? check("dial", c.dial_addresses()) : listen;
}

}  // namespace

std::string Config::collector() const {
  if (!collector_id.empty()) return collector_id;
  return cluster_id == 0 ? cluster_name : fmt::format("{}-{}", cluster_name, cluster_id);
}

std::vector<ListenAddress> Config::listen_addresses() const { return parsed(listen); }
std::vector<ListenAddress> Config::dial_addresses() const { return parsed(dial); }

std::vector<IpPrefix> Config::allowed() const {
  std::vector<IpPrefix> list;
  for (const std::string& text : allow)
    if (IpPrefix p; parse_ip_prefix(text, p)) list.push_back(p);
  return list;
}

std::map<IpAddress, std::string> Config::names() const {
  std::map<IpAddress, std::string> map;
  std::string name;
  IpAddress address{};
  for (const std::string& text : router_names)
    if (parse_router_name(text, name, address)) map[address] = name;
  return map;
}

void add_options(Options& o, Config& c) {
  constexpr Millis kDay{86400000};
  o.text("node-name", &c.node_name, "name of this node, unique in the cluster; used in logs", check_node_name);
  o.text("cluster-name", &c.cluster_name, "name of the cluster", check_node_name);
  o.number("cluster-id", &c.cluster_id, "number of the cluster", 0, UINT32_MAX);
  o.text("collector-id", &c.collector_id, "logical collector, the same on all nodes; empty: by cluster-name and -id",
         check_name);
  o.list("listen", &c.listen, "address to accept routers on, ADDRESS:PORT[,tag=NAME]", check_listen);
  o.choice("router-id", &c.router_id, {"ip", "sysname", "tag"}, "what identifies a router");
  o.list("dial", &c.dial, "router that listens for collectors, to be dialled, HOST:PORT[,tag=NAME]", check_dial);
  o.list("router-name", &c.router_names, "name of the router of an address, NAME=ADDRESS", check_router_name);
  o.flag("reverse-dns", &c.reverse_dns, "name routers without a sysName by their addresses' names");
  o.list("router-group", &c.router_groups, "group of routers, NAME=PREFIX or NAME=/REGEX/ of their names",
         check_router_group);
  o.choice("compat", &c.compat, {"none", "openbmp-psql"}, "whose hashes identify collector, routers, peers and routes");
  o.flag("bmp-raw", &c.bmp_raw, "publish every BMP message as it came, too");
  o.text("replay", &c.replay, "file of recorded BMP that is fed in as if a router sent it");
  o.list("allow", &c.allow, "prefix that routers may connect from; none: any", check_prefix);
  o.text("gate-socket", &c.gate_socket, "where kafka-gate connects", check_endpoint);
  o.text("publish-socket", &c.publish_socket, "where records are published, lossy", check_endpoint);
  o.bytes("ring-bytes", &c.ring_bytes, "limit of records that the gate has not released",
          std::uint64_t{4} * 1024 * 1024);
  o.number("session-limit", &c.session_limit, "largest number of connections at once", 1, 100000);
  o.duration("handshake-timeout", &c.handshake_timeout, "time for a new connection's first message", Millis{100}, kDay);
  o.duration("idle-timeout", &c.idle_timeout, "close a session that sends nothing for this long; 0s: never", Millis{0},
             kDay);
  o.duration("eor-quiet", &c.eor_quiet, "silence of a table that counts as the end of its dump", Millis{1}, kDay);
  o.duration("dump-cap", &c.dump_cap, "longest time that a session's dump may take", Millis{1}, kDay);
  o.duration("heartbeat-interval", &c.heartbeat_interval, "time between heartbeats of the collector object",
             Millis{100}, kDay);
  o.text("keep-malformed", &c.keep_malformed, "directory for messages that cannot be used, up to 1000; empty: none");
  add_metrics_option(o, &c.metrics_listen);
  o.text("dump-file", &c.dump_file, "file for the state dump on SIGUSR1; empty: one line on stdout");
  o.reloadable({"allow", "ring-bytes", "session-limit", "handshake-timeout", "idle-timeout", "eor-quiet", "dump-cap",
                "heartbeat-interval", "dump-file"});
  o.cross_check([&c] { return check_tags(c); });
  o.cross_check([&c] {
    return !c.openbmp_hashes() || md5_works()
               ? std::string()
               : std::string("key compat: openbmp-psql needs MD5, which this system forbids");
  });
}

}  // namespace bmpha::recv
