#!/usr/bin/python3
"""The figures of a matrix run: one entry for each scenario and seed, the table that folds them, and its place in the docs.

figures.py publish MATRIX.JSON DOCUMENT   writes the table of that run into the document, with date, seeds and machine.

It refuses a run that was not of all rows, or in which a scenario failed.
"""
import json
import os
import re
import sys
import time
from pathlib import Path

FIGURES = ("lost", "wrong", "duplicates", "owners_wrong", "blanked", "switch_ms")
SUMMED = ("lost", "wrong", "owners_wrong", "blanked")  # the others: the worst
KEYS = ("row", "seed", *FIGURES, "scenario", "outcome", "seconds")
COLUMNS = ("row", "fault", "passed", *FIGURES)
BEGIN, END = "<!-- table of a full run: begin -->", "<!-- table of a full run: end -->"

ROWS = {
    0: "none: churn", 1: "bmp-recv killed", 2: "kafka-gate killed", 3: "ha-arbiter killed", 4: "psql-sink killed",
    5: "gate hangs", 6: "bmp-recv or arbiter hangs", 7: "node dies", 8: "link to the owner reset", 9: "link to the owner dead",
    10: "both links of a router down", 11: "node cut from Redis", 12: "Redis killed, back empty", 13: "Redis slow",
    14: "node cut from Kafka", 15: "broker stopped 30 s", 16: "broker stopped until the byte limit", 17: "clock +-1 h",
    18: "signals 34 to 37", 19: "rolling restart", 20: "both nodes killed", 21: "third node joins, leaves",
    22: "take-over interrupted", 23: "database away", 24: "disk full", 25: "link flaps", 26: "three nodes, two deaths",
    27: "100 ms RTT, 1 % loss", 28: "owner's session silent", 29: "Redis clock +1 h and back", 30: "re-dial within 200 ms",
    31: "reboot with a peer fewer", 32: "router clocks wrong", 33: "peer flaps", 34: "owner's reader paused, killed",
    35: "dump larger than the byte limit", 36: "second connection, same router",
}


def row_of(test):
    """The row of the failure matrix that a test belongs to, or None."""
    match = re.match(r"test_(\d\d)_", test)
    return int(match[1]) if match else None


def scenario_of(test):
    """The test's name without row and seed."""
    text = re.sub(r"^test_(\d\d_)?", "", test)
    return re.sub(r"-?seed\d+(?=[-\]])", "", text).replace("[-", "[").replace("[]", "")


def entry(test, seed, figures, outcome, seconds):
    """One scenario's figures; null is what was not measured (a switch where there is none, all where it failed early)."""
    values = (row_of(test), seed, *(figures.get(name) for name in FIGURES), scenario_of(test), outcome, round(seconds, 1))
    return dict(zip(KEYS, values, strict=True))


def folded(values, how):
    known = [v for v in values if v is not None]
    return how(known) if known else None


def fold(entries):
    """One dictionary a row: sums of what is lost, wrong, wrongly owned and blanked; the worst of the others."""
    lines = []
    for row in sorted({e["row"] for e in entries}):
        mine = [e for e in entries if e["row"] == row and e["outcome"] != "skipped"]
        skipped = sum(e["row"] == row for e in entries) - len(mine)
        passed = f"{sum(e['outcome'] == 'passed' for e in mine)}/{len(mine)}" + (f" ({skipped} skipped)" if skipped else "")
        line = {"row": row, "fault": ROWS.get(row, ""), "passed": passed}
        for name in FIGURES:
            line[name] = folded([e[name] for e in mine], sum if name in SUMMED else max)
        lines.append(line)
    return lines


def cells(entries):
    return [["-" if line[c] is None else str(line[c]) for c in COLUMNS] for line in fold(entries)]


def text_table(entries):
    """Lines of a table for the terminal."""
    table = [list(COLUMNS), *cells(entries)]
    widths = [max(len(row[i]) for row in table) for i in range(len(COLUMNS))]

    def line(row):
        aligned = [cell.ljust(w) if i in (1, 2) else cell.rjust(w)
                   for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        return "  ".join(aligned).rstrip()
    return [line(row) for row in table]


def markdown_table(entries):
    rule = ["---" if c in ("fault", "passed") else "---:" for c in COLUMNS]
    return ["| " + " | ".join(row) + " |" for row in (COLUMNS, rule, *cells(entries))]


def write_json(path, entries):
    """All at once, so that a reader never finds half a file; one entry a line."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text("[\n" + ",\n".join(json.dumps(e) for e in entries) + "\n]\n")
    new.replace(path)


def machine():
    """Cores, processor, memory and kernel of this machine."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    kilobytes = int(re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.M)[1])
    return (f"{os.cpu_count()} cores ({model[1].strip() if model else os.uname().machine}), {round(kilobytes / 1e6)} GB, "
            f"Linux {os.uname().release.split('-')[0]}")


def refusal(entries):
    """Why this is not a full run that may be shown, or None."""
    ran = {e["row"] for e in entries if e["outcome"] != "skipped"}
    missing = [str(row) for row in ROWS if row not in ran]
    if missing:
        return f"rows missing: {', '.join(missing)} HINT: run scripts/matrix without ROW= and without arguments, to its end"
    failed = [f"{e['row']} {e['scenario']} seed {e['seed']}" for e in entries if e["outcome"] == "failed"]
    if failed:
        return f"scenarios failed: {', '.join(failed)} HINT: mend what fails and run scripts/matrix again"
    return None


def publish(matrix, document):
    entries = json.loads(Path(matrix).read_text())
    if why := refusal(entries):
        sys.exit(f"{matrix}: {why}")
    text = Path(document).read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f"{document}: expected one line \"{BEGIN}\" and one \"{END}\"")
    seeds = sorted({e["seed"] for e in entries})
    day = time.strftime("%Y-%m-%d", time.gmtime(Path(matrix).stat().st_mtime))
    passed = sum(e["outcome"] == "passed" for e in entries)
    skipped = sum(e["outcome"] == "skipped" for e in entries)
    told = (f"{day}; seeds {', '.join(map(str, seeds))}; {len(entries)} runs, {passed} passed, "
            f"{len(entries) - passed - skipped} failed, {skipped} skipped; {machine()}.")
    block = [BEGIN, "", told, "", *markdown_table(entries), "", END]
    before, rest = text.split(BEGIN)
    Path(document).write_text(before + "\n".join(block) + rest.split(END)[1])


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] != "publish":
        sys.exit(__doc__)
    publish(*sys.argv[2:])
