#!/usr/bin/env python3
"""Turns the router's own tables (JSON) into the plain text that the offline test reads.

truth_to_text.py frr_truth.json.gz > frr_truth.txt
One line per route, separated by TAB and sorted: view, peer, family, prefix, AS path, MED, and of in-pre the next hop and the
origin. Sets print as { 1 2 }; no MED is 0. The table that is in use (in-post) has several paths of a peer to some prefixes."""
import gzip
import json
import re
import sys

ORIGINS = {"i": "igp", "e": "egp", "?": "incomplete"}


def path_text(path):
    return re.sub(r"\{([0-9,]*)\}", lambda m: "{ " + m.group(1).replace(",", " ") + " }", path)


tables = json.load(gzip.open(sys.argv[1]))
lines = []
for peer, families in tables["pre"].items():
    for family, routes in families.items():
        for prefix, (path, next_hop, med, origin) in dict(routes).items():
            lines.append("\t".join(("in-pre", peer, family, prefix, path_text(path), str(med or 0), next_hop, ORIGINS[origin])))
for family, routes in tables["rib"].items():
    for prefix, paths in routes.items():
        for peer, path, med, _local_pref, _valid, _best in paths:
            lines.append("\t".join(("in-post", peer, family[:4], prefix, path_text(path), str(med or 0))))
print("\n".join(sorted(lines)))
