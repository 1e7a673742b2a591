"""The demo: two nodes, a sink and a real FRR; the active node is killed in the middle of churn, then FRR's own tables are
compared with the database row by row. scripts/demo builds, makes the run directory and calls this."""
import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections import Counter
from pathlib import Path as FilePath

import psycopg2
from confluent_kafka import KafkaException

from speakers import table
from speakers.bgp_speaker import BgpSpeaker, Path
from speakers.churn import Churn
from speakers.frr import Frr

from .kafka_log import KafkaLog, judge_switch

SCRIPTS = FilePath(__file__).resolve().parent.parent
TOPIC = "openbmp.parsed"
TOOLS = ("ha-arbiter", "kafka-gate", "bmp-recv")
# What the protocol promises for a crash, in ms: TTL 2000 + tick 500 + Redis timeout 400.
SWITCH_LIMIT_MS = 2900
# A successor starts `hold` (2000 ms) before the last watermark that it saw; that is at most a tick (500) and a report of
# the gate (250) old, and as much older as a record needs to be acknowledged (250, and what is measured).
DUPLICATE_MARGIN_MS = 2000 + 500 + 250 + 250
MARKED = "10.1.0.0/16"  # the inbound policy gives these a community, so that pre-policy and post-policy differ
SPEAKERS = {"127.0.0.2": 65002, "127.0.0.3": 65003}


def script(name, *arguments, timeout=120):
    done = subprocess.run([SCRIPTS / name, *map(str, arguments)], capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise RuntimeError(f"{name} {' '.join(map(str, arguments))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def read_env(run):
    lines = (run / "env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


class Demo:
    def __init__(self, options):
        self.options = options
        self.run = FilePath(options.run_dir)
        self.started = time.monotonic()
        self.frr = self.log = self.db = self.churn = None
        self.speakers = []
        self.killed = None

    def say(self, text):
        print(f"{time.monotonic() - self.started:6.1f}s  {text}", flush=True)

    # --- set-up and end ---
    def start(self):
        self.say("starting PostgreSQL, Redis and Kafka")
        script("servers", "start", self.run, timeout=500)
        self.env = read_env(self.run)
        if self.env["BROKER"] == "embedded":
            print(script("servers", "status", self.run, "kafka"), end="")
        bgp, bmp_a, bmp_b = (self.free_port() for _ in range(3))
        self.say("starting FRR with two BMP targets, two BGP speakers and their routes")
        self.frr = Frr(str(self.run / "frr"), bgp, SPEAKERS, {"A": bmp_a, "B": bmp_b}, MARKED)
        self.frr.start()
        self.speakers = [BgpSpeaker(("127.0.0.1", bgp), address, asn) for address, asn in SPEAKERS.items()]
        self.announce()
        self.say("starting nodes A and B and a sink")
        for name, port in (("A", bmp_a), ("B", bmp_b)):
            script("node", "config", self.run, name, "--listen", f"127.0.0.1:{port}", "--cluster", "demo")
        # As `topics create` does; the embedded broker has its topic already.
        if self.env["BROKER"] != "embedded":
            script("bmp-ha", "--run-dir", self.run, "--node", "A", "topics", "create")
        self.log = KafkaLog(self.env["KAFKA_BROKERS"], TOPIC)
        self.first_offsets = self.log.ends()
        script("sink", "start", self.run, "sink")
        for name in "AB":
            script("node", "start", self.run, name)
        self.db = psycopg2.connect(self.env["DATABASE_URL"])
        self.db.autocommit = True

    @staticmethod
    def free_port():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    def announce(self):
        """The tables before any change."""
        dice = random.Random(1)
        count = self.options.routes
        v4 = [f"10.{n >> 8 & 255}.{n & 255}.0/24" for n in range(count)]
        v6 = [f"2001:db8:{n:x}::/48" for n in range(count // 5)]
        for speaker, (address, asn) in zip(self.speakers, SPEAKERS.items()):
            last = address.rsplit(".", 1)[1]
            for table, next_hop in ((v4, f"192.0.2.{last}"), (v6, f"2001:db8:ffff::{last}")):
                for n in range(0, len(table), 8):
                    path = (asn, *(dice.randrange(1000, 60000) for _ in range(dice.randrange(1, 5))))
                    speaker.announce(table[n:n + 8], Path(next_hop, path, n, ((asn, 100),)))
        # Churn takes prefixes of its own and some that stand already.
        self.churn_prefixes = [f"172.{16 + (n >> 8)}.{n & 255}.0/24" for n in range(3000)]
        for n, prefix in enumerate(v4[:300]):
            self.churn_prefixes[n * 10] = prefix
        for n, prefix in enumerate(v6[:300]):
            self.churn_prefixes[n * 10 + 5] = prefix

    def stop(self):
        """Ends all of it, also when one does not end well; that is told afterwards."""
        steps = [part.stop for part in (self.churn, self.frr) if part]
        steps += [part.close for part in (*self.speakers, self.log, self.db) if part]
        errors = []
        for step in steps:
            try:
                step()
            except Exception as e:
                errors.append(repr(e))
        if errors:
            raise RuntimeError(", ".join(errors))

    # --- looking ---
    def status(self):
        """{node: {role, epoch, ...}} of the one real router, as `bmp-ha status --json` says."""
        out = json.loads(script("bmp-ha", "--run-dir", self.run, "status", "--json"))
        self.last_status = out
        for router in out["routers"]:
            if router["name"] != "collector":
                return router
        return None

    def sql(self, query, values=None):
        with self.db.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()

    def counters(self):
        rows, = self.sql("SELECT count(*) FROM rib_live")[0]
        history, = self.sql("SELECT count(*) FROM rib_log")[0]
        done = dict(self.sql("SELECT part, next_offset FROM ingest_offset WHERE topic = %s", (TOPIC,)))
        ends = self.log.ends()
        lag = sum(end - done.get(p, 0) for p, end in ends.items())
        return rows, history, sum(ends.values()), lag

    def show(self, phase):
        rows, history, records, lag = self.counters()
        router = self.status()
        roles = "no router yet"
        if router:
            # The survivor believes in the dead for a while; we know better.
            roles = "  ".join(f"{n}={'killed' if n == self.killed else s['role']}" for n, s in sorted(router["nodes"].items()))
            roles += f"  owner={router.get('owner') or '-'} epoch={router.get('epoch') or '-'}"
        changes = self.churn.changes if self.churn else 0
        self.say(f"{phase:<8} {roles}  changes={changes} kafka={records} lag={lag} rib_live={rows} history={history}")
        return router, rows, lag

    def wait(self, phase, seconds, done):
        deadline = time.monotonic() + seconds
        while True:
            router, rows, lag = self.show(phase)
            if done(router, rows, lag):
                return router
            if time.monotonic() > deadline:
                raise RuntimeError(f"{phase}: not done within {seconds} s")
            time.sleep(1)

    def show_for(self, phase, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.show(phase)
            time.sleep(max(0, min(1, end - time.monotonic())))

    # --- the story ---
    def wait_for_dump(self):
        expected = len(self.frr.routes())
        self.say(f"FRR holds {expected} routes, pre- and post-policy")

        def settled(router, rows, lag):
            # Both nodes hold a whole dump and one of them owns the router.
            return (router and len(router["nodes"]) == 2 and all(s["class"] == 0 for s in router["nodes"].values())
                    and sum(s["role"] == "active" for s in router["nodes"].values()) == 1 and rows == expected and lag == 0)
        return self.wait("dump", 90, settled)

    def kill_active(self, router):
        node, = (name for name, s in router["nodes"].items() if s["role"] == "active")
        pids = [int((self.run / node / f"{tool}.pid").read_text()) for tool in TOOLS]
        self.killed, killed_at = node, time.time()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.say(f"KILLED node {node}: SIGKILL to {', '.join(f'{t} {p}' for t, p in zip(TOOLS, pids))}")
        return node, killed_at

    def wait_until_settled(self):
        """Nothing new in Kafka for 3 s, and all of it in the database."""
        history = []

        def settled(router, rows, lag):
            history.append((sum(self.log.ends().values()), lag))
            return len(history) > 4 and len(set(history[-4:])) == 1 and lag == 0
        self.wait("settle", 60, settled)

    def compare(self):
        c = table.compare(self.sql, self.frr)
        for title, keys in (("lost", c.lost), ("wrong", c.wrong)):
            for line in c.describe(keys):
                self.say(f"{title}: {line}")
        views = Counter(key[0] for key in c.truth)
        self.say(f"compared {len(c.truth)} routes of FRR ({', '.join(f'{n} {v}' for v, n in sorted(views.items()))}-policy) with {len(c.found)} rows")
        return len(c.lost), len(c.wrong)

    def play(self):
        self.start()
        self.wait_for_dump()
        asn = SPEAKERS["127.0.0.2"]
        self.say(f"churn begins: {self.options.rate} changes per second")
        self.churn = Churn(self.speakers[0], asn, self.churn_prefixes, self.options.rate)
        self.churn.start()
        self.show_for("churn", 8)
        router = self.status()
        node, killed_at = self.kill_active(router)
        self.show_for("switch", 4)
        self.churn.stop()
        for error in [self.churn.error, *(s.error for s in self.speakers)]:
            if error:
                raise RuntimeError(f"BGP session of the demo broke: {error}")
        self.say("churn has ended")
        self.wait_until_settled()
        lost, wrong = self.compare()
        switch = judge_switch(self.log.read(self.first_offsets), router["router"], node, killed_at, DUPLICATE_MARGIN_MS)
        if switch is None:
            self.say("nobody took over")
            return self.verdict(False, lost, wrong, -1, -1)
        switch_ms = round(switch.run_ms - killed_at * 1000)
        self.say(f"take-over after {switch_ms} ms with epoch {switch.epoch}; {switch.duplicates} changes delivered twice, the "
                 f"oldest read {switch.oldest_ms} ms before the kill; {switch.allowed} are allowed (those of {switch.window_ms} ms)")
        good = switch_ms <= SWITCH_LIMIT_MS and switch.duplicates <= switch.allowed
        return self.verdict(good, lost, wrong, switch_ms, switch.duplicates)

    def verdict(self, good, lost, wrong, switch_ms, duplicates):
        self.result = good and lost == 0 and wrong == 0
        word = "ok" if self.result else "failed"
        # A broker that drops data silently is no witness.
        lost_text = "unjudged" if self.env["BROKER"] == "embedded" and lost == 0 else lost
        return f"verdict: {word} lost={lost_text} wrong={wrong} switch_ms={switch_ms} duplicates={duplicates} broker={self.env['BROKER']}"


def main():
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("run_dir")
    parser.add_argument("--routes", type=int, default=2000, help="IPv4 routes per speaker, and a fifth of it IPv6 [2000]")
    parser.add_argument("--rate", type=int, default=200, help="changes per second [200]")
    demo = Demo(parser.parse_args())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    status, last = 1, failed_verdict(demo)
    try:
        last = demo.play()
        status = 0 if demo.result else 1
    except Exception as e:  # whatever it was, it is no "ok"
        if not isinstance(e, (RuntimeError, OSError, subprocess.SubprocessError, psycopg2.Error, KafkaException)):
            traceback.print_exc()
        demo.say(f"error: {e}")
        last = failed_verdict(demo)
    finally:
        # Before anything else may fail; scripts/demo prints it at the very end.
        (demo.run / "verdict").write_text(last + "\n")
        try:
            demo.stop()
        except Exception as e:  # what was judged stands
            demo.say(f"error while stopping: {e}")
    return status


def failed_verdict(demo):
    broker = getattr(demo, "env", {}).get("BROKER", "kafka")
    return f"verdict: failed lost=unjudged wrong=unjudged switch_ms=-1 duplicates=-1 broker={broker}"


if __name__ == "__main__":
    sys.exit(main())
