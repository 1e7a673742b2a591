"""Servers for the whole session, clusters for tests, logs on failure."""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from cluster import SCRIPTS, Cluster, read_env, script  # noqa: E402



class Servers:
    def __init__(self, directory):
        self.directory = Path(directory)
        self.env = read_env(directory)

    @property
    def embedded(self):
        return self.env["BROKER"] == "embedded"


@pytest.fixture(scope="session")
def servers():
    given = os.environ.get("BMPHA_SERVERS")
    if given:
        yield Servers(given)
        return
    directory = tempfile.mkdtemp(prefix="bmpha-servers.", dir="/var/tmp")
    try:
        script("servers", "start", directory, timeout=600)
        yield Servers(directory)
    finally:
        subprocess.run([SCRIPTS / "servers", "stop", directory, "--wipe"], check=False, timeout=90)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def judged(servers, request):
    """For tests that judge loss: the embedded broker is no witness."""
    if servers.embedded:
        pytest.skip(f"{request.node.name}: the embedded broker drops data silently; loss cannot be judged")
    return servers


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    setattr(item, "report_" + report.when, report)


def failed(request):
    report = getattr(request.node, "report_call", None)
    return report is None or report.failed


class Clusters:
    """Makes clusters for one test and ends them all."""

    def __init__(self, servers):
        self._servers, self._made = servers, []

    def __call__(self, **options):
        cluster = Cluster(self._servers, **options)
        self._made.append(cluster)
        return cluster

    def finish(self, show):
        for cluster in self._made:
            if show:
                print(cluster.logs())
            cluster.close()
        self._made = []


@pytest.fixture
def clusters(servers, request):
    made = Clusters(servers)
    yield made
    made.finish(failed(request))


_lines = []


@pytest.fixture
def say():
    """Measured numbers, printed at the end of the run."""
    return _lines.append


def pytest_terminal_summary(terminalreporter):
    if _lines:
        terminalreporter.section("measured")
        for line in _lines:
            terminalreporter.write_line(line)
