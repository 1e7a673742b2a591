#!/usr/bin/env python3
"""Seeds of the fuzz targets, cut from recorded streams: make_corpus.py STREAM.bmp... (run at the top of the tree).

One input per kind of message and size class, so that the corpus stays small."""
import pathlib
import struct
import sys

root = pathlib.Path("tests/fuzz/corpus")

# Fuzz target of a family (AFI, SAFI), and the byte that stands before the NLRI there.
FAMILIES = {
    (25, 70): ("fuzz_nlri_evpn", b""),
    (25, 65): ("fuzz_nlri_vpls", b""),
    (1, 132): ("fuzz_nlri_rt_constraint", b""),
    (1, 5): ("fuzz_nlri_mvpn", b""),
    (2, 5): ("fuzz_nlri_mvpn", b""),
    (25, 8): ("fuzz_nlri_mvpn", b""),
    (1, 73): ("fuzz_nlri_sr_policy", b"\0"),
    (2, 73): ("fuzz_nlri_sr_policy", b"\1"),
    (1, 133): ("fuzz_nlri_flowspec", b"\0"),
    (2, 133): ("fuzz_nlri_flowspec", b"\1"),
    (1, 134): ("fuzz_nlri_flowspec", b"\2"),
    (2, 134): ("fuzz_nlri_flowspec", b"\3"),
    (25, 133): ("fuzz_nlri_flowspec", b"\4"),
    (25, 134): ("fuzz_nlri_flowspec", b"\6"),
    (1, 66): ("fuzz_nlri_mdt", b""),
    (1, 1): ("fuzz_nlri", b"\0"),
    (2, 1): ("fuzz_nlri", b"\1"),
}
for number, safi in enumerate((128, 4, 129, 2)):
    for afi in (1, 2):
        FAMILIES[afi, safi] = ("fuzz_nlri_vpn", bytes([number << 1 | afi - 1]))

# NLRI of families, and forms of them, that no recorded stream has.
MADE = [
    (25, 70, "0b18 0311 0000fde800000001 00000000 20c0000201 20c0000202", "leaf"),
    (25, 70, "061c 0000fde800000001 00000000 20c6336401 20e0000101 20c0000201 02", "smet"),
    (25, 70, "0727 0000fde800000001 04c0000209000000070000000000 20c6336401 20e0000101 20c0000201 04", "membership"),
    (25, 70, "0827 0000fde800000001 00000000000000000001 00000000 00 20e0000101 20c0000201 00000000 64 02", "leave"),
    (25, 70, "0914 0000fde800000001 00000000 0102030405060708", "region"),
    (25, 70, "0a1b 0000fde800000001 00000000 20c6336401 20e0000101 20c0000201", "s-pmsi"),
    (25, 70, "053a 0000fde800000001 050000fde80000000900 00000000 30 20010db8000100000000000000000000"
     "00000000000000000000000000000000 000010", "prefix6"),
    (25, 70, "00000007 0311 0000fde800000001 00000000 20c0000201 00000008 2a01aa", "path-ids"),
    (25, 65, "0011 0000fde800000001 0003 0001 0008 c35001", "block"),
    (25, 65, "000c 0001c00002010064 c0000202 00000005", "discovery"),
    (25, 65, "00000005 0016 0000fde800000001 0003 0001 0008 000010 010008ff00", "tlvs"),
    (1, 132, "60 0000fde8 0002fde800000064 30 0000fde8 0002 20 0000fde8 00", "all-lengths"),
    (1, 132, "00000007 60 0000fde8 0002fde800000064", "path-ids"),
    (1, 73, "60 00000002 00000064 c0000201", "one"),
    (2, 73, "00000001 c0 00000001 000000c8 20010db8000000000000000000000001", "path-ids"),
    (1, 5, "010c 0000fde800000001 c0000201 020c 0000fde800000001 00010000", "i-pmsi"),
    (1, 5, "0316 0000fde800000001 20c6336401 20e8000101 c0000201 4302 0102", "s-pmsi"),
    (1, 5, "0412 020c 0000fde800000001 00010000 c0000202 0512 0000fde800000001 20c6336401 20e8000101", "leaf"),
    (2, 5, "072e 0000fde800000001 0000fde8 8020010db8000000000000000000000001 80ff3e0000000000000000000000000001", "join"),
    (1, 133, "11 0118c00002 0218cb0071 04 0389 458b 911f90", "ports"),
    (1, 133, "14 0120c0000201 090212c33f 0a9205dc 0c8005 18 0a46", "masks"),
    (1, 133, "00000003 03 058150", "path-ids"),
    (1, 133, "f007 0118c00002 038106", "long-length"),
    (2, 133, "18 01200020010db8 026840123456789a 038111 0da1000fffff", "offset"),
    (1, 134, "0b 0001c00002010064 058150", "vpn"),
    (2, 134, "11 0001c00002010064 02683c112345678980", "vpn6"),
    (1, 66, "80 0000fde800000001 c0000201 e8000101 80 0001c00002010007 c0000202 e8000102", "two"),
    (1, 66, "00000007 80 0000fde800000001 c0000201 e8000101", "path-ids"),
    (25, 133, "17 0e910800 0f06aabbcc112233 1030ddeeff112233 158164", "frames"),
    (25, 134, "15 0000fde800000001 1018010050 118103 150364c5c8", "frames-vpn"),
    (25, 8, "0316 0000fde800000001 20c6336401 20e8000101 c0000201 0412 030c 0000fde800000001 00010000 c0000202", "vpls"),
    (1, 4, "30 000641 0a0102 48 000640 000651 0a0103", "labels"),
    (2, 4, "38 800000 20010db8", "withdrawn"),
    (1, 128, "88 000640 000651 0000fde900000064 0a0102 70 000000 0001c00002010007 0a0103", "stack"),
    (2, 128, "00000007 78 000641 000200010000fde9 20010db8", "path-ids"),
    (1, 129, "58 0000fde900000064 e00001 70 000641 0000fde900000064 e00001", "multicast"),
    (2, 129, "60 0000fde900000064 ff3e0000", "multicast6"),
    (1, 2, "18 e00001 08 0a", "multicast"),
    (2, 2, "00000001 20 ff3e0000", "path-ids"),
    (1, 1, "00000007 18 0a0102 00000008 18 0a0102 00", "path-ids"),
    (1, 1, "ff000001 18 0a0102", "large-id"),
    (2, 1, "00000001 20 20010db8 7f 20010db8000000000000000000000001", "v6"),
]

# Rows as they stand behind the headers, by object; the first byte of an input is the place of the object here.
HASH = [f"{n:032x}" for n in range(1, 6)]
STAMP = "2026-11-21 10:00:00.000001"
ATTRIBUTES = ["igp", " 65001 { 64512 64513 } 65002", "4", "65002", "192.0.2.1", "5", "100", "65001 192.0.2.9",
              "65001:1 65001:2", "rt=65001:1 soo=1:2", "192.0.2.7 192.0.2.8", "1", "1", "192.0.2.6"]
ROUTE = ["add", "7", HASH[0], HASH[1], "192.0.2.254", HASH[2], HASH[3], "192.0.2.1", "65001", STAMP]
ROWS = [
    ("unicast_prefix", [ROUTE + ["10.0.0.0", "8", "1"] + ATTRIBUTES + ["3", "100,101", "1", "1", "65001:1:2 65001:3:4"],
                        ["del"] + ROUTE[1:5] + [""] + ROUTE[6:] + ["2001:db8::", "32", "0"] + [""] * 14 + ["0", "", "0", "1", ""]]),
    ("peer", [["up", "0", HASH[3], HASH[1], "", "192.0.2.1", "192.0.2.254", STAMP, "65001", "192.0.2.1", "0:0", "40000", "65000",
               "192.0.2.254", "179", "192.0.2.254", "info", "65: 4-octet", "65: 4-octet", "180", "180", "", "", "", "", "0", "1",
               "1", "0", "0", "global"],
              ["down", "1", HASH[3], HASH[1], "", "192.0.2.1", "192.0.2.254", STAMP, "65001", "192.0.2.1", "0:0"] + [""] * 10 +
              ["3", "6", "2", "administrative shutdown", "0", "1", "1", "0", "0", ""]]),
    ("router", [["init", "0", "r1", HASH[1], "192.0.2.254", "a router", "", "", "text", "", STAMP, ""]]),
    ("bmp_stat", [["add", "0", HASH[1], "192.0.2.254", HASH[3], "192.0.2.1", "65001", STAMP] + [str(n) for n in range(9)]]),
    ("eor", [["add", "0", HASH[3], HASH[1], "192.0.2.254", "192.0.2.1", "65001", STAMP, "1", "1", "1", "1"]]),
    ("collector", [["change", "0", "default", HASH[4], "192.0.2.254, 192.0.2.253", "2", STAMP]]),
    ("l3vpn", [ROUTE + ["10.0.0.0", "8", "1"] + ATTRIBUTES + ["0", "100", "1", "1", "65001:1", "0", "65001:1:2"]]),
]


def write(target, name, data):
    path = root / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_nlri(afi, safi, nlri, name):
    if (afi, safi) in FAMILIES and nlri:
        target, prefix = FAMILIES[afi, safi]
        write(target, name, prefix + nlri)


def attributes(update):
    """(type, value) of each path attribute."""
    at = 2 + struct.unpack(">H", update[:2])[0]
    end = at + 2 + struct.unpack(">H", update[at:at + 2])[0]
    at += 2
    while at + 3 <= end:
        long = update[at] & 0x10
        size = struct.unpack(">H", update[at + 2:at + 4])[0] if long else update[at + 2]
        value = at + (4 if long else 3)
        yield update[at + 1], update[value:value + size]
        at = value + size


def monitoring(afi, safi, nlri):
    """A Route Monitoring message that announces the routes and withdraws them."""
    family = struct.pack(">HB", afi, safi)
    reach = family + b"\x04\xc0\x00\x02\x09\x00" + nlri
    values = [(1, b"\0"), (2, b"\x02\x01\0\0\xfd\xe9"), (14, reach), (15, family + nlri)]
    path = b"".join(struct.pack(">BBH", 0x50, kind, len(value)) + value for kind, value in values)
    update = struct.pack(">HH", 0, len(path)) + path
    bgp = b"\xff" * 16 + struct.pack(">HB", len(update) + 19, 2) + update
    peer = bytes(10) + bytes(12) + b"\xc0\x00\x02\x01" + struct.pack(">I4sII", 65001, b"\x0a\0\0\1", 1700000000, 0)
    return struct.pack(">BIB", 3, 6 + len(peer) + len(bgp), 0) + peer + bgp


def obmp(message, admin=b"default", group=b"edge"):
    """A record of the topic of raw messages."""
    return struct.pack(">4sBBHIBBII16sH", b"OBMP", 1, 7, 78 + len(admin) + len(group), len(message), 0x80, 12, 1700000000, 250,
                       bytes(range(16)), len(admin)) + admin + bytes(range(16, 32)) + b"\xc0\0\2\1" + bytes(12) + \
        struct.pack(">H", len(group)) + group + struct.pack(">I", 1) + message


def packets(stream, size):
    """IP packets of a connection that carries the stream: SYN, data, FIN."""
    pieces = [stream[at:at + size] for at in range(0, len(stream), size)]
    sequence = 1000
    for flags, data in [(0x02, b""), *((0x18, piece) for piece in pieces), (0x11, b"")]:
        tcp = struct.pack(">HHIIBBHHH", 40000, 1790, sequence, 1, 0x50, flags, 65535, 0, 0) + data
        yield struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, b"\xc0\0\2\1", b"\xc0\0\2\2") + tcp
        sequence += len(data) + (flags & 1) + (flags >> 1 & 1)


def pcap(stream):
    return struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101) + b"".join(
        struct.pack("<IIII", 1700000000, n, len(p), len(p)) + p for n, p in enumerate(packets(stream, 150)))


def pcapng(stream):
    def block(kind, body):
        body += bytes(-len(body) % 4)
        return struct.pack(">II", kind, 12 + len(body)) + body + struct.pack(">I", 12 + len(body))
    options = struct.pack(">HHB3x", 9, 1, 9) + struct.pack(">HHQ", 14, 8, 5) + struct.pack(">HH", 0, 0)
    out = block(0x0a0d0d0a, struct.pack(">IHHq", 0x1a2b3c4d, 1, 0, -1)) + block(1, struct.pack(">HHI", 101, 0, 0) + options)
    for n, p in enumerate(packets(stream, 200)):
        out += block(6, struct.pack(">IIIII", 0, 395812, n, len(p), len(p)) + p) if n % 3 else block(3, struct.pack(">I", len(p)) + p)
    return out


def segments(stream):
    """The form with a first byte of 0: flags and connection, sequence, length, data; the second piece comes late."""
    pieces = [stream[at:at + 60] for at in range(0, min(len(stream), 180), 60)]
    out = b"\0" + bytes([2, 0, 0])
    for n in (0, 2, 1):
        if n < len(pieces):
            out += bytes([0x18, 1 + 60 * n, len(pieces[n])]) + pieces[n]
    return out + bytes([0x11, 181, 0])


# By type of the message: first byte of fuzz_messages, kind of fuzz_session.
MESSAGES = {0: (2, 9), 1: (0, 10), 2: (4, 11), 3: (3, 12), 4: (5, 14), 5: (5, 15), 6: (1, 13)}


def session_message(version, kind, body):
    """The message in the form of fuzz_session."""
    number = MESSAGES[kind][1]
    if kind in (4, 5):
        return struct.pack(">BH", number, len(body)) + body
    content = body[42:]
    if kind == 0 and version == 3:
        number, content = 0, body[61:]
    if kind == 3:
        content = b""
    flags = (body[1] & 0x40) >> 1 | (body[1] & 0x10) << 2 | (body[1] & 0x20) << 2
    return struct.pack(">BH", number | (0x10 if body[1] & 0x80 else 0) | flags, len(content)) + content


for number, (name, rows) in enumerate(ROWS):
    lines = "".join("\t".join(row) + "\n" for row in rows).encode()
    write("fuzz_text_rows", name, bytes([number]) + lines)
    write("fuzz_text_rows", f"{name}-whole",
          bytes([len(ROWS)]) + f"V: 1.7\nC_HASH_ID: {HASH[4]}\nT: {name}\nL: {len(lines)}\nR: {len(rows)}\n\n".encode() + lines)

for afi, safi, text, name in MADE:
    write_nlri(afi, safi, bytes.fromhex(text), name)
    write("fuzz_bmp", f"made-{afi}-{safi}-{name}", monitoring(afi, safi, bytes.fromhex(text)))

for source in sys.argv[1:]:
    stem = pathlib.Path(source).stem
    stream = pathlib.Path(source).read_bytes()
    write("fuzz_framer", stem, b"\x61" + stream[:3000])
    write("fuzz_bmp", stem, stream[:6000])
    write("fuzz_packet_file", f"{stem}-pcap", pcap(stream[:700]))
    write("fuzz_packet_file", f"{stem}-pcapng", pcapng(stream[:700]))
    write("fuzz_packet_file", f"{stem}-segments", segments(stream))
    session = b""
    at, seen = 0, set()
    while at + 6 <= len(stream):
        version, size, kind = struct.unpack(">BIB", stream[at:at + 6])
        body = stream[at + 6:at + size]
        at += size
        if len(body) + 6 < size:
            break
        if len(session) < 3000 and len(body) < 1000 and kind in MESSAGES:
            session += session_message(version, kind, body)
        key = (kind, len(body).bit_length())
        if key not in seen and len(body) < 3000:
            seen.add(key)
            write("fuzz_bmp", f"{stem}-type{kind}-{len(body)}", struct.pack(">BIB", 3, size, kind) + body)
            if kind in MESSAGES:
                write("fuzz_messages", f"{stem}-type{kind}-{len(body)}",
                      bytes([MESSAGES[kind][0]]) + body[0 if kind in (4, 5) else 42:])
            if kind in (1, 3):
                write("fuzz_obmp_raw", f"{stem}-type{kind}-{len(body)}", obmp(struct.pack(">BIB", 3, size, kind) + body))
        if version == 3 and kind == 0 and len(body) > 61:
            update = body[61:]
            shape = (min(struct.unpack(">H", update[:2])[0], 9), len(update) // 40)
            if ("u", shape) not in seen:
                seen.add(("u", shape))
                write("fuzz_update", f"{stem}-{shape[0]}-{shape[1]}", b"\x01" + update)
            values = dict(attributes(update))
            if values:
                path = b"".join(struct.pack(">BBH", 0x50, kind, len(value)) + value for kind, value in values.items()
                                if kind not in (14, 15))
                if ("a", frozenset(values)) not in seen and len(path) < 600:
                    seen.add(("a", frozenset(values)))
                    write("fuzz_attributes", f"{stem}-{'-'.join(map(str, sorted(values)))}", b"\1" + path)
            for attribute, value in attributes(update):
                if attribute not in (14, 15):
                    continue
                afi, safi = struct.unpack(">HB", value[:3])
                nlri = value[5 + value[3]:] if attribute == 14 else value[3:]
                shape = (afi, safi, attribute, nlri[:1], len(nlri))
                if shape not in seen:
                    seen.add(shape)
                    if afi == 16388 and attribute == 14:
                        link_state = values.get(29, b"")
                        write("fuzz_ls", f"{stem}-{nlri[:2].hex()}-{len(nlri)}",
                              struct.pack(">BH", safi - 71 | 2, len(link_state)) + link_state + nlri)
                    write_nlri(afi, safi, nlri, f"{stem}-{attribute}-{nlri[:1].hex()}-{len(nlri)}")
        if kind == 3:
            open_at = 42 + 20
            length = struct.unpack(">H", body[open_at + 16:open_at + 18])[0]
            message = body[open_at:open_at + length]
            if ("o", length) not in seen:
                seen.add(("o", length))
                write("fuzz_open", f"{stem}-{length}", message)
    for form in (0x03, 0x5b, 0x9f):
        write("fuzz_session", f"{stem}-{form:02x}", bytes([form]) + session)
