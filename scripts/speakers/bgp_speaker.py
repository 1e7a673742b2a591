"""A small BGP speaker that announces and withdraws what it is told to: the source of routes for the demo.

It dials a router over TCP, keeps the session alive, ignores what the router sends, and packs routes into UPDATEs.
"""
import ipaddress
import socket
import struct
import threading
from dataclasses import dataclass

MARKER = b"\xff" * 16
OPEN, UPDATE, NOTIFICATION, KEEPALIVE = 1, 2, 3, 4
MAX_MESSAGE = 4096


@dataclass(frozen=True)
class Path:
    """The attributes of a route."""

    next_hop: str
    as_path: tuple  # AS numbers, the speaker's own first
    med: int = 0
    communities: tuple = ()  # of (as, value)


def _message(kind, body=b""):
    return MARKER + struct.pack("!HB", 19 + len(body), kind) + body


def _attribute(flags, code, value):
    if len(value) > 255:
        return struct.pack("!BBH", flags | 0x10, code, len(value)) + value
    return struct.pack("!BBB", flags, code, len(value)) + value


def _nlri(prefix):
    network = ipaddress.ip_network(prefix)
    octets = (network.prefixlen + 7) // 8
    return bytes([network.prefixlen]) + network.network_address.packed[:octets]


def _attributes(path, with_next_hop):
    segments = struct.pack("!BB", 2, len(path.as_path)) + b"".join(struct.pack("!I", a) for a in path.as_path)
    out = _attribute(0x40, 1, b"\x00") + _attribute(0x40, 2, segments)
    if with_next_hop:
        out += _attribute(0x40, 3, ipaddress.ip_address(path.next_hop).packed)
    out += _attribute(0x80, 4, struct.pack("!I", path.med))
    if path.communities:
        out += _attribute(0xC0, 8, b"".join(struct.pack("!HH", *c) for c in path.communities))
    return out


def _chunks(prefixes, room):
    """Splits prefixes into NLRI fields of at most `room` bytes."""
    field = b""
    for prefix in prefixes:
        item = _nlri(prefix)
        if len(field) + len(item) > room:
            yield field
            field = b""
        field += item
    if field:
        yield field


class BgpSpeaker:
    """One session. Not for more than one thread beside its own two."""

    def __init__(self, router, local, asn, hold_time=90):
        self._local, self._asn, self._hold = local, asn, hold_time
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((local, 0))
        self._socket.settimeout(10)
        self._socket.connect(router)
        self._send_lock = threading.Lock()
        self._closed = threading.Event()
        self.error = None
        self._handshake()
        for work in (self._read, self._keep_alive):
            threading.Thread(target=work, daemon=True).start()

    def announce(self, prefixes, path):
        """Prefixes of one address family with one path, packed."""
        prefixes = list(prefixes)
        if not prefixes:
            return
        if ipaddress.ip_network(prefixes[0]).version == 4:
            attributes = _attributes(path, True)
            for field in _chunks(prefixes, MAX_MESSAGE - 23 - len(attributes)):
                self._update(attributes, field)
            return
        fixed = _attributes(path, False)
        head = struct.pack("!HBB", 2, 1, 16) + ipaddress.ip_address(path.next_hop).packed + b"\x00"
        for field in _chunks(prefixes, MAX_MESSAGE - 27 - len(fixed) - len(head)):
            self._update(fixed + _attribute(0x80, 14, head + field))

    def withdraw(self, prefixes):
        prefixes = list(prefixes)
        if not prefixes:
            return
        v4 = ipaddress.ip_network(prefixes[0]).version == 4
        for field in _chunks(prefixes, MAX_MESSAGE - 40):
            if v4:
                self._send(_message(UPDATE, struct.pack("!H", len(field)) + field + b"\x00\x00"))
            else:
                self._update(_attribute(0x80, 15, struct.pack("!HB", 2, 1) + field))

    def close(self):
        self._closed.set()
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()

    def _update(self, attributes, nlri=b""):
        self._send(_message(UPDATE, struct.pack("!HH", 0, len(attributes)) + attributes + nlri))

    def _send(self, data):
        if self.error:
            raise ConnectionError(f"BGP session from {self._local}: {self.error}")
        with self._send_lock:
            self._socket.sendall(data)

    def _handshake(self):
        capabilities = (struct.pack("!BBHBB", 1, 4, 1, 0, 1) + struct.pack("!BBHBB", 1, 4, 2, 0, 1)
                        + struct.pack("!BBI", 65, 4, self._asn))
        parameter = struct.pack("!BB", 2, len(capabilities)) + capabilities
        two_octets = self._asn if self._asn < 65536 else 23456
        body = struct.pack("!BHH", 4, two_octets, self._hold) + socket.inet_aton(self._local)
        self._send(_message(OPEN, body + bytes([len(parameter)]) + parameter))
        kind, _ = self._receive()
        if kind != OPEN:
            raise ConnectionError(f"router answered with message type {kind} instead of OPEN")
        self._send(_message(KEEPALIVE))
        kind, body = self._receive()
        if kind != KEEPALIVE:
            raise ConnectionError(f"router refused the session: type {kind} {body.hex()}")
        self._socket.settimeout(None)

    def _receive(self):
        head = self._exactly(19)
        length, kind = struct.unpack("!HB", head[16:])
        return kind, self._exactly(length - 19)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            if not more:
                raise ConnectionError("closed by the router")
            data += more
        return data

    def _read(self):
        try:
            while True:
                kind, body = self._receive()
                if kind == NOTIFICATION:
                    raise ConnectionError(f"NOTIFICATION {body[:2].hex()}")
        except OSError as e:
            if not self._closed.is_set():
                self.error = str(e)

    def _keep_alive(self):
        while not self._closed.wait(self._hold / 3):
            try:
                self._send(_message(KEEPALIVE))
            except OSError:
                return
