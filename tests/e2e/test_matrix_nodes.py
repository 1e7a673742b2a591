"""Rows of the failure matrix: processes and nodes that die, hang, or are switched.

Every scenario of the matrix injects a fault into real processes, with silence right after it. The verdict compares the
database with what the routers said (numbers lost, rows wrong), counts duplicates in Kafka, and looks who owns each router
in the end.
"""
import os
import signal
import time

import pytest

from harness import verdict
from harness.cluster import wait_for
from harness.stage import CRASH, HANG, MARGIN, PLANNED, RETAIN, TWO_OR_THREE, Stage

pytestmark = [pytest.mark.scenario, pytest.mark.loss]


# A minute unless MINUTES says more.
MINUTES = float(os.environ.get("MINUTES") or 1)


@TWO_OR_THREE
def test_00_nothing_happens_in_churn(lab, nodes):
    s = Stage(lab, nodes=nodes).settle()
    s.fault()
    time.sleep(60 * MINUTES)
    s.silence()
    v = s.judge()
    assert v.duplicates == 0 and v.fenced == 0
    s.no_switch()
    # One claim per router, one node's records per router. (The collector object may change hands while the nodes start.)
    collector = verdict.router_hashes(s.records())["(collector)"]
    assert len([router for router, _ in verdict.claims(s.records()) if router != collector]) == len(s.home)
    s.no_order_violations()
    # What was read just before a router's first claim counts as replayed; nothing later does.
    assert s.sink.database.one("SELECT count(*) FROM rib_log WHERE replay AND rx > to_timestamp(%s)", s.fault_wall) == 0


@TWO_OR_THREE
def test_01_the_active_bmp_recv_is_killed(lab, nodes):
    s = Stage(lab, nodes=nodes).settle()
    s.fault(s.node("A").recv.kill).silence()
    s.wait_owner(s.others("A"))
    s.node("A").recv.start()  # the routers dial again; nothing moves back
    wait_for("routers are back", 5, lambda: s.generator.up("A") == len(s.home))
    v = s.judge()
    s.switched(CRASH, s.others("A"), s.of("A"))
    assert v.duplicates <= s.replayed(s.of("A"))
    s.no_order_violations()


def test_02_the_active_kafka_gate_is_killed_in_a_burst_and_comes_back_at_once(lab):
    s = Stage(lab).settle()
    s.silence()
    s.generator.burst(1000)
    s.fault(s.node("A").gate.kill)
    time.sleep(0.3)
    s.node("A").gate.start()
    s.judge(again=s.replayed(s.of("A"), span=5))  # the ring is sent again under the same claim
    s.no_order_violations()


def test_02_the_active_kafka_gate_is_killed_and_stays_away(lab):
    s = Stage(lab).settle()
    s.silence()
    s.generator.burst(1000)
    s.fault(s.node("A").gate.kill)
    s.wait_owner("B")
    s.node("A").gate.start()
    v = s.judge()
    s.switched(CRASH, "B", s.of("A"))
    assert v.duplicates <= s.replayed(s.of("A"), span=5)
    s.no_order_violations()


def test_02_the_kafka_gate_of_a_single_node_is_killed(lab):
    s = Stage(lab, nodes=("A",)).settle(seconds=3).silence()
    s.generator.burst(1000)
    s.fault(s.node("A").gate.kill)
    time.sleep(1)
    # While no gate is there; the other routers' last changes are those before the kill.
    s.generator.burst(300, list(s.home)[::2])
    time.sleep(1)
    s.node("A").gate.start()
    s.wait_owner("A")
    s.judge(again=s.since_fault(span=5))
    s.no_order_violations()


def test_03_the_active_arbiter_is_killed_and_back_within_a_second(lab):
    s = Stage(lab).settle()
    s.fault(s.node("A").arbiter.kill).silence()
    time.sleep(0.3)
    s.node("A").arbiter.start()
    v = s.judge(quiet=5)
    s.no_switch()
    assert v.duplicates == 0


def test_03_the_active_arbiter_is_killed_and_back_after_three_seconds(lab):
    s = Stage(lab).settle()
    s.fault(s.node("A").arbiter.kill).silence()
    time.sleep(3.5)
    s.node("A").arbiter.start()
    v = s.judge()
    s.switched(CRASH, "B", s.of("A"))
    assert set(s.owners_now().values()) == {"B"}
    assert v.duplicates <= s.replayed(s.of("A"))
    s.no_order_violations()


@TWO_OR_THREE
def test_05_a_gate_hangs(lab, nodes):
    s = Stage(lab, nodes=nodes, rate=200).settle()
    s.generator.burst(600)
    s.fault(lambda: s.node("A").gate.signal(signal.SIGSTOP))
    s.wait_owner(s.others("A"), s.of("A"))
    time.sleep(2)
    s.silence()
    s.generator.settle_all()  # the last change of each churned route
    time.sleep(max(0, s.fault_at + 10 - time.monotonic()))
    s.node("A").gate.signal(signal.SIGCONT)
    # Once when it is missed, once more when its return is settled.
    s.judge(quiet=5, again=s.since_fault(s.of("A"), times=2))
    # Whatever B can no longer replay for, A can: no router has to dump anew.
    assert not [n.name for n in s.cluster.nodes.values() if n.arbiter.events("session reset")]
    s.switched(HANG, s.others("A"), s.of("A"))
    s.no_order_violations()


@TWO_OR_THREE
def test_05_what_a_hung_gate_had_on_its_way_is_fenced(lab, nodes):
    """Its last requests are held on the path to the broker when it is stopped, and land eight seconds later, when the other
    node has long sent newer states. The same log, read by a sink without the fence, gives wrong rows."""
    # With a little linger the requests on the way hold more than a record each.
    s = Stage(lab, nodes=nodes, cut_kafka=True, settings={"kafka-gate": {"kafka-option": ["linger.ms=100"]}})
    unfenced = s.sink_without("S2-fence")
    s.settle()
    gate, path = s.node("A").gate, s.node("A").kafka_path
    s.silence()
    path.set("hold")
    s.generator.burst(400)
    time.sleep(0.5)
    s.fault(lambda: gate.signal(signal.SIGSTOP))
    s.wait_owner(s.others("A"), s.of("A"))
    time.sleep(2)
    s.generator.settle_all()
    time.sleep(max(0, s.fault_at + 8 - time.monotonic()))
    path.heal()
    s.judge_without(unfenced)
    late = len(verdict.late_records(s.records()))
    assert late > 0, "nothing was late: the scenario did not do its work"
    gate.signal(signal.SIGCONT)
    s.judge(quiet=5, again=s.since_fault(s.of("A"), times=2))
    # The sinks' own counts of what they dropped by epoch.
    assert s.sink.state()["fenced"] >= late and unfenced.state()["fenced"] == 0
    s.switched(HANG, s.others("A"), s.of("A"))


@pytest.mark.parametrize("tool", ["recv", "arbiter"])
def test_06_a_process_hangs_for_ten_seconds(lab, tool):
    s = Stage(lab).settle()
    process = getattr(s.node("A"), tool)
    s.fault(lambda: process.signal(signal.SIGSTOP))
    s.wait_owner("B", s.of("A"))
    time.sleep(1)
    s.silence()
    s.generator.settle_all()
    time.sleep(max(0, s.fault_at + 10 - time.monotonic()))
    process.signal(signal.SIGCONT)
    s.judge(quiet=5, again=s.since_fault(s.of("A"), times=2))
    if tool == "arbiter":  # it still took itself for the owner
        assert s.node("A").arbiter.log_lines("superseded")
    s.switched(HANG, "B", s.of("A"))


@TWO_OR_THREE
def test_07_a_node_dies(lab, nodes):
    s = Stage(lab, nodes=nodes).settle()
    s.fault(s.node("A").kill).silence()
    s.wait_owner(s.others("A"))
    v = s.judge()
    s.switched(CRASH, s.others("A"), s.of("A"))
    assert v.duplicates <= s.replayed(s.of("A"))
    s.no_order_violations()


def test_07_a_node_dies_while_the_other_is_in_its_initial_dump(lab):
    """The other's table walk is slow, and a route ahead of it is withdrawn: that session is never told."""
    s = Stage(lab, split=False, rate=50)
    s.generator.start("A")
    verdict.wait_for_owners(s.cluster, s.generator, s.home)
    wait_for("A's dumps end", 20, lambda: s.synced(["A"]), every=0.2)
    s.generator.churn(s.rate)
    time.sleep(4)
    s.watch()
    s.generator.configure("B", dump_rate=15)
    s.generator.start("B")
    time.sleep(1.5)
    for router in s.generator.routers:
        s.generator.change(router, 1, s.generator.table_prefixes[-1], present=False)
    time.sleep(1)
    assert s.generator.walking("B")
    s.fault(s.node("A").kill).silence()
    s.wait_owner("B")
    wait_for("the walks end", 30, lambda: not s.generator.walking("B"))
    s.judge(quiet=6, dumps=True)
    s.switched(CRASH, "B", s.of("A"))
    s.no_order_violations()


def test_18_signals(lab):
    s = Stage(lab).settle()
    everything = list(s.home)

    def move(number, node, to, routers=everything):
        s.fault(lambda: s.node(node).arbiter.signal(number))
        s.wait_owner(to, routers)
        # Each switch begins a margin behind the one before; a node that would have to go back further than it retains
        # waits for the owner's progress.
        time.sleep(3)
        s.switched(PLANNED, to, routers)
    move(34, "A", "B", s.of("A"))  # steps down once: its sessions count as the youngest from now on
    move(36, "B", "A")  # forced standby
    move(37, "B", "B")  # automatic: B's sessions are the older ones
    move(35, "A", "A")  # forced active
    move(37, "A", "B")
    for name in "AB":
        s.node(name).arbiter.signal(36)
    wait_for("an alarm that all are in forced standby", 5, lambda: [
        line for n in s.cluster.nodes.values() for line in n.arbiter.log_lines("alarm=all-forced-standby")])
    time.sleep(4)
    assert set(s.owners_now()) == set(everything), "one of them goes on forwarding"
    s.node("A").arbiter.signal(37)
    s.wait_owner("A")
    s.node("B").arbiter.signal(37)
    time.sleep(2)
    s.silence()
    s.judge(span=RETAIN)
    s.no_order_violations()


@pytest.mark.long
def test_18_switches_faster_than_margins_pass(lab):
    """Every switch begins while what the one before replays is still on its way. Two of them in a row go back no further than
    what is retained; a node that would have to go back further waits for the owner's progress."""
    s = Stage(lab).settle()
    s.fault(lambda: s.node("A").arbiter.signal(34))
    for node in "BABABABA":
        time.sleep(0.7)
        s.node(node).arbiter.signal(34)
    s.silence()
    time.sleep(3)
    v = s.judge(span=RETAIN)
    lab.note(f"{len(verdict.later_claims(s.records()))} claims in 5.6 s, {v.text()}")
    s.no_order_violations()


@TWO_OR_THREE
def test_18_one_signal_costs_little(lab, nodes):
    s = Stage(lab, nodes=nodes).settle()
    s.fault(lambda: s.node("A").arbiter.signal(34)).silence()
    s.wait_owner(s.others("A"))
    v = s.judge()
    s.switched(PLANNED, s.others("A"), s.of("A"))
    assert v.duplicates <= s.replayed(s.of("A"))
    assert v.fenced == 0, "an ordered release leaves nothing that comes late"
    s.no_order_violations()


@pytest.mark.parametrize("churn", [True, False])
@TWO_OR_THREE
def test_19_rolling_restart_of_all_nodes(lab, nodes, churn):
    """Each restart falls into the dumps of the node before. Without churn nothing is said after the first node's end that could
    heal what was lost in it, but a burst of half of the routers right before the others'."""
    s = Stage(lab, nodes=nodes).settle()
    for name in nodes:
        mine = [r for r, n in s.owners_now().items() if n == name]
        if not churn:
            s.silence()
            s.generator.burst(400, list(s.home) if name == nodes[0] else mine[::2])
        s.fault()
        code = s.node(name).arbiter.terminate()
        took = time.monotonic() - s.fault_at
        lab.note(f"{name} handed over and ended in {took * 1000:.0f} ms")
        assert code == 0 and took <= 4
        # It ends only when others own all its routers; their first records follow a moment later.
        wait_for("the others' first records", 3, lambda mine=mine: set(s.moved()) >= set(mine))
        moved = s.moved()
        assert set(moved) == set(mine) and {n for n, _ in moved.values()} <= set(s.others(name)), moved
        slowest = max(seconds for _, seconds in moved.values())
        s.took(slowest)
        lab.note(f"switch_ms={slowest * 1000:.0f}")
        assert slowest <= PLANNED
        assert s.node(name).terminate() == [0, 0, 0]
        s.node(name).start()
        wait_for("routers are back", 10, lambda name=name: s.generator.up(name) == len(s.home))
        if name != nodes[-1]:
            time.sleep(0.5)  # its dump has been read, its bracket is still open
    s.silence()
    s.judge(quiet=6, span=RETAIN, dumps=True)  # who takes over may be in its dump
    s.no_order_violations()


@pytest.mark.long
def test_20_both_nodes_are_killed_together(lab):
    """The history has a gap; the dumps make the state right, and nothing is hidden meanwhile."""
    s = Stage(lab).settle()
    for node in s.cluster.nodes.values():
        node.kill()
    time.sleep(1)
    s.silence()
    s.cluster.heal()
    wait_for("dumps end", 30, s.synced, every=0.2)
    s.judge(lost=None, quiet=5, dumps=True)
    for router in s.node("A").arbiter.state()["routers"]:
        if router["name"] in s.home:
            since = {name: view["since"] for name, view in router["nodes"].items()}
            assert len(since) == 2 and since[s.owners[router["name"]]] == min(since.values()), "the oldest session owns"


@TWO_OR_THREE
def test_22_the_successor_dies_during_its_replay(lab, nodes):
    """The first node owns again, or a third one: both still have what the successor had to replay, so no router is asked for a
    new dump."""
    s = Stage(lab, nodes=nodes).settle()
    router = s.of("A")[0]
    s.fault(lambda: s.node("A").arbiter.signal(36))

    def successor():
        return next((name for name in s.others("A") if router in s.node(name).owned()), None)
    victim = wait_for("another node owns", 5, successor, every=0.02)
    time.sleep(0.2)
    s.fault(s.node(victim).kill).silence()
    s.wait_owner(s.others(victim), seconds=20)
    s.judge(quiet=5)
    moved = s.moved()
    slowest = max(seconds for _, seconds in moved.values())
    s.took(slowest)
    resets = [line for n in s.cluster.nodes.values() for line in n.arbiter.events("session reset")]
    lab.note(f"switch_ms={slowest * 1000:.0f} session resets={len(resets)}")
    assert router in moved and slowest <= CRASH and not resets
    s.no_order_violations()


@pytest.mark.long
def test_26_of_three_nodes_the_owner_dies_then_its_successor(lab):
    s = Stage(lab, nodes=("A", "B", "C"), split=False).settle()
    left, victim, duplicates = set("ABC"), "A", 0
    for _ in range(2):
        routers = [r for r, n in s.owners_now().items() if n == victim]
        left.discard(victim)
        s.fault(s.node(victim).kill).silence()
        v = s.judge()
        s.switched(CRASH, left, routers)
        assert v.duplicates - duplicates <= s.replayed(routers)
        duplicates = v.duplicates
        victim = s.owners_now()[routers[0]]
        s.generator.churn(s.rate)
        time.sleep(MARGIN + RETAIN + 1)
    s.silence()
    s.judge()
    s.no_order_violations()
