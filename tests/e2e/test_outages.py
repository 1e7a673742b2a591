"""Redis, Kafka and PostgreSQL go away after a good start and come back: each tool concerned says each once, tries again with
pauses, and nothing is lost."""
import re
import signal
import time

import pytest

from harness.cluster import wait_for
from harness.stage import Stage

pytestmark = [pytest.mark.scenario, pytest.mark.loss]


class Listener:
    """What a tool says from now on, apart from ordinary business: warnings, errors, and lines about servers."""

    def __init__(self, process):
        self.process, self.begin = process, len(process.log())

    def said(self):
        found = []
        for line in self.process.log()[self.begin:].splitlines():
            level, event = re.match(r'\S+ (\w+) .*?event=("[^"]*"|\S+)', line).groups()
            if level in ("warning", "error") or re.search(r"reachable|again|ready|connected", event):
                found.append((level, event.strip('"')))
        return found

    def line(self, event):
        found, = (line for line in self.process.log()[self.begin:].splitlines() if f'event="{event}"' in line)
        return found


def seconds_in(line):
    return float(re.search(r" seconds=([\d.]+)", line).group(1))


def stage_with_a_path_for_the_sink(lab, **settings):
    s = Stage(lab, sinks=0, cut_kafka=True, **settings)
    s.sink = s.cluster.sink(start=False)
    s.sinks = [s.sink]
    host, port = lab.servers.brokers.split(",")[0].rsplit(":", 1)
    path = lab.kafka_cutter((host, int(port)))
    s.sink.write_config(kafka_brokers=f"127.0.0.1:{path.port}")
    s.sink.start()
    return s, path


def test_redis_goes_away_for_six_seconds(lab):
    """Both arbiters say it once and once that it is back; both nodes send meanwhile."""
    redis = lab.private_redis()
    s = Stage(lab, routers=6, redis_url=redis.url)
    s.settle(seconds=1)
    arbiters = {name: Listener(node.arbiter) for name, node in s.cluster.nodes.items()}
    others = [Listener(p) for n in s.cluster.nodes.values() for p in (n.gate, n.recv)] + [Listener(s.sink)]
    redis.kill()
    s.fault()
    for node in s.cluster.nodes.values():
        wait_for("it goes solo", 10, lambda node=node: node.arbiter.state()["solo"], every=0.1)
    time.sleep(s.fault_at + 6 - time.monotonic())
    before = {n: node.arbiter.state() for n, node in s.cluster.nodes.items()}
    s.silence()
    s.generator.settle_all()
    redis.start()
    for node in s.cluster.nodes.values():
        wait_for("it is back", 10, lambda node=node: not node.arbiter.state()["solo"], every=0.1)
    s.judge(quiet=2)
    for name, listener in arbiters.items():
        away = listener.line("redis reachable again")
        assert 5 <= seconds_in(away) <= 9, away
        # What follows from it is said too: solo begins and ends; nothing comes twice.
        told = listener.said()
        assert told.count(("warning", "redis unreachable")) == 1 and told.count(("info", "redis reachable again")) == 1, told
        assert len(told) == len(set(told)), told
        # One attempt a tick (500 ms) at the most.
        assert 3 <= before[name]["counters"]["failed_ticks"] <= 14, before[name]["counters"]
    assert not [said for listener in others for said in listener.said()]


def test_kafka_goes_away_for_six_seconds(lab):
    """From both gates and from the sink."""
    s, path = stage_with_a_path_for_the_sink(lab, routers=6, settings={"kafka-gate": {"kafka-bad": "3s", "kafka-good": "3s"}})
    s.settle(seconds=1)
    gates = [Listener(node.gate) for node in s.cluster.nodes.values()]
    sink = Listener(s.sink)
    for node in s.cluster.nodes.values():
        node.kafka_path.set("refuse")
    path.set("refuse")
    s.fault()
    time.sleep(6)
    s.silence()
    s.generator.settle_all()
    held = sum(r["held_records"] for node in s.cluster.nodes.values() for r in node.gate.state()["routers"])
    assert held > 0 and not s.sink.state()["kafka_ok"]
    for node in s.cluster.nodes.values():
        node.kafka_path.heal()
    path.heal()
    wait_for("the sink sees it", 10, lambda: s.sink.state()["kafka_ok"], every=0.1)
    wait_for("the gates see it", 15, lambda: all(("info", "kafka is good again") in g.said() for g in gates), every=0.2)
    s.judge(quiet=2)
    for gate in gates:
        # The outage and its end; and, as it lasted longer than `kafka-bad`, that this node gives way meanwhile.
        assert sorted(gate.said()) == [("info", "kafka is good again"), ("info", "kafka works again"),
                                       ("warning", "kafka is failing, giving way"), ("warning", "kafka trouble")], gate.said()
        assert 2 <= seconds_in(gate.line("kafka works again")) <= 11  # asked every two seconds, for two seconds
    assert sink.said() == [("warning", "Kafka trouble, the client retries"), ("info", "Kafka works again")], sink.said()
    assert 5 <= seconds_in(sink.line("Kafka works again")) <= 10


def test_kafka_goes_away_from_an_idle_sink(lab):
    """No record tells that the broker is back."""
    s, path = stage_with_a_path_for_the_sink(lab, routers=1, nodes=("A",))
    s.settle(churn=False, seconds=0)
    s.judge(quiet=1)
    sink = Listener(s.sink)
    path.set("refuse")
    wait_for("the sink sees it", 10, lambda: not s.sink.state()["kafka_ok"], every=0.1)
    time.sleep(2)
    path.heal()
    wait_for("the sink sees its end", 10, lambda: s.sink.state()["kafka_ok"], every=0.1)
    assert sink.said() == [("warning", "Kafka trouble, the client retries"), ("info", "Kafka works again")], sink.said()


def test_postgresql_goes_away_for_six_seconds(lab):
    """One writer notices at once, one when it has something to do again, the housekeeping when its time comes: one line."""
    s = Stage(lab, routers=6, sinks=0)
    s.sink = s.cluster.sink(start=False)
    s.sinks = [s.sink]
    path, url = lab.path(s.sink.settings["database"])
    s.sink.write_config(database=url, writers=2)
    s.sink.start()
    s.settle(churn=False, seconds=0)
    s.judge(quiet=1)
    sink = Listener(s.sink)
    others = [Listener(p) for n in s.cluster.nodes.values() for p in n.tools.values()]
    path.set("refuse")
    s.fault()
    while time.monotonic() < s.fault_at + 6:  # one peer is one partition is one writer: the other one has nothing to do
        s.generator.change("r00", 0, s.generator.dice.choice(s.generator.churn_prefixes))
        time.sleep(0.05)
    state = s.sink.state()
    assert not state["database_connected"] and state["lag"] > 0
    path.heal()
    s.judge(quiet=1)
    assert sink.said() == [("warning", "database unreachable, retrying"), ("info", "database reachable again")], sink.said()
    assert 5 <= seconds_in(sink.line("database reachable again")) <= 14
    # The writer that was idle finds its old connection dead now: that is no second outage.
    s.generator.burst(200)
    s.judge(quiet=1)
    assert s.sink.state()["database_connected"] and len(sink.said()) == 2, sink.said()
    assert not [said for listener in others for said in listener.said()]
    s.sink.signal(signal.SIGTERM)
    assert s.sink.wait(15) == 0
