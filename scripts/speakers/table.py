"""Routes in one form, whoever shows them: a real router's own tables, and what bmp-ha made of its BMP sessions."""
import ipaddress
from dataclasses import dataclass, field
from typing import NamedTuple

RIB_LIVE = """
SELECT ro.name, l.view, host(p.addr), l.prefix::text, host(a.next_hop), a.as_path, a.med, a.origin, a.local_pref, a.communities
FROM rib_live l JOIN peers p USING (peer_id) JOIN routers ro USING (router_id) LEFT JOIN base_attrs a ON a.attr_id = l.attr_id
"""
VIEWS = {0: "pre", 1: "post", 4: "loc"}
ORIGINS = {"i": 0, "e": 1, "?": 2, "IGP": 0, "EGP": 1, "incomplete": 2}


class Route(NamedTuple):
    next_hop: str
    as_path: tuple
    med: int
    origin: int
    local_pref: int
    communities: frozenset  # of (AS, value)


def network(text):
    return str(ipaddress.ip_network(text))


def community(number):
    return number >> 16, number & 0xFFFF


@dataclass
class Comparison:
    """Keys are (view, peer, prefix); the Loc-RIB's peer is empty."""

    truth: dict
    found: dict
    lost: list = field(default_factory=list)  # of the router, without a row
    extra: list = field(default_factory=list)  # rows that the router has not
    different: list = field(default_factory=list)

    def __post_init__(self):
        self.lost = sorted(self.truth.keys() - self.found.keys())
        self.extra = sorted(self.found.keys() - self.truth.keys())
        self.different = sorted(k for k in self.truth.keys() & self.found.keys() if self.truth[k] != self.found[k])

    @property
    def wrong(self):
        return sorted(self.extra + self.different)

    def describe(self, keys, most=5):
        return [f"{' '.join(k)}: router {self.truth.get(k)}, database {self.found.get(k)}" for k in keys[:most]]


def found(sql, router):
    """{(view, peer, prefix): Route} of the rows of this router, as far as the router itself can show them. `sql` runs
    a query."""
    out = {}
    for name, view, peer, prefix, next_hop, as_path, med, origin, local_pref, communities in sql(RIB_LIVE):
        view = VIEWS.get(view, str(view))
        route = Route(next_hop, tuple(as_path or ()), med or 0, origin, local_pref or 0,
                      frozenset(community(c) for c in communities or ()))
        key = view, "" if view == "loc" else peer, prefix
        if name != router.name or key in out:  # nobody else's, and no row twice
            key = view, f"{peer} of {name}", prefix
        out[key] = router.as_shown(view, route)
    return out


def compare(sql, router):
    """The router's own tables against the database, row by row."""
    return Comparison(router.routes(), found(sql, router))
