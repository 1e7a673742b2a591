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
    (1, 73): ("fuzz_nlri_sr_policy", b"\0"),
    (2, 73): ("fuzz_nlri_sr_policy", b"\1"),
    (1, 133): ("fuzz_nlri_flowspec", b"\0"),
    (2, 133): ("fuzz_nlri_flowspec", b"\1"),
    (1, 134): ("fuzz_nlri_flowspec", b"\2"),
    (2, 134): ("fuzz_nlri_flowspec", b"\3"),
}

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


for afi, safi, text, name in MADE:
    write_nlri(afi, safi, bytes.fromhex(text), name)
    write("fuzz_bmp", f"made-{afi}-{safi}-{name}", monitoring(afi, safi, bytes.fromhex(text)))

for source in sys.argv[1:]:
    stem = pathlib.Path(source).stem
    stream = pathlib.Path(source).read_bytes()
    write("fuzz_framer", stem, b"\x61" + stream[:3000])
    write("fuzz_bmp", stem, stream[:6000])
    at, seen = 0, set()
    while at + 6 <= len(stream):
        _, size, kind = struct.unpack(">BIB", stream[at:at + 6])
        body = stream[at + 6:at + size]
        at += size
        if len(body) + 6 < size:
            break
        key = (kind, len(body).bit_length())
        if key not in seen and len(body) < 3000:
            seen.add(key)
            write("fuzz_bmp", f"{stem}-type{kind}-{len(body)}", struct.pack(">BIB", 3, size, kind) + body)
        if kind == 0 and len(body) > 61:
            update = body[61:]
            shape = (min(struct.unpack(">H", update[:2])[0], 9), len(update) // 40)
            if ("u", shape) not in seen:
                seen.add(("u", shape))
                write("fuzz_update", f"{stem}-{shape[0]}-{shape[1]}", b"\x01" + update)
            for attribute, value in attributes(update):
                if attribute not in (14, 15):
                    continue
                afi, safi = struct.unpack(">HB", value[:3])
                nlri = value[5 + value[3]:] if attribute == 14 else value[3:]
                shape = (afi, safi, attribute, nlri[:1], len(nlri))
                if shape not in seen:
                    seen.add(shape)
                    write_nlri(afi, safi, nlri, f"{stem}-{attribute}-{nlri[:1].hex()}-{len(nlri)}")
        if kind == 3:
            open_at = 42 + 20
            length = struct.unpack(">H", body[open_at + 16:open_at + 18])[0]
            message = body[open_at:open_at + length]
            if ("o", length) not in seen:
                seen.add(("o", length))
                write("fuzz_open", f"{stem}-{length}", message)
