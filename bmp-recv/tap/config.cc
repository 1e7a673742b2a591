#include "bmp-recv/tap/config.h"

#include <algorithm>

#include "common/value_checks.h"

namespace bmpha::recv {
namespace {

std::string check_prefix(const std::string& text) {
  IpPrefix p;
  return parse_ip_prefix(text, p) ? std::string() : "expected a prefix such as 192.0.2.0/24 or 2001:db8::/32";
}
std::string check_ip(const std::string& text) {
  IpPrefix p;
  return text.find('/') == std::string::npos && parse_ip_prefix(text, p) ? std::string()
                                                                         : "expected an address such as 192.0.2.1";
}
std::string check_type(const std::string& text) {
  if (text == "bmp_raw" || find_object(text) != nullptr) return {};
  for (int kind = 1; kind <= static_cast<int>(RecordKind::kCollector); ++kind)
    if (const auto k = static_cast<RecordKind>(kind); (is_control(k) || is_session_mark(k)) && text == kind_name(k))
      return {};
  return "expected an object such as unicast_prefix, peer or router; docs/wire.md lists them";
}

std::string check_sources(TapConfig& c) {
  const int sources = (c.input.empty() ? 0 : 1) + (c.subscribe.empty() ? 0 : 1) + (c.kafka.brokers.empty() ? 0 : 1);
  if (sources != 1)
    return sources == 0 ? "nothing to read HINT: give a file, - for standard input, --subscribe or --kafka-brokers"
                        : "more than one source HINT: give one of a file, --subscribe and --kafka-brokers";
  if (!c.relay.empty() && !c.subscribe.empty())
    return "key relay: what bmp-recv publishes holds no BMP HINT: relay a file or the topic of bmp_raw";
  c.filter.prefixes.clear();
  for (const std::string& text : c.prefixes)
    if (IpPrefix p; parse_ip_prefix(text, p)) c.filter.prefixes.push_back(p);
  return {};
}

}  // namespace

std::vector<std::string> TapConfig::topics() const {
  if (!relay.empty()) return {names.expand(names.topic.empty() ? "{root}.{raw}" : names.topic)};
  if (!names.is_per_object()) return {names.expand(names.topic.empty() ? "{root}.{parsed}" : names.topic)};
  std::vector<std::string> out = {names.name_of(TopicSelector::kUnicastPrefix)};
  for (std::size_t n = 0; n < kTopicSelectors; ++n)
    if (const std::string name = names.name_of(static_cast<TopicSelector>(n));
        !name.empty() && std::find(out.begin(), out.end(), name) == out.end())
      out.push_back(name);
  return out;
}

void add_options(Options& o, TapConfig& c) {
  o.positional("FILE", &c.input, "recorded BMP, or a capture (pcap, pcapng); - is standard input");
  o.text("subscribe", &c.subscribe, "publish-socket of a bmp-recv to listen to", check_endpoint);
  o.text("kafka-brokers", &c.kafka.brokers, "Kafka to follow, host:port[,host:port...]", check_kafka_brokers);
  o.list("kafka-option", &c.kafka.options, "librdkafka property, key=value", check_kafka_option);
  c.names.topic.clear();
  add_topic_options(o, c.names);
  o.choice("from", &c.from, {"start", "end"}, "where following a topic begins");
  o.flag("stop-at-end", &c.stop_at_end, "stop at what is the topic's end now");
  o.flag("json", &c.json, "print JSON, one object a line");
  o.list("router", &c.filter.routers, "only routers with this address, hash or name");
  o.list("peer", &c.filter.peers, "only peers with this address or hash, or AS number as AS65001");
  o.list("prefix", &c.prefixes, "only routes of this prefix and of what lies in it", check_prefix);
  o.list("type", &c.filter.types, "only this object, such as unicast_prefix", check_type);
  o.number("count", &c.count, "stop after so many lines; 0: do not");
  o.text("relay", &c.relay, "print nothing, send the BMP to this collector, HOST:PORT", check_host_port);
  o.duration("hold", &c.hold, "with --relay: keep the sessions of a file open for so long at the end");
  o.text("collector-id", &c.collector_id, "for files: the collector that hashes depend on");
  o.text("router-ip", &c.router_ip, "for files: the router's address", check_ip);
  o.choice("compat", &c.compat, {"none", "openbmp-psql"}, "for files: as in bmp-recv");
  o.cross_check([&c] { return check_sources(c); });
}

}  // namespace bmpha::recv
