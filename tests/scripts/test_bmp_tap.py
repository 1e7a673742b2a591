"""bmp-tap on files, standard input and network captures: the same rows, whatever the form; broken input is told."""
import ipaddress
import json
import os
import random
import struct
import subprocess
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("BMPHA_BIN", TREE / "build/release/bin"))
DATA = TREE / "tests/data"
STREAM = DATA / "frr_flap.bmp"
SOURCE, COLLECTOR = "192.0.2.17", "192.0.2.99"


def tap(*arguments, stdin=b"", code=0):
    done = subprocess.run([BIN / "bmp-tap", *map(str, arguments)], input=stdin, capture_output=True, timeout=60)
    assert done.returncode == code, done.stderr.decode()
    return done.stdout.decode(), done.stderr.decode()


def rows(*arguments, **more):
    """In an order of their own: how many messages are decoded together decides the order of peers and how often an
    attribute set is written. The router's row has the time of reading."""
    found = [json.loads(line) for line in tap("--json", *arguments, **more)[0].splitlines()]
    for row in found:
        if row["object"] == "router":
            row["timestamp"] = ""
    found = [row for row in found if row["object"] != "base_attribute"]
    return sorted(found, key=lambda row: (row["object"], row.get("router_hash", row.get("hash")), row["sequence"]))


# ---- captures

def packet(payload, seq, flags=0x18, v6=False, vlan=False, port=40000):
    tcp = struct.pack("!HHIIBBHHH", port, 1790, seq & 0xffffffff, 0, 5 << 4, flags, 65535, 0, 0) + payload
    if v6:
        head = struct.pack("!IHBB", 6 << 28, 8 + len(tcp), 60, 64) + ipaddress.ip_address("2001:db8::17").packed
        head += ipaddress.ip_address("2001:db8::99").packed + struct.pack("!BBHI", 6, 0, 0x0104, 0)  # one extension header
    else:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0)
        head += ipaddress.ip_address(SOURCE).packed + ipaddress.ip_address(COLLECTOR).packed
    ether = b"\2" * 12 + (b"\x81\0\0\7" if vlan else b"") + (b"\x86\xdd" if v6 else b"\x08\0")
    return ether + head + tcp


def session(stream, size=1400, syn=True, fin=True, start=0xfffffe00, **more):
    """The packets of one direction; the sequence numbers wrap around."""
    out = [packet(b"", start - 1, 0x02, **more)] if syn else []
    for at in range(0, len(stream), size):
        out.append(packet(stream[at:at + size], start + at, **more))
    if fin:
        out.append(packet(b"", start + len(stream), 0x11, **more))
    return out


def classic(packets, order="<", magic=0xa1b2c3d4):
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, 1)
    for n, p in enumerate(packets):
        out += struct.pack(order + "IIII", 1700000000 + n, 5, len(p), len(p)) + p
    return out


def next_generation(packets, order="<"):
    def block(kind, body):
        body += b"\0" * (-len(body) % 4)
        return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)
    out = block(0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1))
    out += block(1, struct.pack(order + "HHI", 1, 0, 0) + struct.pack(order + "HHB3xHH", 9, 1, 9, 0, 0))  # nanoseconds
    for n, p in enumerate(packets):
        t = (1700000000 + n) * 10**9
        out += block(6, struct.pack(order + "IIIII", 0, t >> 32, t & 0xffffffff, len(p), len(p)) + p)
        out += block(0x777, b"of no use")
    return out


def shuffled(packets):
    """Neighbours change places, and some come twice."""
    head, body, tail = packets[:1], packets[1:-1], packets[-1:]
    chance = random.Random(7)
    order = sorted(range(len(body)), key=lambda n: n + chance.uniform(0, 4))
    out = []
    for n in order:
        out.append(body[n])
        if chance.random() < 0.2:
            out.append(body[chance.randrange(len(body))])
    return head + out + tail


@pytest.fixture(scope="module")
def expected():
    return rows("--router-ip", SOURCE, STREAM)


def test_a_file_gives_the_rows_that_bmp_recv_makes(expected):
    golden, current = {}, None
    for line in (DATA / "frr_flap.rows").read_text().splitlines():
        if line.startswith("# "):
            current = golden.setdefault(line.split()[1], [])
        else:
            current.append(line.split("|"))
    for name, lines in golden.items():
        lines.sort(key=lambda c: int(c[1]))
        assert [row["action"] for row in expected if row["object"] == name] == [c[0] for c in lines]
    routes = [row for row in expected if row["object"] == "unicast_prefix"]
    assert [(row["action"], row["prefix"], row["prefix_len"]) for row in routes] == \
        [(c[0], c[-22], int(c[-21])) for c in golden["unicast_prefix"]]
    assert routes and {row["view"] for row in routes} <= {"in-pre", "in-post"}
    added = next(row for row in routes if row["action"] == "add")
    assert isinstance(added["prefix_len"], int) and added["is_ipv4"] in (True, False)
    assert isinstance(added["communities"], list) and added["labels"] == []
    assert added["epoch"] is None and added["node"] is None and added["router_ip"] == SOURCE
    assert all(row["as_path"] == "" for row in routes if row["action"] == "del")


def test_standard_input_is_the_same(expected):
    assert rows("--router-ip", SOURCE, "-", stdin=STREAM.read_bytes()) == expected


@pytest.mark.parametrize("form", [
    lambda p: classic(p), lambda p: classic(p, ">"), lambda p: classic(p, "<", 0xa1b23c4d),
    lambda p: next_generation(p), lambda p: next_generation(p, ">")],
    ids=["pcap", "pcap-big-endian", "pcap-nanoseconds", "pcapng", "pcapng-big-endian"])
def test_a_capture_is_the_same(form, expected, tmp_path):
    path = tmp_path / "capture"
    path.write_bytes(form(session(STREAM.read_bytes())))
    assert rows(path) == expected


@pytest.mark.parametrize("size", [1, 7, 97, 9000])
def test_segments_of_any_size_in_any_order(size, tmp_path):
    stream = STREAM.read_bytes()
    cut = len(stream) if size > 7 else 3000
    path = tmp_path / "capture"
    path.write_bytes(classic(shuffled(session(stream[:cut], size))))
    code = 0 if cut == len(stream) else 111
    assert rows(path, code=code) == rows("--router-ip", SOURCE, "-", stdin=stream[:cut], code=code)


def test_two_sessions_and_other_traffic(expected, tmp_path):
    stream = STREAM.read_bytes()
    web = session(b"GET / HTTP/1.1\r\n" * 50, port=50000)
    six = session(stream, 700, v6=True)
    four = session(stream, vlan=True)
    mixed = [p for group in zip(four, web) for p in group] + four[len(web):] + [b"\xff" * 20, b""] + six
    path = tmp_path / "capture"
    path.write_bytes(classic(mixed))
    all_rows = rows(path)
    assert [row for row in all_rows if row.get("router_ip", row.get("ip")) == SOURCE] == expected
    assert len(all_rows) == 2 * len(expected)
    assert {row.get("router_ip", row.get("ip")) for row in all_rows} == {SOURCE, "2001:db8::17"}


def test_a_capture_that_begins_in_the_middle_of_a_session(expected, tmp_path):
    stream = STREAM.read_bytes()
    packets = session(stream, 1400, syn=False)[3:]
    path = tmp_path / "capture"
    path.write_bytes(classic(packets))
    some, whole = rows(path), {row["prefix"] for row in expected if "prefix" in row}
    found = {row["prefix"] for row in some if "prefix" in row}
    assert found <= whole and len(found) > len(whole) // 2
    assert not any(row["object"] == "router" for row in some)


def test_missing_segments_are_told_and_the_session_goes_on(tmp_path):
    stream = STREAM.read_bytes()
    messages, at = [], 0
    while at < len(stream):
        size = struct.unpack_from("!I", stream, at + 1)[0]
        messages.append(stream[at:at + size])
        at += size
    start, packets = 1000, [packet(b"", 999, 0x02)]
    for n, message in enumerate(messages):
        if n != len(messages) // 2:
            packets.append(packet(message, start))
        start += len(message)
    path = tmp_path / "capture"
    path.write_bytes(classic(packets))
    err = tap("--json", path, code=111)[1]
    assert f"1 gaps: at least {len(messages[len(messages) // 2])} bytes" in err and str(path) in err
    whole, some = rows(STREAM), rows(path, code=111)
    assert len(whole) - 60 < len(some) <= len(whole)
    assert {row["object"] for row in some} == {row["object"] for row in whole}


@pytest.mark.parametrize("cut", [3, 30, 4000])
def test_a_capture_that_is_cut_keeps_what_came_before(cut, tmp_path):
    path = tmp_path / "capture"
    path.write_bytes(classic(session(STREAM.read_bytes()))[:-cut])
    out, err = tap("--json", path, code=111)
    assert "offset" in err and str(path) in err and len(out.splitlines()) > 10


# ---- filters and forms

def test_filters(expected):
    routes = [row for row in expected if row["object"] == "unicast_prefix"]
    peer = routes[0]["peer_ip"]
    of_peer = rows("--router-ip", SOURCE, "--peer", peer, STREAM)
    assert of_peer == [row for row in expected if peer in (row.get("peer_ip"), row.get("remote_ip"))] and of_peer
    assert rows("--router-ip", SOURCE, "--peer", routes[0]["peer_hash"], STREAM) == of_peer
    asn = routes[0]["peer_asn"]
    assert {row.get("peer_asn", row.get("remote_asn")) for row in rows("--peer", f"AS{asn}", STREAM)} == {asn}
    assert rows("--router-ip", SOURCE, "--type", "unicast_prefix", STREAM) == routes
    prefix = ipaddress.ip_network(f"{routes[0]['prefix']}/{routes[0]['prefix_len']}")
    wide = prefix.supernet(4)
    inside = [row for row in routes
              if (net := ipaddress.ip_network(f"{row['prefix']}/{row['prefix_len']}")).version == wide.version and net.subnet_of(wide)]
    assert rows("--router-ip", SOURCE, "--prefix", wide, STREAM) == inside and inside
    name = next(row["name"] for row in expected if row["object"] == "router")
    assert rows("--router-ip", SOURCE, "--router", name, STREAM) == expected
    assert rows("--router", "203.0.113.1", STREAM) == []
    assert len(tap("--count", 5, STREAM)[0].splitlines()) == 5


def test_text_has_the_columns_that_are_not_empty():
    lines = tap("--router-ip", SOURCE, STREAM)[0].splitlines()
    objects = [json.loads(line) for line in tap("--json", "--router-ip", SOURCE, STREAM)[0].splitlines()]
    assert len(lines) == len(objects)
    n = next(n for n, row in enumerate(objects) if row["object"] == "unicast_prefix" and row["action"] == "add")
    assert lines[n].startswith("unicast_prefix add view=")
    assert f" prefix={objects[n]['prefix']} prefix_len={objects[n]['prefix_len']} " in lines[n]
    assert " labels=" not in lines[n]


# ---- what goes wrong

def test_a_file_that_is_cut_keeps_what_came_before(expected, tmp_path):
    path = tmp_path / "cut.bmp"
    path.write_bytes(STREAM.read_bytes()[:-5])
    err = tap("--json", path, code=111)[1]
    got = rows("--router-ip", SOURCE, path, code=111)
    assert len(expected) - 3 < len(got) < len(expected) and all(row in expected for row in got)
    assert str(path) in err and "offset" in err and "inside a message" in err


def test_bytes_that_are_no_bmp_are_told_with_their_place(tmp_path):
    stream = STREAM.read_bytes()
    size = struct.unpack_from("!I", stream, 1)[0]
    path = tmp_path / "bad.bmp"
    path.write_bytes(stream[:size] + b"GARBAGE" + stream[size:])
    out, err = tap("--json", path, code=111)
    assert len(out.splitlines()) == 1 and f"{path}: offset {size}: " in err and "version" in err


@pytest.mark.parametrize("arguments, code, text", [
    ([], 100, "nothing to read"), (["a", "--subscribe", "ipc:///tmp/x"], 100, "more than one source"),
    (["/nonexistent"], 111, "/nonexistent"), (["/"], 111, "directory"), (["/dev/null"], 111, "empty"),
    (["--type", "nonsense", "a"], 100, "docs/wire.md"), (["--prefix", "300.0.0.0/8", "a"], 100, "prefix"),
    (["--relay", "127.0.0.1", "a"], 100, "HOST:PORT"), (["--relay", "127.0.0.1:1", str(STREAM)], 111, "127.0.0.1:1")])
def test_wrong_use_is_told(arguments, code, text):
    out, err = tap(*arguments, code=code)
    assert out == "" and text in err


def test_a_reader_that_goes_away_is_a_quiet_end():
    run = subprocess.Popen([BIN / "bmp-tap", "--json", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    run.stdout.close()
    try:
        for _ in range(20):
            run.stdin.write(STREAM.read_bytes())
        run.stdin.close()
    except BrokenPipeError:
        pass
    assert run.wait(timeout=60) == 0 and run.stderr.read() == b""


@pytest.mark.parametrize("form", [classic, next_generation], ids=["pcap", "pcapng"])
def test_damaged_captures_are_survived(form, tmp_path):
    whole = bytearray(form(session(STREAM.read_bytes()[:6000], 500)))
    chance = random.Random(11)
    codes = set()
    for n in range(60):
        damaged = bytearray(whole)
        for _ in range(1 + n % 8):
            damaged[chance.randrange(len(damaged))] = chance.choice([0, 1, 0x7f, 0x80, 0xff])
        if n % 3 == 0:
            del damaged[chance.randrange(len(damaged)):]
        path = tmp_path / "damaged"
        path.write_bytes(damaged)
        done = subprocess.run([BIN / "bmp-tap", "--json", path], capture_output=True, timeout=60)
        assert done.returncode in (0, 111), (n, done.stderr.decode())
        assert (done.returncode == 0) or str(path) in done.stderr.decode() or b"standard input" in done.stderr
        for line in done.stdout.decode().splitlines():
            json.loads(line)
        codes.add(done.returncode)
    assert 111 in codes
