"""Several clusters with routers of their own share one Redis, one topic and one group of sinks."""
import time

import pytest

from harness import verdict
from harness.cluster import wait_for
from harness.stage import MARGIN, PLANNED, RETAIN, Stage

pytestmark = [pytest.mark.scenario, pytest.mark.loss]

# Nodes of one name in every cluster: nothing may tell them apart by that alone.
NODES = ("A", "B")


class Clusters:
    """The first has two sinks, which store what all of them send."""

    def __init__(self, lab):
        self.lab, self.stages = lab, []
        first = self.add(sinks=1)
        first.cluster.sink(database=first.sink.database, group=first.sink.group)
        self.add()

    def add(self, sinks=0):
        number = len(self.stages)
        topic = self.stages[0].cluster.topic if self.stages else None
        stage = Stage(self.lab, routers=8, nodes=NODES, rate=60, sinks=sinks, topic=topic,
                      generator={"prefix": "xyz"[number], "first_number": number * 10_000_000, "seed": number + 1})
        stage.sink = self.stages[0].sink if self.stages else stage.sink
        self.stages.append(stage)
        return stage

    def moved(self, after):
        """Routers (not the collectors' objects) that were claimed after that time, also by their owner."""
        moved, again = verdict.switches(self.stages[0].records(), after)
        names = {name for s in self.stages for name in s.home}
        return {name: claim for name, claim in {**moved, **again}.items() if name in names}

    def judge(self):
        """No loss in any cluster, and the table is the union of all generators' tables."""
        first = self.stages[0]
        verdict.wait_until_quiet(first.cluster, [first.sink], seconds=90)
        expected, lost, withdrawals = {}, {}, 0
        for s in self.stages:
            s.nothing_ended()
            expected |= s.generator.expected()
            lost |= verdict.lost_numbers(s.generator, first.sink.database)
            withdrawals += verdict.lost_withdrawals(s.generator, first.sink.database)
            verdict.wait_for_owners(s.cluster, s.generator)
            assert not s.blanked()
        wrong = verdict.diff(expected, first.sink.database)
        self.lab.figures.update(lost=len(lost) + withdrawals, wrong=len(wrong))
        assert not lost, [lost[n] for n in sorted(lost)[:5]]
        assert withdrawals == 0
        assert not wrong, wrong[:5]
        return verdict.duplicates(first.records())


@pytest.mark.long
def test_a_third_cluster_moves_nothing_and_loses_nothing(lab):
    clusters = Clusters(lab)
    x, y = clusters.stages
    for s in (x, y):
        s.settle(seconds=1)
    time.sleep(MARGIN + RETAIN)
    wait_for("both sinks have partitions", 30, lambda: all(k.state().get("partitions") for k in x.cluster.sinks))
    old = {name for s in (x, y) for name in s.home}
    keys = [s.cluster.owners() for s in (x, y)]
    assert all(keys) and not keys[0].keys() & keys[1].keys(), "each cluster has its own owners"

    began = time.time()
    z = clusters.add()
    z.settle(seconds=MARGIN + RETAIN)
    moved = clusters.moved(began)
    assert not old & moved.keys(), "a third cluster has moved routers of the others"
    assert set(z.home) <= moved.keys(), "the third one owns its routers"
    assert [s.cluster.owners() for s in (x, y)] == keys
    for s in (x, y, z):
        s.silence()
    lab.figures["duplicates"] = clusters.judge()
    assert lab.figures["duplicates"] == 0, "nothing is sent twice"
    x.stored_once()

    # A switch in one of them is no affair of the others, although their nodes have the same names.
    for s in (x, y, z):
        s.generator.churn(60)
    time.sleep(1)
    y.fault(lambda: y.node("A").arbiter.signal(34))
    y.wait_owner("B", y.of("A"))
    time.sleep(2)
    for s in (x, y, z):
        s.silence()
    moved = clusters.moved(y.fault_wall)
    assert set(moved) == set(y.of("A"))
    assert max(seconds for _, seconds in moved.values()) <= PLANNED
    clusters.judge()
