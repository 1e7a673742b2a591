"""A real router (FRR or GoBGP) with a BMP session to each node, fed by BGP speakers of ours; its own tables are the truth."""
import os
import random
import sys
import time
from pathlib import Path

import pytest

from . import verdict
from .cluster import SCRIPTS, TREE, free_port, wait_for

sys.path.insert(0, str(SCRIPTS))

from demolib import kafka_log  # noqa: E402
from speakers import frr, gobgp, table  # noqa: E402
from speakers.bgp_speaker import BgpSpeaker  # noqa: E402
from speakers.bgp_speaker import Path as RoutePath  # noqa: E402
from speakers.churn import Churn  # noqa: E402

PEERS = {"127.0.0.2": 65002, "127.0.0.3": 65003}
MARKED = "10.0.0.0/18"  # the router's policy gives these a community, so that pre-policy and post-policy differ
V4 = [f"10.0.{n}.0/24" for n in range(160)]
V6 = [table.network(f"2001:db8:{n:x}::/48") for n in range(40)]
NEEDED = {"frr": frr.BGPD, "gobgp": gobgp.GOBGPD}
# As in the demo: a successor starts this long before the last watermark that it saw, and what Kafka took is added.
DUPLICATE_MARGIN_MS = 3000


class SpeakerStage:
    """`speaker`: settings of the router's class. `late`: the router reaches its collectors after it has all its routes only."""

    def __init__(self, lab, kind, late=False, **speaker):
        # In CI all packages are there; that this one is not must show as a failure.
        if not Path(NEEDED[kind]).exists() and os.environ.get("CI") != "true":
            pytest.skip(f"{NEEDED[kind]} is not installed: scripts/install-deps")
        self.lab, self.kind = lab, kind
        # Neither marks the end of a dump of a peer that comes up after the BMP session.
        self.cluster = lab.cluster(settings={"bmp-recv": {"eor-quiet": "2s"}})
        self.sink = self.cluster.sink()
        self.cluster.start()
        self.links = {name: lab.cutter(node.address) for name, node in self.cluster.nodes.items()}
        targets = {name: link.port for name, link in self.links.items()}
        for link in self.links.values() if late else ():
            link.set("refuse")
        directory, bgp = lab.directory / kind, free_port()
        if kind == "frr":
            self.router = frr.Frr(directory, bgp, PEERS, targets, MARKED, f"{kind}-router", **speaker)
        else:
            self.router = gobgp.Gobgp(directory, bgp, free_port(), PEERS, targets, MARKED, f"{kind}-router", **speaker)
        self.routers = [self.router]  # as a generator has them
        lab.at_end(self.router.stop)
        self.router.start()
        self.feeders, self.churns, self.nudges = {}, [], 0
        lab.at_end(self.close)
        for address in PEERS:
            self.dial(address)
        self.announce()
        if late:
            wait_for("the routes are there", 10, lambda: len(self.router.routes()) == self.size())
            for link in self.links.values():
                link.heal()

    def size(self):
        """Of the router's tables before any change, all views."""
        paths = len(PEERS) * (len(V4) + len(V6))
        return sum(paths // len(PEERS) if view == "loc" else paths for view in self.router.views)

    def close(self):
        for part in [c.stop for _, c in self.churns] + [f.close for f in self.feeders.values()]:
            part()

    # --- routes ---
    def dial(self, address, seconds=30):
        """A BGP session from this neighbor; the router may take its time after the last one."""
        def attempt():
            try:
                return BgpSpeaker(("127.0.0.1", self.router.bgp_port), address, PEERS[address])
            except OSError:
                return None
        self.feeders[address] = wait_for(f"BGP session of {address}", seconds, attempt, every=0.5)

    def announce(self, addresses=tuple(PEERS), seed=1, part=slice(None), first=0, families=(4, 6)):
        """The tables before any change: groups of prefixes that share a path."""
        for address in addresses:
            dice, asn, last = random.Random(f"{seed} {address}"), PEERS[address], address.rsplit(".", 1)[1]
            for family, prefixes, next_hop in ((4, V4[part], f"192.0.2.{last}"), (6, V6[part], f"2001:db8:ffff::{last}")):
                for n in range(0, len(prefixes) if family in families else 0, 8):
                    path = (asn, *(dice.randrange(1000, 60000) for _ in range(dice.randrange(1, 5))))
                    self.feeders[address].announce(prefixes[n:n + 8], RoutePath(next_hop, path, first + n, ((asn, 100),)))

    def flap(self, address, announce):
        """The BGP session of a neighbor ends and comes back, with what `announce` says."""
        self.feeders.pop(address).close()
        wait_for(f"{address} is down", 10, lambda: address not in self.router.established())
        self.dial(address)
        announce()

    def churn(self, rate=150, address="127.0.0.2", salt=16):
        """Changes of prefixes of its own and of some that stand already."""
        prefixes = [f"172.{salt}.{n}.0/24" for n in range(256)] + [f"172.{salt + 1}.{n}.0/24" for n in range(256)]
        for n, prefix in enumerate(V4[::3] + V6[::3]):
            prefixes[n * 7] = prefix
        churn = Churn(self.feeders[address], PEERS[address], prefixes, rate, first=salt * 10000, seed=salt)
        self.churns.append((address, churn))
        churn.start()
        return churn

    def silence(self):
        for _, churn in self.churns:
            churn.stop()
            assert churn.error is None, churn.error
        self.lab.figures["changes"] = sum(c.changes for _, c in self.churns)
        return self

    # --- nodes ---
    def owner(self, seconds=15):
        return verdict.wait_for_owners(self.cluster, self, seconds=seconds)[self.router.name]

    def other(self, name):
        return next(n for n in self.cluster.nodes if n != name)

    def state_of(self, name):
        """What the node's gate says of the router, or None."""
        routers = self.cluster.nodes[name].gate.state()["routers"]
        return next((r for r in routers if r["name"] == self.router.name), None)

    def synced(self, name):
        state = self.state_of(name)
        return state is not None and state["up"] and not state["in_dump"] and state

    def settle(self, names="AB", seconds=60):
        """Both nodes have a whole dump behind them, one owns the router, and the tables are the router's."""
        for name in names:
            wait_for(f"{name} has a dump", seconds, lambda name=name: self.synced(name), every=0.2)
        owner = self.owner()
        wait_for("all peers are up", 20, lambda: self.router.established() == set(self.feeders), every=0.3)
        last = [None]

        def equal():
            last[0] = self.compare()
            return not last[0].lost and not last[0].wrong
        try:
            wait_for("the tables are the router's", 20, equal, every=0.3)
        except AssertionError:
            raise AssertionError(self.told(last[0])) from None
        self.lab.note(f"{self.kind}: {len(last[0].truth)} routes, owner {owner}")
        return owner

    def new_session(self, name, act, seconds):
        """Does something that ends the node's BMP session; waits until the next one has a whole dump behind it."""
        before = self.state_of(name)["session"]
        act()

        def came():
            state = self.synced(name)
            return state and state["session"] != before
        wait_for(f"the next session to {name} is synced", seconds, came, every=0.2)

    def refresh(self, helped=True):
        """What heals a router that owes something, docs/routers.md: a resync, then the other session is reset too. Without help
        GoBGP dials again in its own time, when it sends its next statistics."""
        owner = self.owner()
        self.order(helped, "resync", self.router.name)
        assert self.owner() == self.other(owner)
        before = self.state_of(owner)["session"]
        self.order(helped, "reset-session", self.router.name, nodes=[owner])
        if helped:
            self.nudge()

        def came():
            state = self.synced(owner)
            return state and state["session"] != before
        wait_for("the former owner has a new session", 60, came, every=0.5)

    def ended(self, process, helped):
        # Not for longer: a Loc-RIB has no End-of-RIB, its dump ends in silence.
        if helped and time.monotonic() < process.started + 3:
            self.nudge()
        return not process.alive()

    def order(self, helped, *words, nodes=None):
        """scripts/bmp-ha with the control sockets of these nodes."""
        control = [f"--control={self.cluster.nodes[n].arbiter.settings['control-socket']}" for n in nodes or self.cluster.nodes]
        process = self.lab.process("bmp-ha", [SCRIPTS / "bmp-ha", *control, *words]).start()
        wait_for("bmp-ha ends", 90, lambda: self.ended(process, helped), every=0.5)
        self.lab.note(f"bmp-ha {' '.join(words)}: {process.code} {process.tail(3)}")
        assert process.code == 0, process.log()

    def reset(self, name):
        """Resets a node's BMP session. GoBGP notices with the next message that it sends."""
        self.links[name].cut()
        self.nudge()

    def cut_off(self, name):
        """The node's BMP session ends and no other begins; the other node owns the router."""
        self.links[name].set("refuse")
        self.nudge()
        wait_for("the other node owns", 15, lambda: self.owner() == self.other(name))

    def nudge(self):
        """One change, so that GoBGP writes to its collectors."""
        self.nudges += 1
        self.feeders["127.0.0.2"].announce(["198.51.100.0/24"], RoutePath("192.0.2.2", (65002,), self.nudges))

    # --- the verdict ---
    def compare(self):
        return table.compare(self.sink.database.sql, self.router)

    def told(self, c):
        return (f"{len(c.lost)} lost, {len(c.extra)} too many, {len(c.different)} different of {len(c.truth)}",
                *c.describe(c.lost), *c.describe(c.extra), *c.describe(c.different))

    def unsent_withdrawals(self, key):
        """GoBGP does not send the post-policy withdrawal of a route that a session got by its dump."""
        view, peer, prefix = key
        return self.kind == "gobgp" and view == "post" and any(
            prefix in churn.withdrawn for address, churn in self.churns if address == peer)

    def judge(self, forgiven=lambda key: False, quiet=3.0):
        """The tables equal the router's row by row, apart from rows that the router is known to owe; one owner, and no process
        has ended by itself. Returns the keys of the rows that were forgiven: too many, or of a state that is past."""
        verdict.wait_until_quiet(self.cluster, [self.sink], quiet)
        c = self.compare()
        owed = [k for k in c.wrong if forgiven(k)]
        self.lab.figures.update(rows=len(c.truth), lost=len(c.lost), wrong=len(c.wrong) - len(owed))
        self.lab.note(f"compared {len(c.truth)} routes: {len(c.lost)} lost, {len(c.wrong)} wrong, of them {len(owed)} owed by the router")
        assert {k[0] for k in c.truth} == set(self.router.views), "a view of the router is empty: nothing was compared"
        assert not c.lost and len(c.wrong) == len(owed), self.told(c)
        up = {a for a, in self.sink.database.sql("SELECT host(addr) FROM peers WHERE up AND NOT is_loc_rib")}
        assert up - {peer for _, peer, _ in owed} == self.router.established() - {peer for _, peer, _ in owed}
        ended = [f"{p.name}: exit {p.code}: {p.tail(5)}" for p in self.cluster.processes() if p.ended_by_itself()]
        assert not ended, ended
        self.owner()
        return owed

    def suspects(self):
        """Peers that the query in docs/routers.md lists."""
        query = (TREE / "docs/routers.md").read_text().split("```sql\n")[1].split("```")[0]
        return {row[1] for row in self.sink.database.sql(query)}

    def judge_switch(self, killed, at):
        """The take-over from a node killed at that wall clock time: how long it took and what was delivered twice."""
        log = kafka_log.KafkaLog(self.lab.servers.brokers, self.cluster.topic)
        try:
            records = log.read({})
        finally:
            log.close()
        router = verdict.router_hashes(self.cluster.log.read())[self.router.name]
        found = kafka_log.judge_switch(records, router, killed, at, DUPLICATE_MARGIN_MS)
        assert found, "nobody took over"
        self.lab.figures.update(switch_ms=round(found.run_ms - at * 1000), duplicates=found.duplicates)
        self.lab.note(f"take-over: {found}")
        return found

    def kinds(self, kind):
        return [r for r in self.cluster.log.read() if r.header.kind == kind]


def kill(node):
    """SIGKILL to the node's three processes; returns when that was."""
    at = time.time()
    node.kill()
    return at
