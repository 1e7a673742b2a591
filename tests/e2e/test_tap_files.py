"""bmp-tap of files, without any server: the keys of its JSON, filters, captures, relaying."""
import json
import socket
import struct
import subprocess
import threading

import pytest

from harness.cluster import BIN, TREE

DATA = TREE / "tests/data"
STREAM = DATA / "frr_flap.bmp"


def tap(*arguments, code=0, **options):
    done = subprocess.run([BIN / "bmp-tap", *map(str, arguments)], capture_output=True, timeout=60, **options)
    assert done.returncode == code, done.stderr
    return done.stdout.decode()


def json_rows(text):
    """Without the time of the router's own row, which is that of the reading."""
    rows = [json.loads(line) for line in text.splitlines()]
    for row in rows:
        if row["object"] == "router":
            row["timestamp"] = ""
    return rows


def documented():
    """Columns by object as docs/wire.md lists them: [(name, kind)]; and those that may stand behind them."""
    block = (TREE / "docs/wire.md").read_text().split("### Names of the columns")[1].split("```\n")[1]
    found = {}
    for line in block.replace("\n  ", " ").splitlines():
        name, words = line.split(":", 1)
        found[name] = [(word.rstrip("#?[]"), word[len(word.rstrip("#?[]")):]) for word in words.split()]
    return found


def value_fits(kind, value):
    if kind == "#":
        return value is None or type(value) is int
    if kind == "?":
        return value is None or type(value) is bool
    if kind == "[]":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, str)


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.glob("*.bmp")))
def test_json_has_the_documented_columns_as_keys(name):
    columns = documented()
    rows = json_rows(tap("--json", DATA / name))
    assert {row["object"] for row in rows} >= {"router", "peer", "base_attribute"}
    for row in rows:
        own = columns[row["object"]]
        marks = columns["marks"] if row["object"] not in ("base_attribute", "peer") else []
        more = columns["label"] if row["object"] == "peer" else columns["attributes"] + marks
        head = ["object", "action", *(["view"] if ("is_adj_rib_in", "?") in own else []), "epoch", "node"]
        keys = [*head, *(key for key, _ in own[1:])]
        assert list(row)[:len(keys)] == keys
        assert list(row)[len(keys):] in ([], [key for key, _ in more], [key for key, _ in columns["attributes"]])
        assert row["epoch"] is None and row["node"] is None
        assert row.get("view", "in-pre") in ("in-pre", "in-post", "out-pre", "out-post", "loc-rib")
        for key, kind in own[1:] + more:
            assert key not in row or value_fits(kind, row[key]), (row["object"], key, row[key])


def test_filters_leave_what_they_ask_for():
    rows = json_rows(tap("--json", STREAM))
    routes = [row for row in rows if row["object"] == "unicast_prefix"]
    peer = routes[0]["peer_ip"]

    def shown(*filters):
        return json_rows(tap("--json", *filters, STREAM))

    assert shown("--type", "unicast_prefix") == routes
    assert shown("--type", "peer", "--type", "unicast_prefix") == [r for r in rows if r["object"] in ("peer", "unicast_prefix")]
    of_peer = shown("--peer", peer)
    assert of_peer and of_peer == [r for r in rows if peer in (r.get("peer_ip"), r.get("remote_ip"))]
    assert shown("--router", "0.0.0.0") == rows and shown("--router", rows[0]["name"]) == rows
    assert shown("--router", "192.0.2.99") == []
    prefix = f"{routes[0]['prefix']}/{routes[0]['prefix_len']}"
    inside = shown("--prefix", prefix)
    assert inside and all(r["prefix"] == routes[0]["prefix"] for r in inside if r["prefix_len"] == routes[0]["prefix_len"])
    assert len(shown("--count", "7")) == 7


def said(text):
    """Rows by object and peer in their order. How rows of several come together, and how often attributes are told, depends on
    how much is read at once."""
    lists = {}
    for row in json_rows(text):
        if row["object"] != "base_attribute":
            lists.setdefault((row["object"], row.get("peer_hash")), []).append({k: v for k, v in row.items() if k != "sequence"})
    return lists


def packets(stream, size):
    """Ethernet frames of a connection that carries the stream."""
    sequence = 1000
    for flags, data in [(2, b""), *((0x18, stream[at:at + size]) for at in range(0, len(stream), size)), (0x11, b"")]:
        tcp = struct.pack(">HHIIBBHHH", 40000, 1790, sequence, 1, 0x50, flags, 65535, 0, 0) + data
        yield b"\x02" * 12 + b"\x08\0" + struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, b"\x7f\0\0\1",
                                                      b"\x7f\0\0\2") + tcp
        sequence += len(data) + (flags & 1) + (flags >> 1 & 1)


def test_a_capture_and_standard_input_say_what_the_recording_says(tmp_path):
    stream = STREAM.read_bytes()
    expected = said(tap("--json", "--router-ip", "127.0.0.1", STREAM))
    assert said(tap("--json", "--router-ip", "127.0.0.1", "-", input=stream)) == expected
    capture = tmp_path / "session.pcap"
    capture.write_bytes(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1) + b"".join(
        struct.pack("<IIII", 1700000000, n, len(p), len(p)) + p for n, p in enumerate(packets(stream, 1400))))
    assert said(tap("--json", capture)) == expected
    assert said(tap("--json", "-", input=capture.read_bytes())) == expected


@pytest.mark.parametrize("cut", [0, 3])
def test_a_file_is_relayed_byte_by_byte(tmp_path, cut):
    """Also one that ends inside a message: what the next collector makes of it is not for bmp-tap to judge."""
    stream = STREAM.read_bytes()
    stream = stream[:len(stream) - cut]
    recording = tmp_path / "session.bmp"
    recording.write_bytes(stream)
    received = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def take():
            connection = listener.accept()[0]
            while piece := connection.recv(65536):
                received.append(piece)
            connection.close()
        collector = threading.Thread(target=take)
        collector.start()
        tap("--relay", f"127.0.0.1:{listener.getsockname()[1]}", recording)
        collector.join(20)
    assert b"".join(received) == stream


def test_what_cannot_be_read_is_told(tmp_path):
    for arguments, code, want in [([], 100, "nothing to read"), ([tmp_path / "absent.bmp"], 111, "No such file"),
                                  ([tmp_path], 111, "directory"), (["--type", "prefix", STREAM], 100, "unicast_prefix"),
                                  (["--prefix", "10.0.0.0/33", STREAM], 100, "192.0.2.0/24"),
                                  (["--subscribe", "ipc:///x", STREAM], 100, "more than one source")]:
        done = subprocess.run([BIN / "bmp-tap", *map(str, arguments)], capture_output=True, text=True, timeout=20)
        assert done.returncode == code and want in done.stderr, (arguments, done.stderr)
    broken = tmp_path / "broken.bmp"
    broken.write_bytes(STREAM.read_bytes()[:-3] + b"")
    done = subprocess.run([BIN / "bmp-tap", "--json", broken], capture_output=True, text=True, timeout=20)
    assert done.returncode == 111 and "ends inside a message" in done.stderr
    assert len(json_rows(done.stdout)) > 500, "what was read before is printed"
