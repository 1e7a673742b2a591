"""A private FRR bgpd on loopback with two BMP targets, and its tables as the truth to compare with."""
import ipaddress
import json
import os
import subprocess

from .process import Daemon
from .table import ORIGINS, Route, network

BGPD = "/usr/lib/frr/bgpd"
LOCAL_AS = 65001
MARK = (65001, 1)

# Both retry times must be given, or bgpd refuses `bmp connect` without a word. Pre-policy needs the inbound tables.
# The policy gives some routes a community and does nothing else, since FRR 8 is no witness then: a denied route is in
# its pre-policy table but reported as withdrawn, and `received-routes` shows other attributes as the policy made them.
CONFIG = """\
hostname {name}
log file {dir}/bgpd.log errors
ip prefix-list MARKED seq 5 permit {marked} le 32
route-map IN permit 10
 match ip address prefix-list MARKED
 set community {mark} additive
route-map IN permit 20
router bgp {asn}
 bgp router-id 127.0.0.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 no bgp network import-check
{neighbors}
 address-family ipv4 unicast
{activate4}
 exit-address-family
 address-family ipv6 unicast
{activate6}
 exit-address-family
{targets}
"""
NEIGHBOR = """\
 neighbor {addr} remote-as {asn}
 neighbor {addr} ebgp-multihop 3
 neighbor {addr} disable-connected-check
 neighbor {addr} update-source 127.0.0.1
 neighbor {addr} passive"""
TARGET = """\
 bmp targets {name}
  bmp monitor ipv4 unicast pre-policy
  bmp monitor ipv4 unicast post-policy
  bmp monitor ipv6 unicast pre-policy
  bmp monitor ipv6 unicast post-policy
  bmp connect 127.0.0.1 port {port} min-retry 200 max-retry 1000"""


class Frr:
    """neighbors: {address: AS}; targets: {name: BMP port}; marked: prefixes that the inbound policy gives the community MARK."""

    views = ("pre", "post")

    def __init__(self, directory, bgp_port, neighbors, targets, marked, name="demo-router"):
        self._dir, self.bgp_port, self.neighbors, self.name = str(directory), bgp_port, dict(neighbors), name
        os.makedirs(directory, exist_ok=True)
        activate = [f"  neighbor {a} activate\n  neighbor {a} soft-reconfiguration inbound" for a in neighbors]
        text = CONFIG.format(
            name=name, dir=directory, asn=LOCAL_AS, marked=marked, mark="%d:%d" % MARK,
            neighbors="\n".join(NEIGHBOR.format(addr=a, asn=asn) for a, asn in neighbors.items()),
            activate4="\n".join(f"{line}\n  neighbor {a} route-map IN in" for line, a in zip(activate, neighbors)),
            activate6="\n".join(activate),
            targets="\n".join(TARGET.format(name=target, port=port) for target, port in targets.items()))
        config = os.path.join(directory, "bgpd.conf")
        with open(config, "w", encoding="ascii") as f:
            f.write(text)
        self._daemon = Daemon([BGPD, "-S", "-Z", "-M", "bmp", "-f", config, "-i", os.path.join(directory, "bgpd.pid"),
                               "--vty_socket", directory, "-l", "127.0.0.1", "-p", bgp_port, "-A", "127.0.0.1", "-P", "0"],
                              os.path.join(directory, "bgpd.out"))
        self.stop, self.kill, self.alive = self._daemon.stop, self._daemon.kill, self._daemon.alive

    def start(self):
        self._daemon.start(lambda: self._vty("show bgp summary json", check=False))

    def remove_neighbor(self, address):
        self._vtysh("configure terminal", f"router bgp {LOCAL_AS}", f"no neighbor {address}")
        del self.neighbors[address]

    def established(self):
        """Addresses of the neighbors that are up."""
        out = set()
        for family in (self._vty("show bgp summary json") or {}).values():
            out |= {a for a, peer in family.get("peers", {}).items() if peer["state"] == "Established"}
        return out

    def as_shown(self, view, route):
        """FRR 8 puts its own AS in front of what it received, and does not show the communities of that, see routes()."""
        path = route.as_path[1:] if route.as_path[:1] == (LOCAL_AS,) else route.as_path
        return route._replace(as_path=path, communities=route.communities & {MARK} if view == "pre" else route.communities)

    def routes(self):
        """{(view, peer, prefix): Route}, pre-policy (received) and post-policy (accepted). FRR 8 does not show the
        communities of what it received: none stand there, and of those in the database only MARK, which the policy alone
        may give, is to be compared."""
        out = {}
        for family in ("ipv4", "ipv6"):
            for peer in self.neighbors:
                table = self._vty(f"show bgp {family} unicast neighbors {peer} received-routes json") or {}
                for prefix, route in (table.get("receivedRoutes") or {}).items():
                    next_hop = route["nextHop" if "nextHop" in route else "nextHopGlobal"]
                    out["pre", peer, network(prefix)] = _route(route, next_hop, route["bgpOriginCode"], frozenset())
            accepted = (self._vty(f"show bgp {family} unicast json") or {}).get("routes") or {}
            communities = self._communities(family, list(accepted))
            for prefix, paths in accepted.items():
                for path in paths:
                    key = path["peerId"], network(prefix)
                    out["post", *key] = _route(path, _global(path["nexthops"]), path["origin"], communities[key])
        return out

    def _communities(self, family, prefixes):
        """{(peer, prefix): communities} of the table behind the policy, which FRR 8 shows for single prefixes only."""
        out = {}
        for start in range(0, len(prefixes), 500):
            commands = [f"show bgp {family} unicast {prefix} json" for prefix in prefixes[start:start + 500]]
            for table in self._vty_all(commands):
                for path in table["paths"]:
                    listed = (path.get("community") or {}).get("list", ())
                    out[path["peer"]["peerId"], network(table["prefix"])] = frozenset(map(_community, listed))
        return out

    def _vtysh(self, *commands, check=True):
        options = [word for command in commands for word in ("-c", command)]
        return subprocess.run(["vtysh", "--vty_socket", self._dir, "-d", "bgpd", *options], capture_output=True, text=True,
                              timeout=60, check=check)

    def _vty(self, command, check=True):
        done = self._vtysh(command, check=check)
        return json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else None

    def _vty_all(self, commands):
        """The answers to many commands from one vtysh: one JSON text behind the other."""
        decoder, text, answers = json.JSONDecoder(), self._vtysh(*commands).stdout.strip(), []
        while text:
            answer, end = decoder.raw_decode(text)
            answers.append(answer)
            text = text[end:].lstrip()
        return [answer for answer in answers if answer]


def _global(next_hops):
    return next(h["ip"] for h in next_hops if h.get("scope", "global") == "global")


def _community(text):
    asn, value = text.split(":")
    return int(asn), int(value)


def _route(route, next_hop, origin, communities):
    path = tuple(int(a) for a in route["path"].split())
    return Route(str(ipaddress.ip_address(next_hop)), path, route.get("metric", 0), ORIGINS[origin], route.get("locPrf", 0),
                 communities)
