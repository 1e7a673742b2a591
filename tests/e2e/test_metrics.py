"""The metrics endpoints of the four tools: alarms rise and fall, what is counted is shown, every name is documented."""
import re
import socket
import subprocess
import urllib.request

import pytest

from harness.cluster import BIN, TREE, free_port, tool_environment, wait_for
from harness.stage import Stage

TOOLS = ("bmp-recv", "kafka-gate", "ha-arbiter")


def scrape(process):
    """The text that Prometheus would read."""
    with urllib.request.urlopen(f"http://{process.settings['metrics-listen']}/metrics", timeout=5) as answer:
        return answer.read().decode()


def sample(process, name, **labels):
    """The value of one sample; None where there is none."""
    for line in scrape(process).splitlines():
        found = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
        if found and dict(re.findall(r'(\w+)="([^"]*)"', found[1] or "")) == labels:
            return float(found[2])
    return None


def families(text):
    return set(re.findall(r"^# TYPE (\S+) ", text, re.M))


def documented():
    section = (TREE / "docs/operations.md").read_text().split("\n## Metrics\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(bmpha_\w+)", section, re.M))


@pytest.mark.scenario
def test_alarm_counters_and_the_documented_names(lab):
    ports = {tool: f"127.0.0.1:{free_port()}" for tool in TOOLS}
    s = Stage(lab, routers=3, nodes=("A",), sinks=0, settings={t: {"metrics-listen": ports[t]} for t in TOOLS})
    node = s.node("A")
    sink = s.cluster.sink(metrics_listen=f"127.0.0.1:{free_port()}")
    s.dial()
    # Clients that never ask whole, and never read: a scraper does not notice.
    held = [socket.create_connection(("127.0.0.1", int(p.rsplit(":", 1)[1]))) for p in ports.values() for _ in range(2)]
    for connection in held:
        connection.sendall(b"GET /metrics HTTP/1.1\r\n")
    wait_for("three active routers and the collector", 10,
             lambda: sample(node.arbiter, "bmpha_arbiter_routers", role="active") == 4)
    alarm = {"alarm": "all-forced-standby"}
    assert sample(node.arbiter, "bmpha_alarm", **alarm) == 0
    node.arbiter.signal(36)
    wait_for("the alarm", 5, lambda: sample(node.arbiter, "bmpha_alarm", **alarm) == 1)
    assert sample(node.arbiter, "bmpha_arbiter_mode", mode="forced-standby") == 1
    node.arbiter.signal(37)
    wait_for("the end of the alarm", 5, lambda: sample(node.arbiter, "bmpha_alarm", **alarm) == 0)
    for connection in held:
        connection.close()
    wait_for("the dumps' end", 20, s.synced)
    # All of the dumps may have been read before the claim; latencies are those of records that were not.
    s.generator.burst(20)
    wait_for("rows in the database", 20, lambda: sink.state()["rows"] > 0 and sink.state()["lag"] == 0)
    # As the state has it, now that nothing comes any more but the collector's heartbeats.
    counters = node.recv.state()["counters"]
    wait_for("bmp-recv's counters", 5, lambda: sample(node.recv, "bmpha_recv_messages_total", type="route_monitoring")
             == counters["messages"]["route_monitoring"] > 0)
    assert sample(node.recv, "bmpha_recv_sessions", phase="up") == 3
    assert sample(node.recv, "bmpha_recv_parse_errors_total", reason="nlri") == 0
    produced = sum(r["counters"]["produced"] for r in node.gate.state()["routers"])
    wait_for("kafka-gate's counters", 5, lambda: sample(node.gate, "bmpha_gate_produced_total") >= produced > 0)
    assert sample(node.gate, "bmpha_gate_produce_errors_total") == 0
    rows = sink.state()["rows"]
    wait_for("psql-sink's counters", 5, lambda: sample(sink, "bmpha_sink_rows_total") >= rows > 0)
    wait_for("latencies", 15, lambda: sample(sink, "bmpha_sink_commit_latency_seconds_count") > 0)
    shown = set()
    for process in (*node.tools.values(), sink):
        shown |= families(scrape(process))
        assert process.terminate(15) == 0, process.tail()
    assert {n for n in shown if not n.startswith("exposer_")} == documented()


@pytest.mark.scenario
def test_lost_redundancy_is_an_alarm_of_every_node_until_it_is_back(lab):
    """One router's session to one of two nodes ends; nothing else may be told."""
    metrics = {n: {"ha-arbiter": {"metrics-listen": f"127.0.0.1:{free_port()}", "alarm-after": "3s"}} for n in "AB"}
    s = Stage(lab, routers=2, sinks=0, node_settings=metrics).dial()
    arbiters = [s.node(n).arbiter for n in "AB"]

    def raised(arbiter):
        found = re.findall(r'^bmpha_alarm\{alarm="([^"]+)"\} 1$', scrape(arbiter), re.M)
        return {name: sample(arbiter, "bmpha_alarm_count", alarm=name) for name in found}
    assert [sample(a, "bmpha_alarm", alarm="redundancy-lost") for a in arbiters] == [0, 0]
    wait_for("nothing is wrong", 10, lambda: [raised(a) for a in arbiters] == [{}, {}])
    router = s.generator.routers[0].name
    s.generator.stop("B", [router])
    wait_for("the alarm on both nodes", 10, lambda: [raised(a) for a in arbiters] == [{"redundancy-lost": 1}] * 2)
    for arbiter in arbiters:
        lines = arbiter.log_lines("error", "alarm=redundancy-lost")
        assert len(lines) == 1 and "only node A has a session of it" in lines[0], lines
    assert arbiters[0].log_lines("error", "alarm=redundancy-lost", f"router={router} ")  # the other may know its id only
    s.generator.start("B", [router])
    wait_for("the end of the alarm", 10, lambda: [raised(a) for a in arbiters] == [{}, {}])
    assert all(len(a.log_lines('event="alarm over"', "alarm=redundancy-lost")) == 1 for a in arbiters)


@pytest.mark.parametrize("tool", [*TOOLS, "psql-sink"])
def test_port_in_use_is_an_error_at_start(tool, tmp_path):
    """Exit code 111, as for the other endpoints; and --check tells a form that is wrong."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        sockets = {"bmp-recv": ("gate-socket", "publish-socket"), "kafka-gate": ("status-socket", "roles-socket", "recv-socket"),
                   "ha-arbiter": ("status-socket", "roles-socket", "control-socket"), "psql-sink": ()}[tool]
        arguments = [f"--{key}=ipc://{tmp_path}/{n}" for n, key in enumerate(sockets)]
        if tool != "psql-sink":
            arguments.append("--node-name=n1")
        if tool == "ha-arbiter":
            arguments += [f"--state-file={tmp_path}/state", "--standalone"]

        def run(*more):
            return subprocess.run([BIN / tool, *arguments, *more], capture_output=True, text=True, timeout=20,
                                  env=tool_environment(), check=False)
        done = run(f"--metrics-listen={where}")
        assert done.returncode == 111, done.stderr
        assert f"cannot serve metrics on {where}: Address already in use HINT: set metrics-listen" in done.stderr
        done = run("--metrics-listen=localhost", "--check")
        assert done.returncode == 100 and "expected ADDRESS:PORT" in done.stderr
