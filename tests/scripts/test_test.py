"""scripts/test and what it relies on: nothing that went wrong may end as a pass. A copy of the scripts runs in a tree of its
own, with servers, programs and tests that are made up."""
import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
GOOD = "import pytest\ndef test_good():\n    pass\n"
SKIPPED = "@pytest.mark.skip\ndef test_skipped():\n    pass\n"
BAD = "def test_bad():\n    assert False\n"


class Tree:
    def __init__(self, directory):
        self.path = directory
        (self.path / "tests/scripts").mkdir(parents=True)
        (self.path / "tests/e2e").mkdir()
        (self.path / "scripts/kafka39").mkdir(parents=True)
        (self.path / "bin").mkdir()
        for name in ("test", "lib.sh", "test-offline", "kafka39/jars.sh", "kafka39/probe.py", "kafka39/pom.xml"):
            shutil.copy(SCRIPTS / name, self.path / "scripts" / name)
        self.program("bin/make", "exit 0")

    def program(self, name, text):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    def servers(self, broker, maven):
        """As scripts/servers: the last argument but for options is the directory."""
        self.program("scripts/servers", f"""[[ $1 == start ]] || exit 0
printf 'KAFKA_BROKERS=k\\nREDIS_URL=r\\nDATABASE_URL=d\\nBROKER={broker}\\nMAVEN={maven}\\n' >"$2/env" """)

    def run(self, *argv, **environment):
        names = ("CI", "BUILD", "KAFKA_JARS", "MAVEN_HOME", "MAVEN_OPTS", "MAKEFLAGS", "BMPHA_NO_SERVERS")
        env = {k: v for k, v in os.environ.items() if k not in names and not k.startswith("PYTEST")}
        env["PATH"] = f"{self.path / 'bin'}:{env['PATH']}"
        env["HOME"] = str(self.path)
        done = subprocess.run([self.path / argv[0], *argv[1:]], capture_output=True, text=True, timeout=60, env={**env, **environment})
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path)
    tree.servers("kafka", "ok")
    tree.program("scripts/test-offline", "echo 'count unit passed=7 failed=0 skipped=2'")
    (tmp_path / "tests/e2e/test_e.py").write_text(GOOD + SKIPPED)
    (tmp_path / "tests/scripts/test_s.py").write_text(GOOD)
    return tree


def last(text):
    return text.splitlines()[-1]


def test_the_last_line_counts_everything(tree):
    code, out, _ = tree.run("scripts/test")
    assert (code, last(out)) == (0, "9 passed, 0 failed, 3 skipped")


def test_a_failed_end_to_end_test_counts(tree):
    (tree.path / "tests/e2e/test_e.py").write_text(GOOD + BAD)
    code, out, _ = tree.run("scripts/test")
    assert (code, last(out)) == (1, "9 passed, 1 failed, 2 skipped")


@pytest.mark.parametrize("ends", ["exit 1", "kill -9 $$", "echo 'count unit passed=7 failed=0 skipped=0'; exit 3"])
def test_unit_tests_that_end_before_they_count_a_failure_are_one(tree, ends):
    tree.program("scripts/test-offline", ends)
    code, out, error = tree.run("scripts/test")
    assert code == 1 and ", 1 failed" in last(out), out
    assert "test-offline ended with status" in error


def test_a_failure_that_was_counted_counts_once(tree):
    tree.program("scripts/test-offline", "echo 'count unit passed=7 failed=2 skipped=0'; exit 1")
    code, out, _ = tree.run("scripts/test")
    assert (code, last(out)) == (1, "9 passed, 2 failed, 1 skipped")


@pytest.mark.parametrize("broker, maven, ci, failed", [
    ("embedded", "ok", "true", 1), ("embedded", "failed", "true", 1), ("embedded", "unasked", "true", 1),
    ("embedded", "unreachable", "true", 0), ("kafka", "ok", "true", 0), ("embedded", "failed", "", 0)])
def test_in_ci_the_embedded_broker_is_a_failure_unless_kafka_cannot_be_had(tree, broker, maven, ci, failed):
    tree.servers(broker, maven)
    code, out, error = tree.run("scripts/test", CI=ci)
    assert (code, last(out)) == (failed, f"9 passed, {failed} failed, 3 skipped")
    assert ("although Apache Kafka can be had" in error) == bool(failed)
    assert f"broker: {broker}" in out


def test_end_to_end_tests_that_leave_no_report_are_a_failure(tree):
    (tree.path / "tests/e2e/conftest.py").write_text("import os\nos._exit(9)\n")
    code, out, _ = tree.run("scripts/test")
    assert (code, last(out)) == (1, "7 passed, 1 failed, 2 skipped")


# --- unit tests without their server ---------------------------------------------------------------------------------
DOCTEST = "[doctest] test cases: 9 | 8 passed | 1 failed | 2 skipped"


@pytest.mark.parametrize("lines, counted", [
    ([], "passed=8 failed=0 skipped=2"),
    (["SKIPPED test case: a (no x)", "SKIPPED test case: b (no x)"], "passed=6 failed=0 skipped=4"),
    (["SKIPPED test case: a (no x)"] * 2, "passed=7 failed=0 skipped=3")])
def test_cases_that_left_themselves_out_count_as_skipped(tree, lines, counted):
    shutil.copy(SCRIPTS / "test-offline", tree.path / "scripts")
    said = "\n".join([*lines, DOCTEST.replace("1 failed", "0 failed")])
    tree.program("out/bin/unit", f"echo '{said}'")
    code, out, _ = tree.run("scripts/test-offline", tree.path / "out")
    assert (code, last(out)) == (0, f"count unit {counted}")


# --- the demo's verdict is its last line -----------------------------------------------------------------------------
FAILED = "verdict: failed lost=unjudged wrong=unjudged switch_ms=-1 duplicates=-1 broker=kafka"
GOOD_VERDICT = "verdict: ok lost=0 wrong=0 switch_ms=2000 duplicates=3 broker=kafka"


def demo(tree, player, down="echo down"):
    (tree.path / "scripts/demolib").mkdir()
    (tree.path / "scripts/demolib/demo.py").write_text(player)
    shutil.copy(SCRIPTS / "demo", tree.path / "scripts")
    tree.program("scripts/down", f'echo "$1" >{tree.path}/run; {down}')
    code, out, _ = tree.run("scripts/demo")
    if (tree.path / "run").exists():
        shutil.rmtree((tree.path / "run").read_text().strip(), ignore_errors=True)
    return code, last(out)


WRITE = f"import pathlib, sys\npathlib.Path(sys.argv[1], 'verdict').write_text({GOOD_VERDICT!r})\n"


def test_the_verdict_is_the_last_line(tree):
    assert demo(tree, WRITE) == (0, GOOD_VERDICT)


@pytest.mark.parametrize("player, down, verdict", [
    ("import absent_module", "true", FAILED), ("import sys; sys.exit(3)", "exit 1", FAILED),
    (WRITE + "sys.exit(1)", "exit 1", GOOD_VERDICT)])
def test_there_is_a_verdict_whatever_fails(tree, player, down, verdict):
    code, line = demo(tree, player, down)
    assert code != 0 and line == verdict


def test_there_is_a_verdict_when_the_build_fails(tree):
    tree.program("bin/make", "echo error; exit 2")
    code, line = demo(tree, "")
    assert code != 0 and line == FAILED


# --- Maven -----------------------------------------------------------------------------------------------------------
class Repository(ThreadingHTTPServer):
    """Answers every HEAD request with one code and remembers the paths."""

    def __init__(self, code):
        repository, self.asked = self, []

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                repository.asked.append(self.path)
                self.send_response(code)
                self.end_headers()

            def log_message(self, *_):
                pass
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/repo"


def maven(tree, url, log, second="exit 1"):
    """mvn that fails with that log; what its second run does."""
    tree.program("bin/mvn", f"echo run >>{tree.path}/runs; [[ $(wc -l <{tree.path}/runs) == 1 ]] || {{ {second}; }}; printf '{log}'; exit 1")
    (tree.path / ".m2").mkdir(exist_ok=True)
    (tree.path / ".m2/settings.xml").write_text(
        '<settings xmlns="http://maven.apache.org/SETTINGS/1.0.0"><mirrors>'
        "<mirror><id>n</id><mirrorOf>*,!central</mirrorOf><url>http://127.0.0.1:1/not-this-one</url></mirror>"
        f"<mirror><id>m</id><mirrorOf>external:*</mirrorOf><url>{url}</url></mirror></mirrors></settings>")


BLAMES = ["Connect to repo.example.net timed out", "Connection reset", "proxy says: 403 Forbidden", "", r"\033[0m\033[0m"]


@pytest.mark.parametrize("log", BLAMES)
def test_a_broken_download_is_no_unreachable_repository(tree, log):
    with Repository(200) as repository:
        maven(tree, repository.url, log)
        code, _, error = tree.run("scripts/kafka39/jars.sh")
        repository.shutdown()
    assert code == 76 and "Maven failed" in error, error
    assert repository.asked == ["/repo/org/apache/kafka/kafka_2.13/3.9.1/kafka_2.13-3.9.1.pom"]
    assert (tree.path / "runs").read_text().count("run") == 2


def test_the_second_try_may_succeed(tree):
    with Repository(200) as repository:
        maven(tree, repository.url, "Connection reset", second="exit 0")
        code, out, _ = tree.run("scripts/kafka39/jars.sh")
        repository.shutdown()
    assert (code, last(out)) == (0, f"{tree.path}/build/kafka39/libs")


@pytest.mark.parametrize("answer", [403, 503])
def test_a_repository_that_refuses_cannot_be_reached(tree, answer):
    with Repository(answer) as repository:
        maven(tree, repository.url, "Connection reset")
        assert tree.run("scripts/kafka39/jars.sh")[0] == 75
        repository.shutdown()
    assert repository.asked


def test_a_repository_that_is_not_there_cannot_be_reached(tree):
    repository = Repository(200)
    repository.shutdown()
    repository.server_close()
    maven(tree, repository.url, "Connection refused")
    code, _, error = tree.run("scripts/kafka39/jars.sh")
    assert code == 75 and "cannot be reached" in error


def test_what_is_no_matter_of_the_network_is_a_failure_without_asking(tree):
    with Repository(403) as repository:
        maven(tree, repository.url, "Could not find artifact x:y:1")
        assert tree.run("scripts/kafka39/jars.sh")[0] == 76
        repository.shutdown()
    assert not repository.asked
