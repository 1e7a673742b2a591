"""More rows of the failure matrix: cut paths, slow Redis, both nodes at once, three nodes, a database that is away.

Not part of the usual run, for its time (about four minutes): pytest tests/e2e/live/extra_rows.py
"""
import time

import pytest

from cluster import wait_for
from cutter import Cutter
from pair import CRASH_MS, RATE, own_redis, pair  # noqa: F401 (fixtures)
from verdict import rib_of_database, wrong_rows


def test_row_10_both_links_down(pair, say):
    """`stale`, then one `down`, and a refresh on return; what was withdrawn meanwhile is gone in the end."""
    p = pair(cut=True, settings=["ha-arbiter.router-stale-delay=2s", "ha-arbiter.router-down-delay=6s"])
    p.begin()
    victim = p.generator.routers[0]
    cutters = [p.cutters[victim.name, n] for n in "AB"]
    for turn in ("back before down", "back after down"):
        p.begin()
        p.generator.churn(2, RATE)
        p.cluster.settle(1.0)
        before = {k: v for k, v in p.generator.table().items() if k[0] == victim.name}
        for cutter in cutters:
            cutter.set("reset")
        wait_for(lambda: not any(s.connected for s in victim.sessions), 5, "both links are down")
        peer = next(iter(victim.peers.values()))
        for k, prefix in enumerate(peer.prefixes):
            p.generator.change(victim, peer, prefix, announce=k % 2 == 0)
        stale = "SELECT count(*) FROM routers WHERE name = %s AND stale_at IS NOT NULL"
        wait_for(lambda: p.cluster.sql(stale, (victim.name,))[0][0] == 1, 8, "the router is stale")
        found = {k: v for k, v in rib_of_database(p.cluster).items() if k[0] == victim.name}
        assert found == before, "stale rows stay"
        if turn == "back after down":
            wait_for(lambda: not any(k[0] == victim.name for k in rib_of_database(p.cluster)), 15, "given up: its rows are gone")
        for cutter in cutters:
            cutter.set("pass")
        wait_for(lambda: all(s.connected for s in victim.sessions), 5, "dials again")
        wait_for(lambda: not wrong_rows(p.cluster, p.generator.table()), 20, lambda: f"right again: {wrong_rows(p.cluster, p.generator.table())[:5]}")
        p.cluster.settle()
        p.fault_at = None
        p.check(say, f"row 10 both links down, {turn}", p.verdict(), duplicates=False)
        assert sum(r.header.kind == "down" for r in p.records) in ((0,) if turn == "back before down" else (4,))
        assert p.cluster.sql(stale, (victim.name,))[0][0] == 0


@pytest.mark.parametrize("mode", ["blackhole", "reset"])
def test_row_11_node_cut_from_redis(mode, pair, judged, say):
    """The owner is cut off: it goes on alone, the other owns too; at the heal one owner asserts anew. Silence at the heal."""
    from urllib.parse import urlsplit
    parts = urlsplit(judged.env["REDIS_URL"])
    cutter = Cutter((parts.hostname, parts.port))
    try:
        def through(cluster):
            config = cluster.nodes["A"].arbiter.config
            config.write_text(config.read_text().replace(f":{parts.port}/", f":{cutter.address[1]}/"))
        p = pair(prepare=through)
        p.gather("A")
        p.begin()
        p.generator.start_churn(RATE)
        time.sleep(3)
        p.fault_at = time.time()
        cutter.set(mode)
        time.sleep(8)
        p.generator.stop_churn()
        cutter.set("pass")
        p.cluster.wait_synced(p.names)
        p.cluster.settle(4.0)
        v = p.verdict()
        p.check(say, f"row 11 node cut from Redis ({mode})", v, duplicates=False)
        assert any(r.header.solo for r in p.records), "nobody went solo: the test proves nothing"
    finally:
        cutter.close()


def test_row_13_slow_redis(pair, own_redis, say):
    """One second: nothing. Five: alone meanwhile, then as before."""
    p = pair()
    for seconds in (1, 5):
        p.begin()
        p.churn_into(lambda seconds=seconds: own_redis.client().execute_command("CLIENT", "PAUSE", seconds * 1000), after=seconds + 1)
        p.cluster.wait_synced(p.names)
        p.cluster.settle(3.0)
        v = p.verdict()
        p.check(say, f"row 13 Redis pauses {seconds} s", v, duplicates=False)
        if seconds == 1:
            assert v.runs == 0 and v.duplicates == 0


def test_row_20_both_nodes_killed(pair, say):
    """History has a gap, the state is right again after the dumps."""
    p = pair()
    p.begin()
    p.generator.start_churn(RATE)
    time.sleep(3)
    for node in p.cluster.nodes.values():
        node.kill()
    time.sleep(1)
    p.generator.stop_churn()
    p.cluster.heal()
    p.cluster.wait_synced(p.names)
    p.cluster.settle()
    wrong = wrong_rows(p.cluster, p.generator.table())
    say(f"row 20 both nodes killed: wrong={len(wrong)}")
    assert not wrong, wrong[:5]


def test_row_26_three_nodes(pair, say):
    """The owner is killed, then its successor."""
    p = pair(nodes="ABC")
    p.begin()
    left = set("ABC")
    for _ in range(2):
        owners = p.cluster.owners()
        victim = owners[p.names[0]][0]
        left.discard(victim)
        p.begin()
        p.churn_into(p.cluster.nodes[victim].kill)
        p.cluster.wait_owner(p.names, left)
        p.cluster.settle()
        p.check(say, f"row 26 three nodes, {victim} killed", p.verdict(p.owned(victim), victim), CRASH_MS)


def test_row_25_flapping_link(pair, say):
    """One router's link to A is reset every 3 s: bounded switches, no other router moves."""
    p = pair(cut=True)
    p.gather("A")
    p.begin()
    victim = p.names[0]
    p.generator.start_churn(RATE)
    resets = 0
    end = time.time() + 20
    while time.time() < end:
        p.cutters[victim, "A"].reset_once()
        resets += 1
        time.sleep(3)
    p.generator.stop_churn()
    p.cluster.settle()
    p.fault_at = None
    v = p.verdict()
    p.check(say, f"row 25 link flaps {resets} times", v, duplicates=False)
    assert v.runs <= resets
    now = p.cluster.owners()
    assert all(now[r] == p.owners[r] for r in p.names if r != victim)


def test_row_23_database_away(pair, judged, say):
    """PostgreSQL cannot be reached for a while in the middle of churn: said once, nothing lost, nothing twice."""
    cutters = []

    def through(cluster):
        import re
        config = cluster.sinks[0].config
        text = config.read_text()
        host, port = re.search(r"@([\w.]+):(\d+)/", text).groups()
        cutters.append(Cutter((host, int(port))))
        config.write_text(text.replace(f"@{host}:{port}/", "@%s:%d/" % cutters[0].address))
    try:
        p = pair(prepare=through)
        p.begin()
        p.generator.start_churn(RATE * 3)
        for mode in ("reset", "blackhole"):
            time.sleep(2)
            cutters[0].set(mode)
            time.sleep(4)
            cutters[0].set("pass")
        time.sleep(1)
        p.generator.stop_churn()
        p.cluster.settle(seconds=90)
        v = p.verdict()
        p.check(say, "row 23 database away twice for 4 s", v)
        assert v.duplicates == 0 and v.runs == 0
    finally:
        for cutter in cutters:
            cutter.close()
