"""The shell scripts themselves: processes, servers, configuration files, bmp-ha."""
import os
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
SCRIPTS = TREE / "scripts"


def run(name, *arguments, code=0, **environment):
    env = {k: v for k, v in os.environ.items() if k not in ("KAFKA_BROKERS", "REDIS_URL", "DATABASE_URL")}
    done = subprocess.run([SCRIPTS / name, *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          env={**env, **environment})
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def shell(text):
    """Runs a piece of shell with scripts/lib.sh."""
    done = subprocess.run(["bash", "-c", f"set -euo pipefail\n. {SCRIPTS}/lib.sh\n{text}"], capture_output=True, text=True,
                          timeout=60)
    return done.returncode, (done.stdout + done.stderr).strip()


@pytest.fixture
def directory():
    with tempfile.TemporaryDirectory(prefix="bmp-ha-scripts.", dir="/var/tmp") as name:
        yield Path(name)


@pytest.fixture
def servers(directory):
    yield directory
    run("servers", "stop", directory, "--wipe")


def test_a_process_with_a_reused_pid_is_never_signalled(directory):
    other = subprocess.Popen(["sleep", "60"])
    try:
        (directory / "x.pid").write_text(f"{other.pid}\n")
        (directory / "x.start").write_text("1\n")  # the start time of the process that had this pid before
        assert shell(f"stop_process {directory}/x KILL 1")[0] == 0
        assert other.poll() is None
        assert not (directory / "x.pid").exists()
    finally:
        other.kill()
        other.wait()


def test_a_process_that_ignores_its_signal_is_killed_after_the_bound(directory):
    code, _ = shell(f"launch {directory}/x {directory}/log bash -c 'trap \"\" TERM; while :; do sleep 0.1; done'; sleep 0.3")
    assert code == 0
    pid = int((directory / "x.pid").read_text())
    began = time.monotonic()
    code, text = shell(f"stop_process {directory}/x TERM 1")
    assert code == 0 and "killed" in text
    assert time.monotonic() - began < 5
    with pytest.raises(ProcessLookupError):
        for _ in range(50):
            if Path(f"/proc/{pid}/stat").exists() and " Z " in Path(f"/proc/{pid}/stat").read_text():
                raise ProcessLookupError
            os.kill(pid, 0)
            time.sleep(0.1)


def test_toml_values_are_quoted_and_lists_are_lists(directory):
    code, text = shell("toml a x; toml b 5; toml c x y; toml d true")
    assert code == 0
    assert tomllib.loads(text) == {"a": "x", "b": 5, "c": ["x", "y"], "d": True}
    assert shell("toml a 'x\"y'")[0] == 100


def test_redis_is_private_and_stops_with_its_directory(servers):
    run("servers", "start", servers, "redis")
    env = dict(line.split("=", 1) for line in (servers / "env").read_text().splitlines())
    pid = int((servers / "redis" / "server.pid").read_text())
    assert f":{int((servers / 'port-base').read_text()) + 1}/" in env["REDIS_URL"]
    run("servers", "start", servers, "redis")  # runs already: nothing to do
    assert int((servers / "redis" / "server.pid").read_text()) == pid
    assert "redis: running" in run("servers", "status", servers, "redis")
    run("servers", "stop", servers, "redis")
    assert "redis: not running" in run("servers", "status", servers, "redis", code=1)


def test_a_server_that_was_killed_is_started_again_on_its_port(servers):
    run("servers", "start", servers, "redis")
    before = (servers / "env").read_text()
    os.kill(int((servers / "redis" / "server.pid").read_text()), signal.SIGKILL)
    run("servers", "start", servers, "redis")
    assert (servers / "env").read_text() == before
    assert "redis: running" in run("servers", "status", servers, "redis")


def test_servers_of_the_environment_are_used_and_not_started(servers):
    run("servers", "start", servers, KAFKA_BROKERS="k:9092", REDIS_URL="redis://r:1/0", DATABASE_URL="postgresql://d/x")
    text = (servers / "env").read_text()
    assert "KAFKA_BROKERS=k:9092" in text and "REDIS_URL=redis://r:1/0" in text and "DATABASE_URL=postgresql://d/x" in text
    assert not list(servers.glob("*/server.pid"))


def test_the_embedded_broker_says_what_it_is_and_what_it_cannot_do(servers):
    run("servers", "start", servers, "kafka", BMPHA_BROKER="embedded")
    assert "BROKER=embedded" in (servers / "env").read_text()
    text = run("servers", "status", servers, "kafka")
    assert "broker: embedded" in text and "5 MiB" in text and "loss cannot be judged" in text


def test_node_configuration_has_the_servers_and_the_overrides(servers):
    run("servers", "start", servers, KAFKA_BROKERS="k:9092", REDIS_URL="redis://r:1/0", DATABASE_URL="postgresql://d/x")
    run("node", "config", servers, "n-1.a", "--listen", "127.0.0.1:1", "--listen", "[::1]:2", "--set", "kafka-gate.topic=t",
        "--set", "ha-arbiter.ttl=3s")
    load = lambda tool: tomllib.loads((servers / "n-1.a" / f"{tool}.toml").read_text())  # noqa: E731
    assert load("bmp-recv")["listen"] == ["127.0.0.1:1", "[::1]:2"]
    assert load("kafka-gate")["kafka-brokers"] == "k:9092" and load("kafka-gate")["topic"] == "t"
    assert load("ha-arbiter")["redis-url"] == "redis://r:1/0" and load("ha-arbiter")["ttl"] == "3s"
    assert load("bmp-recv")["gate-socket"] == load("kafka-gate")["recv-socket"]
    assert "standalone" in (run("node", "config", servers, "solo", "--standalone") or "") + (
        servers / "solo" / "ha-arbiter.toml").read_text()
    assert "redis-url" not in (servers / "solo" / "ha-arbiter.toml").read_text()


@pytest.mark.parametrize("arguments", [("node", "start", "/var/tmp/x", "a/b"), ("node", "start", "/var/tmp/x", "kafka"),
                                       ("node", "begin"), ("servers", "start", "--port-base", "x"),
                                       ("sink", "start", "--set", "kafka-gate.topic=x"), ("bmp-ha", "swich")])
def test_wrong_usage_ends_with_code_100(arguments):
    run(*arguments, code=100)


def fake_arbiter(directory):
    """A process named ha-arbiter that notes the signals which it gets."""
    program = directory / "ha-arbiter"
    log = directory / "signals"
    program.write_text(f"""import ctypes, signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, range(34, 38))
ctypes.CDLL(None).prctl(15, b"ha-arbiter", 0, 0, 0)
open({str(directory / "ready")!r}, "w").close()
while True:  # no sigwait(): as long as it waits, signals do not show as blocked
    got = signal.sigtimedwait(range(34, 38), 0)
    time.sleep(0 if got else 0.02)
    if got:
        with open({str(log)!r}, "a") as f:
            print(int(got.si_signo), file=f, flush=True)
""")
    process = subprocess.Popen([sys.executable, program])
    while not (directory / "ready").exists():
        time.sleep(0.02)
    return process, log


def wait_for_text(path, text):
    """Until the file has it, or for ten seconds: the caller says what is wrong then."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not (path.exists() and text in path.read_text()):
        time.sleep(0.02)


def test_bmp_ha_sends_the_four_signals_to_the_arbiter_of_the_chosen_node(directory):
    process, log = fake_arbiter(directory)
    try:
        for name in ("A", "B"):
            (directory / name).mkdir()
            (directory / name / "ha-arbiter.toml").write_text(f'node-name = "{name}"\n')
        (directory / "B" / "ha-arbiter.pid").write_text(f"{process.pid}\n")
        for number, command in enumerate(("switch", "force-active", "force-standby", "auto"), 34):
            run("bmp-ha", "--run-dir", directory, "--node", "B", command)
            wait_for_text(log, str(number))
        assert log.read_text().split() == ["34", "35", "36", "37"]
        assert "choose one with --node" in run("bmp-ha", "--run-dir", directory, "switch", code=100)
        assert "does not run" in run("bmp-ha", "--run-dir", directory, "--node", "A", "switch", code=111)
        run("bmp-ha", "--pid", process.pid, "auto")
        # A process without a control socket or a dump file; and what needs one.
        said = run("bmp-ha", "--pid", process.pid, "status", code=111)
        assert "can be found HINT: " in said and "no routers" not in said
        assert "HINT: --control" in run("bmp-ha", "--pid", process.pid, "drain", "B", code=100)
    finally:
        process.kill()
        process.wait()


def test_bmp_ha_refuses_a_pid_that_is_no_arbiter():
    assert "no running ha-arbiter" in run("bmp-ha", "--pid", os.getpid(), "switch", code=111)


def test_bmp_ha_finds_the_arbiter_through_supervisord(directory):
    (directory / "etc").mkdir()
    (directory / "etc" / "ha-arbiter.toml").write_text('node-name = "N"\n')
    log = directory / "signals"
    # The name ha-arbiter is taken last: from then on signals are waited for.
    (directory / "start").write_text(
        f'#!/bin/bash\nexec {sys.executable} -c \'import ctypes, signal; '
        'signal.pthread_sigmask(signal.SIG_BLOCK, range(34, 38)); ctypes.CDLL(None).prctl(15, b"ha-arbiter", 0, 0, 0); '
        f'open("{log}", "w").write(str(int(signal.sigwait(range(34, 38)))))\'\n')
    (directory / "start").chmod(0o755)
    (directory / "s.conf").write_text(f"""[supervisord]
nodaemon=true
logfile={directory}/log
pidfile={directory}/pid
[unix_http_server]
file={directory}/sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:ha-arbiter]
command={directory}/start
autorestart=false
""")
    url = f"unix://{directory}/sock"
    supervisor = subprocess.Popen(["supervisord", "-n", "-c", directory / "s.conf"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            done = subprocess.run([SCRIPTS / "bmp-ha", "--supervisor", url, "force-standby"], capture_output=True,
                                  text=True, env={**os.environ, "BMPHA_ETC": str(directory / "etc")})
            if done.returncode == 0:
                break
            time.sleep(0.1)
        assert done.returncode == 0, done.stderr
        assert "node N" in done.stdout
        wait_for_text(log, "36")
        assert log.read_text() == "36"
    finally:
        supervisor.terminate()
        supervisor.wait(20)


def test_bmp_ha_waits_for_a_tool_that_has_just_been_started(directory):
    """It takes signals only half a second after it has its name; before that they would end it."""
    log = directory / "signals"
    process = subprocess.Popen([sys.executable, "-c", f"""import ctypes, signal, time
ctypes.CDLL(None).prctl(15, b"ha-arbiter", 0, 0, 0)
open({str(directory / "ready")!r}, "w").close()
time.sleep(0.5)
signal.pthread_sigmask(signal.SIG_BLOCK, range(34, 38))
time.sleep(0.5)
open({str(log)!r}, "w").write(str(int(signal.sigwait(range(34, 38)))))
"""])
    try:
        while not (directory / "ready").exists():
            time.sleep(0.02)
        run("bmp-ha", "--pid", process.pid, "switch")
        assert process.wait(30) == 0, "the signal has ended it"
        assert log.read_text() == "34"
    finally:
        process.kill()
        process.wait()
