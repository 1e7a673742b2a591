"""Every tool as an operator meets it: command line, configuration, signals, servers that are not there, what is refused."""
import json
import re
import shutil
import signal
import subprocess
import time

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from harness.cluster import BIN, SCRIPTS, TREE, tool_environment, toml, wait_for
from harness.kafka_log import KafkaLog
from harness.stage import Stage

# tool: (a minimal configuration, a key, a bad value for it, what the message must say, a typo and the key meant)
TOOLS = {
    "bmp-recv": ({"node-name": "n1"}, "eor-quiet", "soon", "expected a time with unit", "eor-quite", "eor-quiet"),
    "kafka-gate": ({"node-name": "n1"}, "partitions", "many", "expected a whole number", "partitons", "partitions"),
    "ha-arbiter": ({"node-name": "n1"}, "ttl", "2", "expected a time with unit", "redis-ulr", "redis-url"),
    "psql-sink": ({"database": "postgresql://bmpha@127.0.0.1/bmpha"}, "partitions", "-1", "expected a whole number", "databse",
                  "database"),
}
SOCKETS = {"bmp-recv": ("gate-socket", "publish-socket"), "kafka-gate": ("recv-socket", "roles-socket", "status-socket"),
           "ha-arbiter": ("status-socket", "roles-socket", "control-socket")}
# tool, key, a bad value, what the message must say
BAD_VALUES = [
    *((tool, key, bad, expected) for tool, (_, key, bad, expected, _, _) in TOOLS.items()),
    *((tool, key, bad, "expected ipc:///PATH or tcp://ADDRESS:PORT") for tool, keys in SOCKETS.items() for key in keys
      for bad in ("garbage", "", "ipc://", "tcp://nowhere")),
    *((tool, "kafka-brokers", bad, "expected HOST:PORT, several with commas between") for tool in ("kafka-gate", "psql-sink")
      for bad in ("", "foo:bar:9", "localhost", "a:1,")),
    *((tool, "topic", bad, "expected 1 to 249 letters, digits or ._-") for tool in ("kafka-gate", "psql-sink")
      for bad in ("bad topic/", "..", "x" * 250)),
    *((tool, "topic", "", "expected a name, or a template such as {root}.{parsed}") for tool in ("kafka-gate", "psql-sink")),
    ("psql-sink", "topics", "bad topic/", "expected 1 to 249 letters, digits or ._-"),
]
tools = pytest.mark.parametrize("tool", TOOLS)
gate_and_sink = pytest.mark.parametrize("tool", ["kafka-gate", "psql-sink"])


def run(tool, *arguments, environment=None):
    return subprocess.run([BIN / tool, *map(str, arguments)], capture_output=True, text=True, timeout=10,
                          env=tool_environment(environment), check=False)


def write_config(directory, tool, **changes):
    path = directory / f"{tool}.toml"
    path.write_text(toml({**TOOLS[tool][0], **changes}))
    return path


GENERAL = {"config", "check", "verbose", "help", "version"}


@tools
def test_help_and_manual_page_name_the_same_settings(tool):
    done = run(tool, "--help")
    assert done.returncode == 0
    for word in ("Exit codes: 0 done, 100", f"man {tool}"):
        assert word in done.stdout, word
    in_help = set(re.findall(r"^ +(?:-\w,)?--([a-z-]+)", done.stdout, re.M))
    in_help |= set(re.findall(r"^Only in the file or the environment: ([a-z-]+)", done.stdout, re.M))
    page = (TREE / tool / f"{tool}.8").read_text()
    options = page.split("\n.Sh OPTIONS\n")[1].split("\n.Sh ")[0]
    items = "\n".join(line for line in options.splitlines() if line.startswith(".It "))
    in_page = set(re.findall(r"(?:(?:Cm|Ic) |Fl -|, )([a-z][a-z-]+)", items))
    assert in_help >= GENERAL | {"dump-file", "node-name"}
    assert in_help - GENERAL == in_page - GENERAL
    for word in GENERAL:
        assert re.search(rf"^\.(Op |It )?Fl .*-{word}\b", page, re.M), f"{word} is missing in the manual page"


@tools
def test_version(tool):
    done = run(tool, "--version")
    assert done.returncode == 0
    assert re.fullmatch(rf"{tool} \d+\.\d+\.\d+\S*\n", done.stdout), done.stdout


@tools
def test_check_accepts_a_good_file(tool, tmp_path):
    done = run(tool, "--config", write_config(tmp_path, tool), "--check")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("tool", "key", "bad", "expected"), BAD_VALUES)
def test_check_says_what_is_wrong(tool, key, bad, expected, tmp_path):
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
def a_process(lab, tool):
    """One tool of a node or a sink, configured and not started."""
    cluster = lab.cluster(("A",))
    return cluster.sink(start=False) if tool == "psql-sink" else cluster.nodes["A"].tools[tool]


def start(process):
    before = len(process.events("started"))
    process.start()
    wait_for(f"{process.name} has started", 15, lambda: len(process.events("started")) > before)
    return process


@tools
@pytest.mark.scenario
def test_usr1_hup_term(lab, tool):
    """USR1 writes the state as JSON, HUP does no harm, TERM and INT end with 0."""
    process = start(a_process(lab, tool))
    assert process.state()["tool"] == tool
    process.signal(signal.SIGHUP)
    assert process.state()["tool"] == tool, "HUP must not end it"
    wait_for("HUP is answered in the log", 3, lambda: process.log_lines("reload"))
    assert process.terminate(15) == 0, process.tail()
    start(process).signal(signal.SIGINT)
    assert process.wait(15) == 0, process.tail()


@pytest.mark.scenario
@pytest.mark.parametrize(("tool", "now", "later"), [
    ("bmp-recv", {"idle-timeout": "1h"}, {"router-id": "ip", "listen": ["127.0.0.1:1"]}),
    ("ha-arbiter", {"stall-timeout": "20s"}, {"redis-password": "new", "ttl": "3s"}),
    ("psql-sink", {"retention": "7d"}, {"writers": 3, "database": "dbname=another"}),
])
def test_hup_says_what_takes_effect_and_what_needs_a_restart(lab, tool, now, later):
    process = start(a_process(lab, tool))
    old = dict(process.settings)

    def reload(settings):
        before = len(process.events("configuration reloaded"))
        process.config.write_text(toml(settings))
        process.signal(signal.SIGHUP)
        wait_for("HUP is answered", 3, lambda: len(process.events("configuration reloaded")) > before)
        return process.events("configuration reloaded")[-1]
    line = reload({**old, **now, **later})
    assert f" changed={','.join(sorted(now))} needs_restart={','.join(sorted(later))}" in line and " warning " in line, line
    line = reload({**old, **now})  # what was changed is as it was: nothing to say
    assert ' changed=""' in line and "needs_restart" not in line and " info " in line, line
    line = reload(old)
    assert f" changed={','.join(now)}" in line and "needs_restart" not in line, line
    assert process.terminate(15) == 0


@tools
@pytest.mark.scenario
def test_one_event_is_one_line(lab, tool):
    """UTC time, level, tool, event=...; nothing else is ever written to the log."""
    process = start(a_process(lab, tool))
    process.terminate(15)
    form = re.compile(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z \w+ {tool}\S*( \S+=\S+)* event=\S")
    for line in process.log().splitlines():
        assert form.match(line), line


@pytest.mark.scenario
@pytest.mark.parametrize(("tool", "key", "trouble", "good"), [
    ("kafka-gate", "kafka-brokers", "unreachable", "kafka works again"),
    ("psql-sink", "kafka-brokers", "unreachable", "event=started"),
    ("psql-sink", "database", "unreachable", "event=started"),
    ("ha-arbiter", "redis-url", "redis unreachable", "redis reachable again"),
])
def test_server_absent_at_start_is_said_once_and_waited_for(lab, tool, key, trouble, good):
    process = a_process(lab, tool)
    path, address = lab.path(process.settings[key])
    path.set("refuse")
    process.write_config(**{key: address})
    process.start()

    def complaints():
        return [line for line in process.log().lower().splitlines() if trouble in line and (" warn" in line or " err" in line)]
    wait_for("the trouble is in the log", 10, complaints)
    time.sleep(4)
    assert process.alive(), process.tail()
    assert len(complaints()) == 1, complaints()
    before = len(process.log().splitlines())
    path.heal()
    wait_for("works when it comes", 15, lambda: any(good in line for line in process.log().splitlines()[before:]))
    assert process.terminate(15) == 0


# --- what is refused -------------------------------------------------------------------------------------------------
def refuses(process):
    """It ends with the code for bad configuration, by itself; the log."""
    assert process.start().wait(15) == 100, process.tail()
    return process.log()


@pytest.mark.scenario
def test_node_name_in_use_is_refused(lab):
    first, second = (node.arbiter for node in lab.cluster().nodes.values())
    second.write_config(node_name="A")
    first.start()
    time.sleep(1.5)
    log = refuses(second)
    assert "A" in log and "HINT" in log and "node-name" in log, log
    assert first.alive() and first.state()["node"] == "A"


@gate_and_sink
@pytest.mark.scenario
def test_other_partition_count_is_refused(lab, tool):
    process = a_process(lab, tool)
    assert process.settings["partitions"] == 4
    process.write_config(partitions=8)
    line = next(line for line in refuses(process).splitlines() if "partitions" in line and "HINT" in line)
    assert process.settings["topic"] in line and "4" in line and "8" in line, line


@pytest.mark.scenario
def test_sink_refuses_what_contradicts_its_database(lab):
    sink = start(a_process(lab, "psql-sink"))
    sink.terminate(15)
    sink.write_config(group_id="another")
    log = refuses(sink)
    assert "another" in log and f"group-id = {sink.group}" in log and "HINT" in log, log


def needs_topic_administration(lab):
    if lab.servers.broker == "embedded":
        pytest.skip("the embedded broker has no topic administration")


@gate_and_sink
@pytest.mark.scenario
def test_compacted_topic_is_refused(lab, tool):
    """Compaction would throw changes away."""
    needs_topic_administration(lab)
    process = a_process(lab, tool)
    admin = AdminClient({"bootstrap.servers": lab.servers.brokers})
    topic = process.settings["topic"] + ".compacted"
    admin.create_topics([NewTopic(topic, 4, 1, config={"cleanup.policy": "compact"})])[topic].result(20)
    try:
        KafkaLog(lab.servers.brokers, topic).close()  # waits until the broker knows it
        process.write_config(topic=topic)
        log = refuses(process)
        assert "cleanup.policy" in log and "compact" in log and "HINT" in log, log
    finally:
        admin.delete_topics([topic])[topic].result(20)


@gate_and_sink
@pytest.mark.scenario
def test_absent_topic_names_the_remedy(lab, tool):
    needs_topic_administration(lab)
    process = a_process(lab, tool)
    process.write_config(topic=process.settings["topic"] + ".absent")
    log = refuses(process)
    assert "HINT" in log and "create" in log, log


# --- a single node ---------------------------------------------------------------------------------------------------
@pytest.mark.scenario
@pytest.mark.loss
def test_standalone_node_without_redis(lab):
    """No Redis anywhere; kafka-gate is killed in a burst: nothing is lost. bmp-recv is killed: the state is right again."""
    s = Stage(lab, routers=3, nodes=("A",), rate=300, standalone=True)
    node = s.node("A")
    assert "redis" not in node.arbiter.config.read_text()
    s.settle(seconds=2)
    s.fault(node.gate.kill)
    time.sleep(0.3)
    s.silence()
    node.gate.start()
    s.wait_owner("A", seconds=20)
    s.judge()

    s.generator.churn(s.rate)
    time.sleep(1)
    node.recv.kill()
    time.sleep(0.5)
    s.silence()
    node.recv.start()
    wait_for("routers dial again", 10, lambda: s.generator.up("A") == len(s.home))
    wait_for("dumps end", 20, s.synced, every=0.2)
    s.judge_state()


# --- under supervisord -----------------------------------------------------------------------------------------------
class Supervised:
    """supervisord as scripts/run-supervisord starts it, in directories of its own."""

    def __init__(self, lab, processes):
        etc, self.run, self.log = (lab.directory / d for d in ("etc", "run", "log"))
        for directory in (etc, self.run, self.log):
            directory.mkdir()
        for process in processes:
            shutil.copy(process.config, etc)
        self.environment = tool_environment({"BMPHA_ETC": str(etc), "BMPHA_RUN": str(self.run), "BMPHA_LOG": str(self.log)})
        self.process = lab.process("supervisord", [SCRIPTS / "run-supervisord"], self.environment)

    def ctl(self, *words):
        return subprocess.run(["supervisorctl", "-s", f"unix://{self.run}/supervisor.sock", *words], capture_output=True,
                              text=True, timeout=60, check=False).stdout

    def bmp_ha(self, *words):
        done = subprocess.run([SCRIPTS / "bmp-ha", *words], capture_output=True, text=True, timeout=30, env=self.environment,
                              check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self):
        return json.loads(self.bmp_ha("status", "--json"))

    def stopped_at(self, tool):
        log = (self.log / f"{tool}.log").read_text()
        lines = [line for line in log.splitlines() if "event=stopped" in line]
        assert lines, f"{tool} never wrote that it stopped: {log[-800:]}"
        return lines[-1].split()[0]


@pytest.mark.scenario
def test_supervisord(lab):
    """All four run, the four maintenance signals arrive, and ha-arbiter stops first."""
    assert shutil.which("supervisord"), "supervisord is missing HINT: scripts/install-deps"
    cluster = lab.cluster(("A",))
    cluster.sink(start=False)
    supervised = Supervised(lab, cluster.processes())
    supervised.process.start()
    wait_for("four programs run", 30, lambda: supervised.ctl("status").count("RUNNING") == 4, every=0.5)

    def mode():
        return supervised.status()["nodes"]["A"]["mode"]

    def since():
        return [r["nodes"]["A"]["since"] for r in supervised.status()["routers"]]
    assert mode() == "auto"
    for command, wanted in (("force-active", "forced-active"), ("auto", "auto"), ("force-standby", "forced-standby"),
                            ("auto", "auto"), ("switch", "auto")):
        supervised.bmp_ha(command)
        wait_for(f"mode {wanted}", 3, lambda wanted=wanted: mode() == wanted, every=0.2)
    # Signal 34 makes every session of this node the youngest.
    before = since()
    assert before
    supervised.bmp_ha("switch")
    wait_for(f"newer than {before}", 3, lambda: all(new > old for new, old in zip(since(), before)), every=0.2)
    assert supervised.process.terminate(60) == 0
    order = [supervised.stopped_at(t) for t in ("ha-arbiter", "psql-sink", "kafka-gate", "bmp-recv")]
    assert order == sorted(order), order
