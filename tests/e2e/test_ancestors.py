"""grain = collector: one role for the whole node, as the ancestors' table has it.

Only A: active. Several: the smallest timestamp is active for all routers. The active one dies: the next in age. Signal 34:
a new timestamp. Redis unavailable: all are active. A router's lost session moves nothing. And records held for a fixed time
(trim = time), clusters that share one Redis, the node's key as redis-cli shows it.
"""
import shutil
import subprocess
import time
from urllib.parse import urlsplit

import pytest

from harness.cluster import wait_for
from harness.stage import CRASH, PLANNED, Stage

pytestmark = [pytest.mark.scenario]
COLLECTOR = {"ha-arbiter": {"grain": "collector"}}
NODES = ["AB", "ABC"]


def stage(lab, nodes="AB", arbiter=None, **more):
    """The nodes start one after another, so that their timestamps rise from A on; all routers belong to A."""
    settings = {"ha-arbiter": {"grain": "collector", **(arbiter or {})}}
    s = Stage(lab, nodes=tuple(nodes), split=False, settings=settings, start=False, **more)
    for name in nodes:
        s.node(name).start()
        wait_for(f"{name} has joined", 10, lambda name=name: s.node(name).arbiter.state()["joined"])
    return s


def active(s):
    """Nodes whose gates are active, with how many routers."""
    found = {}
    for node in s.cluster.nodes.values():
        if node.gate.answers() and node.arbiter.answers():
            count = sum(r["role"] == "active" and r["name"] in s.home for r in node.gate.state()["routers"])
            if count:
                found[node.name] = count
    return found


def wait_active(s, *names, seconds=15):
    """These nodes are active for every router, and no others."""
    wanted = dict.fromkeys(names, len(s.home))
    return wait_for(f"active: {wanted}", seconds, lambda: active(s) == wanted, every=0.1)


def key(s, name):
    """The node's key, word by word, as redis-cli prints it."""
    url = urlsplit(s.cluster.redis_url)
    command = ["redis-cli", "-h", url.hostname, "-p", str(url.port), "-n", url.path.strip("/") or "0", "--raw", "get",
               f"bmpha:{{{s.cluster.name}-0}}:node:{name}"]
    assert shutil.which("redis-cli"), "redis-cli is missing HINT: scripts/install-deps"
    text = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    pub_ms, rest = text.split(" ", 1)
    assert abs(int(pub_ms) / 1000 - time.time()) < 10
    return [line.split(" ") for line in rest.rstrip("\n").split("\n")]


def collector_word(s, name):
    return next(words for words in key(s, name) if words[0] == "collector")


@pytest.mark.loss
def test_collector_two_nodes_in_short(lab):
    """Only A, then A and B; signal 34 at A; B dies. And a lost session in between moves nothing."""
    s = stage(lab, routers=4, rate=60)
    s.settle(seconds=2)
    wait_active(s, "A")
    before = {n: int(collector_word(s, n)[1]) for n in "AB"}
    assert before["A"] < before["B"]
    victim = s.generator.routers[0].name
    s.fault(lambda: s.generator.reset("A", victim))
    time.sleep(1.5)
    s.no_switch_but([victim])
    s.fault(lambda: s.node("A").arbiter.signal(34))
    wait_active(s, "B", seconds=5)
    s.switched(PLANNED, "B", list(s.home))
    assert int(collector_word(s, "A")[1]) > before["B"]
    time.sleep(3)
    s.fault(s.node("B").kill).silence()
    wait_active(s, "A")
    s.judge()
    s.switched(CRASH, "A", list(s.home))
