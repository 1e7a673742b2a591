"""What README, manual and scripts say: samples that the tools accept, rows of the matrix that exist."""
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("BMPHA_BIN", TREE / "build/release/bin"))
TOOLS = ("bmp-recv", "kafka-gate", "ha-arbiter", "psql-sink")
BLOCKS = re.findall(r"^```toml\n(.*?)^```", (TREE / "README.md").read_text(), re.M | re.S)
MATRIX_TEXTS = ("README.md", "scripts/matrix")


def sample(tool):
    found = [block for block in BLOCKS if block.startswith(f"# /etc/bmp-ha/{tool}.toml\n")]
    assert len(found) == 1, f"README.md has {len(found)} samples for {tool}"
    return found[0]


def test_every_sample_is_one_of_a_tool():
    assert sorted(BLOCKS) == sorted(sample(tool) for tool in TOOLS)


@pytest.mark.parametrize("tool", TOOLS)
def test_the_tool_accepts_its_sample(tool, tmp_path):
    path = tmp_path / f"{tool}.toml"
    path.write_text(sample(tool))
    prefix = tool.replace("-", "_").upper() + "_"
    env = {k: v for k, v in os.environ.items() if not k.startswith(prefix)}
    done = subprocess.run([BIN / tool, "--config", path, "--check"], capture_output=True, text=True, timeout=20, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    # A check that accepts anything would prove nothing.
    path.write_text(sample(tool) + "no-such-key = 1\n")
    assert subprocess.run([BIN / tool, "--config", path, "--check"], capture_output=True, timeout=20, env=env).returncode == 100


@pytest.mark.parametrize("tool", TOOLS)
def test_every_sample_has_what_bmp_ha_status_needs(tool):
    assert tomllib.loads(sample(tool))["dump-file"] == f"/run/bmp-ha/{tool}.json"


def rows_with_tests():
    return {int(n) for path in (TREE / "tests/e2e").glob("test_matrix_*.py")
            for n in re.findall(r"^def test_(\d\d)_", path.read_text(), re.M)}


@pytest.mark.parametrize("path", MATRIX_TEXTS)
def test_the_rows_of_the_matrix_are_those_that_have_a_test(path):
    text = " ".join((TREE / path).read_text().replace("\n# ", " ").split())
    listed = re.search(r"rows? of the failure matrix,? \(?((?:\d+(?: to \d+)?(?:, )?)+)", text)
    assert listed, f"{path} does not say which rows there are"
    rows = set()
    for part in listed[1].rstrip(", ").split(", "):
        first, _, last = part.partition(" to ")
        rows.update(range(int(first), int(last or first) + 1))
    assert rows == rows_with_tests()


def test_the_document_has_a_line_for_each_row_that_has_a_test():
    text = (TREE / "docs/matrix.md").read_text().split("## Rows")[1].split("## Figures")[0]
    assert [int(n) for n in re.findall(r"^\| (\d+) \|", text, re.M)] == sorted(rows_with_tests())


@pytest.mark.parametrize("path", [*MATRIX_TEXTS, "Makefile"])
def test_the_row_taken_as_example_exists(path):
    examples = {int(n) for n in re.findall(r"ROW=(\d+)", (TREE / path).read_text())}
    assert examples and examples <= rows_with_tests()
