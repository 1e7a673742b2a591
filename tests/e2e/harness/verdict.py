"""Judgement: what the speaker sent against what stands in Kafka, in the database and in Redis."""
import contextlib
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import redis

from . import kafka_log
from .bmpgen import NUMBER_ADMIN
from .cluster import wait_for

RIB_LIVE = """
SELECT ro.name, host(p.addr), l.view, l.prefix::text, host(a.next_hop), a.as_path, a.med, a.local_pref, a.origin,
       a.communities, a.large_communities, l.path_id
FROM rib_live l JOIN peers p USING (peer_id) JOIN routers ro USING (router_id) LEFT JOIN base_attrs a USING (attr_id)
"""
HISTORY = """
SELECT ro.name, host(p.addr), l.view, l.prefix::text, l.withdrawn, l.replay, n.name, a.large_communities
FROM rib_log l JOIN peers p USING (peer_id) JOIN routers ro USING (router_id) LEFT JOIN base_attrs a USING (attr_id)
     LEFT JOIN nodes n USING (node_id)
"""


def number_of(large):
    """The number of a change, from the texts of its large communities."""
    for text in large or ():
        admin, _router, number = text.split(":")
        if int(admin) == NUMBER_ADMIN:
            return int(number)
    return None


def rib_live(database):
    """(router, peer, view, prefix) -> comparable attributes."""
    rows = {}
    for router, peer, view, prefix, hop, path, med, pref, origin, communities, large, _ in database.sql(RIB_LIVE):
        rows[router, peer, view, prefix] = (hop, tuple(path or ()), med, pref, origin, tuple(communities or ()),
                                            tuple(large or ()))
    return rows


def comparable(a):
    """A generator's attributes in the form of rib_live()."""
    return (a.next_hop, a.as_path, a.med, a.local_pref, a.origin, tuple(asn << 16 | value for asn, value in a.communities),
            tuple(":".join(map(str, c)) for c in a.large))


def diff(expected, database):
    """Row by row; a list of (key, what should be, what is)."""
    wanted = {k: comparable(a) for k, a in expected.items()}
    found = rib_live(database)
    return [(k, wanted.get(k), found.get(k)) for k in sorted(wanted.keys() | found.keys()) if wanted.get(k) != found.get(k)]


def lag(cluster, sink):
    """Records in Kafka that the sink has not stored, or None before it has any offset."""
    ends = cluster.log.ends()
    if not sink.database.has("ingest_offset"):
        return None
    rows = sink.database.sql("SELECT topic, part, next_offset FROM ingest_offset WHERE group_id = %s AND topic = ANY(%s)",
                             sink.group, cluster.topics)
    done = {cluster.log.number(topic, part): offset for topic, part, offset in rows}
    return sum(end - done.get(p, 0) for p, end in ends.items())


def wait_until_quiet(cluster, sinks, quiet=3.0, seconds=60):
    """Nothing new in Kafka for a while and everything of it stored."""
    since, last = time.monotonic(), cluster.log.ends()
    deadline = time.monotonic() + seconds
    while True:
        ends = cluster.log.ends()
        if ends != last:
            since, last = time.monotonic(), ends
        behind = [lag(cluster, s) for s in sinks]
        if time.monotonic() - since >= quiet and all(b == 0 for b in behind):
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"not quiet within {seconds} s: lag {behind}, last record {time.monotonic() - since:.1f} s ago")
        time.sleep(0.1)


@dataclass
class Verdict:
    """One run's figures. `lost`: numbers; `wrong`: rows; `duplicates`: route rows in Kafka beyond the distinct ones."""

    lost: list = field(default_factory=list)
    lost_withdrawals: int = 0
    wrong: list = field(default_factory=list)
    duplicates: int = 0
    sent: int = 0
    rows: int = 0
    fenced: int = 0
    sample: list = field(default_factory=list)

    def text(self):
        return (f"lost={len(self.lost)} lost_withdrawals={self.lost_withdrawals} wrong={len(self.wrong)} "
                f"duplicates={self.duplicates} sent={self.sent} rows={self.rows} fenced={self.fenced}")


def lost_numbers(generator, database, doomed=(), since=0.0):
    stored = {number_of(row[7]) for row in database.sql(HISTORY) if not row[4]}
    return {n: c for n, c in generator.carried(doomed, since).items() if n not in stored}


def lost_withdrawals(generator, database):
    logged = Counter((r[0], r[1], r[2], r[3]) for r in database.sql(HISTORY) if r[4])
    return sum(max(0, sent - logged[key]) for key, sent in generator.withdrawals().items())


def duplicates(records):
    """Announcements that stand in Kafka more than once: rows minus distinct numbers (per route)."""
    rows = Counter()
    for record in records:
        for row in record.routes():
            if row[kafka_log.ACTION] == "add":
                rows[tuple(row[c] for c in (kafka_log.PEER, kafka_log.PREFIX, kafka_log.LENGTH, kafka_log.PRE_POLICY,
                                            kafka_log.LARGE))] += 1
    return rows.total() - len(rows)


def late_records(records):
    """Records that stand behind a `run` of a higher epoch in their partition: what a sink must fence."""
    marks, late = defaultdict(int), []
    for r in records:  # partition after partition, in offset order
        key = r.partition, r.header.router
        if r.header.solo:
            continue
        if r.header.kind == "run":
            marks[key] = max(marks[key], r.header.epoch)
        elif r.header.epoch < marks[key]:
            late.append(r)
    return late


def order_violations(records):
    """Records that no `run` of their own claim (epoch, node, session) precedes in their partition."""
    runs, bad = {}, []
    for r in records:
        h = r.header
        key = r.partition, h.router, h.epoch, h.node, h.solo
        if h.kind == "run":
            runs.setdefault(key, set()).add(h.session)
        elif key not in runs:
            bad.append(f"partition {r.partition} offset {r.offset}: {h.kind} of {h.node} epoch {h.epoch} without a run")
        elif h.kind != "stale" and h.kind != "down" and not h.solo and h.session not in runs[key]:
            bad.append(f"partition {r.partition} offset {r.offset}: {h.kind} of {h.node} epoch {h.epoch} session {h.session[1]} "
                       f"under a run for {sorted(s[1] for s in runs[key])}")
    return bad


def claims(records):
    """(router hash, epoch) -> (node, time of its first run, solo), by epoch."""
    found = {}
    for r in records:
        if r.header.kind == "run" and not r.header.solo:
            key = r.header.router, r.header.epoch
            if key not in found or r.time < found[key][1]:
                found[key] = r.header.node, r.time
    return found


def router_hashes(records):
    """name -> hash, from the router objects; the pseudo-router of the collector is `(collector)`."""
    names = {}
    for r in records:
        if r.header.kind == "router":
            for row in r.rows():
                names[row[2]] = row[3]
        elif r.header.kind == "collector":
            names["(collector)"] = r.header.router
    return names


def switches(records, after):
    """Claims made after that time: (moved, again), each router name -> (node, seconds from `after` to its first run). A
    claim by the node that had the router before moves nothing."""
    by_hash = {h: n for n, h in router_hashes(records).items()}
    moved, again, owner = {}, {}, {}
    for (router, _epoch), (node, when) in sorted(claims(records).items(), key=lambda i: i[0][1]):
        name = by_hash.get(router, router)
        if when > after:
            (again if owner.get(name) == node else moved).setdefault(name, (node, when - after))
        owner[name] = node
    return moved, again


def later_claims(records):
    """(router name, time of its first run) of each claim that is not the first one of its router."""
    names, seen, found = {h: n for n, h in router_hashes(records).items()}, set(), []
    for (router, _epoch), (_node, when) in sorted(claims(records).items(), key=lambda i: i[0][1]):
        if router in seen:
            found.append((names.get(router, router), when))
        seen.add(router)
    return found


@dataclass
class Owners:
    """Who owns what: per router name the nodes whose gate is not standby for it, and the node that Redis names."""

    gates: dict = field(default_factory=dict)
    store: dict = field(default_factory=dict)

    def wrong(self, names):
        """Routers that have not exactly one owner: name -> what is wrong. Without a Redis the gates alone count."""
        found = {}
        for name in names:
            gates = self.gates.get(name, [])
            if len(gates) != 1:
                found[name] = f"on {' and '.join(gates)}" if gates else "nobody owns it"
            elif self.store is not None and self.store.get(name) != gates[0]:
                found[name] = f"on {gates[0]}, Redis names {self.store.get(name)}"
        return found


def owners(cluster):
    """Asks all gates and Redis."""
    found, names = Owners(), {}
    for node in cluster.nodes.values():
        if not node.gate.answers() or not node.arbiter.answers():
            continue  # a gate without an arbiter keeps its role but may not send
        for router in node.gate.state()["routers"]:
            names[router["router"]] = router["name"]
            if router["role"] != "standby":
                found.gates.setdefault(router["name"], []).append(node.name)
    if not cluster.redis_url:
        found.store = None
        return found
    with contextlib.suppress(redis.RedisError):  # no answer: nobody is named
        found.store = {names[r]: node for r, (node, _epoch) in cluster.owners().items() if r in names}
    return found


def wrong_owners(cluster, generator, seconds=15):
    """Routers without exactly one owner, once that has not changed for the better within the time: name -> what is wrong."""
    deadline = time.monotonic() + seconds
    while True:
        wrong = owners(cluster).wrong([r.name for r in generator.routers])
        if not wrong or time.monotonic() > deadline:
            return wrong
        time.sleep(0.1)


def wait_for_owners(cluster, generator, wanted=None, seconds=15):
    """Waits until every router has exactly one active gate, which is the owner in Redis; `wanted`: router name -> node,
    or several nodes one of which it must be. Returns router name -> node."""
    last = ["not asked yet"]

    def look():
        now = owners(cluster)
        names = [r.name for r in generator.routers]
        wrong = now.wrong(names)
        different = {n: now.gates.get(n) for n, w in (wanted or {}).items()
                     if not set(now.gates.get(n, ["nobody"])) <= ({w} if isinstance(w, str) else set(w))}
        last[0] = f"{wrong}, not as wanted: {different}"
        return {n: now.gates[n][0] for n in names} if not wrong and not different else None
    try:
        return wait_for("owners", seconds, look, every=0.1)
    except AssertionError:
        raise AssertionError(f"owners not as expected within {seconds} s: {last[0]}") from None


def judge(cluster, generator, sink, doomed=(), quiet=3.0, seconds=60, since=0.0):
    """Waits until all is quiet, then compares everything."""
    wait_until_quiet(cluster, [sink], quiet, seconds)
    records = cluster.log.read()
    v = Verdict()
    lost = lost_numbers(generator, sink.database, doomed, since)
    v.lost = sorted(lost)
    v.lost_withdrawals = lost_withdrawals(generator, sink.database)
    v.wrong = diff(generator.expected(), sink.database)
    v.duplicates = duplicates(records)
    v.sent = generator.number
    v.rows = sum(len(r.routes()) for r in records)
    late = late_records(records)
    v.fenced = len(late)
    kinds = Counter(f"{r.header.kind} of {r.header.node}" for r in late)
    v.sample = [f"lost {n}: {lost[n].router} {lost[n].key}" for n in v.lost[:5]]
    v.sample += [f"wrong {k}: should be {w}, is {f}" for k, w, f in v.wrong[:5]]
    cluster.lab.figures.update(lost=len(v.lost) + v.lost_withdrawals, wrong=len(v.wrong), duplicates=v.duplicates)
    cluster.lab.note(v.text() + "".join(f", late {k}: {n}" for k, n in sorted(kinds.items())))
    return v
