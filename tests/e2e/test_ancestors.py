"""grain = collector: one role for the whole node, as the ancestors' table has it.

Only A: active. Several: the smallest timestamp is active for all routers. The active one dies: the next in age. Signal 34:
a new timestamp. Redis unavailable: all are active. A router's lost session moves nothing. And records held for a fixed time
(trim = time), clusters that share one Redis, the node's key as redis-cli shows it.
"""
import contextlib
import secrets
import subprocess
import time
from urllib.parse import urlsplit

import pytest

from harness import verdict
from harness.cluster import wait_for
from harness.stage import CRASH, MARGIN, PLANNED, RETAIN, Stage

pytestmark = [pytest.mark.scenario, pytest.mark.loss]
two_and_three = pytest.mark.parametrize("nodes", ["AB", "ABC"])
NODE_KEY = """bmpha-node 2
id A
inc <hex>
tick <number>
gen <number>
flags settled
collector <number> 0 <hex>
seen B <number>
"""


def stage(lab, nodes="AB", arbiter=None, **more):
    """The timestamps rise from the first node on: each of the others gets a new one in its turn."""
    s = Stage(lab, nodes=tuple(nodes), split=False, settings={"ha-arbiter": {"grain": "collector", **(arbiter or {})}}, **more)
    for name in nodes:
        wait_for(f"{name} has joined", 10, lambda name=name: s.node(name).arbiter.state()["joined"])
    for before, name in zip(nodes, nodes[1:]):
        def younger(before=before, name=name):
            if stamp(s, name) > stamp(s, before):
                return True
            s.node(name).arbiter.signal(34)
            return False
        if s.node(name).arbiter.state()["grain"] == "collector":
            wait_for(f"{name} is younger than {before}", 5, younger, every=0.7)
    return s


def active(s):
    """Nodes whose gates are active, each with its number of routers."""
    found = {}
    for node in s.cluster.nodes.values():
        if node.gate.answers() and node.arbiter.answers():
            count = sum(r["role"] == "active" and r["name"] in s.home for r in node.gate.state()["routers"])
            if count:
                found[node.name] = count
    return found


def wait_active(s, *names, seconds=15, less=0):
    """These nodes are active for every router (but so many), and no others."""
    wanted = dict.fromkeys(names, len(s.home) - less)
    return wait_for(f"active: {wanted}", seconds, lambda: active(s) == wanted, every=0.1)


def switched(s, limit, to):
    """Every router has moved to that node since the fault, in time."""
    wait_for("the new owner's first records", 3, lambda: s.moved().keys() == s.home.keys())
    s.switched(limit, to, list(s.home))


def key(s, name):
    """The node's key as redis-cli prints it, line by line in words."""
    url = urlsplit(s.cluster.redis_url)
    # As an operator would look.
    done = subprocess.run(["redis-cli", "-h", url.hostname, "-p", str(url.port), "-n", url.path.strip("/") or "0", "--raw",
                           "get", f"bmpha:{{{s.cluster.name}-0}}:node:{name}"], capture_output=True, text=True, timeout=10,
                          check=True)
    pub_ms, text = done.stdout.split(" ", 1)
    assert abs(int(pub_ms) / 1000 - time.time()) < 60
    return [line.split(" ") for line in text.rstrip("\n").split("\n")]


def stamp(s, name):
    return next(int(words[1]) for words in key(s, name) if words[0] == "collector")


def is_as_documented(word, form):
    if form == "<number>":
        return word.isdigit()
    if form == "<hex>":
        return len(word) == 16 and int(word, 16) >= 0
    return word == form


def test_collector_in_short(lab):
    """A is the oldest, so it is active for all. It loses a router: nothing moves, and nothing of it is lost when B is active
    after signal 34. Then B dies."""
    s = stage(lab, routers=4, rate=60)
    s.settle(seconds=2)
    wait_active(s, "A")
    words = key(s, "A")
    head = [line.split(" ") for line in NODE_KEY.splitlines()]
    assert len(words) == len(head) + len(s.home) + 2  # the routers, the collector itself, the end
    for line, form in zip(words, head):
        assert len(line) == len(form) and all(map(is_as_documented, line, form)), (line, form)
    assert all(line[0] == "router" and len(line) == 11 and line[5] == "active" for line in words[len(head):-1]), words
    assert words[-1] == ["end", str(len(s.home) + 1)]
    assert stamp(s, "A") < stamp(s, "B")

    victim = s.generator.routers[0].name
    s.fault(lambda: s.generator.stop("A", [victim], how="rst"))
    wait_active(s, "A", less=1, seconds=3)
    time.sleep(1)
    assert active(s) == {"A": len(s.home) - 1}
    wait_for("B says that nobody forwards it", 3, lambda: s.node("B").arbiter.events("not forwarded"))
    assert s.moved() == {}
    s.fault(lambda: s.node("A").arbiter.signal(34))
    wait_active(s, "B", seconds=5)
    switched(s, PLANNED, "B")
    assert stamp(s, "A") > stamp(s, "B")
    s.generator.start("A", [victim])
    time.sleep(3)
    s.fault(s.node("B").kill).silence()
    wait_active(s, "A")
    s.judge()
    switched(s, CRASH, "A")
    s.no_order_violations()


@pytest.mark.long
@two_and_three
def test_collector_only_one_then_others_then_fewer(lab, nodes):
    s = stage(lab, nodes)
    for name in nodes[1:]:
        s.node(name).kill()
    s.generator.start("A")
    wait_active(s, "A")
    s.fault()
    s.generator.churn(s.rate)
    for name in nodes[1:]:
        s.node(name).start()
        s.generator.start(name)
        time.sleep(3)
        wait_active(s, "A")
    time.sleep(MARGIN + RETAIN)
    assert s.moved() == {}
    wait_for("dumps end", 20, s.synced, every=0.2)
    left = list(nodes)
    while len(left) > 1:
        dead = left.pop(0)
        s.fault(s.node(dead).kill)
        wait_active(s, left[0])
        switched(s, CRASH, left[0])
        time.sleep(MARGIN + RETAIN)
    s.fault()
    for name in nodes[:-1]:  # they come back as the youngest
        s.node(name).start()
    time.sleep(5)
    wait_active(s, nodes[-1])
    assert s.moved() == {}
    s.silence()
    s.judge()
    s.no_order_violations()


@pytest.mark.long
@two_and_three
@pytest.mark.parametrize("empty", [True, False])
def test_collector_redis_is_unreachable(lab, nodes, empty):
    """All are active; when it is back exactly one is, the oldest, with or without what Redis had."""
    redis = lab.private_redis()
    path, url = lab.path(redis.url)
    s = stage(lab, nodes, redis_url=url).settle()
    s.fault(redis.kill if empty else lambda: path.set("blackhole"))
    wait_active(s, *nodes)
    time.sleep(3)
    wait_active(s, *nodes)
    s.silence()
    if empty:
        redis.start()
    else:
        path.heal()
    wait_active(s, "A", seconds=20)
    s.judge(quiet=5)
    wait_active(s, "A")
    resets = [n.name for n in s.cluster.nodes.values() if n.arbiter.events("session reset")]
    assert not resets, "no router has to dump anew"


@pytest.mark.long
@two_and_three
def test_collector_a_lost_link_moves_nothing(lab, nodes):
    s = stage(lab, nodes).settle()
    victims = [r.name for r in s.generator.routers[:3]]
    s.fault(lambda: s.generator.stop("A", victims, how="rst"))
    time.sleep(20)
    assert active(s) == {"A": len(s.home) - len(victims)}
    assert s.moved() == {} and not s.kinds("stale")
    s.generator.start("A", victims)
    wait_active(s, "A")
    s.silence()
    # The history of these three has a gap while A had no session of them; the state is right.
    s.judge_state()
    assert s.moved() == {}


@pytest.mark.long
@two_and_three
def test_collector_signals(lab, nodes):
    s = stage(lab, nodes).settle()
    last = nodes[-1]

    def send(number, node, to):
        s.fault(lambda: s.node(node).arbiter.signal(number))
        wait_active(s, to)
        switched(s, PLANNED, to)
        time.sleep(3)
    send(34, "A", "B")  # A is the youngest now
    send(36, "B", nodes[2:] or "A")  # forced standby is seen by the others
    send(37, "B", "B")
    send(35, "A", "A")
    send(37, "A", "B")
    s.fault()
    for name in nodes:
        s.node(name).arbiter.signal(36)
    time.sleep(4)
    assert len(active(s)) == 1, "all forced standby, and nobody forwards"
    assert [n for n in nodes if s.node(n).arbiter.events("every node is forced standby")]
    for name in nodes:
        s.node(name).arbiter.signal(37)
    wait_active(s, "B")
    s.fault(lambda: s.node(last).arbiter.terminate())
    s.silence()
    wait_active(s, "A" if last == "B" else "B")
    s.judge()
    s.no_order_violations()


@pytest.mark.long
@pytest.mark.parametrize("grain", ["router", "collector"])
def test_hold_by_time_long_enough_loses_nothing(lab, grain):
    s = stage(lab, "AB", {"grain": grain, "trim": "time", "hold": "12s"}).settle(seconds=16)
    assert not s.node("A").arbiter.events("hold is too short")
    ages = [r["trimmed_to_age_ms"] for r in s.node("B").gate.state()["routers"] if r["name"] in s.home]
    assert ages and all(12000 <= age < 17000 for age in ages), ages
    s.fault(s.node("A").kill).silence()
    s.wait_owner("B")
    s.judge()
    switched(s, CRASH, "B")
    assert not s.node("B").arbiter.events("session reset")


def test_hold_by_time_too_short_says_what_it_should_be(lab):
    """As the original's two seconds. What it held is sent all the same, and no router has to dump anew."""
    s = stage(lab, "AB", {"trim": "time"}, routers=2, rate=40)
    warnings = s.node("A").arbiter.events("hold is too short")
    assert len(warnings) == 1 and "hold = 2000 ms" in warnings[0] and "at least 11400 ms" in warnings[0], warnings
    s.settle(seconds=4)
    s.fault(s.node("A").kill)
    wait_active(s, "B")
    switched(s, CRASH, "B")
    s.silence()
    verdict.wait_until_quiet(s.cluster, [s.sink], 1)
    assert sum(r.header.replay for r in s.records()) > 0
    assert not s.node("B").arbiter.events("session reset")


def test_clusters_1_and_10_in_one_redis_never_meet(lab):
    """The same cluster-name, the same node names, the same routers; what happens in one is not seen in the other."""
    name = f"e2e-{secrets.token_hex(4)}"
    stages = {}
    for number in (1, 10):
        settings = {"ha-arbiter": {"cluster-name": name, "cluster-id": number}}
        s = stages[number] = Stage(lab, routers=2, split=False, rate=30, settings=settings)
        s.cluster.redis_key = lambda what, number=number: f"bmpha:{{{name}-{number}}}:{what}"
        s.settle(seconds=0.5)
    try:
        one, ten = stages[1], stages[10]
        with contextlib.closing(one.cluster.redis()) as r:
            keys = set(r.scan_iter(f"bmpha:{{{name}*"))
            assert {k for k in keys if not k.endswith(":census")} == {f"bmpha:{{{name}-{n}}}:{what}" for n in (1, 10) for what in ("own", "nodes", "node:A", "node:B")}
            owners = {n: r.hgetall(f"bmpha:{{{name}-{n}}}:own") for n in (1, 10)}
        assert len(owners[1]) == len(owners[10]) == 3  # two routers and the collector
        for s in stages.values():
            assert {n["id"] for n in s.node("A").arbiter.state()["nodes"]} == {"A", "B"}
        ten.fault()
        one.fault(one.node("A").kill).silence()
        one.wait_owner("B")
        ten.silence()
        one.judge()
        switched(one, CRASH, "B")
        ten.judge()
        ten.no_switch()
    finally:
        with contextlib.closing(stages[1].cluster.redis()) as r:
            r.delete(*r.scan_iter(f"bmpha:{{{name}*"))
