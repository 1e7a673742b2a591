"""Two nodes, a sink and routers for scenarios: churn, one fault, silence, then the database against what the routers said."""
import time

import pytest

from bmpgen import Generator
from cluster import ROUTERS, PrivateRedis, wait_for
from cutter import Cutter
from verdict import Verdict, deliveries, first_run, lost_changes, read_records, wrong_rows

RATE = 100  # changes per second, all routers together
CRASH_MS = 2900
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
