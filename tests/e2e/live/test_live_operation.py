"""Every tool as an operator meets it: command line, configuration, signals, servers that are not there, bad input."""
import json
import re
import signal
import subprocess

import pytest

from cluster import bin_dir, wait_for

# tool: (a minimal configuration, a key, a bad value for it, what the message must say, a typo and the key meant)
TOOLS = {
    "bmp-recv": ({"node-name": "n1"}, "eor-quiet", "soon", "expected a time with unit", "eor-quite", "eor-quiet"),
    "kafka-gate": ({"node-name": "n1"}, "partitions", "many", "expected a whole number", "partitons", "partitions"),
    "ha-arbiter": ({"node-name": "n1"}, "ttl", "2", "expected a time with unit", "redis-ulr", "redis-url"),
    "psql-sink": ({"database": "postgresql://bmpha@127.0.0.1/bmpha"}, "partitions", "-1", "expected a whole number", "databse",
                  "database"),
}
tools = pytest.mark.parametrize("tool", TOOLS)


def run(tool, *arguments, environment=None, seconds=10):
    import os
    return subprocess.run([bin_dir() / tool, *map(str, arguments)], capture_output=True, text=True, timeout=seconds,
                          env={**os.environ, **(environment or {})}, check=False)


def write_config(directory, tool, **changes):
    values = {**TOOLS[tool][0], **changes}
    path = directory / f"{tool}.toml"
    path.write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items()))
    return path


@tools
def test_help_names_every_setting(tool):
    done = run(tool, "--help")
    assert done.returncode == 0
    for word in ("--config", "--check", "--version", "--dump-file", "Exit codes: 0 done, 100", f"man {tool}"):
        assert word in done.stdout, word


@tools
def test_version(tool):
    done = run(tool, "--version")
    assert done.returncode == 0
    assert re.fullmatch(rf"{tool} \d+\.\d+\.\d+\S*\n", done.stdout), done.stdout


@tools
def test_check_accepts_a_good_file(tool, tmp_path):
    done = run(tool, "--config", write_config(tmp_path, tool), "--check")
    assert (done.returncode, done.stderr) == (0, "")


@tools
def test_check_says_what_is_wrong(tool, tmp_path):
    _, key, bad, expected, _, _ = TOOLS[tool]
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
