"""A private GoBGP on loopback with two BMP collectors, and its tables as the truth to compare with."""
import ipaddress
import json
import os
import subprocess

from .process import Daemon
from .table import Route, community, network

GOBGPD = "/usr/bin/gobgpd"
GOBGP = "/usr/bin/gobgp"
LOCAL_AS = 65001
MARK = (65001, 1)
FAMILIES = ("ipv4", "ipv6")

# Without statistics GoBGP notices a lost collector only with its next update; it refuses less than 15 s.
CONFIG = """\
[global.config]
  as = {asn}
  router-id = "127.0.0.1"
  port = {port}
  local-address-list = ["127.0.0.1"]
[global.apply-policy.config]
  import-policy-list = ["mark"]
  default-import-policy = "accept-route"
[[defined-sets.prefix-sets]]
  prefix-set-name = "marked"
  [[defined-sets.prefix-sets.prefix-list]]
    ip-prefix = "{marked}"
    masklength-range = "0..32"
[[policy-definitions]]
  name = "mark"
  [[policy-definitions.statements]]
    name = "add-community"
    [policy-definitions.statements.conditions.match-prefix-set]
      prefix-set = "marked"
    [policy-definitions.statements.actions.bgp-actions.set-community]
      options = "add"
      [policy-definitions.statements.actions.bgp-actions.set-community.set-community-method]
        communities-list = ["{mark}"]
    [policy-definitions.statements.actions]
      route-disposition = "accept-route"
"""
COLLECTOR = """\
[[bmp-servers]]
  [bmp-servers.config]
    address = "127.0.0.1"
    port = {port}
    route-monitoring-policy = "{policy}"
    statistics-timeout = {statistics}
    sys-name = "{name}"
    sys-descr = "GoBGP"
"""
NEIGHBOR = """\
[[neighbors]]
  [neighbors.config]
    neighbor-address = "{addr}"
    peer-as = {asn}
  [neighbors.timers.config]
    idle-hold-time-after-reset = 1
  [neighbors.transport.config]
    local-address = "127.0.0.1"
    passive-mode = true
  [neighbors.ebgp-multihop.config]
    enabled = true
    multihop-ttl = 3
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv4-unicast"
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv6-unicast"
"""


class Gobgp:
    """neighbors: {address: AS}; targets: {name: BMP port}; marked: prefixes that the import policy gives the community MARK;
    policy: what it monitors, in GoBGP's words."""

    def __init__(self, directory, bgp_port, api_port, neighbors, targets, marked, name="demo-router", policy="all",
                 statistics=15):
        self.bgp_port, self._api_port, self.neighbors, self.name = bgp_port, api_port, dict(neighbors), name
        self.views = {"all": ("pre", "post", "loc"), "pre-policy": ("pre",), "post-policy": ("post",), "both": ("pre", "post"),
                      "local-rib": ("loc",)}[policy]
        os.makedirs(directory, exist_ok=True)
        config = os.path.join(directory, "gobgpd.toml")
        with open(config, "w", encoding="ascii") as f:
            f.write(CONFIG.format(asn=LOCAL_AS, port=bgp_port, marked=marked, mark="%d:%d" % MARK))
            f.writelines(COLLECTOR.format(port=port, policy=policy, statistics=statistics, name=name)
                         for port in targets.values())
            f.writelines(NEIGHBOR.format(addr=a, asn=asn) for a, asn in neighbors.items())
        self._daemon = Daemon([GOBGPD, "-f", config, "--api-hosts", f"127.0.0.1:{api_port}", "--pprof-disable"],
                              os.path.join(directory, "gobgpd.log"))
        self.stop, self.kill, self.alive = self._daemon.stop, self._daemon.kill, self._daemon.alive

    def start(self):
        self._daemon.start(lambda: len(self._ask("neighbor")) == len(self.neighbors))

    def remove_neighbor(self, address):
        self._run("neighbor", "del", address)
        del self.neighbors[address]

    def established(self):
        """Addresses of the neighbors that are up."""
        return {n["state"]["neighbor_address"] for n in self._ask("neighbor") if n["state"].get("session_state") == 6}

    def as_shown(self, _view, route):
        return route

    def routes(self):
        """{(view, peer, prefix): Route} of the views that it monitors: Adj-RIB-In, all paths behind the import policy, and the
        best of them as Loc-RIB."""
        out = {}
        for family in FAMILIES:
            for peer in self.neighbors if "pre" in self.views else ():
                for prefix, paths in self._ask("neighbor", peer, "adj-in", "-a", family).items():
                    for path in paths:
                        out["pre", peer, network(prefix)] = _route(path)
            for prefix, paths in self._ask("global", "rib", "-a", family).items():
                for path in paths:
                    if "post" in self.views:
                        out["post", path["neighbor-ip"], network(prefix)] = _route(path)
                    if "loc" in self.views and path.get("best"):
                        out["loc", "", network(prefix)] = _route(path)
        return out

    def _run(self, *words):
        return subprocess.run([GOBGP, "-u", "127.0.0.1", "-p", str(self._api_port), *words], capture_output=True, text=True,
                              timeout=60, check=True).stdout

    def _ask(self, *words):
        return json.loads(self._run(*words, "-j") or "{}") or {}


def _route(path):
    attributes = {a["type"]: a for a in path["attrs"]}
    segments = attributes.get(2, {}).get("as_paths", ())
    next_hop = attributes[3 if 3 in attributes else 14]["nexthop"]
    return Route(str(ipaddress.ip_address(next_hop)), tuple(asn for s in segments for asn in s["asns"]),
                 attributes.get(4, {}).get("metric", 0), attributes[1]["value"], attributes.get(5, {}).get("value", 0),
                 frozenset(community(c) for c in attributes.get(8, {}).get("communities", ())))
