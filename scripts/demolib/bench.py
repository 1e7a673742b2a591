"""The benchmarks that need several processes: a dump through bmp-recv and kafka-gate to the broker, and a take-over.
scripts/bench starts the servers and calls this; it also runs the benchmarks of single stages and writes the file."""
import argparse
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg2

from .demo import read_env, script
from .kafka_log import KafkaLog

PREFIXES = 1_000_000
ROUNDS = 3  # of a dump
REQUIRED = ("memcpy_bytes_per_s", "walk_bytes_per_s", "parse_prefixes_per_s", "encode_prefixes_per_s", "dump_seconds_1m", "dump_seconds_1m_single",
            "pipeline_seconds_1m", "db_us_per_route_dump", "sink_us_per_route", "switch_ms")


def measurement(name, value, unit, note):
    return {"name": name, "value": value, "unit": unit, "note": note}


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def send_file(address, path, stop):
    """One BMP session: the whole file as fast as it is taken, then the connection stays."""
    with socket.create_connection(address, 10) as connection, open(path, "rb") as stream:
        connection.settimeout(None)
        connection.sendfile(stream)
        stop.wait()


class DumpBench:
    """One dump through a node without Redis to a topic of its own."""

    def __init__(self, run, label):
        self.run, self.node, self.topic = Path(run), f"bench-{label}", f"bench.{label}"

    def measure(self, stream, sink=False):
        """Seconds until the broker has all, or with a sink until all routes are visible, and a note."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        env = read_env(self.run)
        script("node", "config", self.run, self.node, "--standalone", "--listen", f"127.0.0.1:{port}",
               "--set", f"kafka-gate.topic={self.topic}")
        script("bmp-ha", "--run-dir", self.run, "--node", self.node, "topics", "create")
        log = KafkaLog(env["KAFKA_BROKERS"], self.topic)
        if sink:
            script("sink", "start", self.run, "bench-sink", "--set", f"psql-sink.topic={self.topic}")
        script("node", "start", self.run, self.node)
        pids = {tool: int((self.run / self.node / f"{tool}.pid").read_text()) for tool in ("bmp-recv", "kafka-gate")}
        stop = threading.Event()
        try:
            time.sleep(1)
            cpu = {tool: cpu_seconds(pid) for tool, pid in pids.items()}
            began = time.monotonic()
            sender = threading.Thread(target=send_file, args=(("127.0.0.1", port), stream, stop), daemon=True)
            sender.start()
            ended = self.wait_for_rows(env["DATABASE_URL"], log, began) if sink else self.wait_for_end(log, began)
            used = {tool: cpu_seconds(pid) - cpu[tool] for tool, pid in pids.items()}
            self.check_rows(log)
        finally:
            stop.set()
            script("node", "stop", self.run, self.node)
            if sink:
                script("sink", "stop", self.run, "bench-sink")
            log.close()
        per_prefix = ", ".join(f"{tool} {seconds / PREFIXES * 1e6:.2f}" for tool, seconds in used.items())
        what = "socket to visible rows, one sink" if sink else "socket to broker, no sink"
        seconds = ended - began
        cores = len(os.sched_getaffinity(0))
        return seconds, (f"{what}, {cores} cores, 1 M prefixes: {PREFIXES / seconds:.0f} rows/s; "
                         f"CPU us per prefix: {per_prefix}")

    def wait_for_rows(self, database, log, began):
        """Counting a million rows again and again would slow what is measured: offsets first."""
        with psycopg2.connect(database) as db, db.cursor() as cursor:
            while True:
                cursor.execute("SELECT coalesce(sum(next_offset), 0) FROM ingest_offset WHERE topic = %s", (self.topic,))
                now, (done,) = time.monotonic(), cursor.fetchone()
                db.commit()
                if done > 100 and done == sum(log.ends().values()):
                    cursor.execute("SELECT count(*) FROM rib_live")
                    if cursor.fetchone()[0] == PREFIXES:
                        return now
                    db.commit()
                if now - began > 300:
                    raise RuntimeError("1 M routes are not visible after 300 s")
                time.sleep(0.2)

    @staticmethod
    def wait_for_end(log, began):
        """When the last record arrived: the topic has not grown for two seconds since."""
        last, last_change = None, began
        while True:
            now = time.monotonic()
            total = sum(log.ends().values())
            if total != last:
                last, last_change = total, now
            elif total > 100 and now - last_change > 2:
                return last_change
            if now - began > 120:
                raise RuntimeError("the dump did not reach the broker within 120 s")
            time.sleep(0.02)

    @staticmethod
    def check_rows(log):
        rows = sum(r.value.split(b"\n\n", 1)[1].count(b"\n") for r in log.read({})
                   if r.header.kind == "routes")
        if rows != PREFIXES:
            raise RuntimeError(f"{rows} rows of {PREFIXES} stand in Kafka")


def measure_dump(name, run, stream):
    """The median of some dumps: each has a new node and a new topic."""
    dumps = sorted(DumpBench(run, f"{name}-{n}").measure(stream) for n in range(ROUNDS))
    seconds, note = dumps[ROUNDS // 2]
    return measurement(name, round(seconds, 2), "s",
                       f"{note}; median of {ROUNDS}, from {dumps[0][0]:.2f} to {dumps[-1][0]:.2f}")


def measure_switch():
    done = subprocess.run([Path(__file__).resolve().parent.parent / "demo", "--routes", "1000"], capture_output=True, text=True,
                          timeout=600, check=False)
    verdict = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr.strip()
    found = re.search(r"switch_ms=(\d+)", verdict)
    if not found:
        raise RuntimeError(f"demo gave no time of a switch: {verdict}")
    return int(found[1]), f"SIGKILL of the active node to the successor's first record; {verdict}"


def read_results(path):
    return json.loads(path.read_text() or "{}") if path.exists() else {}


def parse_figures(found, stream, suffix=""):
    """Of one stream. What the stages of one run are to each other says more than a figure that the machine sways."""
    of = (f"{stream}: {found['prefixes']} prefixes in {found['messages']} messages, {found['bytes']} bytes; "
          f"one core, best of {found['rounds']} rounds")
    walk = found["bytes"] / found["walk_bytes_per_s"]

    def against_walk(name):
        return f"{found['prefixes'] / found[name] / walk:.1f} times as long as the walk"

    records = f"{found['record_bytes']} bytes in {found['records']} records"
    notes = {"memcpy_bytes_per_s": ("B/s", f"plain copy of the bytes; {of}"),
             "walk_bytes_per_s": ("B/s", f"walk over the BMP headers, {found['prefixes'] / walk:.0f} prefixes/s; {of}"),
             "parse_prefixes_per_s": ("prefixes/s", f"parse, {against_walk('parse_prefixes_per_s')}; {of}"),
             "encode_prefixes_per_s": ("prefixes/s", f"parse and encode, {against_walk('encode_prefixes_per_s')}, "
                                                     f"{records}; {of}")}
    return [measurement(name + suffix, found[name], unit, note) for name, (unit, note) in notes.items()]


def parse_results(directory):
    """The recorded stream gives the figures without a suffix; where it is not there the generated one does."""
    streams = {"": "recorded stream mrt-ris-rrc15-20100227.bmp", "packed": "generated stream, packed",
               "single": "generated stream, one prefix a message"}
    found = {name: read_results(directory / f"parse-{name or 'recorded'}.json") for name in streams}
    if not found[""]:
        found[""], streams[""] = found["packed"], streams["packed"]
    return [figure for name, stream in streams.items() if found[name]
            for figure in parse_figures(found[name], stream, name and "_" + name)]


def sink_results(path):
    found = read_results(path)
    of = f"{found.get('routes')} routes, batches of {found.get('batch')}, one connection, best round"
    return [measurement(name, value, "us", f"{'database' if name.startswith('db_') else 'sink'}: {of}")
            for name, value in found.items() if re.match("(db|sink|wall)_us_per_route", name)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_dir")
    parser.add_argument("--packed", required=True, help="stream of 1 M packed prefixes")
    parser.add_argument("--single", required=True, help="the same, one prefix a message")
    parser.add_argument("--parse", required=True, help="directory with what bench_parse wrote")
    parser.add_argument("--sink", required=True, help="what bench_sink wrote")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    results = parse_results(Path(options.parse)) + sink_results(Path(options.sink))
    broker = read_env(Path(options.run_dir))["BROKER"]
    if not Path(options.packed).exists():
        print("skipped: dump_seconds_1m, dump_seconds_1m_single, pipeline_seconds_1m (no generator)", file=sys.stderr)
    elif broker == "embedded":
        print("skipped: dump_seconds_1m, dump_seconds_1m_single, pipeline_seconds_1m (the embedded broker keeps too little)",
              file=sys.stderr)
    else:
        results.append(measure_dump("dump_seconds_1m", options.run_dir, options.packed))
        results.append(measure_dump("dump_seconds_1m_single", options.run_dir, options.single))
        seconds, note = DumpBench(options.run_dir, "pipeline").measure(options.packed, sink=True)
        results.append(measurement("pipeline_seconds_1m", round(seconds, 2), "s", note))
    value, note = measure_switch()
    results.append(measurement("switch_ms", value, "ms", note))
    Path(options.out).write_text(json.dumps(results, indent=1) + "\n")
    for r in results:
        print(f"{r['name']:<28} {r['value']:>14} {r['unit']:<12} {r['note']}")
    missing = [name for name in REQUIRED if name not in {r["name"] for r in results}]
    if missing:
        print(f"not measured: {', '.join(missing)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
