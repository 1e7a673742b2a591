"""A BMP speaker: routers that each hold one session to every node, churn on few prefixes, and remember what they said.

Every announcement carries a number of its own in a large community (64500:hi:lo). A router's table is kept here, so the
database can be compared with it row by row; so is every number that was put on at least one session.
"""
import ipaddress
import random
import select
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass, field

COMMUNITY_ASN = 64500
INITIATION, TERMINATION, PEER_UP, PEER_DOWN, ROUTE_MONITORING, STATISTICS = 4, 5, 3, 2, 0, 1
AFI_V4, AFI_V6 = 1, 2


# --- bytes -----------------------------------------------------------------------------------------------------------
def bmp(kind, body):
    return struct.pack("!BIB", 3, 6 + len(body), kind) + body


def tlv(kind, data):
    return struct.pack("!HH", kind, len(data)) + data


def initiation(name):
    return bmp(INITIATION, tlv(1, b"end-to-end test speaker") + tlv(2, name.encode()))


def termination():
    return bmp(TERMINATION, tlv(1, struct.pack("!H", 0)))


def bgp(kind, body):
    return b"\xff" * 16 + struct.pack("!HB", 19 + len(body), kind) + body


def bgp_open(asn, bgp_id):
    capabilities = [b"\x01\x04\x00\x01\x00\x01", b"\x01\x04\x00\x02\x00\x01", b"\x41\x04" + struct.pack("!I", asn)]
    parameters = b"".join(b"\x02" + bytes([len(c)]) + c for c in capabilities)
    short = asn if asn < 65536 else 23456
    return bgp(1, struct.pack("!BHH", 4, short, 180) + ipaddress.ip_address(bgp_id).packed + bytes([len(parameters)]) + parameters)


def packed16(address):
    return ipaddress.ip_address(address).packed.rjust(16, b"\0")


def attribute(flags, kind, data):
    if len(data) > 255:
        return struct.pack("!BBH", flags | 0x10, kind, len(data)) + data
    return struct.pack("!BBB", flags, kind, len(data)) + data


def nlri(prefix):
    network = ipaddress.ip_network(prefix)
    return bytes([network.prefixlen]) + network.network_address.packed[:(network.prefixlen + 7) // 8]


def announcement(prefix, asn, number):
    """An UPDATE with one prefix; the number stands in the large community."""
    v6 = ":" in prefix
    attributes = attribute(0x40, 1, b"\0") + attribute(0x40, 2, struct.pack("!BBII", 2, 2, asn, 64999))
    if not v6:
        attributes += attribute(0x40, 3, ipaddress.ip_address("192.0.2.1").packed)
    attributes += attribute(0xC0, 32, struct.pack("!III", COMMUNITY_ASN, *split_number(number)))
    if v6:
        hop = ipaddress.ip_address("2001:db8::1").packed
        attributes += attribute(0x80, 14, struct.pack("!HBB", AFI_V6, 1, len(hop)) + hop + b"\0" + nlri(prefix))
        return bgp(2, struct.pack("!HH", 0, len(attributes)) + attributes)
    return bgp(2, struct.pack("!HH", 0, len(attributes)) + attributes + nlri(prefix))


def withdrawal(prefix):
    if ":" in prefix:
        attributes = attribute(0x80, 15, struct.pack("!HB", AFI_V6, 1) + nlri(prefix))
        return bgp(2, struct.pack("!HH", 0, len(attributes)) + attributes)
    data = nlri(prefix)
    return bgp(2, struct.pack("!H", len(data)) + data + b"\0\0")


def end_of_rib(afi):
    if afi == AFI_V4:
        return bgp(2, b"\0\0\0\0")
    attributes = attribute(0x80, 15, struct.pack("!HB", AFI_V6, 1))
    return bgp(2, struct.pack("!HH", 0, len(attributes)) + attributes)


def split_number(number):
    return number >> 16, number & 0xFFFF


def community(number):
    return "%d:%d:%d" % (COMMUNITY_ASN, *split_number(number))


def number_of(text):
    """The number in a large community's text; None for others."""
    parts = text.split(":")
    if len(parts) != 3 or parts[0] != str(COMMUNITY_ASN):
        return None
    return int(parts[1]) << 16 | int(parts[2])


# --- peers and sessions ----------------------------------------------------------------------------------------------
@dataclass
class Peer:
    address: str
    asn: int
    prefixes: list
    up: bool = True
    table: dict = field(default_factory=dict)  # prefix -> number

    def header(self, clock):
        """The per-peer header; `clock` gives the router's time or 0."""
        now = clock()
        flags = 0x80 if ":" in self.address else 0
        return struct.pack("!BB8x16sI4sII", 0, flags, packed16(self.address), self.asn, self.bgp_id(), int(now), int(now % 1 * 1e6))

    def bgp_id(self):
        return ipaddress.ip_address("10.255.0.0").packed[:2] + struct.pack("!H", self.asn & 0xFFFF)

    def local(self):
        return "2001:db8:ff::1" if ":" in self.address else "10.255.255.1"

    def up_message(self, clock):
        peer_id = str(ipaddress.ip_address(self.bgp_id()))
        body = self.header(clock) + packed16(self.local()) + struct.pack("!HH", 179, 33333)
        return bmp(PEER_UP, body + bgp_open(64999, "10.255.255.1") + bgp_open(self.asn, peer_id))

    def down_message(self, clock):
        return bmp(PEER_DOWN, self.header(clock) + b"\x04")

    def route_message(self, clock, update):
        return bmp(ROUTE_MONITORING, self.header(clock) + update)

    def dump(self, clock):
        out = [self.up_message(clock)]
        out += [self.route_message(clock, announcement(p, self.asn, n)) for p, n in self.table.items()]
        out += [self.route_message(clock, end_of_rib(afi)) for afi in (AFI_V4, AFI_V6)]
        return out


class Session(threading.Thread):
    """One BMP session of a router to one node, dialled again whenever it is lost."""

    def __init__(self, router, node, address, redial, fragment=0):
        super().__init__(daemon=True, name=f"{router.name}-{node}")
        self.router, self.node, self.address, self.redial = router, node, address, redial
        self.connected = False
        self.connections = 0
        self.paused = False  # no new connection while set
        self._queue, self._pending = deque(), memoryview(b"")
        self._wake_r, self._wake_w = socket.socketpair()
        self._wake_r.setblocking(False)
        self._wake_w.setblocking(False)
        self._ended = self._drop = False

    def run(self):
        while not self._ended:
            if self.paused or not self._connect():
                self._sleep(self.redial)
                continue
            self._serve()
            self.router.detach(self)
            self._socket.close()
            if not self._ended:
                self._sleep(self.redial)
        if self.connected:
            self.router.detach(self)

    def _connect(self):
        try:
            self._socket = socket.create_connection(self.address, timeout=2)
        except OSError:
            return False
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._drop, self._pending = False, memoryview(b"")
        self.connections += 1
        self.router.attach(self)
        return True

    def _serve(self):
        while not self._ended and not self._drop:
            if not self._pending:
                self._fill()
            out = [self._socket] if self._pending else []
            readable, writable, _ = select.select([self._socket, self._wake_r], out, [], 1)
            if self._wake_r in readable:
                self._drain_wake()
            try:
                # A collector never speaks: readable means the end.
                if self._socket in readable and not self._socket.recv(4096):
                    return
                if writable:
                    self._pending = self._pending[self._socket.send(self._pending):]
            except BlockingIOError:
                continue
            except OSError:
                return
        if self._drop == "reset":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _fill(self):
        parts = []
        while self._queue and len(parts) < 200:
            parts.append(self._queue.popleft())
        self._pending = memoryview(b"".join(parts))

    def _drain_wake(self):
        try:
            while self._wake_r.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _sleep(self, seconds):
        select.select([self._wake_r], [], [], seconds)
        self._drain_wake()

    # Called with the router's lock.
    def begin(self, messages):
        self._queue = deque(messages)
        self.connected = True

    def end(self):
        self.connected = False
        self._queue.clear()

    def put(self, message):
        self._queue.append(message)
        self.wake()

    def wake(self):
        try:
            self._wake_w.send(b"x")
        except BlockingIOError:
            pass

    def idle(self):
        return not self.connected or (not self._queue and not self._pending)

    def drop(self, how="reset"):
        """Ends the TCP connection: "reset" or "close"."""
        self._drop = how
        self.wake()

    def stop(self):
        self._ended = True
        self.wake()


@dataclass
class Change:
    number: int
    at: float  # wall clock
    router: str
    peer: str
    prefix: str
    announce: bool
    carried: int  # on how many sessions


class Router:
    def __init__(self, name, index, peers=2, prefixes=6, clock_mode="now"):
        self.name, self.clock_mode = name, clock_mode
        self.lock = threading.RLock()
        self.sessions = []
        self.peers = {}
        for n in range(peers):
            v6 = n % 2 == 1
            address = f"2001:db8:{index:x}::{n + 1:x}" if v6 else f"10.{index >> 8}.{index & 255}.{n + 1}"
            table = [f"172.16.{n * 32 + k}.0/24" for k in range(prefixes - prefixes // 3)]
            table += [f"2001:db8:aa{n:02x}:{k + 1:x}::/64" for k in range(prefixes // 3)]
            self.peers[address] = Peer(address, 65000 + n + 1, table)

    def clock(self):
        return {"now": time.time, "zero": lambda: 0.0, "-1h": lambda: time.time() - 3600}[self.clock_mode]()

    def attach(self, session):
        with self.lock:
            messages = [initiation(self.name)]
            for peer in self.peers.values():
                if peer.up:
                    messages += peer.dump(self.clock)
            session.begin(messages)

    def detach(self, session):
        with self.lock:
            session.end()

    def send(self, message):
        """To every live session; their number."""
        with self.lock:
            live = [s for s in self.sessions if s.connected]
            for session in live:
                session.put(message)
            return len(live)

    def announce(self, peer, prefix, number):
        with self.lock:
            peer.table[prefix] = number
            return self.send(peer.route_message(self.clock, announcement(prefix, peer.asn, number)))

    def withdraw(self, peer, prefix):
        with self.lock:
            peer.table.pop(prefix, None)
            return self.send(peer.route_message(self.clock, withdrawal(prefix)))

    def peer_down(self, address):
        with self.lock:
            peer = self.peers[address]
            peer.up, peer.table = False, {}
            self.send(peer.down_message(self.clock))

    def peer_up(self, address):
        """Comes back with an empty table."""
        with self.lock:
            peer = self.peers[address]
            peer.up = True
            for message in peer.dump(self.clock):
                self.send(message)

    def reboot(self, remove=()):
        """All sessions end at once; the peers named are gone afterwards."""
        with self.lock:
            for address in remove:
                del self.peers[address]
            for session in self.sessions:
                session.drop("reset")


class Generator:
    """R routers and every node's address: {node: (host, port)} or a function (router name, node) -> (host, port)."""

    def __init__(self, count, nodes, addresses, redial=0.2, prefixes=6, clock_mode="now", name="r", seed=1, first_number=1):
        self.changes = []
        self.random = random.Random(seed)
        self._next = first_number
        self._lock = threading.Lock()
        self._churn = None
        self._churn_stop = threading.Event()
        modes = [clock_mode] if isinstance(clock_mode, str) else list(clock_mode)
        self.routers = [Router(f"{name}{k}", k + 1, prefixes=prefixes, clock_mode=modes[k % len(modes)]) for k in range(count)]
        for router in self.routers:
            for node in nodes:
                address = addresses(router.name, node) if callable(addresses) else addresses[node]
                router.sessions.append(Session(router, node, address, redial))
        # A table to begin with; it reaches the nodes with the dumps.
        for router in self.routers:
            for peer in router.peers.values():
                for prefix in peer.prefixes:
                    self._change(router, peer, prefix, announce=True)

    def start(self):
        for router in self.routers:
            for session in router.sessions:
                session.start()
        return self

    def close(self):
        self.stop_churn()
        sessions = [s for r in self.routers for s in r.sessions]
        for session in sessions:
            session.stop()
        for session in sessions:
            if session.ident:
                session.join(3)

    def router(self, name):
        return next(r for r in self.routers if r.name == name)

    def sessions(self, node=None):
        return [s for r in self.routers for s in r.sessions if node in (None, s.node)]

    # --- changes ---
    def _change(self, router, peer, prefix, announce):
        with self._lock:
            number = self._next
            self._next += 1
            with router.lock:
                if announce:
                    carried = router.announce(peer, prefix, number)
                else:
                    carried = router.withdraw(peer, prefix)
            self.changes.append(Change(number, time.time(), router.name, peer.address, prefix, announce, carried))

    def change(self, router, peer=None, prefix=None, announce=None):
        """One change; what is not given is chosen."""
        with router.lock:
            up = [p for p in router.peers.values() if p.up]
            if not up:
                return
            peer = peer or self.random.choice(up)
            prefix = prefix or self.random.choice(peer.prefixes)
            if announce is None:
                announce = prefix not in peer.table or self.random.random() < 0.65
            self._change(router, peer, prefix, announce)

    def start_churn(self, rate=100):
        """Changes at `rate` per second over all routers, until stop_churn."""
        self._churn_stop.clear()
        self._churn = threading.Thread(target=self._work, args=(rate,), daemon=True)
        self._churn.start()

    def _work(self, rate):
        next_time = time.monotonic()
        turn = 0
        while not self._churn_stop.is_set():
            next_time += 1 / rate
            pause = next_time - time.monotonic()
            if pause > 0 and self._churn_stop.wait(pause):
                return
            self.change(self.routers[turn % len(self.routers)])
            turn += 1

    def stop_churn(self):
        self._churn_stop.set()
        if self._churn:
            self._churn.join()
            self._churn = None

    def churn(self, seconds, rate=100):
        self.start_churn(rate)
        time.sleep(seconds)
        self.stop_churn()

    # --- what must be in the database ---
    def table(self):
        """{(router, peer, prefix): number}"""
        out = {}
        for router in self.routers:
            with router.lock:
                for peer in router.peers.values():
                    for prefix, number in peer.table.items():
                        out[router.name, peer.address, prefix] = number
        return out

    def mark(self):
        """A position in the list of changes."""
        return len(self.changes)
