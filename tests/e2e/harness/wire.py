"""A small encoder of BMP (RFC 7854) and BGP (RFC 4271) messages. Independent of the decoder under test."""
import functools
import ipaddress
import socket
import struct
from dataclasses import dataclass

PRE, POST = 0, 1  # views, numbered as in the database
LOCAL_ASN = 64500
IPV4_UNICAST, IPV6_UNICAST = (1, 1), (2, 1)
FAMILIES = (IPV4_UNICAST, IPV6_UNICAST)


@dataclass(frozen=True)
class Attributes:
    """Path attributes of one route. `large` holds the number of the change."""

    next_hop: str
    as_path: tuple
    med: int
    local_pref: int
    communities: tuple  # of (asn, value)
    large: tuple  # of (admin, data1, data2)
    origin: int = 0


@dataclass(frozen=True)
class PeerAddress:
    """A monitored BGP peer: address, AS number and BGP identifier."""

    ip: str
    asn: int
    bgp_id: str
    distinguisher: int = 0


def is_v6(address):
    return ":" in address


def attribute(kind, value, flags=0x40):
    if len(value) > 255:
        return struct.pack("!BBH", flags | 0x10, kind, len(value)) + value
    return struct.pack("!BBB", flags, kind, len(value)) + value


@functools.cache
def nlri(prefix):
    net = ipaddress.ip_network(prefix)
    return bytes([net.prefixlen]) + net.network_address.packed[:(net.prefixlen + 7) // 8]


def bgp_message(kind, body):
    return b"\xff" * 16 + struct.pack("!HB", 19 + len(body), kind) + body


def update(withdrawn=b"", attributes=b"", announced=b""):
    return bgp_message(2, struct.pack("!H", len(withdrawn)) + withdrawn + struct.pack("!H", len(attributes)) + attributes
                       + announced)


def announce(prefix, a):
    path = b"".join(struct.pack("!I", asn) for asn in a.as_path)
    out = attribute(1, bytes([a.origin])) + attribute(2, struct.pack("!BB", 2, len(a.as_path)) + path)
    v6 = is_v6(prefix)
    if not v6:
        out += attribute(3, socket.inet_aton(a.next_hop))
    out += attribute(4, struct.pack("!I", a.med), 0x80) + attribute(5, struct.pack("!I", a.local_pref))
    out += attribute(8, b"".join(struct.pack("!HH", *c) for c in a.communities), 0xC0)
    if v6:
        hop = ipaddress.ip_address(a.next_hop).packed
        out += attribute(14, struct.pack("!HBB", 2, 1, len(hop)) + hop + b"\0" + nlri(prefix), 0x80)
    out += attribute(32, b"".join(struct.pack("!III", *c) for c in a.large), 0xC0)
    return update(attributes=out, announced=b"" if v6 else nlri(prefix))


def withdraw(prefix):
    if is_v6(prefix):
        return update(attributes=attribute(15, struct.pack("!HB", 2, 1) + nlri(prefix), 0x80))
    return update(withdrawn=nlri(prefix))


def end_of_rib(family):
    if family == IPV4_UNICAST:
        return update()
    return update(attributes=attribute(15, struct.pack("!HB", *family), 0x80))


def open_message(asn, bgp_id, families=FAMILIES):
    capabilities = b"".join(struct.pack("!BBHBB", 1, 4, afi, 0, safi) for afi, safi in families)
    capabilities += struct.pack("!BBI", 65, 4, asn)
    parameters = struct.pack("!BB", 2, len(capabilities)) + capabilities
    return bgp_message(1, struct.pack("!BHH4sB", 4, min(asn, 23456 if asn > 65535 else asn), 180, socket.inet_aton(bgp_id),
                                      len(parameters)) + parameters)


# --- BMP ---
def bmp(kind, body):
    return struct.pack("!BIB", 3, 6 + len(body), kind) + body


def tlv(kind, text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("!HH", kind, len(data)) + data


def initiation(name, description="bmp-ha test router"):
    return bmp(4, tlv(1, description) + tlv(2, name))


@functools.cache
def sixteen(address):
    packed = ipaddress.ip_address(address).packed
    return packed.rjust(16, b"\0")


def peer_header(peer, view, when):
    """`when` in seconds since 1970, as float; 0 writes a zero timestamp."""
    flags = (0x80 if is_v6(peer.ip) else 0) | (0x40 if view == POST else 0)
    seconds = int(when)
    return struct.pack("!BBQ16sI4sII", 0, flags, peer.distinguisher, sixteen(peer.ip), peer.asn,
                       socket.inet_aton(peer.bgp_id), seconds, int((when - seconds) * 1e6))


def peer_up(peer, when, local="192.0.2.254", local_asn=LOCAL_ASN):
    local_address = "2001:db8:ffff::fe" if is_v6(peer.ip) else local
    body = peer_header(peer, PRE, when) + sixteen(local_address) + struct.pack("!HH", 179, 40000)
    return bmp(3, body + open_message(local_asn, local) + open_message(peer.asn, peer.bgp_id))


def peer_down(peer, when, reason=4):
    return bmp(2, peer_header(peer, PRE, when) + bytes([reason]))


def route_monitoring(peer, view, when, message):
    return bmp(0, peer_header(peer, view, when) + message)


def statistics(peer, when, counters):
    body = b"".join(struct.pack("!HHI", kind, 4, value) for kind, value in counters.items())
    return bmp(1, peer_header(peer, PRE, when) + struct.pack("!I", len(counters)) + body)
