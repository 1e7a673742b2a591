"""How tools end, what they refuse and say then, and what is accepted although it looks odd."""
import re
import resource
import signal
import socket
import struct
import subprocess
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions

from harness import verdict, wire
from harness.cluster import BIN, free_port, tool_environment, wait_for
from harness.stage import CRASH, Stage

TOOLS = ("bmp-recv", "kafka-gate", "ha-arbiter", "psql-sink")
FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z \w+ (bmp-recv|kafka-gate|ha-arbiter|psql-sink)( node=\S+)? event=\S")


def run(tool, *arguments, **settings):
    return subprocess.run([BIN / tool, *map(str, arguments)], capture_output=True, text=True, timeout=10,
                          env=tool_environment(), check=False, **settings)


def one_line(text, *words):
    """That this is one log line of the common form, with these words."""
    line, = text.splitlines()
    assert FORM.match(line), line
    for word in words:
        assert word in line, (word, line)
    return line


# --- exit codes ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("tool", TOOLS)
def test_names_of_nodes_are_judged_in_the_same_words(tool):
    for name in ("a b", "a/b", "n" * 65, ""):
        done = run(tool, "--node-name", name, "--check")
        assert done.returncode == 100
        assert done.stderr == (f'{tool}: command line --node-name: key "node-name": value "{name}": expected 1 to 64 letters, '
                               "digits or -._%+:@~\n")
    for name in ("a-1.5%+x", "n" * 64):
        assert run(tool, "--node-name", name, "--check").returncode == 0
    if tool in ("kafka-gate", "ha-arbiter"):
        done = run(tool, "--check")
        assert done.returncode == 100
        assert done.stderr.endswith('key "node-name": missing; expected a name that no other node of the cluster has\n')


def test_what_the_system_refuses_ends_with_111(tmp_path):
    """Each tool, one line that says why."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        sockets = [f"--gate-socket=ipc://{tmp_path}/l.s", f"--publish-socket=ipc://{tmp_path}/r.s"]
        done = run("bmp-recv", "--node-name=n1", f"--listen=127.0.0.1:{taken.getsockname()[1]}", *sockets)
    assert done.returncode == 111, done.stderr
    one_line(done.stderr, "cannot start", "Address already in use", "127.0.0.1:")
    absent = f"ipc://{tmp_path}/absent/x.s"
    done = run("kafka-gate", "--node-name=n1", f"--status-socket={absent}", f"--roles-socket=ipc://{tmp_path}/o.s")
    assert done.returncode == 111, done.stderr
    one_line(done.stderr, "cannot start", f"directory {tmp_path}/absent does not exist")
    done = run("ha-arbiter", "--node-name=n1", f"--state-file={tmp_path}/state", f"--roles-socket={absent}", "--standalone")
    assert done.returncode == 111, done.stderr
    one_line(done.stderr, "cannot start", f"directory {tmp_path}/absent does not exist")
    done = run("psql-sink", "--migrate", f"--database=postgresql://nobody@127.0.0.1:{free_port()}/x")
    assert done.returncode == 111, done.stderr
    one_line(done.stderr, "database unreachable", "Connection refused")


@pytest.mark.parametrize(("tool", "descriptors"), [("bmp-recv", 6), ("psql-sink", 4)])
def test_no_more_descriptors_ends_with_111(tool, descriptors):
    done = run(tool, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors)))
    assert done.returncode == 111, done.stderr
    one_line(done.stderr, "cannot go on", "Too many open files")


# Makes the main thread's next wait throw as soon as a file is there: what no code of the tools expects.
THROWER = r"""
#include <dlfcn.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <cstdlib>
#include <stdexcept>
extern "C" int epoll_wait(int fd, epoll_event* events, int most, int timeout) {
  static const auto real = reinterpret_cast<decltype(&epoll_wait)>(dlsym(RTLD_NEXT, "epoll_wait"));
  if (getpid() == gettid() && access(std::getenv("THROW_WHEN"), F_OK) == 0) throw std::logic_error("two is three");
  return real(fd, events, most, timeout);
}
"""


@pytest.mark.scenario
def test_a_bug_is_one_log_line_and_101(lab):
    """The programs as they are installed, with an exception put under their feet."""
    source, library, trigger = (lab.directory / n for n in ("thrower.cc", "thrower.so", "now"))
    source.write_text(THROWER)
    subprocess.run(["g++", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    cluster = lab.cluster(("A",))
    sink = cluster.sink(start=False)
    for process in cluster.processes():
        process.env = {"LD_PRELOAD": str(library), "THROW_WHEN": str(trigger)}
        process.start()
    for process in cluster.processes():
        wait_for(f"{process.name} has started", 15, lambda process=process: process.events("started"))
    wait_for("the sink has partitions", 20, lambda: sink.state()["partitions"])
    before = {process: len(process.log()) for process in cluster.processes()}
    trigger.touch()
    for process in cluster.processes():
        assert process.wait(5) == 101, process.tail()
        said = [line for line in process.log()[before[process]:].splitlines() if " error " in line]
        one_line("\n".join(said), 'event=bug reason="two is three"')
        assert all(FORM.match(line) for line in process.log().splitlines()), process.tail()
    # What was killed in that way starts again as after any death.
    trigger.unlink()
    for process in cluster.processes():
        process.start()
        wait_for(f"{process.name} has started again", 15, lambda process=process: len(process.events("started")) == 2)


# --- start -----------------------------------------------------------------------------------------------------------
@pytest.mark.scenario
@pytest.mark.parametrize(("key", "server"), [("database", "database"), ("kafka_brokers", "Kafka")])
def test_the_sink_answers_signals_while_it_waits_for_a_server(lab, key, server):
    """Nothing answers, nothing is refused: an attempt takes seconds, a signal must not."""
    sink = lab.cluster(("A",)).sink(start=False)
    path, address = lab.path(sink.settings[key.replace("_", "-")])
    path.set("blackhole")
    sink.write_config(**{key: address})
    sink.start()
    wait_for("it waits", 5, lambda: sink.alive() and sink.state(seconds=1)["waiting_for"].startswith(server))
    for _ in range(3):
        state = sink.state(seconds=1)
        assert state["tool"] == "psql-sink" and state["waiting_for"].startswith(server), state
    sink.write_config(retention="7d")
    sink.signal(signal.SIGHUP)
    wait_for("HUP is answered", 1, lambda: sink.events("configuration reloaded"))
    wait_for("the trouble is told", 10, lambda: sink.events(f"{server} unreachable, retrying"))
    path.heal()
    wait_for("it starts", 15, lambda: sink.events("started"))
    assert len(sink.events(f"{server} unreachable, retrying")) == len(sink.events(f"{server} reachable again")) == 1
    assert sink.state()["waiting_for"] == ""
    assert sink.terminate(15) == 0


# --- bmp-recv --------------------------------------------------------------------------------------------------------
PEER = wire.PeerAddress("10.0.1.1", 65001, "10.255.0.1")


@pytest.mark.scenario
def test_the_end_of_a_session_is_one_line(lab):
    """A bad frame, and a second router with an id that is in use: one event, one line."""
    recv = lab.cluster(("A",), create_topic=False).nodes["A"].recv.start()
    port = int(recv.settings["listen"][0].rsplit(":", 1)[1])
    wait_for("it listens", 5, lambda: recv.events("listening"))

    def speaker(name):
        s = socket.create_connection(("127.0.0.1", port), 5)
        s.sendall(wire.initiation(name) + wire.peer_up(PEER, time.time()))
        return s

    def sessions():
        return [s["router"] for s in recv.state()["sessions"] if s["phase"] == "up"]

    def ended(s):
        s.settimeout(10)
        try:
            return s.recv(1) == b""
        except ConnectionResetError:
            return True
    with speaker("bad") as bad, speaker("first") as first:
        wait_for("both are up", 5, lambda: sorted(sessions()) == ["bad", "first"])
        begun = len(wire.initiation("bad") + wire.peer_up(PEER, 0))
        before = len(recv.log())
        bad.sendall(struct.pack("!BIB", 3, 5, 0))
        assert ended(bad)
        wait_for("the end is told", 3, lambda: "router=bad" in recv.log()[before:])
        one_line(recv.log()[before:], 'event="bad frame" router=bad', f"offset={begun} ", "reason=\"BMP message length is below 6\"")
        before = len(recv.log())
        with speaker("first") as second:
            assert ended(second)
        said = [line for line in recv.log()[before:].splitlines() if " info " not in line]
        one_line("\n".join(said), 'event="router id in use" alarm=router-id-in-use router=first', "router-id = sysname")
        first.sendall(wire.peer_down(PEER, time.time()))
        time.sleep(0.2)
        assert sessions() == ["first"]


@pytest.mark.scenario
@pytest.mark.loss
def test_routers_on_two_listen_addresses_are_served_by_one_process(lab):
    ports = free_port(), free_port()
    listen = [f"127.0.0.1:{ports[0]}", f"[::1]:{ports[1]}"]
    s = Stage(lab, routers=6, nodes=("A",), node_settings={"A": {"bmp-recv": {"listen": listen}}})
    for n, router in enumerate(s.generator.routers):
        router.sessions["A"].address = (("127.0.0.1", ports[0]), ("::1", ports[1]))[n % 2]
    s.settle(seconds=1)
    s.silence()
    s.generator.settle_all()
    s.judge(quiet=1)
    by_family = {name: {r["router"] for r in s.node("A").recv.state()["sessions"] if (":" in r["ip"]) == v6}
                 for name, v6 in (("IPv4", False), ("IPv6", True))}
    assert by_family == {"IPv4": {"r00", "r02", "r04"}, "IPv6": {"r01", "r03", "r05"}}
    stored = dict(s.sink.database.sql("SELECT name, host(ip) FROM routers WHERE name LIKE 'r0%%'"))
    assert {k: v for k, v in stored.items() if k in by_family["IPv6"]} == dict.fromkeys(by_family["IPv6"], "::1")
    assert {k: v for k, v in stored.items() if k in by_family["IPv4"]} == dict.fromkeys(by_family["IPv4"], "127.0.0.1")


# --- names -----------------------------------------------------------------------------------------------------------
@pytest.mark.scenario
@pytest.mark.loss
def test_one_name_of_a_node_may_be_the_end_of_anothers(lab):
    """Signs that mean something elsewhere, and a suffix: no key, pattern or log line takes one node for the other."""
    short, long = "a-1.5%+x", "xa-1.5%+x"
    s = Stage(lab, nodes=(short, long), routers=8)
    s.settle(seconds=3)
    assert s.owners_now() == s.home
    s.fault(s.node(long).kill).silence()
    s.wait_owner(short)
    s.judge(quiet=1)
    s.switched(CRASH, short, s.of(long))
    s.no_order_violations()
    # The name comes back and is another node than the one that stayed.
    s.node(long).start()
    wait_for("routers are back", 10, lambda: s.generator.up(long) == len(s.home))
    s.fault(s.node(short).kill)
    s.generator.settle_all()
    s.wait_owner(long)
    s.judge_state(quiet=1)
    nodes = {name for name, in s.sink.database.sql("SELECT name FROM nodes")}
    assert nodes == {short, long}
    for node in s.cluster.nodes.values():
        for tool in node.tools.values():
            lines = tool.log().splitlines()
            assert lines and all(f" {tool.tool} node={node.name} event=" in line for line in lines), tool.tail()


# --- the topic -------------------------------------------------------------------------------------------------------
@pytest.mark.scenario
@pytest.mark.loss
def test_foreign_records_are_counted_told_once_and_skipped(lab):
    s = Stage(lab, routers=2, nodes=("A",))
    s.settle(churn=False, seconds=0)
    producer = Producer({"bootstrap.servers": lab.servers.brokers})
    value = "V: 1.7\nC_HASH_ID: x\nT: router\nL: 1\nR: 1\n\nadd\t0\tforeign\n"
    for partition in range(s.cluster.partitions):
        for n in range(5):
            producer.produce(s.cluster.topic, value.encode(), f"key{n}", partition, headers={"other": "x"} if n % 2 else None)
    assert producer.flush(10) == 0
    s.generator.settle_all()
    s.judge(quiet=1)
    assert s.sink.state()["foreign"] == s.cluster.log.foreign == 5 * s.cluster.partitions
    line, = s.sink.events("records without bmpha header are skipped")
    assert f"topic={s.cluster.topic} " in line and " warning " in line
    assert s.sink.database.one("SELECT count(*) FROM ingest_rejected") == 0
    assert s.sink.database.one("SELECT count(*) FROM routers WHERE name = 'foreign'") == 0


@pytest.mark.scenario
@pytest.mark.loss
def test_a_topic_that_gets_a_partition_is_refused_and_the_documented_way_back_heals(lab):
    """docs/operations.md, "The number of partitions": while they run, at a start, and what to do then."""
    s = Stage(lab, routers=4, nodes=("A",), settings={"kafka-gate": {"kafka-option": ["topic.metadata.refresh.interval.ms=1000"]}})
    s.sink.kill()
    s.sink.write_config(kafka_option=[*s.sink.settings["kafka-option"], "topic.metadata.refresh.interval.ms=1000"])
    s.sink.start()
    s.settle(seconds=1)
    s.silence()
    s.judge(quiet=1)
    gate, had = s.node("A").gate, s.cluster.partitions
    admin = AdminClient({"bootstrap.servers": lab.servers.brokers})
    admin.create_partitions([NewPartitions(s.cluster.topic, had + 1)])[s.cluster.topic].result(10)

    words = f'topic \\"{s.cluster.topic}\\" has {had + 1} partitions, the configuration says {had}'
    wait_for("the gate refuses", 5, lambda: gate.log_lines("error", words))
    s.sink.wait(15)
    assert s.sink.code == 100, s.sink.tail()
    line, = gate.log_lines("error", words)
    assert "HINT" in line and "docs/operations.md" in line, line
    line, = s.sink.log_lines(" error ")
    assert 'event="the topic has got more partitions"' in line and "docs/operations.md" in line, line
    ends = s.cluster.log.ends()
    s.generator.settle_all()
    time.sleep(2)
    assert s.cluster.log.ends() == ends, "nothing may be produced"
    assert gate.alive() and len(gate.log_lines("error", words)) == 1, gate.tail()
    # A start is refused as well, and the other number does not help: the database knows better.
    s.sink.start()
    assert s.sink.wait(15) == 100 and len(s.sink.log_lines("error", words, "HINT", "docs/operations.md")) == 1, s.sink.tail()
    s.sink.write_config(partitions=had + 1)
    s.sink.start()
    assert s.sink.wait(15) == 100
    line = s.sink.log().splitlines()[-1]
    assert f"had {had} partitions" in line and "HINT" in line and "docs/operations.md" in line, line
    s.sink.write_config(partitions=had)

    # The way back, step by step.
    assert gate.terminate() == 0
    admin.delete_topics([s.cluster.topic])[s.cluster.topic].result(10)
    wait_for("the topic is gone", 10, lambda: s.cluster.topic not in admin.list_topics(timeout=5).topics)
    s.cluster.create_topic()
    renew_log(s)
    s.sink.start()
    wait_for("the sink sees another log", 15, lambda: len(s.sink.events("records are missing from the log: peers of this "
                                                                        "partition stay incomplete until their next full dump")) == had)
    assert s.sink.database.one("SELECT count(*) FROM peers WHERE incomplete") == 2 * len(s.home)
    gate.start()
    s.node("A").recv.terminate()
    s.node("A").recv.start()
    wait_for("routers are back", 10, lambda: s.generator.up("A") == len(s.home))
    wait_for("dumps end", 20, s.synced, every=0.2)
    s.judge_state(quiet=2)
    assert not s.sink.database.sql("SELECT 1 FROM peers WHERE incomplete"), "a full dump has passed"


@pytest.mark.scenario
def test_records_that_the_broker_refuses_are_told_once_and_then_counted(lab):
    if lab.servers.broker == "embedded":
        pytest.skip("the embedded broker has no topic administration")
    settings = {"kafka-gate": {"kafka-option": ["compression.codec=none", "batch.num.messages=1"]}}
    s = Stage(lab, routers=2, nodes=("A",), sinks=0, standalone=True, settings=settings)
    s.settle(churn=False, seconds=0)
    gate = s.node("A").gate
    admin = AdminClient({"bootstrap.servers": lab.servers.brokers})
    limit = ConfigResource(ConfigResource.Type.TOPIC, s.cluster.topic, {"max.message.bytes": "300"})
    admin.alter_configs([limit])[limit].result(10)

    def skipped():
        return sum(r["counters"]["skipped"] for r in gate.state()["routers"])
    before = len(gate.log())
    for n in range(100):
        s.generator.burst(1)
        time.sleep(0.02)
    wait_for("records are refused", 10, lambda: skipped() >= 50)
    time.sleep(1)
    count = skipped()
    first, = gate.log()[before:].splitlines()
    assert re.search(r' warning .* event="record refused by broker, skipped" router=r0\d session=1 seq=[1-9]\d* bytes=[3-9]\d\d why=\S',
                     first), first
    wait_for("their number is told", 12, lambda: len(gate.log()[before:].splitlines()) > 1)
    line = gate.log()[before:].splitlines()[1]
    assert f' warning kafka-gate node=A event="record refused by broker, skipped" more={count - 1} why=' in line, line
    time.sleep(11)  # without any the burst is over; the next one is told again
    s.generator.burst(1)
    wait_for("it is told again", 5, lambda: len(gate.log()[before:].splitlines()) == 3)
    assert " seq=" in gate.log().splitlines()[-1] and gate.alive()


def renew_log(s):
    """The topic is another one now."""
    s.cluster.log.close()
    s.cluster.log = type(s.cluster.log)(s.lab.servers.brokers, s.cluster.topic)
