"""The usual set-up of a scenario: nodes, a sink, routers that have settled, churn."""
import time
from bisect import bisect_left, bisect_right
from collections import Counter

import pytest

from . import verdict
from .cluster import MUTABLE_BIN, ROUTERS, wait_for
from .watch import ROWS, Watch

# docs/protocol.md A.7, in seconds.
CRASH, PLANNED, HANG = 2.9, 1.5, 2.9
# Bad for five seconds; a ttl in which the other nodes could say the same; a release that waits for answers in vain; the two
# nodes act at ticks of their own, the gate reports four times a second.
KAFKA_CUT = 5.0 + 2.0 + 1.5 + 2 * 0.5 + 0.25
# Keepalive: a second of silence, three probes a second apart, and what the kernel's timers add; then as planned.
DEAD_LINK = 1.0 + 3 * 1.0 + 0.5 + PLANNED
MARGIN, RETAIN = 2.0, 5.0
# A take-over replays what was made in the margin, and in the time by which the last watermark that was seen lags behind.
REPLAY = 3.0


def with_slack(announcements):
    """Half as many again, and some for what a tick sees late."""
    return announcements * 3 // 2 + 5


# For rows where a third node could make a difference.
TWO_OR_THREE = pytest.mark.parametrize("nodes", ["AB", pytest.param("ABC", marks=pytest.mark.long)])


class Stage:
    """Routers dial one node first and belong to it: the nodes in turn (`split`), or all the first."""

    def __init__(self, lab, routers=None, nodes=("A", "B"), split=True, rate=100, sinks=1, generator=None, start=True,
                 **cluster):
        self.lab, self.rate = lab, rate
        self.cluster = lab.cluster(nodes, **cluster)
        self.names = list(nodes)
        self.sinks = [self.cluster.sink() for _ in range(sinks)]
        self.sink = self.sinks[0] if self.sinks else None
        if start:
            self.cluster.start()
        addresses = {name: node.address for name, node in self.cluster.nodes.items()}
        self.generator = lab.generator(routers or ROUTERS, addresses, **(generator or {}))
        first = {r.name: self.names[i % len(self.names) if split else 0]
                 for i, r in enumerate(self.generator.routers)}
        self.home = first
        self.table = Counter(key[0] for key in self.generator.expected())  # announcements in a dump of each router
        self.watching = None
        self.fault_at = self.fault_wall = 0.0

    def node(self, name):
        return self.cluster.nodes[name]

    def of(self, name):
        """Routers that belong to this node from the start."""
        return [router for router, node in self.home.items() if node == name]

    def others(self, name):
        """The nodes apart from this one."""
        return [n for n in self.names if n != name]

    def link(self, router, node):
        """A path of its own for this router's session, to be asked for before it dials."""
        cutter = self.lab.cutter(self.node(node).address)
        self.generator.configure(node, [router], address=cutter.address)
        return cutter

    def join(self, name):
        """One more node, to which all routers dial."""
        node = self.cluster.add_node(name).start()
        self.names.append(name)
        self.generator.add_node(name, node.address)
        self.generator.start(name)
        wait_for(f"{name} has every router's dump", 30, lambda: self.synced([name]), every=0.2)
        return node

    def dial(self):
        for name in self.names:
            self.generator.start(name, self.of(name))
        verdict.wait_for_owners(self.cluster, self.generator, self.home)
        for name in self.names:
            self.generator.start(name)
        wait_for("all sessions are up", 10, lambda: all(self.generator.up(n) == len(self.generator.routers) for n in self.names))
        return self

    def synced(self, names=None):
        """Have these nodes' gates every router's dump behind them?"""
        for name in names or self.names:
            routers = {r["name"]: r for r in self.node(name).gate.state()["routers"]}
            for router in self.generator.routers:
                state = routers.get(router.name)
                if state is None or state["in_dump"] or not state["up"]:
                    return False
        return True

    def settle(self, churn=True, seconds=MARGIN + RETAIN + 1):
        """Waits until all dumps have ended, and then until they are trimmed, in churn."""
        self.dial()
        wait_for("dumps end", 20, self.synced, every=0.2)
        if churn:
            self.generator.churn(self.rate)
        time.sleep(seconds)
        verdict.wait_for_owners(self.cluster, self.generator, self.home)
        if self.sink and self.watching is None:
            self.watch()
        return self.jitter()

    def jitter(self, most=1.0):
        """A wait that the seed decides, so that a fault meets ticks and heartbeats at any phase."""
        time.sleep(self.lab.dice.uniform(0, most))
        return self

    def watch(self, every=0.1):
        """From now on no row may be invisible that no script has touched."""
        wait_for("untouched rows are stored", 60, self._steady_are_stored, every=0.2)
        if self.watching:
            self.watching.end()
        self.watching = Watch(self.sink.database, self.generator.steady(), every)
        self.lab.at_end(self.watching.end)
        return self

    def _steady_are_stored(self):
        database = self.sink.database
        return database.has("ingest_offset") and self.generator.steady() <= {row[:4] for row in database.sql(ROWS)}

    def blanked(self, hidden=()):
        """Rows that nobody has touched and that were invisible at any time of the watch; `hidden`: routers that had to hide."""
        if self.watching is None:
            return None
        rows = {k for k in self.watching.missing() & self.generator.steady() if k[0] not in hidden}
        self.lab.note(f"watched rows={len(self.watching.keys)} polls={self.watching.polls} "
                      f"longest_gap_ms={self.watching.longest_gap * 1000:.0f} blanked={len(rows)}")
        return sorted(rows)

    def fault(self, act=None):
        """Notes the time and acts."""
        self.fault_at, self.fault_wall = time.monotonic(), time.time()
        if act:
            act()
        return self

    def silence(self):
        """No change from here on."""
        self.generator.stop_churn()
        return self

    def wait_owner(self, name, routers=None, seconds=15):
        """`name`: a node, or several one of which must own."""
        names = routers if routers is not None else [r.name for r in self.generator.routers]
        return verdict.wait_for_owners(self.cluster, self.generator, dict.fromkeys(names, name), seconds)

    def replayed(self, routers=None, span=REPLAY, end=None):
        """How many announcements a take-over of these routers may repeat."""
        end = self.fault_at if end is None else end
        return with_slack(self.generator.made_between(end - span, end, routers))

    def since_fault(self, routers=None, span=REPLAY, times=1):
        """The same where a watermark has stood still, or has not counted, since the fault: all that was said since, and as
        often as it may be sent again."""
        now = time.monotonic()
        return times * self.replayed(routers, now - self.fault_at + span, now)

    def claimed_again(self, span, dumps):
        """How many announcements the claims that stand in Kafka may have repeated: none, for the first claim of a router; else
        what it had said in so many seconds before the claim, or before its last word when it was silent then, for there the
        watermark stands; and its table, where a claim may begin with a `dump`."""
        made, to_monotonic, total = self.generator.made(), time.monotonic() - time.time(), 0
        claims = [(router, when) for router, when in verdict.later_claims(self.records()) if router in self.home]
        for router, when in claims:
            times = made.get(router, [])
            end = bisect_right(times, when + to_monotonic)
            if end:
                total += end - bisect_left(times, times[end - 1] - span)
            total += self.table[router] if dumps else 0
        return with_slack(total) if claims else 0

    def judge(self, lost=0, wrong=0, doomed=(), sink=None, hidden=(), owners_within=15, span=CRASH + REPLAY, dumps=False,
              again=None, **more):
        """Judges and asserts the figures that must be right everywhere. `lost` is None where the history may have a gap,
        `wrong` where a rule is missing; `hidden` are routers whose rows had to vanish. In the matrix there may be `again`
        duplicates, or what claimed_again() says of `span` and `dumps`."""
        v = verdict.judge(self.cluster, self.generator, sink or self.sink, doomed, **more)
        owners_wrong = verdict.wrong_owners(self.cluster, self.generator, owners_within)
        blanked = self.blanked(hidden)
        self.lab.figures.update(owners_wrong=len(owners_wrong), blanked=None if blanked is None else len(blanked))
        self.nothing_ended()
        assert wrong is None or len(v.wrong) == wrong, (v.text(), *v.sample)
        assert lost is None or (len(v.lost) == lost and v.lost_withdrawals == 0), (v.text(), *v.sample)
        assert not owners_wrong, owners_wrong
        assert not blanked, f"{len(blanked)} rows were invisible: {blanked[:5]}"
        if self.lab.row is not None:
            allowed = self.claimed_again(span, dumps) if again is None else again
            self.lab.note(f"duplicates={v.duplicates} allowed={allowed}")
            self.lab.bounded = True
            assert v.duplicates <= allowed, f"{v.duplicates} duplicates, {allowed} are allowed"
        self.owners = verdict.wait_for_owners(self.cluster, self.generator)
        return v

    def judge_state(self, quiet=3.0):
        """Where the history may have a gap: only the tables must be right in the end."""
        verdict.wait_until_quiet(self.cluster, [self.sink], quiet)
        self.nothing_ended()
        wrong = verdict.diff(self.generator.expected(), self.sink.database)
        self.lab.figures["wrong"] = len(wrong)
        assert not wrong, wrong[:5]
        self.owners = verdict.wait_for_owners(self.cluster, self.generator)

    def nothing_ended(self):
        """No process has ended that the test did not end."""
        ended = [f"{p.name}: exit {p.code}: {p.tail(5)}" for p in self.cluster.processes() if p.ended_by_itself()]
        assert not ended, ended

    def sink_without(self, rule):
        """One more sink, with that rule of the protocol switched off."""
        assert (MUTABLE_BIN / "psql-sink").exists(), "needs make BUILD=mutable psql-sink"
        return self.cluster.sink(bin_dir=MUTABLE_BIN, env={"BMPHA_WITHOUT": rule})

    def judge_without(self, other):
        """The same log gives right rows with the rule and wrong ones without."""
        verdict.wait_until_quiet(self.cluster, [self.sink, other], 1.5)
        expected = self.generator.expected()
        right, wrong = (verdict.diff(expected, sink.database) for sink in (self.sink, other))
        self.lab.note(f"wrong with the rule={len(right)} without={len(wrong)}")
        assert not right, right[:5]
        assert wrong, "without the rule nothing is wrong: the scenario proves nothing"

    def stored_once(self):
        """No change stands twice in the history."""
        numbers = [(*r[:4], verdict.number_of(r[7])) for r in self.sink.database.sql(verdict.HISTORY) if not r[4]]
        assert len(numbers) == len(set(numbers))

    def records(self):
        return self.cluster.log.read()

    def switched(self, limit, to, routers, after=None):
        """Asserts that exactly these routers have moved to that node (or one of several) since the fault, in time. Returns
        the slowest."""
        moved = self.moved(after)
        assert set(moved) == set(routers), f"moved {sorted(moved)}, expected {sorted(routers)}"
        nodes = {node for node, _ in moved.values()}
        assert nodes <= ({to} if isinstance(to, str) else set(to)), moved
        slowest = max((seconds for _, seconds in moved.values()), default=0.0)
        self.took(slowest)
        self.lab.note(f"switch_ms={slowest * 1000:.0f} routers={len(moved)} limit_ms={limit * 1000:.0f}")
        assert slowest <= limit, moved
        return slowest

    def took(self, seconds):
        """Notes the time of a switch; the slowest counts."""
        self.lab.figures["switch_ms"] = max(round(seconds * 1000), self.lab.figures.get("switch_ms") or 0)

    def moved(self, after=None):
        """Routers that another node has claimed since the fault: name -> (node, seconds)."""
        moved, again = verdict.switches(self.records(), after or self.fault_wall)
        if again:
            self.lab.note(f"claimed again by their owner: {len(again)}")
        moved.pop("(collector)", None)
        return moved

    def no_switch(self, after=None):
        """Nobody has claimed anything since the fault."""
        assert verdict.switches(self.records(), after or self.fault_wall) == ({}, {})
        assert self.owners_now() == self.home

    def owners_now(self):
        owners = verdict.wait_for_owners(self.cluster, self.generator)
        return {name: node for name, node in owners.items() if name in self.home}

    def no_order_violations(self):
        bad = verdict.order_violations(self.records())
        assert not bad, bad[:5]

    def kinds(self, kind):
        return [r for r in self.records() if r.header.kind == kind]
