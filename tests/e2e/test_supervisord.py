"""What supervisord, with scripts/supervisord.conf, makes of tools that end: by a wrong configuration, by a failure, by a crash."""
import os
import re
import shutil
import signal
import socket
import time

import pytest

from harness.cluster import free_port, toml, wait_for
from test_operation import Supervised

pytestmark = pytest.mark.scenario
PAUSE = 2.0  # seconds between two starts at least (scripts/lib.sh)


def supervise(lab, tool, **changes):
    """A node and a sink; one tool gets other settings. Returns supervisord and that tool's configuration file."""
    assert shutil.which("supervisord"), "supervisord is missing HINT: scripts/install-deps"
    cluster = lab.cluster(("A",))
    cluster.sink(start=False)
    supervised = Supervised(lab, cluster.processes())
    config = lab.directory / "etc" / f"{tool}.toml"
    good = config.read_text()
    lines = [line for line in good.splitlines(keepends=True) if line.split(" =")[0] not in changes]
    config.write_text("".join(lines) + toml(changes))
    supervised.process.start()
    return supervised, config, good


def state(supervised, tool):
    found = re.search(rf"^{tool}\s+(\w+)", supervised.ctl("status", tool), re.M)
    return found[1] if found else None


def pid(supervised, tool):
    """Of the tool itself, not of the script that becomes it."""
    text = supervised.ctl("pid", tool).strip()
    if not text.isdigit() or text == "0":
        return None
    try:
        with open(f"/proc/{text}/comm", encoding="ascii") as f:
            return int(text) if f.read().strip() == tool else None
    except FileNotFoundError:
        return None


def its_log(supervised):
    path = supervised.log / "supervisord.log"
    return path.read_text() if path.exists() else ""


def starts(supervised, tool):
    return its_log(supervised).count(f"spawned: '{tool}'")


def ends(supervised, tool):
    """What supervisord wrote about each end: the exit status, and whether it took it for expected."""
    return re.findall(rf"exited: {tool} \((?:exit status (\d+)|terminated by (\w+)[^;]*); (\w+ ?\w+)\)", its_log(supervised))


@pytest.mark.parametrize("tool", ["kafka-gate", "psql-sink"])
def test_a_wrong_configuration_keeps_a_tool_down(lab, tool):
    supervised, config, good = supervise(lab, tool, partitions="many")
    wait_for(f"{tool} has ended", 15, lambda: state(supervised, tool) == "EXITED", every=0.3)
    time.sleep(3 * PAUSE)  # any further start would have come by now
    assert starts(supervised, tool) == 1 and state(supervised, tool) == "EXITED"
    assert ends(supervised, tool) == [("100", "", "expected")]
    log = (supervised.log / f"{tool}.log").read_text()
    assert 'expected a whole number' in log and '"many"' in log, log
    assert state(supervised, "bmp-recv") == "RUNNING", "the others go on"
    config.write_text(good)
    supervised.ctl("start", tool)
    wait_for(f"{tool} runs", 10, lambda: pid(supervised, tool), every=0.3)
    assert supervised.process.terminate(60) == 0


def test_a_failure_of_the_environment_is_tried_again_without_end_and_without_haste(lab):
    """The address of bmp-recv is taken: more often than supervisord's usual three retries, until it is free."""
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        supervised, _, _ = supervise(lab, "bmp-recv", listen=[f"127.0.0.1:{taken.getsockname()[1]}"])
        began = time.monotonic()
        wait_for("six starts", 30, lambda: starts(supervised, "bmp-recv") >= 6, every=0.1)
        assert time.monotonic() - began >= 5 * PAUSE - 1, "it was started in haste"
        assert set(ends(supervised, "bmp-recv")) == {("111", "", "not expected")}
    wait_for("bmp-recv listens", 10, lambda: pid(supervised, "bmp-recv") and "event=started" in (
        supervised.log / "bmp-recv.log").read_text(), every=0.3)
    before = starts(supervised, "bmp-recv")
    time.sleep(PAUSE + 1)
    assert starts(supervised, "bmp-recv") == before and state(supervised, "bmp-recv") == "RUNNING"
    assert supervised.process.terminate(60) == 0


def test_a_crashed_tool_is_back_at_once_and_then_after_the_pause(lab):
    supervised, _, _ = supervise(lab, "ha-arbiter")
    first = wait_for("ha-arbiter runs", 15, lambda: pid(supervised, "ha-arbiter"), every=0.1)
    time.sleep(PAUSE + 0.5)
    os.kill(first, signal.SIGKILL)
    began = time.monotonic()
    second = wait_for("it is back", 5, lambda: (p := pid(supervised, "ha-arbiter")) != first and p, every=0.05)
    assert time.monotonic() - began < PAUSE - 0.3, "after a long run nothing has to wait"
    os.kill(second, signal.SIGKILL)
    again = time.monotonic()
    wait_for("it is back again", 5 + PAUSE, lambda: (p := pid(supervised, "ha-arbiter")) not in (first, second) and p, every=0.05)
    assert time.monotonic() - began >= PAUSE - 0.1, f"no pause: {time.monotonic() - again:.1f} s"
    # A stop during the pause leaves nothing behind and is no failure.
    os.kill(wait_for("it runs", 5, lambda: pid(supervised, "ha-arbiter")), signal.SIGKILL)
    time.sleep(0.3)
    assert supervised.process.terminate(60) == 0
