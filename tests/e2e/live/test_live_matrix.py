"""The failure matrix: one fault each, silence right after it, then the database against what the routers said."""
import os
import signal
import threading
import time
from collections import Counter

import pytest

from bmpgen import Generator
from cluster import ROUTERS, PrivateRedis, bin_dir, wait_for
from cutter import Cutter
from verdict import Verdict, deliveries, first_run, lost_changes, read_records, rib_of_database, wrong_rows

RATE = 100  # changes per second, all routers together
CRASH_MS, PLANNED_MS, HANG_MS, LINK_MS = 2900, 1500, 2900, 5000
# Wall clock in Kafka against ours, and a busy machine of two cores.
SLACK_MS = 700
# A successor begins `margin` (2 s) before the last watermark that it saw, which lags by up to a second.
WINDOW_S = 3.5


class Pair:
    """Two nodes, a sink and routers; several scenarios in turn. Ends are silent and compared."""

    def __init__(self, clusters, judged, routers=ROUTERS, redial=0.2, cut=False, clock_mode="now", prepare=None, **options):
        self.cluster = clusters(**options)
        if prepare:
            prepare(self.cluster)
        self.cutters = {}
        names = [f"r{k}" for k in range(routers)]
        addresses = {n: node.address for n, node in self.cluster.nodes.items()}
        if cut:
            self.cutters = {(r, n): Cutter(addresses[n]) for r in names for n in addresses}
        path = (lambda r, n: self.cutters[r, n].address) if cut else addresses
        self.generator = Generator(routers, list(addresses), path, redial=redial, clock_mode=clock_mode)
        self.names = [r.name for r in self.generator.routers]
        self.fault_at = None
        self.owners = {}

    def __enter__(self):
        try:
            self.cluster.start()
            self.generator.start()
            self.owners = self.cluster.wait_synced(self.names)
            self.cluster.settle(1.0)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.generator.close()
        for cutter in self.cutters.values():
            cutter.close()

    def begin(self):
        """Marks the start of a scenario."""
        self.mark, self.starts = self.generator.mark(), self.cluster.ends()
        self.began_at = time.time()
        self.owners = self.cluster.owners()

    def owned(self, node):
        return [r for r in self.names if self.owners[r][0] == node]

    def gather(self, node):
        """Makes `node` the owner of all routers, so that a fault there hits all."""
        if len(self.owned(node)) < len(self.names):
            other = self.other(node)
            self.cluster.nodes[other].arbiter.signal(34)
            self.cluster.wait_owner(self.names, node, 10)
            self.cluster.wait_synced(self.names)
            self.cluster.settle(1.0)

    def other(self, node):
        return next(n for n in self.cluster.nodes if n != node)

    def churn_into(self, fault, before=4.0, after=0.0):
        """Churn, the fault in the middle of it, `after` seconds more, silence."""
        self.generator.start_churn(RATE)
        time.sleep(before)
        self.fault_at = time.time()
        fault()
        if after:
            time.sleep(after)
        self.generator.stop_churn()
        return self.fault_at

    def verdict(self, moved=(), old=None, window=WINDOW_S, faults=()):
        """Once everything is silent. `moved`: routers that must have gone away from node `old`."""
        cluster, changes = self.cluster, self.generator.changes[self.mark:]
        records = read_records(cluster, self.starts)
        hashes = {name: h for h, name in cluster.router_hashes().items()}
        twice = sum(n - 1 for n in deliveries(records).values())
        times = list(faults) or ([self.fault_at] if self.fault_at else [])
        recent = sum(any(t - window <= c.at <= t + 1.0 for t in times) for c in changes)
        switch = {}
        for router in moved:
            run = first_run(records, hashes[router], self.fault_at, but_not=old)
            assert run, f"no take-over of {router}"
            switch[router] = round(run.timestamp_ms - self.fault_at * 1000)
        runs = len({(r.header.router, r.header.epoch, r.header.node) for r in records
                    if r.header.kind == "run" and r.header.router in hashes.values()})
        out = Verdict(lost_changes(cluster, changes), wrong_rows(cluster, self.generator.table()), twice, len(changes), recent,
                      switch, runs)
        self.records = records
        return out

    def check(self, say, name, verdict, switch_ms=None, duplicates=True):
        say(verdict.line(name))
        ended = self.cluster.unexpected_ends()
        assert not ended, f"ended by themselves: {ended}"
        assert not verdict.lost, f"lost {len(verdict.lost)}: {verdict.lost[:5]}"
        assert not verdict.wrong, f"wrong {len(verdict.wrong)}: {verdict.wrong[:5]}"
        if duplicates:
            assert verdict.duplicates <= verdict.recent
        if switch_ms:
            late = {r: ms for r, ms in verdict.switch_ms.items() if ms > switch_ms + SLACK_MS}
            assert not late, f"take-over later than {switch_ms} ms: {late}"
        self.one_owner_each()

    def one_owner_each(self):
        def roles():
            view = self.cluster.arbiter_view()
            return all([s["role"] for s in view.get(r, {}).values()].count("active") == 1 for r in self.names)
        wait_for(roles, 5, lambda: f"exactly one owner each: {self.cluster.arbiter_view()}", 0.25)

    def heal(self):
        """Everything up and synced again. A gate that was started again waits until the owner's progress has passed
        what it holds, so there must be changes."""
        self.cluster.heal()
        self.generator.start_churn(RATE // 4)
        try:
            self.owners = self.cluster.wait_synced(self.names)
        finally:
            self.generator.stop_churn()
        self.cluster.settle(1.0)


@pytest.fixture
def pair(clusters, judged):
    made = []

    def make(**options):
        made.append(Pair(clusters, judged, **options))
        return made[-1].__enter__()
    yield make
    for one in made:
        one.close()


@pytest.fixture
def own_redis(judged):
    """A Redis of its own in place of the shared one, for all clusters of the test."""
    shared = judged.env["REDIS_URL"]
    store = PrivateRedis()
    judged.env["REDIS_URL"] = store.url
    yield store
    judged.env["REDIS_URL"] = shared
    store.kill()


def test_row_0_no_fault(pair, say):
    """One minute of churn: nothing switches, nothing is delivered twice."""
    p = pair()
    p.begin()
    p.generator.churn(float(os.environ.get("CHURN_SECONDS", "60")), RATE)
    p.cluster.settle()
    v = p.verdict()
    p.check(say, "row 0 no fault", v)
    assert v.runs == 0, "switched without a fault"
    assert v.duplicates == 0
    assert p.cluster.owners() == p.owners


def test_rows_1_2_3_7_kill(pair, say):
    """SIGKILL to each process of the active node and to all of them at once."""
    p = pair()
    for name, victims in (("row 1 kill bmp-recv", ["bmp-recv"]), ("row 2 kill kafka-gate", ["kafka-gate"]),
                          ("row 3 kill ha-arbiter", ["ha-arbiter"]), ("row 7 kill node", None)):
        p.gather("A")
        p.begin()
        node = p.cluster.nodes["A"]
        if victims:
            p.churn_into(lambda: [node.tools[v].kill() for v in victims])
        else:
            p.churn_into(node.kill)
        p.cluster.wait_owner(p.names, "B")
        p.cluster.settle()
        p.check(say, name, p.verdict(p.names, "A"), CRASH_MS)
        p.heal()
        assert {n for n, _ in p.owners.values()} == {"B"}, "a node that comes back takes nothing"
        assert not wrong_rows(p.cluster, p.generator.table())


def test_row_3_arbiter_restart(pair, say):
    """Back within a second: nothing moves. After more than three: the other node owns."""
    p = pair()
    p.gather("A")
    p.begin()
    arbiter = p.cluster.nodes["A"].arbiter

    def restart(pause):
        arbiter.kill()
        time.sleep(pause)
        arbiter.start()
    p.churn_into(lambda: restart(0.5), after=2)
    p.cluster.settle()
    v = p.verdict()
    p.check(say, "row 3 ha-arbiter restarted after 0.5 s", v)
    assert p.cluster.owners() == p.owners and v.runs == 0 and v.duplicates == 0

    p.begin()
    p.churn_into(lambda: restart(3.5))
    p.cluster.wait_owner(p.names, "B")
    p.cluster.settle()
    p.check(say, "row 3 ha-arbiter restarted after 3.5 s", p.verdict(p.names, "A"), CRASH_MS)


def test_row_4_kill_sink(pair, say):
    """Two sinks; one is killed in the middle of its work, and again."""
    p = pair(sinks=2)
    p.begin()
    for turn in range(3):
        sink = p.cluster.sinks[turn % 2]
        p.generator.start_churn(RATE * 3)
        time.sleep(2)
        sink.kill()
        p.generator.stop_churn()
        if turn != 1:
            sink.start()
        else:
            time.sleep(1)
    p.cluster.heal()
    p.cluster.settle(seconds=90)
    v = p.verdict()
    p.check(say, "row 4 kill psql-sink", v)
    assert v.runs == 0 and v.duplicates == 0
    again = p.cluster.sql("""
        SELECT c, count(*) FROM rib_log l JOIN base_attrs a USING (attr_id), unnest(a.large_communities) c
        WHERE NOT l.withdrawn GROUP BY 1 HAVING count(*) > 1""")
    assert not again, f"in the history twice: {again[:5]}"


def fenced(cluster):
    return sum(count_fenced(sink.dump()) for sink in cluster.sinks)


def count_fenced(dump):
    """The sum of the counters named fenced, wherever they stand."""
    if isinstance(dump, dict):
        return sum(v if k == "fenced" and isinstance(v, int) else count_fenced(v) for k, v in dump.items())
    return sum(map(count_fenced, dump)) if isinstance(dump, list) else 0


# Records wait in the gate's Kafka client for so long: a stop finds some that were handed over and not yet sent.
SLOW_CLIENT = ["kafka-gate.kafka-option=linger.ms=700"]


def stop_gate(p, more=()):
    """Row 5: the gate of the owner sleeps for 10 s; the last changes come in that time; what its client sends then is old."""
    p.gather("A")
    p.begin()
    gate = p.cluster.nodes["A"].gate
    sleepers = [gate, *more]
    p.generator.start_churn(RATE * 3)
    time.sleep(2)
    p.fault_at = time.time()
    for sleeper in sleepers:
        sleeper.signal(signal.SIGSTOP)
    try:
        time.sleep(0.3)
        p.generator.stop_churn()
        p.cluster.wait_owner(p.names, "B")
        # A last word on every prefix while the old owner sleeps.
        for router in p.generator.routers:
            for peer in router.peers.values():
                for k, prefix in enumerate(peer.prefixes):
                    p.generator.change(router, peer, prefix, announce=k % 2 == 0)
        time.sleep(max(0, p.fault_at + 10 - time.time()))
    except BaseException:
        for sleeper in sleepers:
            sleeper.signal(signal.SIGCONT)
        raise
    gate.signal(signal.SIGCONT)


def test_row_5_sleeping_gate(pair, say):
    p = pair(settings=SLOW_CLIENT)
    stop_gate(p)
    time.sleep(2)
    p.cluster.settle(3.0)
    v = p.verdict(p.names, "A")
    count = fenced(p.cluster)
    say(f"row 5: fenced={count}")
    p.check(say, "row 5 SIGSTOP kafka-gate", v, HANG_MS + 700, duplicates=False)
    assert count > 0, "the sleeper sent nothing that had to be fenced: the test proves nothing"


def wrong_after_flush(p):
    """The arbiter sleeps on while the gate's client flushes, so that nobody asserts anew and heals the rows."""
    arbiter = p.cluster.nodes["A"].arbiter
    stop_gate(p, [arbiter])
    try:
        p.cluster.settle(1.0)
        return wrong_rows(p.cluster, p.generator.table())
    finally:
        arbiter.signal(signal.SIGCONT)


def test_row_5_with_and_without_fence(pair, say):
    """The flush of a sleeper leaves wrong rows where the fence is switched off, and none where it is on."""
    if not (bin_dir("mutable") / "psql-sink").exists():
        pytest.fail("build/mutable/bin/psql-sink is missing HINT: make BUILD=mutable psql-sink")
    without = pair(settings=SLOW_CLIENT, sink_build="mutable", sink_environment={"BMPHA_WITHOUT": "S2-fence"})
    wrong = wrong_after_flush(without)
    say(f"row 5 without fence: wrong={len(wrong)} (more than none is right)")
    assert wrong, "without the fence nothing went wrong: row 5 proves nothing"
    without.close()
    p = pair(settings=SLOW_CLIENT)
    wrong = wrong_after_flush(p)
    say(f"row 5 with fence, arbiter asleep: wrong={len(wrong)} fenced={fenced(p.cluster)}")
    assert not wrong and fenced(p.cluster) > 0
    p.cluster.settle(3.0)
    p.check(say, "row 5 gate and arbiter asleep", p.verdict(p.names, "A"), HANG_MS + 700, duplicates=False)


def test_rows_8_30_link(pair, say):
    """One router's session to its owner ends: only that router moves; dialled again within 200 ms it needs a new claim."""
    p = pair(cut=True)
    p.gather("A")
    for name, back_at_once in (("row 8 link reset", False), ("row 30 link reset, back at once", True)):
        victim = p.names[0]
        p.gather("A")
        p.begin()
        cutter = p.cutters[victim, "A"]
        p.churn_into(cutter.reset_once if back_at_once else lambda: cutter.set("reset"), after=0 if back_at_once else 0.5)
        p.cluster.wait_owner([victim], "B")
        p.cluster.settle()
        v = p.verdict([victim], "A")
        cutter.set("pass")
        p.check(say, name, v, LINK_MS)
        after = p.cluster.owners()
        assert {r: o for r, o in after.items() if r != victim} == {r: o for r, o in p.owners.items() if r != victim}
        kinds = Counter(r.header.kind for r in p.records)
        assert kinds["down"] == 0 and kinds["stale"] == 0
        no_record_before_its_run(p, victim)
        p.heal()


def no_record_before_its_run(p, router):
    """Every session's records come after a `run` of their node and epoch in their partition."""
    wanted = {name: h for h, name in p.cluster.router_hashes().items()}[router]
    claims = {}
    for record in p.records:
        header = record.header
        if header.router != wanted:
            continue
        if header.kind == "run":
            claims[record.partition, header.node] = header.epoch
        elif (record.partition, header.node) in claims:
            assert header.epoch <= claims[record.partition, header.node], f"a record before its run: {header}"
        else:
            assert header.epoch == p.owners[router][1], f"a record of epoch {header.epoch} without a run: {header}"


def test_row_12_redis_back_empty(pair, own_redis, say):
    """Redis is killed and comes back empty: all forward meanwhile, then one owner; epochs still rise."""
    p = pair()
    p.begin()
    before = p.owners
    p.generator.start_churn(RATE)
    time.sleep(3)
    p.fault_at = time.time()
    own_redis.kill()
    time.sleep(6)
    own_redis.start()
    healed_at = time.time()
    p.generator.stop_churn()
    owners = p.cluster.wait_synced(p.names)
    p.cluster.settle(3.0)
    v = p.verdict()
    p.check(say, "row 12 Redis back empty", v, duplicates=False)
    assert all(owners[r][1] > before[r][1] for r in p.names), "epochs must rise"
    window = [c for c in p.generator.changes[p.mark:] if c.at >= p.fault_at - WINDOW_S]
    assert v.duplicates <= 3 * len(window)
    assert any(r.header.solo for r in p.records), "nobody went solo: the test proves nothing"
    say(f"row 12: one owner each, sink at rest {time.time() - healed_at:.1f} s after Redis came back")


def test_row_18_signals(pair, say):
    """34 hands over in order, 36 keeps out, 35 takes, 37 lets go; both in standby raise an alarm."""
    p = pair()
    p.gather("A")
    for name, node, number, new in (("34 switch", "A", 34, "B"), ("36 forced standby", "B", 36, "A"),
                                    ("35 forced active", "B", 35, "B"), ("37 automatic", "B", 37, None)):
        p.begin()
        old = p.owners[p.names[0]][0]
        p.churn_into(lambda node=node, number=number: p.cluster.nodes[node].arbiter.signal(number))
        if new:
            p.cluster.wait_owner(p.names, new)
        else:
            time.sleep(2)
        p.cluster.settle()
        v = p.verdict(p.names if new else (), old)
        p.check(say, f"row 18 signal {name}", v, PLANNED_MS if new else None)
        p.owners = p.cluster.owners()
    both_in_standby(p, say)


def both_in_standby(p, say):
    p.begin()
    for node in p.cluster.nodes.values():
        node.arbiter.signal(36)

    def alarm():
        return any("standby" in line and (" warn" in line or " err" in line)
                   for n in p.cluster.nodes.values() for line in n.arbiter.log().splitlines())
    wait_for(alarm, 5, "an alarm that all nodes are in forced standby")
    p.churn_into(lambda: None, before=1)
    for node in p.cluster.nodes.values():
        node.arbiter.signal(37)
    p.cluster.wait_synced(p.names)
    p.cluster.settle()
    p.check(say, "row 18 signal 36 to both, then 37", p.verdict(), duplicates=False)


def test_row_19_rolling_restart(pair, say):
    """TERM to one node after the other: each hands over before it ends; the second time inside the first one's dump."""
    p = pair()
    p.gather("A")
    for name, first, patient in (("row 19 TERM and restart of A", "A", True), ("row 19 TERM and restart of B", "B", True)):
        second = p.other(first)
        p.begin()
        codes = []

        def stop(node=first, codes=codes):
            codes.extend(p.cluster.nodes[node].terminate())
        # Changes go on until all three have ended.
        p.churn_into(stop)
        assert codes == [0, 0, 0]
        owners = p.cluster.owners()
        assert {owners[r][0] for r in p.names} == {second}, f"not handed over before the end: {owners}"
        p.cluster.settle()
        p.check(say, name, p.verdict(p.names, first), PLANNED_MS)
        p.heal()
        assert patient
    # A ends; as soon as its routers have dialled it again, B ends.
    p.begin()
    p.generator.start_churn(RATE)
    time.sleep(1)
    p.fault_at = time.time()
    p.cluster.nodes["A"].terminate()
    p.cluster.nodes["A"].start()
    wait_for(lambda: all(s.connected for s in p.generator.sessions("A")), 10, "routers dial A again")
    time.sleep(0.3)
    p.cluster.nodes["B"].terminate()
    p.generator.stop_churn()
    p.cluster.wait_owner(p.names, "A", 15)
    p.cluster.settle(3.0)
    p.check(say, "row 19 B ends inside A's dump", p.verdict(), duplicates=False)
    p.cluster.heal()


class Watch(threading.Thread):
    """Reads rib_live all the time; notes when one of the rows that must stay is away or another."""

    def __init__(self, cluster, table):
        super().__init__(daemon=True)
        self.cluster, self.table = cluster, table
        self.away, self.polls, self._ended = [], 0, threading.Event()
        self._db = None

    def run(self):
        import psycopg2
        from verdict import RIB
        from bmpgen import number_of
        connection = psycopg2.connect(self.cluster.env["DATABASE_URL"])
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                while not self._ended.wait(0.02):
                    cursor.execute(RIB)
                    now = {(r, p, x): number_of(c[0]) for r, p, x, _, c in cursor.fetchall() if c}
                    self.polls += 1
                    bad = [(k, now.get(k)) for k, v in self.table.items() if now.get(k) != v]
                    if bad and len(self.away) < 20:
                        self.away.append((time.time(), len(bad), bad[0]))
        finally:
            connection.close()

    def stop(self):
        self._ended.set()
        self.join(5)


def test_row_31_router_reboots_with_one_peer_fewer(pair, say):
    """The removed peer's rows go at `synced`; rows that stand since the dump are never away."""
    p = pair()
    p.begin()
    p.generator.churn(2, RATE)
    p.cluster.settle()
    victim = p.generator.routers[0]
    removed = list(victim.peers)[1]
    stay = {k: v for k, v in p.generator.table().items() if k[:2] != (victim.name, removed)}
    gone = {k for k in p.generator.table() if k[:2] == (victim.name, removed)}
    assert gone and stay
    watch = Watch(p.cluster, stay)
    watch.start()
    try:
        time.sleep(0.5)
        p.fault_at = time.time()
        victim.reboot(remove=[removed])
        wait_for(lambda: not gone & set(rib_of_database(p.cluster)), 20, "the removed peer's rows are gone", 0.1)
        took = time.time() - p.fault_at
        p.cluster.wait_synced(p.names)
        p.cluster.settle()
    finally:
        watch.stop()
    say(f"row 31: removed peer's rows gone after {took:.1f} s; {watch.polls} polls")
    assert watch.polls > 20
    assert not watch.away, f"rows that never changed were away: {watch.away[:3]}"
    p.check(say, "row 31 reboot with one peer fewer", p.verdict(), duplicates=False)


def test_row_31_take_over_blanks_nothing(pair, say):
    """The same watch while a node dies and comes back: a refresh hides no row."""
    p = pair()
    p.gather("A")
    p.begin()
    watch = Watch(p.cluster, p.generator.table())
    watch.start()
    try:
        time.sleep(0.5)
        p.fault_at = p.cluster.nodes["A"].kill()
        p.cluster.wait_owner(p.names, "B")
        p.cluster.settle()
        v = p.verdict(p.names, "A")
        p.heal()
        p.cluster.nodes["B"].arbiter.signal(34)
        p.cluster.wait_owner(p.names, "A")
        p.cluster.settle()
    finally:
        watch.stop()
    assert watch.polls > 20 and not watch.away, f"{watch.polls} polls, away: {watch.away[:3]}"
    p.check(say, "row 31 take-over, silent routers", v, CRASH_MS, duplicates=False)


def test_row_32_router_clocks(pair, say):
    """Router clocks an hour behind, and zero timestamps, with take-overs: the state is exact."""
    p = pair(clock_mode=("-1h", "zero", "now"))
    for node in ("A", "B"):
        p.gather(node)
        p.begin()
        p.churn_into(p.cluster.nodes[node].kill)
        p.cluster.wait_owner(p.names, p.other(node))
        p.cluster.settle()
        p.check(say, f"row 32 clocks -1 h and zero, kill {node}", p.verdict(p.names, node), CRASH_MS)
        p.heal()
        # The peer goes and comes back with times that do not rise.
        router = p.generator.routers[0]
        address = next(iter(router.peers))
        p.begin()
        router.peer_down(address)
        p.cluster.settle(1.0)
        assert not wrong_rows(p.cluster, p.generator.table())
        router.peer_up(address)
        for prefix in router.peers[address].prefixes:
            p.generator.change(router, router.peers[address], prefix, announce=True)
        p.cluster.settle(1.0)
        p.check(say, "row 32 peer flap", p.verdict())
