"""Rows of the failure matrix: links that die without a word, links that are long and lossy, brokers that stop, nodes that join."""
import time

import pytest

from harness import kafka_log, verdict
from harness.cluster import wait_for
from harness.stage import DEAD_LINK, REPLAY, RETAIN, Stage

pytestmark = [pytest.mark.scenario, pytest.mark.loss]
HELD_BY_TIME = 2.0  # what the first specification asks for: "buffers two seconds"


def missed_by_time(records, router, taken_at, hold):
    """What a node that holds a router's records for `hold` seconds and no longer would have missed when it took over: numbers
    that stand under its claim alone and that it had read earlier than that."""
    told, late = set(), set()
    for r in sorted((r for r in records if r.header.router == router), key=lambda r: r.time):
        numbers = {verdict.number_of(row[kafka_log.LARGE].split()) for row in r.routes() if row[kafka_log.ACTION] == "add"}
        if r.time < taken_at:
            told |= numbers
        elif r.header.read_us / 1e6 < taken_at - hold:
            late |= numbers
    return late - told


@pytest.mark.parametrize(("nodes", "seconds"), [("AB", 10), pytest.param("AB", 60, marks=pytest.mark.long),
                                                pytest.param("ABC", 60, marks=pytest.mark.long)])
def test_09_a_routers_link_to_its_owner_dies_silently(lab, nodes, seconds):
    """No packet passes; keepalive finds it. Whatever the router says meanwhile, the other nodes hold, however long it takes:
    holding for two seconds would not do."""
    s = Stage(lab, nodes=nodes)
    victim = s.of("A")[0]
    link = s.link(victim, "A")
    s.settle()

    def at(node):
        return next(r for r in s.node(node).gate.state()["routers"] if r["name"] == victim)
    s.fault(lambda: link.set("drop"))
    time.sleep(2.5)
    s.silence()
    s.generator.settle_all([victim])  # the last word, while nobody knows that the owner does not hear it
    trimmed_to = []

    def taken():
        states = {name: at(name) for name in s.others("A")}
        trimmed_to.extend(time.monotonic() - state["trimmed_to_age_ms"] / 1000 for state in states.values())
        return next((name for name, state in states.items() if state["role"] == "active"), None)
    owner = wait_for("another node owns", 15, taken)
    # The owner's watermark stands where the link died, and nothing that was read after it minus `retain` has been trimmed.
    lab.note(f"trimmed to {max(trimmed_to) - s.fault_at:.2f} s after the fault, polls={len(trimmed_to)}")
    assert max(trimmed_to) <= s.fault_at - RETAIN + 0.5
    time.sleep(max(0, s.fault_at + seconds - time.monotonic()))
    assert not at("A")["up"]
    link.heal()
    s.generator.reset("A", [victim])  # its own TCP would try again in a minute
    wait_for("the router is back", 10, lambda: at("A")["up"])
    v = s.judge(span=DEAD_LINK + REPLAY)
    slowest = s.switched(DEAD_LINK, owner, [victim])
    assert s.owners_now() == {**s.home, victim: owner}
    assert v.duplicates <= s.replayed([victim], span=7)
    assert not s.kinds("down") and not s.kinds("stale")
    s.no_order_violations()
    records = s.records()
    router = verdict.router_hashes(records)[victim]
    missed = missed_by_time(records, router, s.fault_wall + slowest, HELD_BY_TIME)
    lab.note(f"numbers that a node holding {HELD_BY_TIME} s would have missed: {len(missed)}")
    assert missed, "holding for two seconds would have been enough: the scenario proves nothing"


@pytest.mark.long
def test_row_9_loses_where_records_are_held_for_two_seconds(lab):
    """The same with `trim = time`, as the tools do it that this one descends from: it is said at the start, and then it happens."""
    s = Stage(lab, settings={"ha-arbiter": {"trim": "time", "hold": "2s"}})
    victim = s.of("A")[0]
    link = s.link(victim, "A")
    s.settle()
    s.fault(lambda: link.set("drop"))
    time.sleep(2.5)
    s.silence()
    s.generator.settle_all([victim])
    s.wait_owner("B", [victim])
    link.heal()
    v = s.judge(lost=None, wrong=None, quiet=6)
    lab.figures.clear()  # they are not those of the protocol
    assert v.lost, "nothing was lost: row 9 proves nothing"
    carried = s.generator.carried()
    assert {carried[n].router for n in v.lost} == {victim}


@pytest.mark.long
@pytest.mark.parametrize(("owner_dies", "nodes"), [(False, "AB"), (True, "AB"), (True, "ABC")])
def test_15_the_broker_is_stopped_for_30_s(lab, owner_dies, nodes):
    """Nobody moves, buffers grow. Of the last ten seconds only the other nodes know when the owner dies at second twenty."""
    kafka = lab.private_kafka()
    s = Stage(lab, nodes=nodes, brokers=kafka.brokers).settle()

    def held():
        return {n: s.node(n).gate.state()["held_bytes"] for n in s.names if s.node(n).gate.answers()}
    before = held()
    s.fault(kafka.kill)
    time.sleep(15)
    grown = held()
    lab.note(f"held bytes: {before} then {grown}")
    assert all(grown[n] > before[n] + 100_000 for n in s.names)
    assert s.owners_now() == s.home, "nobody can do better, so nobody moves"
    time.sleep(max(0, s.fault_at + 20 - time.monotonic()))
    if owner_dies:
        s.node("A").kill()
        s.silence()
    time.sleep(max(0, s.fault_at + 25 - time.monotonic()))
    s.silence()
    time.sleep(max(0, s.fault_at + 30 - time.monotonic()))
    kafka.start()
    back = time.time()
    # What was under way when the broker was killed and had been stored may be sent again; a successor replays from the
    # watermark, which has stood still since.
    s.judge(quiet=5, seconds=90, again=s.replayed() if owner_dies else s.replayed(span=1))
    if owner_dies:
        assert "A" not in s.owners_now().values()
    else:
        s.no_switch()
    first = min((r.time for r in s.records() if r.time > back), default=back)
    lab.note(f"records flow again {first - back:.1f} s after the broker answers")
    s.no_order_violations()


@pytest.mark.long
def test_16_the_broker_is_stopped_until_the_byte_limit(lab):
    """The gates' memory, then the rings (which keep what Kafka has not acknowledged as well), then TCP fill up. The routers keep what they cannot send and say its last state."""
    limit, ring = 8 << 20, 12 << 20
    kafka = lab.private_kafka()
    s = Stage(lab, routers=4, brokers=kafka.brokers, generator={"churn": 200},
              settings={"kafka-gate": {"bytes-limit": limit}, "bmp-recv": {"ring-bytes": ring}})
    for name in s.names:
        s.generator.configure(name, coalesce=0.2)
    s.settle(churn=False, seconds=2)
    resident = {p.name: p.resident() for p in s.cluster.processes()}
    s.fault(kafka.kill)
    most = {"held": 0}

    def full():
        s.generator.settle_all()
        for name in s.names:
            most["held"] = max(most["held"], s.node(name).gate.state()["held_bytes"])
        return all(s.generator.stuck(name) == 4 for name in s.names)
    wait_for("TCP takes no more", 90, full, every=0.3)
    for _ in range(10):  # and on
        full()
        time.sleep(0.5)
    grown = {p.name: p.resident() - resident[p.name] for p in s.cluster.processes()}
    lab.note(f"most held bytes={most['held']} limit={limit}; memory grown by "
             + " ".join(f"{n}={b >> 20}MiB" for n, b in grown.items()))
    # A quarter is kept for routers that hold little, and what has been promised counts as taken.
    assert limit // 2 < most["held"] <= limit
    for name in s.names:
        assert grown[f"{name} kafka-gate"] < 2 * limit + (24 << 20) and grown[f"{name} bmp-recv"] < 2 * ring + (16 << 20)
    assert s.generator.up("A") == s.generator.up("B") == 4, "sessions wait, they do not end"
    kafka.start()

    # Behind a backlog only a router's next word tells how far its owner has come, and the standbys hold all till then.
    def flows():
        s.generator.report()
        unacked = [r for name in s.names for r in s.node(name).gate.state()["routers"] if r["oldest_unacked_age_ms"] is not None]
        return not unacked and not any(s.generator.stuck(name) for name in s.names)
    wait_for("TCP flows again and all is acknowledged", 90, flows, every=0.5)
    v = s.judge(quiet=6, seconds=120, again=s.since_fault(span=1))
    lab.note(f"never said, for a later state took their place: {sum(c.coalesced for c in s.generator.changes.values())}")
    assert v.sent > 0
    s.no_order_violations()


@pytest.mark.parametrize("end", ["leaves", pytest.param("dies", marks=pytest.mark.long)])
def test_21_a_third_node_joins_and_leaves(lab, end):
    """Under churn: no owner changes, nothing is sent twice."""
    s = Stage(lab).settle()
    s.fault()
    node = s.join("C")
    time.sleep(6)
    assert s.owners_now() == s.home
    if end == "dies":
        node.kill()
    else:
        assert node.terminate() == [0, 0, 0]
    time.sleep(4)
    s.silence()
    v = s.judge()
    s.no_switch()
    assert v.duplicates == 0 and v.fenced == 0
    assert not s.kinds("down") and not s.kinds("stale")
    s.no_order_violations()


@pytest.mark.long
def test_27_redis_and_kafka_are_far_away_and_lose_packets(lab):
    """A round trip of 100 ms and one packet of a hundred lost, from both nodes to both servers: no owner changes."""
    s = Stage(lab, cut_kafka=True, cut_redis=True).settle()

    def far():
        for node in s.cluster.nodes.values():
            for path in (node.kafka_path, node.redis_path):
                path.set("delay", seconds=0.05, loss=0.01)
    s.fault(far)
    time.sleep(60)
    s.silence()
    v = s.judge(quiet=5)
    s.no_switch()
    assert v.duplicates == 0 and v.fenced == 0
    assert not [r for r in s.records() if r.header.solo]
    s.no_order_violations()
