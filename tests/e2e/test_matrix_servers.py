"""Rows of the failure matrix: the sink, PostgreSQL, Redis and Kafka."""
import time

import pytest

from harness import verdict
from harness.cluster import wait_for
from harness.stage import CRASH, KAFKA_CUT, RETAIN, TWO_OR_THREE, Stage

pytestmark = [pytest.mark.scenario, pytest.mark.loss]


def test_04_another_sink_takes_over_the_partitions_of_a_killed_one(lab):
    s = Stage(lab).settle(seconds=2)
    second = s.cluster.sink(database=s.sink.database, group=s.sink.group)
    wait_for("the second sink has partitions", 30, lambda: second.state().get("partitions"))
    s.generator.burst(500)
    s.fault(s.sink.kill).silence()
    s.generator.burst(200)
    s.judge(seconds=90)
    s.stored_once()


def test_04_the_sink_is_killed_between_copy_and_commit(lab):
    s = Stage(lab).settle(seconds=2)
    database = s.sink.database
    blocker = database.connect()
    blocker.autocommit = False
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE rib_log IN SHARE MODE")  # readers pass, the sink's INSERT waits behind its COPY

    def waiting():
        return database.one("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
                            "WHERE NOT l.granted AND a.datname = current_database()")
    wait_for("the sink waits for the lock", 10, waiting)
    s.fault(s.sink.kill)
    s.generator.burst(500)
    s.silence()
    blocker.rollback()
    blocker.close()
    s.sink.start()
    v = s.judge(seconds=90)
    assert v.duplicates == 0
    s.stored_once()
    s.no_switch()


@pytest.mark.long
@pytest.mark.parametrize(("mode", "nodes"), [("blackhole", "AB"), ("refuse", "AB"), ("drop", "AB"), ("blackhole", "ABC")])
@pytest.mark.parametrize("seconds", [8, pytest.param(30, marks=pytest.mark.once)])
def test_11_the_owner_is_cut_from_redis(lab, mode, nodes, seconds):
    """It goes on alone while the other owns too; at the heal one owner asserts anew, in silence."""
    path, url = lab.path(lab.servers.redis_url)
    s = Stage(lab, nodes=nodes, split=False, node_settings={"A": {"ha-arbiter": {"redis-url": url}}}).settle()
    s.fault(lambda: path.set(mode))

    def twice():
        owned = {name: s.node(name).owned() for name in nodes}
        return set(s.home) <= owned["A"] and set(s.home) <= set().union(*(owned[n] for n in s.others("A")))
    wait_for("it owns alone, and the others own too", 8, twice, every=0.1)
    time.sleep(max(0, s.fault_at + seconds - time.monotonic()))
    s.silence()
    path.heal()
    verdict.wait_for_owners(s.cluster, s.generator, seconds=20)
    # What it sends alone the others send too, and the claim at the heal replays what was sent alone.
    s.judge(quiet=5, again=s.since_fault(times=2))
    s.switched(CRASH, s.others("A"), s.of("A"))
    assert {r.header.node for r in s.records() if r.header.solo} == {"A"}


@TWO_OR_THREE
def test_12_redis_dies_and_comes_back_empty(lab, nodes):
    redis = lab.private_redis()
    s = Stage(lab, nodes=nodes, redis_url=redis.url)
    s.settle()
    before = {r: e for r, (_n, e) in s.cluster.owners().items()}
    s.fault(redis.kill)
    wait_for("all nodes go solo", 10, lambda: all(n.arbiter.state()["solo"] for n in s.cluster.nodes.values()), every=0.1)
    time.sleep(3)
    s.silence()
    redis.start()
    verdict.wait_for_owners(s.cluster, s.generator, seconds=20)
    # Every node sends everything for the length of the outage, and the claims at its end replay that.
    s.judge(quiet=5, again=s.since_fault(span=RETAIN, times=len(nodes)))
    after = {r: e for r, (_n, e) in s.cluster.owners().items()}
    assert before and after.keys() == before.keys() and all(after[r] > before[r] for r in before), "epochs must rise"
    solo = [r for r in s.records() if r.header.solo]
    assert {r.header.node for r in solo} == set(nodes)


@pytest.mark.long
@pytest.mark.parametrize("pause", [1, 5])
def test_13_redis_is_slow(lab, pause):
    """One second: nothing. Five: each node alone meanwhile, then as before."""
    redis = lab.private_redis()
    s = Stage(lab, redis_url=redis.url).settle()
    s.fault(lambda: redis.client().execute_command("CLIENT", "PAUSE", pause * 1000))
    time.sleep(pause + 1)
    s.silence()
    verdict.wait_for_owners(s.cluster, s.generator, seconds=20)
    v = s.judge(quiet=5, again=0 if pause == 1 else s.since_fault(span=RETAIN, times=2))  # as row 12
    if pause == 1:
        s.no_switch()
        assert v.fenced == 0
    else:
        assert any(r.header.solo for r in s.records())


@TWO_OR_THREE
def test_14_a_node_is_cut_from_kafka(lab, nodes):
    """With requests in flight; they land after twenty seconds."""
    s = Stage(lab, nodes=nodes, cut_kafka=True).settle()
    path = s.node("A").kafka_path
    path.set("hold")
    s.generator.burst(200)
    s.fault()
    s.wait_owner(s.others("A"), s.of("A"), seconds=20)
    time.sleep(2)
    s.silence()
    s.generator.settle_all()
    time.sleep(max(0, s.fault_at + 20 - time.monotonic()))
    path.heal()
    v = s.judge(quiet=5, again=s.replayed(s.of("A"), span=RETAIN))  # nothing that it read later can have left it
    s.switched(KAFKA_CUT, s.others("A"), s.of("A"))
    assert v.fenced > 0
    # The release was forced: it did not wait for answers for ever.
    assert s.node("A").arbiter.log_lines("event=standby", "records in flight were not answered")
    s.no_order_violations()


@pytest.mark.long
@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.once)])
def test_23_the_database_is_away(lab, seconds):
    """Away twice in the middle of churn, then slow: nothing is lost, nothing stands twice."""
    s = Stage(lab, sinks=0, rate=300)
    s.sink = s.cluster.sink(start=False)
    path, url = lab.path(s.sink.settings["database"])
    s.sink.write_config(database=url)
    s.sink.start()
    s.settle(seconds=3).fault()
    for mode, how in (("refuse", {}), ("blackhole", {}), ("delay", {"seconds": 0.2})):
        time.sleep(2)
        path.set(mode, **how)
        time.sleep(seconds)
        path.heal()
    time.sleep(1)
    s.silence()
    v = s.judge(seconds=90)
    assert v.duplicates == 0
    s.stored_once()
    s.no_switch()
