"""Fixtures, and the lanes in which scenarios run.

A scenario is a test that takes the argument `lab` alone and spends its time waiting for clocks. LANES of them (default 2)
run at the same time, each with processes, topic, database and Redis keys of its own; pytest reports them in their order.
LANES=1 runs everything one after another. ROUTERS is the number of routers in most scenarios (default 20).

test_NN_... is row NN of the failure matrix. SEEDS=20 runs each of the matrix' scenarios with the seeds 1 to 20, one seed after
another; SEED=7 with that one. The run ends with a line for each scenario that measured something, and a table of the rows;
MATRIX_JSON names a file that gets their figures.
"""
import itertools
import os
import signal
import sys
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import figures  # noqa: E402
from harness.cluster import Lab, Servers  # noqa: E402

LANES = int(os.environ.get("LANES") or 2)
LANE_DELAY = 3.0
ONE_SEED = os.environ.get("SEED")
SEEDS = [int(ONE_SEED)] if ONE_SEED else list(range(1, int(os.environ.get("SEEDS") or 1) + 1))
MATRIX_JSON = os.environ.get("MATRIX_JSON")
# What every scenario of the matrix must have measured; not every one has a switch.
NEEDED = tuple(name for name in figures.FIGURES if name != "switch_ms")
LOSS = "the embedded broker drops data silently: loss cannot be judged"


class Run:
    """What all tests of this run share."""

    def __init__(self):
        self._servers = None
        self.pool = ThreadPoolExecutor(max_workers=LANES, thread_name_prefix="lane")
        self.begun = itertools.count()
        self.futures = {}
        self.labs = {}  # of the scenarios that have begun, by node id
        self.lines = []  # for the summary
        self.entries = []  # of the matrix

    @property
    def servers(self):
        if self._servers is None:
            self._servers = Servers()
        return self._servers

    def stop(self, interrupted):
        for future in self.futures.values():
            future.cancel()
        if interrupted:  # what runs in the lanes ends now; their threads find their processes gone
            for lab in list(self.labs.values()):
                lab.close()
        self.pool.shutdown(wait=not interrupted)
        if self._servers:
            self._servers.stop()


RUN = Run()


def play(item):
    """A scenario in its lab; the report is the lab's notes. The lanes do not begin all at once."""
    begun = next(RUN.begun)
    if begun < LANES:
        time.sleep(begun * LANE_DELAY)
    parameters = dict(getattr(getattr(item, "callspec", None), "params", {}))
    lab = RUN.labs[item.nodeid] = Lab(RUN.servers, figures.scenario_of(item.name), parameters.pop("seed", SEEDS[0]))
    lab.row = figures.row_of(item.name)
    try:
        item.function(lab, **parameters)
        if lab.row is not None:
            unknown = [name for name in NEEDED if lab.figures.get(name) is None]
            assert not unknown, f"a scenario of the matrix must measure {unknown}"
            assert lab.bounded, "a scenario of the matrix must hold duplicates to a bound: Stage.judge()"
    except BaseException as e:
        e.report = lab.logs()
        raise
    finally:
        lab.close()
    return "\n".join(lab.notes)


def interrupt(*_):
    raise KeyboardInterrupt


def pytest_configure(config):
    signal.signal(signal.SIGTERM, interrupt)  # leaves nothing behind when its time is over
    config.addinivalue_line("markers", "scenario: runs in a lane; takes the argument `lab` alone")
    config.addinivalue_line("markers", "loss: judges loss, so it needs a real broker")
    config.addinivalue_line("markers", "once: so long that one seed must do")
    config.addinivalue_line("markers", "long: takes its time; for `make matrix`, `make routers` and `make test-long`, not for `make test`")


def pytest_generate_tests(metafunc):
    """Seeds, as one more parameter that play() takes off again."""
    if len(SEEDS) > 1 and figures.row_of(metafunc.function.__name__) is not None:
        metafunc.fixturenames.append("seed")
        metafunc.parametrize("seed", SEEDS, ids=[f"seed{n}" for n in SEEDS])


def pytest_collection_modifyitems(config, items):
    """All scenarios with one seed, then all with the next: a run that is ended early has whole seeds."""
    def seed(item):
        return getattr(getattr(item, "callspec", None), "params", {}).get("seed", SEEDS[0])
    again = [i for i in items if i.get_closest_marker("once") and seed(i) != SEEDS[0]]
    if again:
        config.hook.pytest_deselected(items=again)
        items[:] = [i for i in items if i not in again]
    items.sort(key=seed)


def is_scenario(item):
    return item.get_closest_marker("scenario") is not None


def pytest_collection_finish(session):
    if session.config.option.collectonly:
        return
    scenarios = [i for i in session.items if is_scenario(i)]
    if not scenarios:
        return
    servers = RUN.servers
    for item in scenarios:
        if servers.broker == "embedded" and item.get_closest_marker("loss"):
            continue
        RUN.futures[item.nodeid] = RUN.pool.submit(play, item)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not is_scenario(pyfuncitem):
        return None
    if RUN.servers.broker == "embedded" and pyfuncitem.get_closest_marker("loss"):
        pytest.skip(LOSS)
    try:
        print(RUN.futures[pyfuncitem.nodeid].result())
    except CancelledError:
        pytest.fail("cancelled")
    except BaseException as e:
        print(getattr(e, "report", ""))
        raise
    return True


def pytest_sessionfinish(session, exitstatus):
    RUN.stop(exitstatus == pytest.ExitCode.INTERRUPTED)


@pytest.fixture
def lab(request):
    """A lab for tests outside of the lanes; scenarios get theirs from their lane."""
    if is_scenario(request.node):
        yield None
        return
    made = Lab(RUN.servers, request.node.name)
    yield made
    failed = getattr(request.node, "report_call", None)
    if failed is None or failed.failed:
        print(made.logs())
    made.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when != "call":
        return
    report = item.report_call = outcome.get_result()
    lab = RUN.labs.get(item.nodeid)
    row = figures.row_of(item.name) if is_scenario(item) else None
    measured = lab.figures if lab else {}
    if row is not None:
        RUN.entries.append(figures.entry(item.name, lab.seed if lab else SEEDS[0], measured, report.outcome,
                                         lab.seconds if lab else 0))
        if MATRIX_JSON:  # after each, so that a run that is ended early leaves what it has
            figures.write_json(MATRIX_JSON, RUN.entries)
    if lab and (measured or row is not None):
        seed = f" seed {lab.seed}" if len(SEEDS) > 1 else ""
        name = (f"row {row:02d} " if row is not None else "") + figures.scenario_of(item.name).replace("_", " ") + seed
        told = " ".join(f"{k}={v}" for k, v in measured.items())
        RUN.lines.append(f"{name}: {report.outcome} {lab.seconds:.0f}s {told}".rstrip())


def pytest_terminal_summary(terminalreporter):
    if RUN.lines:
        terminalreporter.section("scenarios")
        for line in sorted(RUN.lines):
            terminalreporter.write_line(line)
    if RUN.entries:
        terminalreporter.section("failure matrix")
        for line in figures.text_table(RUN.entries):
            terminalreporter.write_line(line)
