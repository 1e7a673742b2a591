// Settings of bmp-recv.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bmp-recv/tcp.h"
#include "common/clock.h"
#include "common/options.h"

namespace bmpha::recv {

struct Config {
  std::string node_name;
  std::string cluster_name = "default";
  std::uint64_t cluster_id = 0;
  std::string collector_id;  // empty: by cluster
  std::vector<std::string> listen{"[::]:1790"};
  std::string router_id = "ip";
  std::vector<std::string> dial;  // routers that listen
  bool reverse_dns = false;
  std::vector<std::string> router_names;
  std::vector<std::string> router_groups;
  bool bmp_raw = false;
  std::string compat = "none";
  std::string replay;  // a file; empty: none
  std::vector<std::string> allow;
  std::string gate_socket = "ipc:///run/bmp-ha/link.sock";
  std::string publish_socket = "ipc:///run/bmp-ha/records.sock";
  std::uint64_t ring_bytes = std::uint64_t{256} * 1024 * 1024;
  std::uint64_t session_limit = 1000;
  Millis handshake_timeout{30000};
  Millis idle_timeout{0};
  Millis eor_quiet{30000};
  Millis dump_cap{600000};
  Millis heartbeat_interval{300000};
  std::string keep_malformed;  // directory; empty: none
  std::string metrics_listen;
  std::string dump_file;

  bool openbmp_hashes() const { return compat == "openbmp-psql"; }
  std::string collector() const;
  std::vector<ListenAddress> listen_addresses() const;
  std::vector<ListenAddress> dial_addresses() const;
  std::vector<IpPrefix> allowed() const;
  std::map<IpAddress, std::string> names() const;
};

// Registers all options; config must outlive them.
void add_options(Options& options, Config& config);

}  // namespace bmpha::recv
