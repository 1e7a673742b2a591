"""Row 24 of the failure matrix: a disk is full. Each disk is a small tmpfs of the test's own."""
import copy
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness.cluster import SCRIPTS, wait_for
from harness.stage import CRASH, PLANNED, Stage

pytestmark = [pytest.mark.scenario, pytest.mark.loss]


class Disk:
    """A directory with little room."""

    def __init__(self, lab, name, size):
        self.directory = lab.directory / name
        self.directory.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "bmp-ha-test", self.directory],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"a small file system is needed, and mount says: {done.stderr.strip()}")
        lab.at_end(subprocess.run, ["umount", "--lazy", self.directory])
        self._filler = self.directory / "filler"

    def fill(self):
        """To the last byte."""
        with open(self._filler, "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass
        assert self.room() == 0

    def room(self):
        status = os.statvfs(self.directory)
        return status.f_bavail * status.f_frsize

    def make_room(self):
        self._filler.unlink()


def restart_with_logs_on(disk, processes):
    for process in processes:
        process.kill()
        process.log_path = disk.directory / f"{process.name.replace(' ', '.')}.log"
        process.start()


@pytest.mark.long
def test_24_there_is_no_room_for_logs(lab):
    """They are dropped and counted; nobody waits for them."""
    disk = Disk(lab, "logs", "1m")
    s = Stage(lab)
    processes = s.cluster.processes()
    restart_with_logs_on(disk, processes)
    s.settle()
    disk.fill()
    for _ in range(60):  # what is left of the last page of each file
        for process in processes:
            process.signal(signal.SIGHUP)
        time.sleep(0.02)
    before = {p.name: p.log_path.stat().st_size for p in processes}
    s.fault(lambda: s.node("A").arbiter.signal(34))  # everybody has something to say
    s.wait_owner("B")
    time.sleep(3)
    s.switched(PLANNED, "B", s.of("A"))
    assert {p.name: p.log_path.stat().st_size for p in processes} == before, "the disk was full"
    s.fault(s.node("B").kill).silence()
    s.wait_owner("A")
    s.judge()
    s.switched(CRASH, "A", list(s.home))
    disk.make_room()
    for tool in s.node("A").tools.values():
        tool.signal(signal.SIGHUP)
        told, = wait_for("it tells what was dropped", 5, lambda tool=tool: tool.events("log lines dropped"))
        lab.note(told)
    s.no_order_violations()


def test_24_nobody_reads_the_logs(lab):
    """As when a supervisor hangs: the pipes are full, and nobody waits for them."""
    s = Stage(lab)
    reading, writing = os.pipe()
    lab.at_end(os.close, reading)
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writing, True)
    for process in s.cluster.processes():
        process.kill()
        process.log_path = Path(f"/proc/self/fd/{writing}")
        process.start()
        process.log_path = lab.directory / "nowhere"
    os.close(writing)
    s.settle()
    s.fault(s.node("A").kill).silence()
    s.wait_owner("B")
    s.judge()
    s.switched(CRASH, "B", s.of("A"))


@pytest.mark.long
def test_24_the_brokers_disk_is_full(lab):
    """The broker ends, as it does when it cannot write; with room again it comes back with all that it has confirmed."""
    disk = Disk(lab, "kafka", "128m")
    kafka = lab.private_kafka(disk.directory)
    s = Stage(lab, brokers=kafka.brokers).settle()
    disk.fill()
    s.fault()
    wait_for("the broker is in trouble", 30, lambda: not kafka.process.alive() or not any(
        n.gate.state()["kafka_ok"] for n in s.cluster.nodes.values()), every=0.5)
    lab.note(f"broker ended by itself: {not kafka.process.alive()}")
    time.sleep(max(0, s.fault_at + 20 - time.monotonic()))
    assert s.owners_now() == s.home, "nobody can do better, so nobody moves"
    s.silence()
    s.generator.settle_all()
    disk.make_room()
    kafka.kill()
    kafka.start()
    s.judge(quiet=5, seconds=120, again=s.replayed(span=1))  # what was under way when the broker ended
    s.no_switch()
    s.stored_once()
    s.no_order_violations()


class PrivatePostgres:
    """A database server with its files in that directory."""

    def __init__(self, lab, directory):
        self.directory = directory
        lab.directory.chmod(0o755)  # the server's own user has to get there
        lab.at_end(self._servers, "stop")
        self.start()
        environment = dict(line.split("=", 1) for line in (directory / "env").read_text().splitlines())
        self.url = environment["DATABASE_URL"]
        for setting in ("max_wal_size = '64MB'", "min_wal_size = '32MB'"):
            self.psql(f"ALTER SYSTEM SET {setting}")
        self.psql("SELECT pg_reload_conf()")

    def _servers(self, verb):
        environment = {k: v for k, v in os.environ.items() if k not in ("KAFKA_BROKERS", "REDIS_URL", "DATABASE_URL")}
        done = subprocess.run([SCRIPTS / "servers", verb, self.directory, "postgres"], capture_output=True, text=True,
                              timeout=120, env=environment, check=False)
        assert done.returncode == 0, done.stderr

    def start(self):
        """Starts it unless it runs."""
        self._servers("start")

    def psql(self, sql):
        port = (self.directory / "port-base").read_text().strip()
        subprocess.run(["psql", "-qAtX", "-h", self.directory / "postgres", "-p", port, "-U", "postgres", "-d", "postgres",
                        "-c", sql], check=True, capture_output=True, timeout=30)


@pytest.mark.long
def test_24_the_databases_disk_is_full(lab):
    """The sink waits, Kafka holds; with room again everything is stored, once."""
    disk = Disk(lab, "pg", "320m")
    postgres = PrivatePostgres(lab, disk.directory)
    lab.servers = copy.copy(lab.servers)
    lab.servers.database_url = postgres.url
    s = Stage(lab, rate=300).settle()
    disk.fill()
    s.fault()
    trouble = wait_for("the sink cannot store", 60, lambda: s.sink.log_lines("warning") and [
        line for line in s.sink.log_lines("warning") if "event=topic" not in line], every=0.5)
    lab.note(f"the sink says: {trouble[0]}")
    time.sleep(15)
    state = s.sink.state()
    assert state["lag"] > 0, state
    s.silence()
    s.generator.settle_all()
    disk.make_room()
    postgres.start()
    v = s.judge(seconds=120)
    assert v.duplicates == 0 and s.sink.state()["lag"] == 0
    s.stored_once()
    s.no_switch()


@pytest.mark.long
def test_24_the_arbiters_state_file_cannot_be_written(lab):
    """It says so once, with the reason, goes on by what it knows, and writes when there is room."""
    disk = Disk(lab, "state", "64k")
    states = {n: disk.directory / n for n in "AB"}
    s = Stage(lab, node_settings={n: {"ha-arbiter": {"state-file": str(f)}} for n, f in states.items()}).settle()
    stored = {n: f.read_text() for n, f in states.items()}
    assert all(stored.values())
    disk.fill()
    s.fault(lambda: s.node("A").arbiter.signal(34))
    s.wait_owner("B")
    time.sleep(2)
    s.switched(PLANNED, "B", s.of("A"))
    assert {n: f.read_text() for n, f in states.items()} == stored, "the old state stays whole"
    for node in s.cluster.nodes.values():
        line, = node.arbiter.events("state not stored")
        assert " error " in line and str(states[node.name]) in line and "No space left on device" in line, line
    # A restart reads the old state, and what Redis holds is newer.
    epochs = {r: e for r, (_n, e) in s.cluster.owners().items()}
    s.node("B").arbiter.kill()
    time.sleep(3)
    s.node("B").arbiter.start()
    s.wait_owner("A")
    s.silence()
    v = s.judge()
    assert v.fenced == 0
    after = {r: e for r, (_n, e) in s.cluster.owners().items()}
    assert all(after[r] > epochs[r] for r in epochs), (epochs, after)
    disk.make_room()

    def written():
        return all(f"epoch {max(after.values())}\n" in f.read_text() for f in states.values())
    wait_for("the state is written", 5, written)
    s.no_order_violations()
