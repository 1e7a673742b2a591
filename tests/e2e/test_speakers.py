"""Real routers, FRR and GoBGP, with a BMP session to each of two nodes: the faults that can be provoked on them. After each the
changes stop, so that nothing heals what was lost, and the tables must be the router's own, row by row."""
import time

import pytest

from harness.cluster import wait_for
from harness.speakers import PEERS, V4, V6, SpeakerStage, kill
from harness.stage import CRASH, MARGIN, RETAIN

pytestmark = [pytest.mark.scenario, pytest.mark.loss]
BOTH = pytest.mark.parametrize("kind", ["frr", "gobgp"])
FIRST, SECOND = PEERS
AGED = MARGIN + RETAIN + 1  # until a dump is trimmed everywhere


@BOTH
def test_the_owner_of_a_real_router_dies(lab, kind):
    s = SpeakerStage(lab, kind)
    owner = s.settle()
    s.churn()
    time.sleep(AGED)
    at = kill(s.cluster.nodes[owner])
    time.sleep(2)
    s.silence()
    s.judge()
    assert s.owner() == s.other(owner)
    switch = s.judge_switch(owner, at)
    assert switch.run_ms - at * 1000 <= CRASH * 1000 and switch.duplicates <= switch.allowed


@pytest.mark.long
@BOTH
def test_a_node_returns_to_a_real_router_and_the_other_dies(lab, kind):
    s = SpeakerStage(lab, kind)
    owner = s.settle()
    s.churn()
    time.sleep(AGED)
    kill(s.cluster.nodes[owner])
    time.sleep(2)
    s.silence().judge()
    s.cluster.nodes[owner].start()
    second = s.settle()
    assert second == s.other(owner), "a node that comes back takes nothing"
    s.churn(salt=18)
    time.sleep(AGED)
    at = kill(s.cluster.nodes[second])
    time.sleep(2)
    s.silence().judge()
    assert s.owner() == owner
    switch = s.judge_switch(second, at)
    assert switch.run_ms - at * 1000 <= CRASH * 1000


@pytest.mark.long
@BOTH
def test_the_link_of_a_real_router_to_its_owner_is_reset(lab, kind):
    s = SpeakerStage(lab, kind)
    owner = s.settle()
    s.churn()
    time.sleep(AGED)
    s.new_session(owner, s.links[owner].cut, 20)
    time.sleep(1)
    s.silence().judge(s.unsent_withdrawals)
    assert s.owner() == s.other(owner)
    assert not s.kinds("down") and not s.kinds("stale")
    s.refresh()
    assert s.judge() == []


@pytest.mark.long
@BOTH
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_real_router_restarts_with_other_routes(lab, kind, end):
    """Both sessions are lost. What vanished meanwhile is gone in the end, what changed is changed."""
    s = SpeakerStage(lab, kind)
    s.settle()
    s.churn()
    time.sleep(3)
    s.silence()
    getattr(s.router, end)()
    for feeder in s.feeders.values():
        feeder.close()
    time.sleep(1)
    s.router.start()
    for address in PEERS:
        s.dial(address)
    s.announce([FIRST], seed=2, part=slice(0, None, 2), first=5000)
    s.announce([SECOND], part=slice(100, None))
    s.settle()
    assert s.judge() == []
    assert not s.kinds("down")
