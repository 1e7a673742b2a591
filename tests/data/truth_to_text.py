#!/usr/bin/env python3
"""Turns the router's own tables (JSON) into the plain text that the offline test reads.

truth_to_text.py frr_truth.json.gz > frr_truth.txt
One line per pre-policy route: peer, family, prefix, AS path, separated by TAB and sorted. Sets print as { 1 2 }."""
import gzip
import json
import re
import sys

tables = json.load(gzip.open(sys.argv[1]))
lines = []
for peer, families in tables["pre"].items():
    for family, routes in families.items():
        for prefix, (path, *_rest) in dict(routes).items():
            path = re.sub(r"\{([0-9,]*)\}", lambda m: "{ " + m.group(1).replace(",", " ") + " }", path)
            lines.append("\t".join((peer, family, prefix, path)))
print("\n".join(sorted(lines)))
