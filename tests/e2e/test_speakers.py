"""Real routers, FRR and GoBGP, with a BMP session to each of two nodes: the faults that can be provoked on them. After each the
changes stop, so that nothing heals what was lost, and the tables must be the router's own, row by row."""
import time

import pytest

from harness.cluster import wait_for
from harness.speakers import PEERS, V4, V6, SpeakerStage, kill
from harness.stage import CRASH, MARGIN, PLANNED, RETAIN

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
    assert switch.run_ms - at * 1000 <= CRASH * 1000 and switch.duplicates <= switch.allowed


@pytest.mark.long
@BOTH
def test_the_link_of_a_real_router_to_its_owner_is_reset(lab, kind):
    s = SpeakerStage(lab, kind)
    owner = s.settle()
    s.churn()
    time.sleep(AGED)
    at = time.time()
    s.new_session(owner, s.links[owner].cut, 20)
    time.sleep(1)
    s.silence().judge(s.unsent_withdrawals)
    assert s.owner() == s.other(owner)
    switch = s.judge_switch(owner, at)
    assert switch.run_ms - at * 1000 <= PLANNED * 1000 and switch.duplicates <= switch.allowed
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


@pytest.mark.long
@BOTH
def test_a_bgp_peer_of_a_real_router_flaps(lab, kind):
    """Once with both BMP sessions up, once while the owner's is down. The peer comes back with other routes."""
    s = SpeakerStage(lab, kind)
    owner = s.settle()
    s.flap(SECOND, lambda: s.announce([SECOND], part=slice(0, None, 2), first=5000))
    s.settle()
    assert s.judge() == []
    s.cut_off(owner)
    s.flap(SECOND, lambda: s.announce([SECOND], seed=3, part=slice(1, None, 3), first=9000))
    s.judge()
    s.links[owner].heal()
    s.settle()
    assert s.judge() == []
    # The session that came back knows it too.
    kill(s.cluster.nodes[s.owner()])
    assert s.owner() == owner
    assert s.judge() == []


# --- what routers are known to keep to themselves: docs/routers.md ---
@pytest.mark.long
@BOTH
@pytest.mark.parametrize("sessions", ["both", "one"])
def test_a_removed_neighbor_is_not_reported(lab, kind, sessions):
    """Neither router sends a Peer Down then. FRR withdraws nothing either, GoBGP nothing of Adj-RIB-In. A session that dials
    later knows nothing of that peer, which proves nothing as long as an older one says that it is up."""
    s = SpeakerStage(lab, kind)
    owner = s.settle()
    if sessions == "one":
        s.cut_off(owner)
    elif kind == "gobgp":
        wait_for("all peers have been counted", 20, lambda: not s.suspects(), every=0.5)
    s.router.remove_neighbor(SECOND)
    s.feeders.pop(SECOND).close()
    if sessions == "one":
        s.links[owner].heal()
        wait_for("the session is back", 30, lambda: s.synced(owner))
    owed = s.judge(lambda key: key[1] == SECOND)
    assert {view for view, _, _ in owed} == {"frr": {"pre", "post"}, "gobgp": {"pre"}}[kind]
    if kind == "gobgp" and sessions == "both":
        wait_for("the query of the manual finds it", 70, lambda: s.suspects() == {SECOND}, every=1)
    s.refresh()
    assert s.judge() == []


@pytest.mark.long
def test_frr_stalls_behind_the_queue_of_a_peer_that_is_gone(lab):
    s = SpeakerStage(lab, "frr")
    owner = s.settle()
    s.feeders.pop(SECOND).close()
    wait_for("the peer is down", 10, lambda: SECOND not in s.router.established())
    gone, changed = V4[:40], V4[40:80]
    s.feeders[FIRST].withdraw(gone)
    s.announce([FIRST], seed=4, part=slice(40, 80), first=7000, families=[4])
    late = sorted((view, FIRST, prefix) for view in s.router.views for prefix in gone + changed)

    def stale(key):
        return key in late
    assert s.judge(stale, quiet=6) == late, "FRR does not stall: nothing was provoked"
    # The session that the reset leaves is stuck as well, and its node owns the router then.
    s.new_session(owner, s.links[owner].cut, 20)
    assert s.owner() == s.other(owner) and s.judge(stale, quiet=6) == late
    s.refresh()
    assert s.judge() == []
    # Neither session is stuck any more.
    for _ in range(2):
        s.churn()
        time.sleep(AGED)
        last = s.owner()
        kill(s.cluster.nodes[last])
        s.silence().judge()
        s.cluster.nodes[last].start()
        s.settle()


@pytest.mark.long
def test_gobgp_keeps_back_withdrawals_of_what_a_dump_brought(lab):
    """It sends no post-policy withdrawal of a route that no session to this collector has got but by its first dump."""
    s = SpeakerStage(lab, "gobgp", late=True)
    s.settle()
    gone = V4[:10] + V6[:5]
    s.feeders[FIRST].withdraw(V4[:10])
    s.feeders[FIRST].withdraw(V6[:5])
    owed = s.judge(lambda key: key in [("post", FIRST, prefix) for prefix in gone])
    assert len(owed) == len(gone), "GoBGP sent them: nothing was provoked"
    wait_for("the query of the manual finds it", 20, lambda: s.suspects() == {FIRST}, every=0.5)
    s.refresh(helped=False)
    assert s.judge() == []
    wait_for("it finds nothing any more", 20, lambda: not s.suspects(), every=0.5)


@pytest.mark.long
@pytest.mark.parametrize("statistics", [0, 15])
def test_gobgp_notices_a_lost_collector_when_it_writes(lab, statistics):
    """In silence only its statistics are written."""
    s = SpeakerStage(lab, "gobgp", statistics=statistics)
    owner = s.settle()
    if statistics:
        s.new_session(owner, s.links[owner].cut, 2 * statistics + 10)
    else:
        s.links[owner].cut()
        time.sleep(20)
        assert not s.state_of(owner)["up"]
        s.new_session(owner, s.nudge, 20)
    assert s.owner() == s.other(owner)
    assert s.judge() == []
