"""Operators' orders with real nodes: routers moved one by one, a node drained, routers resynced, forgotten, claimed anew."""
import json
import os
import re
import subprocess
import threading
import time

import pytest

from harness import verdict
from harness.cluster import SCRIPTS, free_port, tool_environment, wait_for
from harness.stage import Stage
from harness.watch import Watch
from test_metrics import sample

pytestmark = pytest.mark.scenario


def control(node):
    return node.arbiter.settings["control-socket"]


def bmp_ha(stage, *words, nodes=None, code=0, seconds=60):
    """scripts/bmp-ha with the control sockets of these nodes."""
    options = [f"--control={control(stage.node(n))}" for n in nodes or stage.names]
    done = subprocess.run([SCRIPTS / "bmp-ha", *options, *map(str, words)], capture_output=True, text=True, timeout=seconds,
                          env=tool_environment(), check=False)
    stage.lab.note(f"bmp-ha {' '.join(map(str, words))}: {done.returncode} {(done.stdout + done.stderr).strip()[-300:]}")
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def status(stage, nodes=None):
    return json.loads(bmp_ha(stage, "status", "--json", nodes=nodes))


@pytest.mark.loss
def test_routers_move_one_by_one_and_back(lab):
    """By the owner's and by the new owner's hand, in churn; refused orders move nothing."""
    s = Stage(lab, routers=6).settle(seconds=3)
    first, second = s.of("A")[:2]
    s.fault(lambda: bmp_ha(s, "switch", first, "--to", "B"))
    bmp_ha(s, "switch", second, nodes=["A"])
    s.wait_owner("B", [first, second])
    said = bmp_ha(s, "switch", first, "--to", "B", nodes=["B"])
    assert "owns it already" in said
    assert "no router" in bmp_ha(s, "switch", "no such router", code=100)
    assert "has a session of it" in bmp_ha(s, "forget", first, code=111)
    assert "cannot be reached" in bmp_ha(s, "switch", first, "--to", "C", code=111)
    s.silence()
    s.judge()
    moved, _ = verdict.switches(s.records(), s.fault_wall)
    assert set(moved) == {first, second}
    assert s.owners_now() == {**s.home, first: "B", second: "B"}
    s.no_order_violations()
    picture = status(s)
    router = next(r for r in picture["routers"] if r["name"] == first)
    assert router["owner"] == "B" and router["nodes"]["B"]["last_switch_why"] == "first in rank"
    assert "errand" in router["nodes"]["B"] and router["nodes"]["B"]["errand_end"]["ok"]
    assert all(view["held_bytes"] >= 0 and view["w_age_ms"] >= 0 for view in router["nodes"].values())
    line, = (line for line in bmp_ha(s, "status").splitlines() if line.startswith(f"{first} "))
    table = re.fullmatch(rf"{first} +B +(\d+) +A +standby +\d +[\d.]+s +\d+\S* \w+ +[\d.]+s ago: .+", line)
    assert table and int(table[1]) == router["epoch"], line


@pytest.mark.loss
@pytest.mark.long
def test_balance_then_drain_then_auto(lab):
    s = Stage(lab, split=False).settle()
    assert "A -> B" in bmp_ha(s, "balance", "--dry-run")
    assert set(s.owners_now().values()) == {"A"}
    s.fault(lambda: bmp_ha(s, "balance", "--rate", 600))
    owners = list(s.owners_now().values())
    assert abs(owners.count("A") - owners.count("B")) <= 1
    moves = len(s.moved())
    assert moves == len(owners) // 2, "each router moves once at most, and no more of them than need be"
    assert "nothing to move" in bmp_ha(s, "balance")
    begun = time.monotonic()
    bmp_ha(s, "drain", "A")
    lab.figures["drain_ms"] = round((time.monotonic() - begun) * 1000)
    s.wait_owner("B")
    assert status(s)["nodes"]["A"]["mode"] == "forced-standby"
    s.node("A").arbiter.signal(37)
    time.sleep(3)
    s.silence()
    s.judge()
    assert set(s.owners_now().values()) == {"B"}
    bmp_ha(s, "drain", "B", "--timeout", 20)
    s.wait_owner("A")
    # Of the whole node, by its control socket; all routers at a rate.
    assert "told to" in bmp_ha(s, "auto", nodes=["B"])
    wait_for("B is automatic again", 5, lambda: status(s, ["B"])["nodes"]["B"]["mode"] == "auto")
    bmp_ha(s, "switch", nodes=["A"])
    s.wait_owner("B")
    assert f"{len(owners) + 1} done" in bmp_ha(s, "switch", "all", "--rate", "6000/min", nodes=["B"])
    s.wait_owner("A")


@pytest.mark.loss
@pytest.mark.long
def test_three_nodes_are_balanced_and_one_is_drained(lab):
    s = Stage(lab, nodes="ABC", routers=6, split=False).settle(seconds=3)
    assert set(s.owners_now().values()) == {"A"}
    s.fault(lambda: bmp_ha(s, "balance", "--rate", 600))
    owners = list(s.owners_now().values())
    assert [owners.count(name) for name in "ABC"] == [2, 2, 2]
    assert len(s.moved()) == 4
    assert "nothing to move" in bmp_ha(s, "balance")
    bmp_ha(s, "drain", "C")
    s.silence()
    s.judge()
    assert "C" not in s.owners_now().values()
    s.no_order_violations()


@pytest.mark.loss
@pytest.mark.long
@pytest.mark.parametrize("nodes", ["AB", "B", "ABC"])
def test_resync_restores_deleted_rows_and_blanks_nothing(lab, nodes):
    """Rows deleted behind the sink's back come back; all others are visible all the time, and churn goes on. From the node
    that owns everything alone, the router is handed over first."""
    s = Stage(lab, nodes="ABC" if nodes == "ABC" else "AB", routers=6, split=False, generator={"table": 200}).settle(seconds=3)
    if nodes == "B":  # its host is the only one that can be reached, and it owns
        bmp_ha(s, "switch", "all", "--to", "B", "--rate", 6000)
        s.wait_owner("B")
    steady = s.generator.steady()
    s.watching.end()  # the next one is without what is deleted
    s.silence()
    verdict.wait_until_quiet(s.cluster, [s.sink], 1)
    s.generator.churn(50)
    doomed = sorted(steady)[:1000]
    deleted = s.sink.database.sql(
        "DELETE FROM rib l USING peers p, routers ro WHERE p.peer_id = l.peer_id AND ro.router_id = p.router_id "
        "AND (ro.name, host(p.addr), l.view, l.prefix::text) IN (SELECT * FROM unnest(%s::text[], %s::text[], %s::int[], "
        "%s::text[])) RETURNING 1", *([key[c] for key in doomed] for c in range(4)))
    assert len(deleted) == 1000
    s.watching = Watch(s.sink.database, steady - set(doomed), every=0.02)
    lab.at_end(s.watching.end)
    for name in s.names:
        s.generator.configure(name, redial=1)
    s.fault(lambda: bmp_ha(s, "resync", "all", "--rate", 600, "--timeout", 60, nodes=list(nodes), seconds=120))
    s.silence()
    s.judge(quiet=5)
    assert s.watching.polls > 50 and len(s.watching.keys) > 100
    assert set(doomed) <= verdict.rib_live(s.sink.database).keys()
    s.no_order_violations()
    assert not s.kinds("down") and not s.kinds("stale")


@pytest.mark.long
def test_resync_waits_for_a_router_that_takes_its_time(lab):
    """It is shown what it waits for, can be given up, and nothing has moved."""
    s = Stage(lab, routers=2, split=False).settle(churn=False, seconds=1)
    router = s.generator.routers[0].name
    s.generator.configure("B", redial=3600)
    said = []
    thread = threading.Thread(target=lambda: said.append(bmp_ha(s, "resync", router, code=111)))
    thread.start()

    def step():
        entry = next(r for r in status(s)["routers"] if r["name"] == router)
        return (entry["nodes"]["B"].get("errand") or {}).get("step")
    wait_for("it waits", 10, lambda: step() == "waits for the router to dial again")
    assert "busy with resync" in bmp_ha(s, "switch", router, "--to", "B", code=111)
    bmp_ha(s, "cancel", router)
    thread.join(20)
    assert said and "cancelled" in said[0]
    assert set(s.owners_now().values()) == {"A"}


@pytest.mark.long
def test_a_decommissioned_router_is_forgotten_at_once(lab):
    s = Stage(lab, routers=3).settle(churn=False, seconds=1)
    router = s.of("A")[0]
    verdict.wait_until_quiet(s.cluster, [s.sink], 1)
    hash_of = verdict.router_hashes(s.records())[router]
    assert any(key[0] == router for key in verdict.rib_live(s.sink.database))
    for name in s.names:
        s.generator.stop(name, [router])
    time.sleep(1)
    bmp_ha(s, "forget", router)
    wait_for("its rows are gone", 5, lambda: not any(k[0] == router for k in verdict.rib_live(s.sink.database)))
    assert hash_of not in s.cluster.owners()
    assert len(s.kinds("down")) == s.cluster.partitions

    def held():
        return [r["held_records"] for n in s.names for r in s.node(n).gate.state()["routers"] if r["router"] == hash_of]
    wait_for("no node holds anything of it", 20, lambda: not any(held()))
    # It may come back as any other router.
    for name in s.names:
        s.generator.start(name, [router])
    s.judge(hidden=[router])


@pytest.mark.long
def test_raised_epochs_end_the_fencing_of_a_live_owner(lab):
    """Redis' clock was far ahead once and the files that remember epochs are lost: the sink has seen higher ones."""
    s = Stage(lab, routers=2, split=False).settle(churn=False, seconds=1)
    verdict.wait_until_quiet(s.cluster, [s.sink], 1)
    ahead = max(epoch for _, epoch in s.cluster.owners().values()) + 3_600_000
    s.sink.database.sql("UPDATE ingest_fence SET epoch = %s", ahead)
    s.sink.terminate()
    s.sink.write_config(metrics_listen=f"127.0.0.1:{free_port()}")
    s.sink.start()
    s.generator.churn(20)
    wait_for("the sink fences", 15, lambda: s.sink.state()["fenced"] > 0)
    assert sample(s.sink, "bmpha_sink_fence_alarm") == 0
    wait_for("an alarm of the sink", 60, lambda: s.sink.log_lines("error", "all records of a router are fenced"))
    assert s.sink.state()["fence_alarm"]
    wait_for("the alarm as a metric", 5, lambda: sample(s.sink, "bmpha_sink_fence_alarm") == 1)
    said = bmp_ha(s, "epoch", "raise", "all")
    assert "resync" in said
    assert min(epoch for _, epoch in s.cluster.owners().values()) > ahead
    bmp_ha(s, "resync", "all", "--rate", 600)
    s.silence()
    s.judge_state()
    assert not s.sink.state()["fence_alarm"]
    wait_for("the end of the alarm as a metric", 5, lambda: sample(s.sink, "bmpha_sink_fence_alarm") == 0)


def test_a_session_is_closed_on_request(lab):
    s = Stage(lab, routers=2, split=False).settle(churn=False, seconds=0)
    router = s.generator.routers[0].name
    s.generator.configure("B", redial=0.5)

    def session():
        return next(r for r in status(s, ["B"])["routers"] if r["name"] == router)["nodes"]["B"]["session"]
    before = session()
    s.fault(lambda: bmp_ha(s, "reset-session", router, nodes=["B"]))
    wait_for("a new session", 10, lambda: session() != before)
    wait_for("all sessions are up", 10, lambda: s.generator.up("B") == 2)
    s.no_switch()
    # By the pid alone: the control-socket, and without that the dump-file, of the process' own configuration.
    arbiter = s.node("B").arbiter

    def by_pid(*words, code=0):
        done = subprocess.run([SCRIPTS / "bmp-ha", "--pid", str(arbiter.pid), *words], capture_output=True, text=True,
                              timeout=20, env=tool_environment(), check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr
    by_socket = json.loads(by_pid("status", "--json"))
    os.unlink(control(s.node("B")).removeprefix("ipc://"))
    for picture in (by_socket, json.loads(by_pid("status", "--json"))):
        assert picture["nodes"]["B"]["running"] == {"ha-arbiter": True} and picture["nodes"]["A"]["live"]
        assert {r["name"]: r["owner"] for r in picture["routers"]}[router] == "A"
    arbiter.config.rename(f"{arbiter.config}.away")
    assert "HINT" in by_pid("status", code=100)
