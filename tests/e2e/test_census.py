"""Nodes tell each other how many peers their sessions have: a session that lacks one is an alarm on every node."""
import pytest

from harness.cluster import wait_for
from harness.stage import Stage

pytestmark = [pytest.mark.scenario, pytest.mark.long]

PATIENCE, INTERVAL = 25, 10  # of the alarm at least; between two looks at what the others have


def raised(stage):
    return {name: [a for a in stage.node(name).arbiter.state()["alarms"] if a["alarm"] == "redundancy-differs"]
            for name in stage.names}


def test_a_peer_that_one_node_lacks_is_an_alarm_until_it_is_back(lab):
    s = Stage(lab, routers=2, rate=10, settings={"ha-arbiter": {"alarm-after": "3s"}}).settle()
    router = s.of("A")[0]
    wait_for("every node knows the other's census", 2 * INTERVAL, lambda: all(
        s.node(n).arbiter.state()["counters"]["census"] >= 2 for n in s.names))
    s.fault(lambda: s.generator.peer_on("B", router, 0, up=False))
    wait_for("the alarm on both nodes", PATIENCE + 2 * INTERVAL, lambda: all(raised(s).values()))
    for name, alarms in raised(s).items():
        assert [(a["name"], a["why"]) for a in alarms] == [(router, "peers up: 2 on node A, 1 on node B")], name
    s.generator.peer_on("B", router, 0, up=True)
    wait_for("it is cleared on both nodes", 2 * INTERVAL, lambda: not any(raised(s).values()))
    for name in s.names:
        arbiter = s.node(name).arbiter
        assert len(arbiter.log_lines("error", "alarm=redundancy-differs")) == 1
        assert len(arbiter.log_lines('event="alarm over"', "alarm=redundancy-differs")) == 1
        counters = arbiter.state()["counters"]
        assert counters["failed_census"] == counters["malformed_census"] == 0
    assert s.owners_now() == s.home
