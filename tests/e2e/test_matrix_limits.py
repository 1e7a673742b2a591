"""Rows of the failure matrix: sessions that fall silent or are read slowly, limits of memory and disk, one id twice."""
import re
import socket
import time
from datetime import datetime
from pathlib import Path

import pytest

from harness import verdict, wire
from harness.cluster import MUTABLE_BIN, wait_for
from harness.stage import CRASH, REPLAY, TWO_OR_THREE, Stage

pytestmark = [pytest.mark.scenario, pytest.mark.loss]

MIB = 1 << 20
# A session that reads nothing for 30 s while another reads on is stalled; the limit of the row.
STALLED = 35.0
# Keepalive ends a half-open connection, and the one that waits takes its place.
REPLACED = 5.0


def when(line):
    """The time of a log line."""
    return datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp()


@pytest.mark.long
@TWO_OR_THREE
def test_28_the_owners_session_goes_silent_while_the_standbys_delivers(lab, nodes):
    """The connection stays up and the kernels answer each other; but nothing more arrives on it. What was held up on the way
    comes when all is over, late and in silence."""
    s = Stage(lab, nodes=nodes)
    path = lab.cutter(s.node("A").address)
    s.generator.configure("A", address=path.address)
    s.settle()
    s.fault(lambda: path.set("blackhole"))
    s.wait_owner(s.others("A"), seconds=STALLED + 5)
    time.sleep(1)
    s.silence()
    s.judge(again=s.since_fault(s.of("A")))
    s.switched(STALLED, s.others("A"), s.of("A"))
    for router in s.of("A"):
        alarms = s.node("A").arbiter.log_lines("error", 'event="session stalled"', f"router={router} ")
        assert len(alarms) == 1 and when(alarms[0]) >= s.fault_wall + 29, alarms
    assert not s.node("A").recv.events("session down"), "the sessions stayed up"
    path.heal()

    def awake():
        return not any(r["nodes"]["A"]["stalled"] for r in s.node("A").arbiter.state()["routers"])
    wait_for("A reads what was held up", 10, awake, every=0.2)
    s.judge(again=s.since_fault(s.of("A")))
    # It is the youngest now: nothing moves back by itself. When it is told to, what it has read late is in its run.
    assert "A" not in s.owners_now().values()
    s.node("A").arbiter.signal(35)
    s.wait_owner("A")
    # Of every router it has read late, and so newly, what was said since the fault.
    s.judge(quiet=5, again=s.since_fault(s.of("A")) + s.since_fault())


def slow_reader(lab, **settings):
    """A owns all, and its path to Kafka stands still for 30 s: what it holds reaches its limit, so it stops reading its
    routers, and what they say waits in the sockets. Then the path is slow. A dies when some of the backlog stands in Kafka."""
    s = Stage(lab, routers=4, split=False, rate=400, cut_kafka=True, settings={
        "bmp-recv": {"ring-bytes": "4MiB"}, "kafka-gate": {"kafka-bad": "120s"}}, **settings).settle()
    a, path = s.node("A"), s.node("A").kafka_path
    s.fault(lambda: path.set("hold"))
    wait_for("A's reader pauses", 25, lambda: all(c["paused"] for c in a.recv.state()["sessions"]), every=0.2)
    paused, s.cut_at = time.time(), s.fault_at
    time.sleep(max(0, s.fault_at + 30 - time.monotonic()))
    s.no_switch()
    path.set("throttle", rate=150_000)

    def sent():  # of the backlog: read from a socket that was never empty, long after it was sent
        return {r.header.router for r in s.records() if r.header.kind == "routes" and r.header.read_us / 1e6 > paused + 10}
    wait_for("A sends some of each router's backlog", 60, lambda: len(sent()) == len(s.home), every=0.2)
    time.sleep(2)  # B learns of A's progress
    ages = {r["name"]: r["w_age_ms"] for r in a.gate.state()["routers"] if r["name"] in s.home}
    lab.note(f"paused for {s.fault_wall + 30 - paused:.0f} s; ages of W at the kill: {ages}")
    s.fault(a.kill).silence()
    s.wait_owner("B")
    return s, ages


@pytest.mark.long
def test_34_the_owner_dies_with_a_backlog_in_its_sockets(lab):
    """W has stood still: it is the last instant at which the socket was seen empty."""
    s, ages = slow_reader(lab)
    assert min(ages.values()) > 20_000, ages
    now = time.monotonic()
    s.judge(quiet=5, again=s.replayed(span=now - s.cut_at + REPLAY, end=now))
    s.switched(CRASH, "B", list(s.home))
    s.no_order_violations()


@pytest.mark.long
def test_without_the_drained_time_row_34_loses(lab):
    assert (MUTABLE_BIN / "kafka-gate").exists(), "needs make BUILD=mutable kafka-gate"
    env = {"BMPHA_WITHOUT": "G2-drained"}
    s, ages = slow_reader(lab, bin_dir=MUTABLE_BIN, node_env={"A": env, "B": env})
    assert min(ages.values()) < 20_000, ages  # it ran ahead of what was sent
    v = verdict.judge(s.cluster, s.generator, s.sink, quiet=5)
    lab.figures.clear()  # they are not those of the protocol
    lab.note(f"without the rule: {v.text()}")
    assert v.lost, "without the rule nothing is lost: the scenario proves nothing"


def resident(process, what="VmRSS"):
    """Bytes of memory of a process."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", text).group(1)) * 1024


# What a gate may take beyond its byte limit: the library's copies of what is under way, and what the allocator keeps.
ALLOWANCE = 48 * MIB


def large_dumps(lab):
    s = Stage(lab, routers=2, split=False, rate=50, generator={"table": 6000}, settings={
        "kafka-gate": {"bytes-limit": "8MiB"}, "bmp-recv": {"ring-bytes": "8MiB"}})
    for node in s.cluster.nodes.values():
        node.empty = resident(node.gate)
    return s


def within_limit(s):
    """The gates that live have kept their byte limit all the time."""
    for node in s.cluster.nodes.values():
        if not node.gate.alive():
            continue
        grown = resident(node.gate, "VmHWM") - node.empty
        s.lab.note(f"{node.name}: resident set has grown by {grown / MIB:.1f} MiB at most")
        assert grown <= 8 * MIB + ALLOWANCE


def torn(s, name):
    lines = s.node(name).gate.events("open dump dropped, byte limit reached")
    return {router for router in s.home if any(f"router={router} " in line for line in lines)}


@pytest.mark.long
def test_35_a_dump_is_larger_than_the_byte_limit(lab):
    """On owner and standby. The owner sends on; the standby drops what it holds of the dump, and is whole again at its end."""
    s = large_dumps(lab)
    s.dial()
    s.generator.churn(s.rate)
    wait_for("the dumps end", 120, s.synced, every=0.2)
    # The limit is of the node: one router's dump may end before both have grown beyond it.
    assert torn(s, "B") and not torn(s, "A")
    assert not any(r["torn"] for r in s.node("B").gate.state()["routers"])
    assert s.node("A").gate.events("acknowledged records freed, byte limit reached")
    assert s.owners_now() == s.home and not s.node("A").gate.events("released")
    within_limit(s)
    s.watch(every=0.5)
    time.sleep(8)
    # It takes over without a gap.
    s.fault(s.node("A").kill).silence()
    s.wait_owner("B")
    s.judge(quiet=5)
    s.switched(CRASH, "B", list(s.home))
    assert not s.node("B").arbiter.events("session reset")


@pytest.mark.long
def test_35_the_owner_dies_while_the_standby_is_torn(lab):
    """Nothing that is held can be continued from: the routers dump anew."""
    s = large_dumps(lab)
    s.generator.configure("B", dump_rate=20000)
    s.dial().watch(every=0.5)
    s.generator.churn(s.rate)
    wait_for("B is torn", 120, lambda: torn(s, "B") == set(s.home), every=0.2)
    s.generator.pause_walk("B")
    s.generator.configure("B", dump_rate=0)
    s.fault(s.node("A").kill).silence()
    s.wait_owner("B")
    wait_for("the dumps end", 120, lambda: s.synced(["B"]), every=0.2)
    s.judge(lost=None, quiet=5, dumps=True)
    assert len(s.node("B").arbiter.events("session reset")) == len(s.home)
    within_limit(s)


def test_36_a_router_dials_anew_over_a_half_open_connection(lab):
    """The old connection's packets are lost without a word. The new one waits, unread, until keepalive has ended it."""
    s = Stage(lab).settle()
    routers = s.of("A")[:3]
    s.fault(lambda: s.generator.abandon("A", routers))
    s.wait_owner("B", routers)
    ups = wait_for("the new sessions are up", 10, lambda: (found := [
        line for line in s.node("A").recv.events("session up") if when(line) > s.fault_wall]) and len(found) == 3 and found)
    slowest = max(map(when, ups)) - s.fault_wall
    lab.note(f"replaced after {slowest:.1f} s at most")
    assert slowest <= REPLACED, ups
    assert not s.node("A").recv.events("router id in use")
    s.silence()
    s.judge(span=REPLACED + REPLAY)
    s.switched(REPLACED, "B", routers)
    s.no_order_violations()


def test_36_of_two_living_connections_with_one_id_the_second_is_refused(lab):
    s = Stage(lab, rate=200).settle()
    victim = s.of("A")[0]
    s.fault()
    peer = wire.PeerAddress("198.18.255.1", 64999, "10.255.255.1")
    strangers = []
    for name in s.names:
        stranger = socket.create_connection(s.node(name).address, 5)
        strangers.append(stranger)
        stranger.sendall(wire.initiation(victim) + wire.peer_up(peer, time.time()) + wire.route_monitoring(
            peer, wire.PRE, time.time(), wire.announce("203.0.113.0/24", wire.Attributes(
                "192.0.2.1", (64999,), 0, 100, (), ((64500, 0, 1),)))))
    for name, stranger in zip(s.names, strangers):
        stranger.settimeout(10)
        assert stranger.recv(1) == b"", "refused: the connection ends"
        line, = s.node(name).recv.events("router id in use")
        assert " error " in line and f"router={victim} " in line, line
        assert "alarm=router-id-in-use" in line and s.node(name).recv.state()["ids_in_use"] == 1
        assert "router-id = sysname" in line and "router-id = tag with a tag per listener" in line, line
    s.silence()
    v = s.judge()
    s.no_switch()
    assert v.duplicates == 0
    assert s.sink.database.one("SELECT count(*) FROM peers WHERE host(addr) = %s", peer.ip) == 0
    for name in s.names:
        assert s.generator.sessions_of(name) == len(s.home), "the living session went on"
