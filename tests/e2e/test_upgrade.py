"""Nodes of two builds in one cluster: the present one, and the one whose codecs are frozen in tests/compat/v1, built from the
repository's history (a few minutes, once; kept in build/old)."""
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from harness.cluster import BIN, TOOLS, TREE, wait_for
from harness.stage import CRASH, PLANNED, Stage

pytestmark = [pytest.mark.scenario, pytest.mark.loss]

VERSION_1 = "328fa29b8a146eadecf7a3c6f5e376a25deeb9a9"
BUILDING = threading.Lock()


def old_build():
    """A directory with the old programs; without the history the test is skipped."""
    directory = TREE / "build/old" / VERSION_1[:12]
    with BUILDING:
        if (directory / "complete").exists():
            return directory
        git = ["git", "-C", str(TREE)]
        known = subprocess.run([*git, "cat-file", "-e", VERSION_1 + "^{commit}"], capture_output=True, timeout=30)
        if known.returncode != 0:
            pytest.skip(f"the history of this tree does not hold {VERSION_1[:12]}: no old build")
        with tempfile.TemporaryDirectory(prefix="bmp-ha-old.", dir="/var/tmp") as source:
            archive = subprocess.run([*git, "archive", VERSION_1], capture_output=True, check=True, timeout=60)
            subprocess.run(["tar", "-x", "-C", source], input=archive.stdout, check=True, timeout=60)
            made = subprocess.run(["make", "-j2", "-C", source, *TOOLS, "psql-sink"], capture_output=True, text=True,
                                  timeout=1800)
            assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
            directory.mkdir(parents=True, exist_ok=True)
            for tool in (*TOOLS, "psql-sink"):
                shutil.copy(Path(source) / "build/release/bin" / tool, directory)
        (directory / "complete").touch()
    return directory


def install(tool, directory):
    tool.argv[0] = str(directory / tool.tool)


@pytest.mark.long
def test_a_rolling_upgrade_and_one_step_back(lab):
    """Sink first, then node after node; in between each build takes over from the other, once by plan and once in a crash."""
    old = old_build()
    s = Stage(lab, bin_dir=old)
    assert all(p.argv[0].startswith(str(old)) for p in s.cluster.processes())
    s.settle()

    assert s.sink.terminate() == 0
    install(s.sink, BIN)
    s.sink.start()

    def replace(name, build):
        node = s.node(name)
        mine = [r for r, n in s.owners_now().items() if n == name]
        s.fault()
        assert node.terminate() == [0, 0, 0]
        wait_for("the other's first records", 5, lambda: set(s.moved()) >= set(mine))
        assert max(seconds for _, seconds in s.moved().values()) <= PLANNED
        for tool in node.tools.values():
            install(tool, build)
        back(node)

    def back(node):
        node.start()
        wait_for("routers are back", 10, lambda: s.generator.up(node.name) == len(s.home))
        wait_for("dumps end", 20, s.synced, every=0.2)

    def crash(name, other):
        """All of that node's routers go to the other, which runs the other build."""
        mine = [r for r, n in s.owners_now().items() if n == name]
        assert mine, f"{name} owns nothing"
        s.generator.burst(200)
        s.fault(s.node(name).kill)
        wait_for("the other's first records", 8, lambda: set(s.moved()) >= set(mine))
        s.switched(CRASH + 0.5, other, mine)
        back(s.node(name))

    replace("A", BIN)
    crash("B", "A")  # the new build takes over from the old one
    s.node("A").arbiter.signal(34)
    s.wait_owner("B")
    s.node("B").arbiter.signal(34)
    s.wait_owner("A")
    crash("A", "B")  # and the old one from the new one
    replace("B", BIN)
    replace("A", old)
    s.silence()
    s.judge(quiet=6)
    for name, node in s.cluster.nodes.items():
        state = node.arbiter.state()
        assert state["redis"] == "ok" and not state["solo"], (name, state)
        for words in ("not supported", "not readable"):
            assert not any(t.log_lines(words) for t in node.tools.values()), words
    assert not s.sink.log_lines("not supported")
    s.no_order_violations()
