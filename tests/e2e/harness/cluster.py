"""Real processes: servers, nodes of three tools each, sinks. Everything ends with its Lab, whatever happened."""
import contextlib
import json
import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from .bmpgen import Generator
from .cutter import Cutter, KafkaCutter
from .kafka_log import KafkaLog

TREE = Path(__file__).resolve().parents[3]
SCRIPTS = TREE / "scripts"
BIN = Path(os.environ.get("BMPHA_BIN", TREE / "build/release/bin"))
MUTABLE_BIN = TREE / "build/mutable/bin"
TOOLS = ("bmp-recv", "kafka-gate", "ha-arbiter")
ROUTERS = int(os.environ.get("ROUTERS", "20"))


def wait_for(what, seconds, condition, every=0.05):
    """Polls until condition() is true and returns its value; fails with `what` and the last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s (last: {value!r})")
        time.sleep(every)


def tool_environment(extra=None):
    """Ours without the variables that the tools would read."""
    names = tuple(f"{t.upper().replace('-', '_')}_" for t in (*TOOLS, "psql-sink"))
    env = {k: v for k, v in os.environ.items() if not k.startswith((*names, "BMPHA_WITHOUT"))}
    return {**env, **(extra or {})}


def toml(settings):
    def text(value):
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return str(value)
        if isinstance(value, (list, tuple)):
            return "[" + ", ".join(text(v) for v in value) + "]"
        return f'"{value}"'
    return "".join(f"{key} = {text(value)}\n" for key, value in settings.items() if value is not None)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def free_ports(count):
    """The first of that many neighbouring ports that are free, below those that the kernel gives to connections."""
    for _ in range(200):
        first = random.randrange(30000, 32700 - count)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise AssertionError(f"no {count} neighbouring ports are free")


class Servers:
    """The three servers: those of BMPHA_SERVERS or of the environment, else started here and stopped at the end."""

    def __init__(self):
        self._own = None
        directory = os.environ.get("BMPHA_SERVERS")
        names = ("KAFKA_BROKERS", "REDIS_URL", "DATABASE_URL")
        if not directory and all(os.environ.get(n) for n in names):
            self._set({n: os.environ[n] for n in names})
            return
        if not directory:
            directory = self._own = tempfile.mkdtemp(prefix="bmp-ha-e2e.", dir="/var/tmp")
            done = subprocess.run([SCRIPTS / "servers", "start", directory], capture_output=True, text=True, timeout=600)
            if done.returncode != 0:
                self.stop()
                raise RuntimeError(f"scripts/servers start: {done.stdout}{done.stderr}")
        lines = (Path(directory) / "env").read_text().splitlines()
        self._set(dict(line.split("=", 1) for line in lines if "=" in line))

    def _set(self, env):
        self.brokers, self.redis_url, self.database_url = env["KAFKA_BROKERS"], env["REDIS_URL"], env["DATABASE_URL"]
        self.broker = env.get("BROKER", "kafka")

    def stop(self):
        if self._own:
            subprocess.run([SCRIPTS / "servers", "stop", self._own, "--wipe"], capture_output=True, timeout=120)
            shutil.rmtree(self._own, ignore_errors=True)


class Process:
    """One process of a tool. It may be started again after it has ended; its log goes on."""

    def __init__(self, name, argv, log, env=None):
        self.name, self.argv, self.log_path, self.env = name, [str(a) for a in argv], Path(log), env
        self._popen = None
        self.started = 0.0
        self.stopped = False  # by SIGSTOP
        self.ending = False  # by us

    def start(self):
        assert not self.alive(), f"{self.name} runs"
        with open(self.log_path, "ab") as log:
            self._popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           env=tool_environment(self.env), start_new_session=True)
        self.started, self.stopped, self.ending = time.monotonic(), False, False
        return self

    @property
    def pid(self):
        return self._popen.pid

    @property
    def code(self):
        return self._popen.poll() if self._popen else None

    def alive(self):
        return self._popen is not None and self._popen.poll() is None

    def answers(self):
        return self.alive() and not self.stopped

    def ended_by_itself(self):
        return self.code is not None and not self.ending

    def signal(self, number):
        assert self.alive(), f"{self.name} does not run: {self.tail()}"
        if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT):
            # Until the program has come to its first lines, a signal would just end it.
            wait_for(f"{self.name} takes signals", 5, lambda: not self.alive() or self._takes(number), every=0.005)
        os.kill(self._popen.pid, number)
        if number in (signal.SIGSTOP, signal.SIGCONT):
            self.stopped = number == signal.SIGSTOP

    def _takes(self, number):
        """Does the process block or catch this signal?"""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self._popen.pid}/status").read_text().splitlines():
                if line.startswith(("SigBlk:", "SigCgt:")) and int(line.split()[1], 16) >> (number - 1) & 1:
                    return True
        return False

    def kill(self):
        """SIGKILL and reaped."""
        self.ending = True
        if self.alive():
            os.kill(self._popen.pid, signal.SIGKILL)
        if self._popen:
            self._popen.wait()

    def wait(self, seconds=10):
        """The exit code of a process that is expected to end."""
        self.ending = True
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {seconds} s: {self.tail()}") from None

    def terminate(self, seconds=10):
        if self.alive():
            self.signal(signal.SIGTERM)
            return self.wait(seconds)
        return self.code

    def resident(self):
        """Bytes of memory in use."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_lines(self, *words):
        """Lines that contain all these words."""
        return [line for line in self.log().splitlines() if all(w in line for w in words)]

    def events(self, name):
        """Log lines of this event."""
        return self.log_lines(f'event="{name}"' if " " in name else f"event={name}")

    def tail(self, lines=15):
        return "\n".join(self.log().splitlines()[-lines:])


class Tool(Process):
    """A process of one of the four tools, with its configuration file and its USR1 state."""

    def __init__(self, tool, name, directory, settings, bin_dir=BIN, env=None):
        directory.mkdir(parents=True, exist_ok=True)
        self.tool = tool
        self.config = directory / f"{tool}.toml"
        self.dump_path = directory / f"{tool}.json"
        self.settings = {**settings, "dump-file": str(self.dump_path)}
        self.write_config()
        super().__init__(name, [bin_dir / tool, "--config", self.config], directory / f"{tool}.log", env)

    def write_config(self, **changes):
        self.settings.update({k.replace("_", "-"): v for k, v in changes.items()})
        self.config.write_text(toml(self.settings))

    def state(self, seconds=3):
        """What SIGUSR1 makes it write."""
        before = self._stamp()
        self.signal(signal.SIGUSR1)
        wait_for(f"state of {self.name}", seconds, lambda: self._stamp() != before, every=0.005)
        return json.loads(self.dump_path.read_text())

    def _stamp(self):
        try:
            status = self.dump_path.stat()
            return status.st_ino, status.st_mtime_ns
        except FileNotFoundError:
            return None


def kill_all(processes):
    """SIGKILL to all as close together as can be."""
    for process in processes:
        if process.alive():
            os.kill(process.pid, signal.SIGKILL)
    for process in processes:
        process.kill()


# Objects whose topics a sink reads in layout per-object; what peers live through stands among the routes.
STORED = ("unicast_prefix", "router", "collector", "bmp_stat")


class Node:
    """bmp-recv, kafka-gate and ha-arbiter of one node."""

    def __init__(self, cluster, name, settings, env=None):
        self.name = name
        self.directory = cluster.directory / f"n{len(cluster.nodes)}"  # names may hold anything; socket paths are short
        self.port = free_port()
        d = self.directory
        sockets = {k: f"ipc://{d}/{k}.s" for k in ("link", "records", "status", "roles", "control")}
        common = {"node-name": name, "cluster-name": cluster.name}
        self.kafka_path = cluster.kafka_path() if cluster.cut_kafka else None
        brokers = f"127.0.0.1:{self.kafka_path.port}" if self.kafka_path else cluster.brokers
        self.redis_path, redis_url = cluster.lab.path(cluster.redis_url) if cluster.cut_redis else (None, cluster.redis_url)
        kafka = {"kafka-brokers": brokers, **cluster.topic_settings()}
        every = {
            "bmp-recv": {**common, "listen": [f"127.0.0.1:{self.port}"], "router-id": "sysname",
                         "gate-socket": sockets["link"], "publish-socket": sockets["records"]},
            "kafka-gate": {"node-name": name, **kafka, "recv-socket": sockets["link"], "status-socket": sockets["status"],
                           "roles-socket": sockets["roles"]},
            "ha-arbiter": {**common, "status-socket": sockets["status"], "roles-socket": sockets["roles"],
                           "control-socket": sockets["control"], "state-file": f"{d}/state", "redis-url": redis_url},
        }
        self.tools = {}
        for tool in TOOLS:
            own = {**every[tool], **cluster.settings.get(tool, {}), **settings.get(tool, {})}
            self.tools[tool] = Tool(tool, f"{name} {tool}", d, own, cluster.bin_dir, env)
        self.recv, self.gate, self.arbiter = (self.tools[t] for t in TOOLS)
        self.address = ("127.0.0.1", self.port)

    def start(self):
        for tool in TOOLS:
            self.tools[tool].start()
        return self

    def kill(self):
        """All three at once, as when the host dies."""
        kill_all(self.tools.values())

    def terminate(self):
        """In the order in which an operator's supervisord does it: the arbiter hands over first."""
        codes = [self.arbiter.terminate(), self.gate.terminate(), self.recv.terminate()]
        return codes

    def owned(self):
        """Names of the routers for which this node's gate is active."""
        return {r["name"] for r in self.gate.state()["routers"] if r["role"] == "active"}


class Cluster:
    """Nodes of one cluster with a topic of their own, and sinks with a database each."""

    def __init__(self, lab, nodes=("A", "B"), partitions=4, redis_url=None, settings=None, node_settings=None,
                 standalone=False, bin_dir=BIN, create_topic=True, cut_kafka=False, cut_redis=False, brokers=None,
                 redis_client=None, node_env=None, topic=None, layout=None):
        """`cut_kafka`, `cut_redis`: each node has a path of its own to the server, `kafka_path` and `redis_path`. `topic`: that
        of another cluster, shared with it. `layout`: else what LAYOUT says, else single; with per-object the log is that of the
        topics that a sink reads."""
        self.layout = layout or os.environ.get("LAYOUT") or "single"
        self.lab, self.cut_kafka, self.cut_redis = lab, cut_kafka, cut_redis
        self.brokers = brokers or lab.servers.brokers
        self.redis_client = redis_client  # where the URL is one that the Python library does not know
        self.name = f"e2e-{secrets.token_hex(4)}"
        self.topic = topic or f"{self.name}.parsed"
        self.topics = [self.topic] if self.layout == "single" else [f"{self.topic}.{o}" for o in STORED]
        self.partitions = partitions
        self.bin_dir = bin_dir
        self.directory = lab.directory / f"c{len(lab.clusters)}"
        self.directory.mkdir()
        self.redis_url = None if standalone else redis_url or lab.servers.redis_url
        self.settings = settings or {}
        if standalone:
            arbiter = {**self.settings.get("ha-arbiter", {}), "standalone": True}
            self.settings = {**self.settings, "ha-arbiter": arbiter}
        self.nodes = {}
        self.sinks = []
        lab.clusters.append(self)
        for name in nodes:
            self.add_node(name, (node_settings or {}).get(name, {}), (node_env or {}).get(name))
        if create_topic:
            if not topic:
                self.create_topic()
            self.log = KafkaLog(self.brokers, *self.topics)

    def topic_settings(self):
        if self.layout == "single":
            return {"topic": self.topic, "partitions": self.partitions}
        return {"layout": self.layout, "topic-root": self.name, "partitions": self.partitions}

    def per_object(self):
        """From now on that is the layout: of what is asked and read here."""
        self.layout = "per-object"
        self.topics = [f"{self.topic}.{o}" for o in STORED]
        self.log.close()
        self.log = KafkaLog(self.brokers, *self.topics)

    def add_node(self, name, settings=None, env=None):
        node = self.nodes[name] = Node(self, name, settings or {}, env)
        return node

    def kafka_path(self):
        """A path of one node's gate to the broker that can be cut."""
        host, port = self.brokers.split(",")[0].rsplit(":", 1)
        return self.lab.kafka_cutter((host, int(port)))

    def create_topic(self):
        gate = next(iter(self.nodes.values())).gate
        done = subprocess.run([*gate.argv, "--create-topics"], capture_output=True, text=True, timeout=30,
                              env=tool_environment())
        assert done.returncode == 0, f"--create-topics: {done.stdout}{done.stderr}"

    def node(self, name):
        return self.nodes[name]

    def start(self):
        for node in self.nodes.values():
            node.start()
        return self

    def sink(self, start=True, bin_dir=None, env=None, database=None, group=None, **settings):
        """A psql-sink. Without `database` it gets a new one, and a group of its own."""
        number = len(self.sinks)
        if database is None:
            database = self.lab.database()
            group = group or f"{self.name}-{number}"
        own = {"kafka-brokers": self.brokers, **self.topic_settings(), "database": database.url, "group-id": group,
               "kafka-option": ["session.timeout.ms=6000", "heartbeat.interval.ms=500"],
               **{k.replace("_", "-"): v for k, v in settings.items()}}
        sink = Sink(f"sink{number}", self.directory / f"s{number}", own, bin_dir or self.bin_dir, env)
        sink.database, sink.group = database, group
        self.sinks.append(sink)
        if start:
            sink.start()
        return sink

    def processes(self):
        return [t for n in self.nodes.values() for t in n.tools.values()] + list(self.sinks)

    def heal(self):
        """Starts what does not run."""
        for process in self.processes():
            if not process.alive():
                process.start()

    def redis(self):
        if self.redis_client:
            return self.redis_client()
        return redis.Redis.from_url(self.redis_url, decode_responses=True, socket_timeout=5)

    def redis_key(self, what):
        """`own`, `nodes` or `node:NAME`; the cluster's part holds its name and its number."""
        return f"bmpha:{{{self.name}-0}}:{what}"

    def owners(self):
        """router hash -> (node, epoch) as Redis has them."""
        with contextlib.closing(self.redis()) as r:
            raw = r.hgetall(self.redis_key("own"))
        return {router: (text.rsplit(" ", 1)[0], int(text.rsplit(" ", 1)[1])) for router, text in raw.items()}

    def close(self):
        kill_all(self.processes())
        if hasattr(self, "log"):
            self.log.close()
        with contextlib.suppress(Exception):
            if self.redis_url:
                with contextlib.closing(self.redis()) as r:
                    keys = list(r.scan_iter(f"bmpha:{{{self.name}-*"))
                    if keys:
                        r.delete(*keys)
        if self.lab.servers.broker != "embedded" and self.brokers == self.lab.servers.brokers:
            with contextlib.suppress(Exception):
                admin = AdminClient({"bootstrap.servers": self.brokers})
                names = [t for t in admin.list_topics(timeout=10).topics if t == self.topic or t.startswith(f"{self.topic}.")]
                for future in admin.delete_topics(names).values():
                    future.result(10)


class Sink(Tool):
    def __init__(self, name, directory, settings, bin_dir, env):
        super().__init__("psql-sink", name, directory, settings, bin_dir, env)
        self.database = self.group = None


class Database:
    """A database of its own on the shared server."""

    def __init__(self, servers):
        self.name = f"e2e_{secrets.token_hex(6)}"
        parts = urlsplit(servers.database_url)
        self._admin_url = servers.database_url
        self.url = urlunsplit(parts._replace(path="/" + self.name))
        self._admin(f'CREATE DATABASE "{self.name}"')
        self._lock = threading.Lock()
        self._connection = None

    def _admin(self, sql):
        connection = psycopg2.connect(self._admin_url)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
        finally:
            connection.close()

    def connect(self):
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        return connection

    def sql(self, query, *parameters):
        """Rows; a statement without rows gives None."""
        with self._lock:
            if self._connection is None or self._connection.closed:
                self._connection = self.connect()
            with self._connection.cursor() as cursor:
                cursor.execute(query, parameters or None)
                return cursor.fetchall() if cursor.description else None

    def one(self, query, *parameters):
        return self.sql(query, *parameters)[0][0]

    def has(self, table):
        return self.one("SELECT to_regclass(%s) IS NOT NULL", table)

    def close(self):
        if self._connection:
            self._connection.close()
        self._admin(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


class PrivateRedis:
    """A Redis server that may be killed; it comes back empty."""

    def __init__(self, lab, env=None):
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process = Process("redis", ["redis-server", "--bind", "127.0.0.1", "--port", self.port, "--save", "",
                                         "--appendonly", "no", "--dir", lab.directory], lab.directory / f"redis{self.port}.log", env)

    def start(self):
        self.process.start()

        def answers():
            with contextlib.suppress(redis.RedisError), contextlib.closing(self.client()) as r:
                return r.ping()
        wait_for("redis answers", 10, answers)
        return self

    def client(self):
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=5)

    def kill(self):
        self.process.kill()


class PrivateKafka:
    """A broker of Apache Kafka that may be killed and started again; its data stay."""

    def __init__(self, lab, directory=None):
        done = subprocess.run([SCRIPTS / "kafka39/jars.sh"], capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, f"no jars of Apache Kafka: {done.stderr}"
        self.port = free_ports(2)  # the controller has the second
        self.brokers = f"127.0.0.1:{self.port}"
        directory = directory or lab.directory / f"kafka{self.port}"
        self.process = Process("kafka", [SCRIPTS / "kafka39/run.sh", directory, self.port, done.stdout.strip()],
                               lab.directory / f"kafka{self.port}.log", {"KAFKA_HEAP": "320m"})

    def start(self):
        self.process.start()
        admin = AdminClient({"bootstrap.servers": self.brokers, "log_level": 0})

        def answers():
            assert self.process.alive(), f"Kafka ended: {self.process.tail()}"
            with contextlib.suppress(KafkaException):
                return admin.list_topics(timeout=1).brokers
        wait_for("Kafka answers", 90, answers, every=0.2)
        return self

    def kill(self):
        self.process.kill()


class Lab:
    """Everything that one test uses, in a directory of its own; close() leaves nothing."""

    def __init__(self, servers, name="lab", seed=1):
        self.servers, self.name, self.seed = servers, name, seed
        self.row = None  # of the failure matrix, when the test belongs to one
        self.bounded = False  # were duplicates held to a bound?
        self.dice = random.Random(f"{name} {seed}")
        self.directory = Path(tempfile.mkdtemp(prefix="bmpha-", dir="/tmp"))
        self.clusters, self.notes = [], []
        self.figures = {}  # what was measured, for the summary
        self._closing = contextlib.ExitStack()
        self._began, self.seconds = time.monotonic(), 0.0

    def note(self, text):
        """A line of the test's report."""
        self.notes.append(f"{time.monotonic() - self._began:6.1f}s {text}")

    def at_end(self, act, *arguments):
        """What a test has started beside all this ends with the lab too; the newest first."""
        self._closing.callback(act, *arguments)

    def cluster(self, *arguments, **settings):
        cluster = Cluster(self, *arguments, **settings)
        self._closing.callback(cluster.close)
        return cluster

    def database(self):
        database = Database(self.servers)
        self._closing.callback(database.close)
        return database

    def private_redis(self, env=None):
        private = PrivateRedis(self, env).start()
        self._closing.callback(private.kill)
        return private

    def private_kafka(self, directory=None):
        private = PrivateKafka(self, directory)
        self._closing.callback(private.kill)
        return private.start()

    def cutter(self, target):
        cutter = Cutter(target)
        self._closing.callback(cutter.close)
        return cutter

    def path(self, address):
        """A cutter on the way to the server of this URL or HOST:PORT, and the same address through it."""
        host, port = re.search(r"([\w.-]+):(\d+)", address.rsplit("@", 1)[-1]).groups()
        cutter = self.cutter((host, int(port)))
        return cutter, f"{cutter.address[0]}:{cutter.port}".join(address.rsplit(f"{host}:{port}", 1))

    def kafka_cutter(self, target):
        cutter = KafkaCutter(target)
        self._closing.callback(cutter.close)
        return cutter

    def generator(self, routers, nodes, **settings):
        generator = Generator(routers, nodes, **{"seed": self.seed, **settings})
        self._closing.callback(generator.close)
        return generator

    def process(self, name, argv, env=None):
        """Another program; at the end it is asked to end, so that what it has started ends too."""
        process = Process(name, argv, self.directory / f"{name}.log", env)
        self._closing.callback(process.kill)
        self._closing.callback(process.terminate, 60)
        return process

    def logs(self, lines=40):
        """Notes and the ends of all logs, for the report of a failure."""
        parts = ["notes:", *self.notes]
        for cluster in self.clusters:
            for process in cluster.processes():
                parts += [f"--- {process.name} (exit {process.code})", process.tail(lines)]
        return "\n".join(parts)

    def close(self, keep=False):
        self.seconds = self.seconds or time.monotonic() - self._began
        with contextlib.suppress(Exception):
            self._closing.close()
        self.clusters = []  # with all that was read from Kafka
        if not keep and not os.environ.get("BMPHA_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)
