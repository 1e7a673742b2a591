"""Nodes, sinks and servers of one test: their files below a directory of its own, their processes, waits with deadlines."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg2
import redis
from confluent_kafka.admin import AdminClient
from psycopg2 import extensions

TREE = Path(__file__).resolve().parents[3]
SCRIPTS = TREE / "scripts"
TOOLS = ("bmp-recv", "kafka-gate", "ha-arbiter")
PARTITIONS = 4
ROUTERS = int(os.environ.get("ROUTERS", "5"))
CLASS_GOOD = 0


def bin_dir(build=None):
    if build is None and os.environ.get("BMPHA_BIN"):
        return Path(os.environ["BMPHA_BIN"])
    return TREE / "build" / (build or os.environ.get("BUILD", "release")) / "bin"


def wait_for(condition, seconds, what, every=0.05):
    """Returns the first true value of `condition`; AssertionError with `what` after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(every)


def script(name, *arguments, timeout=120, check=True):
    done = subprocess.run([SCRIPTS / name, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{name} {' '.join(map(str, arguments))}: status {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done


def read_env(directory):
    lines = (Path(directory) / "env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def free_port():
    import socket
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def database_url(url, name):
    parts = extensions.parse_dsn(url)
    parts["dbname"] = name
    return "postgresql://{user}@{host}:{port}/{dbname}".format(**parts)


class Process:
    """One tool, started by us; only its own pid is ever signalled."""

    def __init__(self, tool, directory, build=None, config=None, environment=None):
        self.tool, self.directory = tool, Path(directory)
        self.program = bin_dir(build) / tool
        self.config = Path(config or self.directory / f"{tool}.toml")
        self.log_path = self.directory / f"{tool}.log"
        self.environment = environment or {}
        self.popen = None
        self.expected_end = False

    def start(self, *arguments):
        self.expected_end = False
        self._log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen([self.program, "--config", self.config, *arguments], stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log, env={**os.environ, **self.environment},
                                          start_new_session=True)
        # As scripts/node does it, so that scripts/bmp-ha finds the process.
        (self.directory / f"{self.tool}.pid").write_text(f"{self.popen.pid}\n")
        return self

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        """SIGKILL; returns the wall clock right before."""
        self.expected_end = True
        at = time.time()
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(10)
        return at

    def terminate(self, seconds=15):
        """TERM and the exit code."""
        self.expected_end = True
        self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait(10)
            raise AssertionError(f"{self.tool} did not end within {seconds} s after TERM") from None

    def close(self):
        """Whatever state it is in, it is gone afterwards."""
        self.expected_end = True
        if self.running():
            with suppress(ProcessLookupError):
                self.popen.send_signal(signal.SIGCONT)
                self.popen.kill()
            self.popen.wait(10)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def tail(self, lines=25):
        return "\n".join(self.log().splitlines()[-lines:])

    def started(self):
        """Signals are handled from then on."""
        with suppress(FileNotFoundError), open(self.log_path, "rb") as log:
            log.seek(self._log_start)
            return b"event=started" in log.read()
        return False

    def dump(self, seconds=3):
        """The state that USR1 writes."""
        wait_for(lambda: self.started() or not self.running(), 10, f"{self.tool} has started")
        path = self.directory / f"{self.tool}.json"
        before = path.stat().st_ino if path.exists() else None
        stamp = path.stat().st_mtime_ns if path.exists() else None

        def fresh():
            if not self.running():
                raise AssertionError(f"{self.tool} does not run")
            return path.exists() and (path.stat().st_ino, path.stat().st_mtime_ns) != (before, stamp)
        self.signal(signal.SIGUSR1)
        wait_for(fresh, seconds, f"state dump of {self.tool} ({path})", 0.005)
        return json.loads(path.read_text())


class PrivateRedis:
    """A Redis of the test's own; what it knew is gone when it is started again."""

    def __init__(self):
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self):
        self.popen = subprocess.Popen(["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", "",
                                       "--appendonly", "no", "--dir", "/tmp"],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers():
            with suppress(redis.RedisError):
                return self.client().ping()
        wait_for(answers, 10, "Redis answers")

    def client(self):
        return redis.Redis(port=self.port, socket_timeout=3)

    def kill(self):
        self.popen.kill()
        self.popen.wait()


class Node:
    def __init__(self, run, name, port):
        self.name, self.directory, self.port = name, Path(run) / name, port
        self.tools = {}

    @property
    def address(self):
        return "127.0.0.1", self.port

    def __getattr__(self, key):
        tool = {"recv": "bmp-recv", "gate": "kafka-gate", "arbiter": "ha-arbiter"}.get(key)
        if tool is None:
            raise AttributeError(key)
        return self.tools[tool]

    def start(self):
        for process in self.tools.values():
            if not process.running():
                process.start()

    def kill(self):
        """SIGKILL to all three as close together as can be."""
        at = time.time()
        for process in self.tools.values():
            process.expected_end = True
            if process.running():
                process.signal(signal.SIGKILL)
        for process in self.tools.values():
            process.popen.wait(10)
        return at

    def terminate(self):
        """As scripts/node stop: the arbiter first."""
        return [self.tools[t].terminate() for t in ("ha-arbiter", "kafka-gate", "bmp-recv") if self.tools[t].running()]


class Cluster:
    """Two nodes or another number, and sinks, with topic, database, group and cluster name of their own."""

    count = 0

    def __init__(self, servers, nodes="AB", settings=(), sinks=1, standalone=False, sink_build=None, sink_environment=None):
        Cluster.count += 1
        self.name = f"e{os.getpid()}x{Cluster.count}"
        self.env = dict(servers.env)
        self.topic, self.database = f"{self.name}.parsed", f"bmpha_{self.name}"
        self.directory = Path(tempfile.mkdtemp(prefix="bmpha-e2e.", dir="/var/tmp"))
        self.nodes, self.sinks, self.admin = {}, [], None
        self._db = None
        self.broken = False
        try:
            self._build(servers, nodes, list(settings), sinks, standalone, sink_build, sink_environment)
        except BaseException:
            self.close()
            raise

    def _build(self, servers, nodes, settings, sinks, standalone, sink_build, sink_environment):
        self.admin = psycopg2.connect(servers.env["DATABASE_URL"])
        self.admin.autocommit = True
        with self.admin.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{self.database}"')
        self.env["DATABASE_URL"] = database_url(servers.env["DATABASE_URL"], self.database)
        (self.directory / "env").write_text("".join(f"{k}={v}\n" for k, v in self.env.items()))
        if not any(s.startswith("bmp-recv.router-id=") for s in settings):
            settings.append("bmp-recv.router-id=sysname")
        settings += [f"kafka-gate.topic={self.topic}", f"kafka-gate.partitions={PARTITIONS}"]
        for name in nodes:
            self.add_node(name, settings, standalone)
        self._create_topic(next(iter(self.nodes.values())))
        self._sink_settings = [f"psql-sink.topic={self.topic}", f"psql-sink.partitions={PARTITIONS}", f"psql-sink.group-id={self.name}"]
        self._sink_settings += [s for s in settings if s.startswith("psql-sink.")]
        for n in range(sinks):
            self.add_sink(f"sink{n}" if n else "sink", sink_build, sink_environment)

    def add_node(self, name, settings=(), standalone=False):
        port = free_port()
        words = [w for s in settings if not s.startswith("psql-sink.") for w in ("--set", s)]
        if standalone:
            words.append("--standalone")
        script("node", "config", self.directory, name, "--listen", f"127.0.0.1:{port}", "--cluster", self.name, *words)
        node = Node(self.directory, name, port)
        node.tools = {tool: Process(tool, node.directory) for tool in TOOLS}
        self.nodes[name] = node
        return node

    def add_sink(self, name, build=None, environment=None):
        words = [w for s in self._sink_settings for w in ("--set", s)]
        script("sink", "config", self.directory, name, *words)
        sink = Process("psql-sink", self.directory / name, build=build, environment=environment)
        self.sinks.append(sink)
        return sink

    def _create_topic(self, node):
        done = subprocess.run([node.gate.program, "--config", node.gate.config, "--create-topics"], capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.returncode == 0, f"kafka-gate --create-topics: {done.returncode}: {done.stderr}"

    # --- running ---
    def start(self):
        for sink in self.sinks:
            sink.start()
        for node in self.nodes.values():
            node.start()
        self.wait_started()
        return self

    def wait_started(self, seconds=20):
        def all_started():
            assert not self.unexpected_ends(), self.unexpected_ends()
            return all(p.started() for p in self.processes() if p.running())
        wait_for(all_started, seconds, lambda: f"started: {[(p.tool, p.started()) for p in self.processes()]}")

    def processes(self):
        return [p for n in self.nodes.values() for p in n.tools.values()] + self.sinks

    def close(self):
        for process in self.processes():
            process.close()
        if self._db:
            self._db.close()
        if self.admin:
            with suppress(psycopg2.Error), self.admin.cursor() as cursor:
                cursor.execute(f'DROP DATABASE IF EXISTS "{self.database}" WITH (FORCE)')
            self.admin.close()
        with suppress(Exception):
            AdminClient({"bootstrap.servers": self.env["KAFKA_BROKERS"], "log_level": 0}).delete_topics([self.topic])
        with suppress(redis.RedisError):
            store = self.redis()
            for key in store.scan_iter(match=f"*{self.name}*"):
                store.delete(key)
        if not os.environ.get("BMPHA_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)

    def unexpected_ends(self):
        return [f"{p.directory.name} {p.tool}: status {p.popen.returncode}\n{p.tail(5)}" for p in self.processes()
                if p.popen is not None and not p.running() and not p.expected_end]

    def logs(self, lines=40):
        return "\n".join(f"--- {p.directory.name}/{p.tool}\n{p.tail(lines)}" for p in self.processes() if p.popen is not None)

    def heal(self):
        """Starts what is not running."""
        for process in self.sinks + [p for n in self.nodes.values() for p in n.tools.values()]:
            if not process.running():
                process.start()
        self.wait_started()

    # --- looking ---
    def redis(self):
        return redis.Redis.from_url(self.env["REDIS_URL"], decode_responses=True, socket_timeout=3)

    def sql(self, query, arguments=None):
        if self._db is None or self._db.closed:
            self._db = psycopg2.connect(self.env["DATABASE_URL"])
            self._db.autocommit = True
        with self._db.cursor() as cursor:
            cursor.execute(query, arguments)
            return cursor.fetchall()

    def tables_exist(self):
        return self.sql("SELECT to_regclass('rib_live') IS NOT NULL AND to_regclass('ingest_offset') IS NOT NULL")[0][0]

    def router_hashes(self):
        """{router hash in hex: name} of what has come into the database; the collector object is not among them."""
        return {h.replace("-", ""): n for h, n in self.sql("SELECT hash::text, name FROM routers WHERE NOT is_collector AND name <> ''")}

    def owners(self):
        """{router name: (node, epoch)} as Redis says."""
        store = self.redis()
        names = self.router_hashes() if self.tables_exist() else {}
        out = {}
        for key in store.scan_iter(match=f"bmpha:*{self.name}*:own"):
            for router, value in store.hgetall(key).items():
                if router in names:
                    node, epoch = value.rsplit(" ", 1)
                    out[names[router]] = node, int(epoch)
        return out

    def gate_view(self, node):
        """{router name: the gate's row} of one node."""
        return {r["name"]: r for r in self.nodes[node].gate.dump()["routers"]}

    def arbiter_view(self):
        """{router name: {node: {"role", "class", ...}}}, each node seen by its own arbiter."""
        out = {}
        for name, node in self.nodes.items():
            if not node.arbiter.running():
                continue
            for router in node.arbiter.dump()["routers"]:
                if name in router["nodes"]:
                    out.setdefault(router["name"], {})[name] = router["nodes"][name]
        return out

    def wait_synced(self, routers, nodes=None, seconds=40):
        """Every router synced on every node, exactly one owner each; returns the owners."""
        nodes = set(nodes or self.nodes)

        def good():
            view = self.arbiter_view()
            for router in routers:
                states = view.get(router, {})
                if not nodes <= set(states) or any(states[n]["class"] != CLASS_GOOD for n in nodes):
                    return None
                if [s["role"] for s in states.values()].count("active") != 1:
                    return None
            owners = self.owners()
            return owners if set(routers) <= set(owners) else None
        return wait_for(good, seconds, lambda: f"all routers synced on {sorted(nodes)} with one owner each: {self.arbiter_view()} {self.owners()}", 0.25)

    def wait_owner(self, routers, node, seconds=10):
        """Until Redis names this node (or any of several) as the owner of all these routers."""
        wanted = {node} if isinstance(node, str) else set(node)
        return wait_for(lambda: all(self.owners().get(r, ("",))[0] in wanted for r in routers), seconds,
                        lambda: f"{sorted(wanted)} own {routers}: {self.owners()}")

    def ends(self):
        from verdict import topic_ends
        return topic_ends(self.env["KAFKA_BROKERS"], self.topic)

    def lag(self, ends=None):
        ends = ends or self.ends()
        done = dict(self.sql("SELECT part, next_offset FROM ingest_offset WHERE topic = %s AND group_id = %s", (self.topic, self.name)))
        return sum(end - done.get(part, 0) for part, end in ends.items())

    def settle(self, quiet=2.0, seconds=60):
        """Until nothing new has come to Kafka for `quiet` seconds and all of it is in the database."""
        last, since = None, time.monotonic()

        def settled():
            nonlocal last, since
            ends = self.ends()
            if ends != last:
                last, since = ends, time.monotonic()
            return time.monotonic() - since >= quiet and self.lag(ends) == 0
        wait_for(settled, seconds, lambda: f"Kafka at rest and read by the sink: ends {self.ends()}, lag {self.lag()}", 0.2)
