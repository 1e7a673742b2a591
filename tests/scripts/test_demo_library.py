"""The parts of the demo that judge: header decoding, what counts as a switch and as a duplicate."""
import struct
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from demolib import demo, kafka_log  # noqa: E402
from demolib.kafka_log import Header, Record, judge_switch  # noqa: E402

ROUTER = "0f" * 16


def header(kind, node, epoch, replay=False, read_us=0):
    return Header(kind, False, replay, epoch, 1, ROUTER, 1, read_us, node)


def row(prefix, attributes="a" * 32, action="add"):
    columns = [action, "1", "h", "r", "10.0.0.1", attributes, "p", "10.0.0.2", "65000", "t", prefix, "24", "1"]
    columns += [""] * 14 + ["0", "", "1", "1", ""]
    return "\t".join(columns)


def routes(node, epoch, prefixes, replay=False, read_us=0):
    text = "V: 1.7\nT: unicast_prefix\nL: 1\nR: 1\n\n" + "".join(row(p) + "\n" for p in prefixes)
    return Record(0, 0, 0, header("routes", node, epoch, replay, read_us), text.encode())


def run(node, epoch, at_ms):
    return Record(0, 0, at_ms, header("run", node, epoch), b"")


def test_header_of_all_fields_is_decoded():
    raw = struct.pack("!BBBQQ", 1, 6, 0x02, 77, 5) + bytes(range(16)) + struct.pack("!QQQq", 8, 9, 10, 11)
    raw += bytes([3]) + b"n.1" + b"\0"
    got = kafka_log.decode_header(raw)
    assert got == Header("routes", False, True, 77, 5, bytes(range(16)).hex(), 10, 11, "n.1")


def test_header_of_an_unknown_version_is_refused():
    with pytest.raises(ValueError):
        kafka_log.decode_header(b"\x02" + bytes(80))


def test_a_replayed_change_that_the_dead_node_had_delivered_is_a_duplicate():
    records = [routes("A", 1, ["10.0.0.0", "10.0.1.0"], read_us=99_500_000), run("B", 2, 101_000),
               routes("B", 2, ["10.0.1.0", "10.0.2.0"], replay=True), routes("B", 2, ["10.0.0.0"])]
    switch = judge_switch(records, ROUTER, "A", 100.0, 3000)
    assert (switch.run_ms, switch.epoch, switch.duplicates, switch.allowed) == (101_000, 2, 1, 2)
    assert switch.oldest_ms == 500


def test_changes_before_the_window_are_not_allowed_to_repeat():
    records = [routes("A", 1, ["10.0.0.0"], read_us=90_000_000), run("B", 2, 101_000),
               routes("B", 2, ["10.0.0.0"], replay=True)]
    switch = judge_switch(records, ROUTER, "A", 100.0, 3000)
    assert switch.duplicates == 1 and switch.allowed == 0


def test_the_window_grows_by_what_delivery_takes():
    late = Record(0, 0, 98_000, header("routes", "A", 1, read_us=96_500_000), routes("A", 1, ["10.0.0.0"]).value)
    switch = judge_switch([late, run("B", 2, 101_000)], ROUTER, "A", 100.0, 3000)
    assert switch.window_ms == 4500 and switch.allowed == 1


def test_without_a_run_of_another_node_there_is_no_switch():
    assert judge_switch([run("A", 2, 101_000), run("B", 1, 50_000)], ROUTER, "A", 100.0, 3000) is None


class Broken:
    def stop(self):
        raise OSError("does not stop")


class Counted:
    closed = 0

    def close(self):
        Counted.closed += 1


@pytest.mark.parametrize("play, status, begin", [
    (lambda self: "verdict: ok", 0, "verdict: ok"), (lambda self: 1 / 0, 1, "verdict: failed lost=unjudged")])
def test_the_verdict_is_written_although_stopping_fails(monkeypatch, tmp_path, play, status, begin):
    monkeypatch.setattr(demo.Demo, "start", lambda self: None)
    monkeypatch.setattr(demo.Demo, "play", play)
    monkeypatch.setattr(demo.Demo, "result", True, raising=False)
    monkeypatch.setattr(demo.signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["demo", str(tmp_path)])
    make = demo.Demo.__init__

    def made(self, options):
        make(self, options)
        self.churn = self.frr = Broken()
        self.speakers, self.log = [Counted(), Counted()], Counted()
    monkeypatch.setattr(demo.Demo, "__init__", made)
    Counted.closed = 0
    assert demo.main() == status
    assert (tmp_path / "verdict").read_text().startswith(begin)
    assert Counted.closed == 3, "one that does not stop must not keep the others"
