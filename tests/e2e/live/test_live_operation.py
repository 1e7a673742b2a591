"""Every tool as an operator meets it: command line, configuration, signals, servers that are not there, bad input."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from bmpgen import Generator
from cluster import SCRIPTS, bin_dir, wait_for
from cutter import Cutter
from verdict import lost_changes, wrong_rows

# tool: (a minimal configuration, a key, a bad value for it, what the message must say, a typo and the key meant)
TOOLS = {
    "bmp-recv": ({"node-name": "n1"}, "eor-quiet", "soon", "expected a time with unit", "eor-quite", "eor-quiet"),
    "kafka-gate": ({"node-name": "n1"}, "partitions", "many", "expected a whole number", "partitons", "partitions"),
    "ha-arbiter": ({"node-name": "n1"}, "ttl", "2", "expected a time with unit", "redis-ulr", "redis-url"),
    "psql-sink": ({"database": "postgresql://bmpha@127.0.0.1/bmpha"}, "partitions", "-1", "expected a whole number", "databse",
                  "database"),
}
tools = pytest.mark.parametrize("tool", TOOLS)


def run(tool, *arguments, environment=None, seconds=10):
    return subprocess.run([bin_dir() / tool, *map(str, arguments)], capture_output=True, text=True, timeout=seconds,
                          env={**os.environ, **(environment or {})}, check=False)


def write_config(directory, tool, **changes):
    values = {**TOOLS[tool][0], **changes}
    path = directory / f"{tool}.toml"
    path.write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items()))
    return path


@tools
def test_help_names_every_setting(tool):
    done = run(tool, "--help")
    assert done.returncode == 0
    for word in ("--config", "--check", "--version", "--dump-file", "Exit codes: 0 done, 100", f"man {tool}"):
        assert word in done.stdout, word


@tools
def test_version(tool):
    done = run(tool, "--version")
    assert done.returncode == 0
    assert re.fullmatch(rf"{tool} \d+\.\d+\.\d+\S*\n", done.stdout), done.stdout


@tools
def test_check_accepts_a_good_file(tool, tmp_path):
    done = run(tool, "--config", write_config(tmp_path, tool), "--check")
    assert (done.returncode, done.stderr) == (0, "")


@tools
def test_check_says_what_is_wrong(tool, tmp_path):
    _, key, bad, expected, _, _ = TOOLS[tool]
    path = write_config(tmp_path, tool, **{key: bad})
    done = run(tool, "--config", path, "--check")
    assert done.returncode == 100
    for word in (str(path), f'"{key}"', f'"{bad}"', expected):
        assert word in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1


@tools
def test_typo_names_the_nearest_key(tool, tmp_path):
    *_, typo, key = TOOLS[tool]
    path = write_config(tmp_path, tool, **{typo: "x"})
    for done in (run(tool, "--config", path, "--check"), run(tool, f"--{typo}", "x", "--check")):
        assert done.returncode == 100
        assert f'did you mean "{key}"' in done.stderr.replace("--" + key, key), done.stderr


@tools
def test_command_line_beats_environment_beats_file(tool, tmp_path):
    """Each source gives a bad value: the one that counts is the one that is complained about."""
    _, key, bad, _, _, _ = TOOLS[tool]
    path = write_config(tmp_path, tool, **{key: bad + "file"})
    variable = f"{tool}_{key}".replace("-", "_").upper()
    done = run(tool, "--config", path, "--check")
    assert f'"{bad}file"' in done.stderr
    done = run(tool, "--config", path, "--check", environment={variable: bad + "env"})
    assert f'"{bad}env"' in done.stderr and variable in done.stderr and done.returncode == 100
    done = run(tool, "--config", path, "--check", f"--{key}={bad}cli", environment={variable: bad + "env"})
    assert f'"{bad}cli"' in done.stderr and "command line" in done.stderr and done.returncode == 100


@tools
def test_missing_file_is_a_usage_error(tool, tmp_path):
    done = run(tool, "--config", tmp_path / "absent.toml", "--check")
    assert done.returncode == 100 and "absent.toml" in done.stderr


# --- signals ---------------------------------------------------------------------------------------------------------
def a_process(cluster, tool):
    return cluster.sinks[0] if tool == "psql-sink" else cluster.nodes["A"].tools[tool]


@tools
def test_usr1_hup_term(tool, clusters):
    """USR1 writes the state as JSON, HUP does no harm, TERM and INT end with 0."""
    cluster = clusters(nodes="A")
    process = a_process(cluster, tool).start()
    wait_for(lambda: "event=started" in process.log(), 15, lambda: f"{tool} has started: {process.tail()}")
    assert process.dump()["tool"] == tool
    process.signal(signal.SIGHUP)
    assert process.dump()["tool"] == tool, "HUP must not end it"
    wait_for(lambda: "reload" in process.log(), 3, "HUP is answered in the log")
    assert process.terminate() == 0, process.tail()
    process.start()
    wait_for(lambda: process.log().count("event=started") == 2, 15, "started again")
    process.expected_end = True
    process.signal(signal.SIGINT)
    assert process.popen.wait(15) == 0, process.tail()


@tools
def test_one_event_is_one_line(tool, clusters):
    """UTC time, level, tool, event=...; nothing else is ever written to the log."""
    cluster = clusters(nodes="A")
    process = a_process(cluster, tool).start()
    wait_for(lambda: "event=started" in process.log(), 15, lambda: f"{tool} has started: {process.tail()}")
    process.terminate()
    form = re.compile(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z \w+ {tool}\S*( \S+=\S+)* event=\S")
    for line in process.log().splitlines():
        assert form.match(line), line


# --- servers that are not there --------------------------------------------------------------------------------------
class Path:
    """A server's address that a test can take away."""

    def __init__(self, url_or_address):
        host, port = re.search(r"([\w.]+):(\d+)", url_or_address.split("@")[-1]).groups()
        self.cutter = Cutter((host, int(port)))
        self.old, self.new = f"{host}:{port}", "%s:%d" % self.cutter.address


@pytest.fixture
def away(servers):
    """Puts a cutter, cut, into the address of one server."""
    made, kept = [], dict(servers.env)

    def take(name):
        path = Path(servers.env[name])
        path.cutter.set("reset")
        made.append(path)
        return path
    yield take
    servers.env.update(kept)
    for path in made:
        path.cutter.close()


def replace_in(config, path):
    text = config.read_text()
    assert path.old in text
    config.write_text(text.replace(path.old, path.new))


@pytest.mark.parametrize(("tool", "server", "trouble", "good"), [
    ("kafka-gate", "KAFKA_BROKERS", "unreachable", "kafka topic ready"),
    ("psql-sink", "KAFKA_BROKERS", "unreachable", "event=started"),
    ("psql-sink", "DATABASE_URL", "unreachable", "event=started"),
    ("ha-arbiter", "REDIS_URL", "redis unreachable", "redis reachable again"),
])
def test_server_absent_at_start_is_said_once_and_waited_for(tool, server, trouble, good, clusters, away):
    cluster = clusters(nodes="A")
    process, path = a_process(cluster, tool), away(server)
    replace_in(process.config, path)
    process.start()

    def complaints():
        return [line for line in process.log().splitlines() if trouble in line.lower() and (" warn" in line.lower() or " err" in line.lower())]
    wait_for(complaints, 10, lambda: f"the trouble is in the log: {process.tail()}")
    time.sleep(4)
    assert process.running(), process.tail()
    assert len(complaints()) == 1, complaints()
    before = len(process.log().splitlines())
    path.cutter.set("pass")
    wait_for(lambda: any(good in line for line in process.log().splitlines()[before:]), 15, lambda: f"works when it comes: {process.tail()}")
    assert process.terminate() == 0


# --- what is refused -------------------------------------------------------------------------------------------------
def ends_with(process, code, seconds=15):
    process.expected_end = True
    try:
        assert process.popen.wait(seconds) == code, process.tail()
    except subprocess.TimeoutExpired:
        pytest.fail(f"{process.tool} still runs: {process.tail()}")
    return process.log()


def test_node_name_in_use_is_refused(clusters):
    cluster = clusters(nodes="AB")
    first, second = (cluster.nodes[n].arbiter for n in "AB")
    second.config.write_text(second.config.read_text().replace('node-name = "B"', 'node-name = "A"'))
    first.start()
    time.sleep(1.5)
    second.start()
    log = ends_with(second, 100)
    assert 'A' in log and "HINT" in log and "node-name" in log, log
    assert first.running() and first.dump()["node"] == "A"


@pytest.mark.parametrize("tool", ["kafka-gate", "psql-sink"])
def test_other_partition_count_is_refused(tool, clusters):
    cluster = clusters(nodes="A")
    process = a_process(cluster, tool)
    text = process.config.read_text()
    assert "partitions = 4" in text
    process.config.write_text(text.replace("partitions = 4", "partitions = 8"))
    process.start()
    log = ends_with(process, 100)
    line = next(li for li in log.splitlines() if "partitions" in li and "HINT" in li)
    assert cluster.topic in line and "4" in line and "8" in line, line


def test_sink_refuses_what_contradicts_its_database(clusters):
    cluster = clusters(nodes="A")
    sink = cluster.sinks[0].start()
    wait_for(lambda: "event=started" in sink.log(), 15, lambda: sink.tail())
    sink.terminate()
    good = sink.config.read_text()
    sink.config.write_text(good.replace(f'group-id = "{cluster.name}"', 'group-id = "another"'))
    sink.start()
    log = ends_with(sink, 100)
    assert "another" in log and f"group-id = {cluster.name}" in log and "HINT" in log, log


@pytest.mark.parametrize("tool", ["kafka-gate", "psql-sink"])
def test_compacted_topic_is_refused(tool, clusters, servers):
    """Compaction would throw changes away."""
    if servers.embedded:
        pytest.skip("the embedded broker has no topic administration")
    cluster = clusters(nodes="A")
    admin = AdminClient({"bootstrap.servers": servers.env["KAFKA_BROKERS"]})
    topic = cluster.topic + ".compacted"
    admin.create_topics([NewTopic(topic, 4, 1, config={"cleanup.policy": "compact"})])[topic].result(20)
    try:
        process = a_process(cluster, tool)
        process.config.write_text(process.config.read_text().replace(f'"{cluster.topic}"', f'"{topic}"'))
        process.start()
        log = ends_with(process, 100)
        assert "cleanup.policy" in log and "compact" in log and "HINT" in log, log
    finally:
        admin.delete_topics([topic])[topic].result(20)


@pytest.mark.parametrize("tool", ["kafka-gate", "psql-sink"])
def test_absent_topic_names_the_remedy(tool, clusters, servers):
    if servers.embedded:
        pytest.skip("the embedded broker has no topic administration")
    cluster = clusters(nodes="A")
    process = a_process(cluster, tool)
    process.config.write_text(process.config.read_text().replace(f'"{cluster.topic}"', f'"{cluster.topic}.absent"'))
    process.start()
    log = ends_with(process, 100)
    assert "HINT" in log and "create" in log, log


# --- a single node ---------------------------------------------------------------------------------------------------
def test_standalone_node_without_redis(clusters, judged, say):
    """No Redis anywhere; kafka-gate is killed in a burst: nothing is lost. bmp-recv is killed: the state is right again."""
    cluster = clusters(nodes="A", standalone=True).start()
    assert "redis" not in cluster.nodes["A"].arbiter.config.read_text()
    generator = Generator(3, ["A"], {"A": cluster.nodes["A"].address})
    try:
        generator.start()
        gate = cluster.nodes["A"].gate

        def active():
            view = cluster.gate_view("A")
            return all(r.name in view and view[r.name]["role"] == "active" and not view[r.name]["in_dump"] for r in generator.routers)
        wait_for(active, 20, lambda: f"every router active: {cluster.gate_view('A')}", 0.2)
        mark = generator.mark()
        generator.start_churn(300)
        time.sleep(2)
        gate.kill()
        time.sleep(0.3)
        generator.stop_churn()
        gate.start()
        wait_for(lambda: gate.running() and active(), 20, "active again", 0.2)
        cluster.settle()
        lost, wrong = lost_changes(cluster, generator.changes[mark:]), wrong_rows(cluster, generator.table())
        say(f"standalone kill kafka-gate: changes={generator.mark() - mark} lost={len(lost)} wrong={len(wrong)}")
        assert not lost and not wrong, (lost[:5], wrong[:5])

        generator.start_churn(300)
        time.sleep(1)
        cluster.nodes["A"].recv.kill()
        time.sleep(0.5)
        generator.stop_churn()
        cluster.nodes["A"].recv.start()
        wait_for(lambda: all(s.connected for s in generator.sessions()), 10, "routers dial again")
        wait_for(active, 20, lambda: f"every router active: {cluster.gate_view('A')}", 0.2)
        cluster.settle()
        wrong = wrong_rows(cluster, generator.table())
        say(f"standalone kill bmp-recv: wrong={len(wrong)}")
        assert not wrong, wrong[:5]
    finally:
        generator.close()


# --- under supervisord -----------------------------------------------------------------------------------------------
class Supervised:
    """supervisord as scripts/run-supervisord starts it, in directories of its own."""

    def __init__(self, cluster):
        self.etc, self.run, self.log = (cluster.directory / d for d in ("etc", "run", "log"))
        for directory in (self.etc, self.run, self.log):
            directory.mkdir()
        for process in cluster.processes():
            shutil.copy(process.config, self.etc)
        self.environment = {**os.environ, "BMPHA_ETC": str(self.etc), "BMPHA_RUN": str(self.run), "BMPHA_LOG": str(self.log)}
        self.popen = subprocess.Popen([SCRIPTS / "run-supervisord"], env=self.environment, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def ctl(self, *words):
        return subprocess.run(["supervisorctl", "-s", f"unix://{self.run}/supervisor.sock", *words], capture_output=True,
                              text=True, timeout=60, check=False).stdout

    def bmp_ha(self, *words):
        return subprocess.run([SCRIPTS / "bmp-ha", *words], capture_output=True, text=True, timeout=30, env=self.environment, check=False)

    def running(self):
        return self.ctl("status").count("RUNNING")

    def stop(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            self.popen.wait(60)

    def event_time(self, tool, event):
        """When the tool wrote that event last."""
        lines = [li for li in (self.log / f"{tool}.log").read_text().splitlines() if f"event={event}" in li or f'event="{event}"' in li]
        assert lines, f"{tool} never wrote {event}: {(self.log / (tool + '.log')).read_text()[-800:]}"
        return lines[-1].split()[0]


def test_supervisord(clusters):
    """All four run, the four maintenance signals arrive, and ha-arbiter stops first."""
    if not shutil.which("supervisord"):
        pytest.fail("supervisord is missing HINT: scripts/install-deps")
    cluster = clusters(nodes="A")
    supervised = Supervised(cluster)
    try:
        wait_for(lambda: supervised.running() == 4, 30, lambda: f"four programs run: {supervised.ctl('status')}", 0.5)

        def mode():
            done = supervised.bmp_ha("status", "--json")
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)["nodes"]["A"]["mode"]
        def since():
            done = supervised.bmp_ha("status", "--json")
            assert done.returncode == 0, done.stderr
            return [r["nodes"]["A"]["since"] for r in json.loads(done.stdout)["routers"]]
        assert mode() == "auto"
        for command, wanted in (("force-active", "forced-active"), ("auto", "auto"), ("force-standby", "forced-standby"),
                                ("auto", "auto"), ("switch", "auto")):
            done = supervised.bmp_ha(command)
            assert done.returncode == 0, done.stderr
            wait_for(lambda wanted=wanted: mode() == wanted, 3, lambda wanted=wanted: f"{wanted}, not {mode()}", 0.2)
        # Signal 34 makes every session of this node the youngest.
        before = since()
        assert before
        assert supervised.bmp_ha("switch").returncode == 0
        wait_for(lambda: all(new > old for new, old in zip(since(), before)), 3, lambda: f"newer than {before}", 0.2)
        supervised.stop()
        order = [supervised.event_time(t, "stopped") for t in ("ha-arbiter", "psql-sink", "kafka-gate", "bmp-recv")]
        assert order == sorted(order), order
        assert supervised.popen.returncode == 0
    finally:
        supervised.stop()
