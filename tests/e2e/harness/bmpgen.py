"""A BMP speaker that plays many routers, each with a session to every node.

It keeps each router's own RIB, numbers every change (a large community ADMIN:router:number, unique over all routers),
and remembers on which session a number was written, so that a verdict can say what was lost. As FRR does, a session
that is in its table walk is not told of changes to routes that the walk has not reached, and a coalescing session sees
final states only.

All state belongs to the reactor's thread. Public methods may be called from any other thread.
"""
import asyncio
import random
import socket
import time
from collections import defaultdict
from dataclasses import dataclass, field

from . import wire
from .cutter import lose_packets, reset_socket
from .reactor import reactor

NUMBER_ADMIN = 4200000001
# A number that was written less than this before its session broke may have died in a socket buffer.
SETTLED_SECONDS = 1.0


@dataclass
class Incarnation:
    """One TCP connection of a router to a node."""

    node: str
    opened: float
    closed: float = None
    cause: str = ""
    messages: int = 0
    open_numbers: int = 0


@dataclass
class Change:
    """An announcement with its number. `carried`: where and when it was written."""

    router: str
    key: tuple  # peer index, view, prefix
    made: float
    carried: list = field(default_factory=list)  # of (Incarnation, time)
    coalesced: bool = False  # a newer state took its place on some session
    skipped: bool = False  # some session's walk passed it over


class Session:
    """A router's session to one node: dials, dumps, then sends what changes."""

    def __init__(self, router, node, address):
        self.router, self.node, self.address = router, node, address
        self.wanted = False
        self.redial = 0.2
        self.dump_rate = 0  # routes per second of the table walk; 0: at once
        self.coalesce = 0.0  # seconds between two looks at what has changed; such a session writes only where TCP takes it
        self.incarnation = None
        self.walking = None  # keys that the walk has yet to reach
        self.walk_paused = None  # an Event while the walk stands still
        self.dirty = {}
        self.history = []
        self.abandoned = []  # writers of connections that only the other side still has
        self._task = self._writer = self._helper = None

    # --- dialling ---
    def start(self):
        self.wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self, how="fin"):
        self.wanted = False
        for writer in self.abandoned:
            writer.transport.abort()
        self.abandoned = []
        self.close(how)
        if self._task:
            self._task.cancel()
            self._task = None

    def close(self, how="fin"):
        """fin: as a router that ends; rst: the link breaks."""
        if self._writer is None:
            return
        self._end(how)
        if how == "rst":
            reset_socket(self._writer.get_extra_info("socket"))
            self._writer.transport.abort()
        else:
            self._writer.close()
        self._writer = None

    def abandon(self):
        """The connection is forgotten without a word, as when its path is gone: nothing more is sent on it, and what the
        other side sends, keepalive probes too, is never answered. The router dials again at once."""
        if self._writer is None:
            return
        self._end("abandoned")
        lose_packets(self._writer.get_extra_info("socket"), 1)
        self.abandoned.append(self._writer)
        self._writer = None
        self._task.cancel()
        self._task = None
        self.start()

    def _end(self, cause):
        if self.incarnation and self.incarnation.closed is None:
            self.incarnation.closed = time.monotonic()
            self.incarnation.cause = cause
        if self._helper:
            self._helper.cancel()
            self._helper = None
        self.walking = self.walk_paused = None
        self.dirty = {}

    async def _work(self):
        while self.wanted:
            try:
                reader, writer = await asyncio.open_connection(*self.address)
            except OSError:
                await asyncio.sleep(self.redial)
                continue
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.coalesce:
                writer.transport.set_write_buffer_limits(high=4096)
            self._writer = writer
            self._begin()
            try:
                await reader.read(1)  # a collector never writes: this is the end
                cause = "eof"
            except OSError as e:
                cause = str(e)
            if self._writer is writer:
                self._end(cause)
                writer.transport.abort()
                self._writer = None
            await asyncio.sleep(self.redial)

    @property
    def up(self):
        return self._writer is not None

    @property
    def stuck(self):
        return self._writer is not None and self._writer.transport.get_write_buffer_size() > 4096

    def send(self, data):
        if self._writer is not None:
            self._writer.write(data)
            self.incarnation.messages += 1

    # --- dump ---
    def _begin(self):
        r = self.router
        self.incarnation = Incarnation(self.node, time.monotonic())
        self.history.append(self.incarnation)
        self.dirty = {}
        self.send(wire.initiation(r.name))
        for n in r.present:
            self.send(wire.peer_up(r.peers[n], r.stamp(), local_asn=r.asn))
        keys = sorted(r.rib)
        loop = asyncio.get_running_loop()
        if self.dump_rate == 0 and self.walk_paused is None:
            for key in keys:
                self.send_state(key)
            self._send_eors()
            if self.coalesce:
                self._helper = loop.create_task(self._flush_dirty())
        else:
            self.walking = dict.fromkeys(keys)
            self.walk_paused = asyncio.Event()
            self.walk_paused.set()
            self._helper = loop.create_task(self._walk(keys))

    async def _walk(self, keys):
        for key in keys:
            await self.walk_paused.wait()
            if self.dump_rate:
                await asyncio.sleep(1 / self.dump_rate)
            await self.walk_paused.wait()
            self.walking.pop(key, None)
            if key in self.router.rib:
                self.send_state(key)
        await self.walk_paused.wait()
        self.walking = None
        self._send_eors()
        if self.coalesce:
            await self._flush_dirty()

    def _send_eors(self):
        r = self.router
        for n in r.present:
            for view in r.views[n]:
                for family in wire.FAMILIES:
                    self.send(wire.route_monitoring(r.peers[n], view, 0, wire.end_of_rib(family)))

    # --- changes ---
    def on_change(self, key):
        if not self.up or key[0] not in self.router.present:
            return
        if self.walking is not None and key in self.walking:
            change = self.router.change_of(key)
            if change:
                change.skipped = True
            return
        if self.coalesce:
            if key in self.dirty and self.dirty[key]:
                self.dirty[key].coalesced = True
            self.dirty.pop(key, None)  # the newest stands at the end
            self.dirty[key] = self.router.change_of(key)
            return
        self.send_state(key)

    async def _flush_dirty(self):
        while True:
            await asyncio.sleep(self.coalesce)
            await self._writer.drain()
            dirty, self.dirty = self.dirty, {}
            for key in dirty:
                self.send_state(key)

    def send_state(self, key):
        """The route's current state, as a session says it."""
        r = self.router
        n, view, prefix = key
        attributes = r.rib.get(key)
        message = wire.announce(prefix, attributes) if attributes else wire.withdraw(prefix)
        self.send(wire.route_monitoring(r.peers[n], view, r.stamp(), message))
        if attributes and self._writer is not None:
            r.generator.carry(attributes.large[0][2], self.incarnation)


class Router:
    """One router: its peers, its RIB, its sessions."""

    def __init__(self, generator, index, name, peers, views, asn=wire.LOCAL_ASN):
        self.generator, self.index, self.name, self.asn = generator, index, name, asn
        self.peers = peers
        self.views = views
        self.present = list(range(len(peers)))  # peers that are configured and up
        self.rib = {}
        self.sessions = {}
        self.clock = "now"  # now, zero, past (an hour behind)
        self.withdrawals = defaultdict(int)  # key -> withdrawals of a present route that every session was told
        self.touched = None  # keys that have changed since the RIB was filled

    def stamp(self):
        return {"now": time.time(), "zero": 0, "past": time.time() - 3600}[self.clock]

    def change_of(self, key):
        attributes = self.rib.get(key)
        return self.generator.changes[attributes.large[0][2]] if attributes else None

    def announce(self, n, prefix):
        for view in self.views[n]:
            key = (n, view, prefix)
            self.rib[key] = self.generator.attributes(self, key)
            self._touch(key)
            self._tell(key)

    def withdraw(self, n, prefix):
        for view in self.views[n]:
            key = (n, view, prefix)
            if self.rib.pop(key, None) is None:
                continue
            self._touch(key)
            up = [s for s in self.sessions.values() if s.up]
            if up and not any(s.coalesce or s.walking is not None for s in up):
                self.withdrawals[key] += 1
            self._tell(key)

    def _touch(self, key):
        if self.touched is not None:
            self.touched.add(key)

    def _tell(self, key):
        for session in self.sessions.values():
            session.on_change(key)

    def send_all(self, data):
        for session in self.sessions.values():
            session.send(data)


class Generator:
    """R routers. Peers: by default two each, IPv4 and IPv6; the first shows its pre-policy view, the second both."""

    def __init__(self, routers, nodes, peers=2, table=20, churn=4, seed=1, prefix="r", first_number=0):
        """`nodes`: name -> (host, port). Generators side by side need other prefixes and numbers far apart."""
        self.changes = {}  # number -> Change
        self.number = first_number
        self.dice = random.Random(seed)
        self.routers = []
        self._churn = None
        self.churn_prefixes = []
        self.sent = 0
        self.error = None
        for index in range(routers):
            self._add_router(f"{prefix}{index:02d}", index, nodes, peers)
        reactor().call(self._fill, table, churn)

    def _add_router(self, name, index, nodes, peers):
        addresses = []
        for p in range(peers):
            ip = f"2001:db8:{index + 1:x}::{p + 1:x}" if p % 2 else f"198.18.{index}.{p + 1}"
            addresses.append(wire.PeerAddress(ip, 4200000100 + p if p % 3 == 2 else 65001 + p, f"10.255.{index}.{p + 1}"))
        views = [(wire.PRE, wire.POST) if p == 1 else (wire.PRE,) for p in range(peers)]
        router = Router(self, index, name, addresses, views)
        for node, address in nodes.items():
            router.sessions[node] = Session(router, node, address)
        self.routers.append(router)

    def _fill(self, table, churn):
        for router in self.routers:
            for n in router.present:
                for k in range(table):
                    router.announce(n, self.prefix(router, k))
                for k in range(churn):
                    router.announce(n, self.prefix(router, table + k))
            router.touched = set()
        self.churn_prefixes = [table + k for k in range(churn)]
        self.table_prefixes = list(range(table))

    @staticmethod
    def prefix(router, k):
        """Even ones IPv4, odd ones IPv6; the same for all peers of a router, so that peers must be told apart."""
        if k % 2:
            return f"2001:db8:{0x1000 + router.index:x}:{k:x}::/64"
        return f"{10 + k // 256}.{router.index}.{k % 256}.0/24"

    # --- inside the loop ---
    def attributes(self, router, key):
        self.number += 1
        n, _view, prefix = key
        self.changes[self.number] = Change(router.name, key, time.monotonic())
        hop = f"2001:db8:ffff::{n + 1:x}" if wire.is_v6(prefix) else f"192.0.2.{n + 1}"
        path = (router.peers[n].asn, *(self.dice.randrange(1000, 60000) for _ in range(self.dice.randrange(1, 4))))
        return wire.Attributes(hop, path, self.number % 1000, 100 + n, ((router.peers[n].asn & 0xFFFF, self.number % 65536),),
                               ((NUMBER_ADMIN, router.index, self.number),), self.number % 3)

    def carry(self, number, incarnation):
        self.changes[number].carried.append((incarnation, time.monotonic()))

    def _change_one(self, router):
        n = self.dice.choice(router.present)
        prefix = self.prefix(router, self.dice.choice(self.churn_prefixes))
        if (n, router.views[n][0], prefix) in router.rib and self.dice.random() < 0.3:
            router.withdraw(n, prefix)
        else:
            router.announce(n, prefix)
        self.sent += 1

    async def _churning(self, rate, routers):
        next_time = time.monotonic()
        while True:
            next_time += 1 / rate
            delay = next_time - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            self._change_one(self.dice.choice(routers))

    # --- public ---
    def start(self, node, routers=None):
        """These routers dial the node."""
        def starting():
            for router in self.pick(routers):
                router.sessions[node].start()
        reactor().call(starting)

    def stop(self, node, routers=None, how="fin"):
        """These routers end their sessions to the node and do not dial again."""
        async def stopping():
            for router in self.pick(routers):
                await router.sessions[node].stop(how)
        reactor().run(stopping())

    def reset(self, node, routers=None, how="rst", redial=None):
        """The sessions break; the routers dial again after `redial`."""
        def resetting():
            for router in self.pick(routers):
                session = router.sessions[node]
                if redial is not None:
                    session.redial = redial
                session.close(how)
        reactor().call(resetting)

    def abandon(self, node, routers=None):
        """The sessions end half-open: the node still has the old connection when the router dials anew."""
        def abandoning():
            for router in self.pick(routers):
                router.sessions[node].abandon()
        reactor().call(abandoning)

    def configure(self, node, routers=None, **settings):
        """Sets redial, dump_rate, coalesce, address of sessions (before they dial)."""
        def setting():
            for router in self.pick(routers):
                for name, value in settings.items():
                    assert name in ("redial", "dump_rate", "coalesce", "address"), name
                    setattr(router.sessions[node], name, value)
        reactor().call(setting)

    def set_clock(self, clock, routers=None):
        assert clock in ("now", "zero", "past"), clock
        for router in self.pick(routers):
            router.clock = clock

    def add_node(self, node, address):
        def adding():
            for router in self.routers:
                router.sessions[node] = Session(router, node, address)
        reactor().call(adding)

    def pick(self, routers):
        """Routers by name or as they are; None: all."""
        if routers is None:
            return self.routers
        by_name = {r.name: r for r in self.routers}
        return [by_name[r] if isinstance(r, str) else r for r in routers]

    def churn(self, rate, routers=None):
        """Changes per second over these routers, until stop_churn()."""
        async def starting():
            assert self._churn is None
            self._churn = asyncio.get_running_loop().create_task(self._churning(rate, self.pick(routers)))
        reactor().run(starting())

    def stop_churn(self):
        async def stopping():
            task, self._churn = self._churn, None
            if task is None:
                return
            if task.done():
                task.result()  # an exception of the churn is the test's own failure
            task.cancel()
        reactor().run(stopping())

    def burst(self, changes, routers=None):
        """That many changes at once."""
        def bursting():
            picked = self.pick(routers)
            for n in range(changes):
                self._change_one(picked[n % len(picked)])
        reactor().call(bursting)

    def settle_all(self, routers=None):
        """One last change of every churned prefix: afterwards each of them has a state that no earlier one equals."""
        def settling():
            for router in self.pick(routers):
                for n in router.present:
                    for k in self.churn_prefixes:
                        prefix = self.prefix(router, k)
                        if self.dice.random() < 0.25:
                            router.withdraw(n, prefix)
                        else:
                            router.announce(n, prefix)
        reactor().call(settling)

    def report(self, routers=None):
        """Statistics of every peer, to every session that takes more: nothing changes by them."""
        def reporting():
            for router in self.pick(routers):
                for n in router.present:
                    message = wire.statistics(router.peers[n], router.stamp(), {7: len(router.rib)})
                    for session in router.sessions.values():
                        if not session.stuck:
                            session.send(message)
        reactor().call(reporting)

    def change(self, router, n, k, present=True):
        """Announces or withdraws one prefix of peer n."""
        router = self.pick([router])[0]
        act = router.announce if present else router.withdraw
        reactor().call(act, n, self.prefix(router, k))

    def pause_walk(self, node, routers=None, paused=True):
        def pausing():
            for router in self.pick(routers):
                event = router.sessions[node].walk_paused
                if event is not None:
                    event.clear() if paused else event.set()
        reactor().call(pausing)

    def walking(self, node):
        return reactor().call(lambda: [r.name for r in self.routers if r.sessions[node].walking is not None])

    def up(self, node):
        return reactor().call(lambda: sum(r.sessions[node].up for r in self.routers))

    def stuck(self, node):
        """How many sessions to the node TCP takes no more from."""
        return reactor().call(lambda: sum(r.sessions[node].stuck for r in self.routers))

    def sessions_of(self, node):
        """How many connections the routers have made to the node so far."""
        return reactor().call(lambda: sum(len(r.sessions[node].history) for r in self.routers))

    def peer_flap(self, router, n):
        """The BGP session of a peer goes down and comes back: Peer Down, Peer Up, routes again, no End-of-RIB."""
        router = self.pick([router])[0]

        def flapping():
            keys = [k for k in router.rib if k[0] == n]
            router.touched.update(keys)
            router.send_all(wire.peer_down(router.peers[n], router.stamp()))
            router.send_all(wire.peer_up(router.peers[n], router.stamp(), local_asn=router.asn))
            for prefix in sorted({k[2] for k in keys}):
                router.announce(n, prefix)
        reactor().call(flapping)

    def peer_on(self, node, router, n, up):
        """A peer goes down, or comes back with its routes, on the router's session to this node alone."""
        router = self.pick([router])[0]

        def act():
            session = router.sessions[node]
            if not up:
                session.send(wire.peer_down(router.peers[n], router.stamp()))
                return
            session.send(wire.peer_up(router.peers[n], router.stamp(), local_asn=router.asn))
            for key in sorted(k for k in router.rib if k[0] == n):
                session.send_state(key)
        reactor().call(act)

    def reboot(self, routers=None, remove_peer=None, how="fin"):
        """The router ends all its sessions and dials again by itself, with one peer fewer when asked."""
        def rebooting():
            for router in self.pick(routers):
                for session in router.sessions.values():
                    session.close(how)
                if remove_peer is not None:
                    router.present = [n for n in router.present if n != remove_peer]
                    for key in [k for k in router.rib if k[0] == remove_peer]:
                        del router.rib[key]
                        router.touched.add(key)
        reactor().call(rebooting)

    def close(self):
        async def closing():
            if self._churn:
                self._churn.cancel()
            for router in self.routers:
                for session in router.sessions.values():
                    await session.stop()
        reactor().run(closing())

    # --- what is true ---
    def expected(self):
        """(router, peer, view, prefix) -> attributes, of everything that is announced now."""
        def copying():
            return {(r.name, r.peers[n].ip, view, prefix): a for r in self.routers for (n, view, prefix), a in r.rib.items()}
        return reactor().call(copying)

    def steady(self):
        """(router, peer, view, prefix) of the routes that are as they were filled in, apart from those that churn touches."""
        def collecting():
            return {(r.name, r.peers[n].ip, view, prefix) for r in self.routers for (n, view, prefix) in r.rib
                    if (n, view, prefix) not in r.touched and prefix not in {self.prefix(r, k) for k in self.churn_prefixes}}
        return reactor().call(collecting)

    def carried(self, doomed=(), since=0.0):
        """Numbers that must be in the history: written on a session that lived on for a while (or still lives), and not
        replaced on another session by a newer state. `doomed` nodes do not count as witnesses at all."""
        def collecting():
            numbers = {}
            for number, change in self.changes.items():
                if change.coalesced or change.skipped or change.made < since:
                    continue
                for incarnation, when in change.carried:
                    if incarnation.node in doomed:
                        continue
                    if incarnation.closed is None or incarnation.closed - when >= SETTLED_SECONDS:
                        numbers[number] = change
                        break
            return numbers
        return reactor().call(collecting)

    def withdrawals(self):
        """(router, peer, view, prefix) -> withdrawals that every session was told of."""
        def copying():
            return {(r.name, r.peers[n].ip, view, prefix): count for r in self.routers
                    for (n, view, prefix), count in r.withdrawals.items()}
        return reactor().call(copying)

    def made(self):
        """Router -> when each of its announcements was made (monotonic clock), in order."""
        def collecting():
            times = {}
            for change in self.changes.values():
                times.setdefault(change.router, []).append(change.made)
            return times
        return {router: sorted(times) for router, times in reactor().call(collecting).items()}

    def made_between(self, begin, end, routers=None):
        """How many announcements were made in that time (monotonic clock)."""
        names = {r.name for r in self.pick(routers)}
        return reactor().call(lambda: sum(begin <= c.made <= end and c.router in names for c in self.changes.values()))
