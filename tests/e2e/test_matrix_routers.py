"""Rows of the failure matrix: links, routers that come and go, their clocks and their habits."""
import time

import pytest

from harness import verdict
from harness.cluster import wait_for
from harness.stage import CRASH, PLANNED, TWO_OR_THREE, Stage

pytestmark = [pytest.mark.scenario, pytest.mark.loss]


@TWO_OR_THREE
def test_08_one_router_loses_its_link_to_the_owner(lab, nodes):
    s = Stage(lab, nodes=nodes).settle()
    router = s.of("A")[0]
    s.generator.configure("A", redial=3)
    s.fault(lambda: s.generator.reset("A", [router])).silence()
    s.wait_owner(s.others("A"), [router])
    v = s.judge()
    s.switched(PLANNED, s.others("A"), [router])
    owners = s.owners_now()
    assert owners == {**s.home, router: owners[router]} and owners[router] != "A"
    assert v.duplicates <= s.replayed([router])
    assert not s.kinds("down") and not s.kinds("stale")
    s.no_order_violations()


@pytest.mark.long
@pytest.mark.parametrize("given_up", [False, True])
def test_10_both_links_of_a_router_are_down(lab, given_up):
    """`stale`, then one `down`, and a refresh on return; what was withdrawn meanwhile is gone in the end."""
    s = Stage(lab, settings={"ha-arbiter": {"router-stale-delay": "2s", "router-down-delay": "6s"}}).settle().silence()
    victim = s.generator.routers[0].name
    verdict.wait_until_quiet(s.cluster, [s.sink], 1)

    def rows():
        return {k: v for k, v in verdict.rib_live(s.sink.database).items() if k[0] == victim}

    def stale():
        return s.sink.database.one("SELECT count(*) FROM routers WHERE name = %s AND stale_at IS NOT NULL", victim)
    before = rows()
    for name in s.names:
        s.generator.stop(name, [victim], how="rst")
    for k in s.generator.table_prefixes:  # half of both families is withdrawn
        s.generator.change(victim, 0, k, present=k % 4 < 2)
    wait_for("the router is stale", 8, stale)
    assert before and rows() == before, "stale rows stay"
    if given_up:
        wait_for("its rows are gone", 15, lambda: not rows())
    for name in s.names:
        s.generator.start(name, [victim])
    s.judge(hidden=[victim] if given_up else (), dumps=True)
    assert len(s.kinds("down")) == (s.cluster.partitions if given_up else 0)
    assert stale() == 0


@pytest.mark.long
@pytest.mark.parametrize(("resets", "at_owner"), [(7, False), (7, True), pytest.param(40, True, marks=pytest.mark.once)])
def test_25_a_routers_link_flaps(lab, resets, at_owner):
    """Reset every three seconds, to one node or to whichever owns: each reset moves that router once at most, and no other."""
    s = Stage(lab, split=False).settle()
    victim = s.generator.routers[0].name
    s.fault()
    for _ in range(resets):
        owner = next((name for name in s.names if victim in s.node(name).owned()), "A") if at_owner else "A"
        s.generator.reset(owner, [victim])
        time.sleep(3)
    s.silence()
    s.judge(dumps=True)
    records = s.records()
    claims = [router for (router, _), (_, when) in verdict.claims(records).items() if when > s.fault_wall]
    lab.note(f"resets={resets} claims={len(claims)}")
    assert set(claims) == {verdict.router_hashes(records)[victim]} and len(claims) <= resets
    owners = s.owners_now()
    assert {r: n for r, n in owners.items() if r != victim} == {r: n for r, n in s.home.items() if r != victim}
    assert not s.kinds("down")


def test_30_a_router_dials_again_within_200_ms(lab):
    s = Stage(lab).settle()
    routers = s.of("A")[:3]
    s.generator.configure("A", redial=0.1)
    s.fault(lambda: s.generator.reset("A", routers)).silence()
    s.wait_owner("B", routers)
    v = s.judge()
    s.switched(PLANNED, "B", routers)
    assert v.duplicates <= s.replayed(routers)
    # No record of the new session before its `run`; the old session's epoch covers the old session only.
    s.no_order_violations()
    assert not s.kinds("down")


def test_31_a_router_reboots_with_one_peer_removed(lab):
    s = Stage(lab).settle()
    routers = s.of("A")[:3]
    verdict.wait_until_quiet(s.silence().cluster, [s.sink], 1)
    s.watch(every=0.02)
    s.fault(lambda: s.generator.reboot(routers, remove_peer=0))
    s.judge(quiet=5, dumps=True)
    assert s.watching.polls > 20 and not s.kinds("down")
    gone = s.sink.database.one("SELECT count(*) FROM rib_live l JOIN peers p USING (peer_id) JOIN routers r USING (router_id) "
                               "WHERE r.name = ANY(%s) AND family(p.addr) = 4", list(routers))
    assert gone == 0
    s.no_order_violations()


@pytest.mark.parametrize("clock", ["zero", "past"])
def test_32_a_take_over_with_router_clocks_that_are_wrong(lab, clock):
    s = Stage(lab)
    # Half of the routers are right, and those that are wrong become wrong in mid-life.
    s.settle(seconds=5)
    s.generator.set_clock(clock, [r.name for r in s.generator.routers[::2]])
    time.sleep(3)
    s.fault(s.node("A").kill).silence()
    s.wait_owner("B")
    v = s.judge()
    s.switched(CRASH, "B", s.of("A"))
    assert v.duplicates <= s.replayed(s.of("A"))


def test_32_a_rule_that_trusts_the_routers_clocks_would_be_wrong(lab):
    """The same log, read by a sink where an older time loses, gives wrong rows once clocks have gone back."""
    s = Stage(lab)
    believer = s.sink_without("S3-times")
    s.settle(seconds=3)
    s.generator.set_clock("past", [r.name for r in s.generator.routers])
    time.sleep(3)
    s.fault(s.node("A").kill).silence()
    s.wait_owner("B")
    s.judge_without(believer)
    s.judge()


@pytest.mark.parametrize("seconds", [5, pytest.param(300, marks=[pytest.mark.long, pytest.mark.once])])
def test_33_a_flapping_peer_moves_nothing(lab, seconds):
    """And what is held stays bounded: a peer's dumps are no bracket that has to be kept whole."""
    s = Stage(lab).settle()
    router = s.of("A")[0]
    s.fault()
    held = []
    while time.monotonic() < s.fault_at + seconds:
        s.generator.peer_flap(router, 1)
        time.sleep(0.5)
        held.append([next(r for r in s.node(name).gate.state()["routers"] if r["name"] == router)["held_bytes"] for name in s.names])
    s.silence()
    s.judge(seconds=120)
    s.no_switch()
    # Six seconds of flaps are held at most (retain and a tick); what comes later takes the place of what is trimmed.
    early, most = (max(max(pair) for pair in part) for part in (held[:14], held))
    lab.note(f"most held bytes: {early} in the first seven seconds, {most} in all")
    assert most <= 2 * early


def test_coalescing_sessions_end_in_the_right_state(lab):
    """One session of each router sees final states only; the owners die."""
    s = Stage(lab)
    for name in "AB":
        s.generator.configure(name, [r for r in s.home if s.home[r] != name][::2], coalesce=0.3)
        s.generator.configure(name, [r for r in s.home if s.home[r] == name][1::2], coalesce=0.3)
    s.settle()
    s.fault(s.node("A").kill).silence()
    s.wait_owner("B")
    s.judge()
    s.switched(CRASH, "B", s.of("A"))
