"""The parts of scripts/speakers that judge: how rows and a router's routes are compared."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from speakers import gobgp, table  # noqa: E402
from speakers.churn import Churn  # noqa: E402
from speakers.frr import LOCAL_AS, MARK, Frr  # noqa: E402
from speakers.table import Route  # noqa: E402

PEER, PREFIX = "127.0.0.2", "10.0.0.0/24"
ROUTE = Route("192.0.2.2", (65002, 7), 5, 0, 0, frozenset({(65002, 100)}))
KEY = "post", PEER, PREFIX


class Shown:
    name = "r1"

    def __init__(self, routes):
        self.routes = lambda: routes

    def as_shown(self, _view, route):
        return route


def row(view=1, peer=PEER, prefix=PREFIX, router="r1", route=ROUTE):
    communities = [asn << 16 | value for asn, value in route.communities]
    return router, view, peer, prefix, route.next_hop, list(route.as_path), route.med, route.origin, None, communities


def compare(truth, *rows):
    return table.compare(lambda _query: rows, Shown(truth))


def test_equal_tables_have_no_difference():
    c = compare({KEY: ROUTE, ("loc", "", PREFIX): ROUTE}, row(), row(view=4, peer="::"))
    assert (c.lost, c.wrong) == ([], []) and len(c.found) == 2


@pytest.mark.parametrize("other", [
    ROUTE._replace(next_hop="192.0.2.3"), ROUTE._replace(as_path=(65002,)), ROUTE._replace(med=6), ROUTE._replace(origin=1),
    ROUTE._replace(communities=frozenset()), ROUTE._replace(communities=frozenset({(65002, 101)}))])
def test_every_attribute_counts(other):
    c = compare({KEY: ROUTE}, row(route=other))
    assert (c.lost, c.extra, c.different, c.wrong) == ([], [], [KEY], [KEY])


def test_a_missing_row_is_lost_and_a_row_too_many_is_wrong():
    assert compare({KEY: ROUTE}).lost == [KEY]
    assert compare({}, row()).wrong == [KEY]
    c = compare({KEY: ROUTE}, row(view=0))
    assert (c.lost, c.wrong) == ([KEY], [("pre", PEER, PREFIX)])


def test_rows_of_another_router_and_rows_that_stand_twice_are_wrong():
    assert compare({KEY: ROUTE}, row(), row(router="r2")).wrong == [("post", f"{PEER} of r2", PREFIX)]
    assert compare({KEY: ROUTE}, row(), row()).wrong == [("post", f"{PEER} of r1", PREFIX)]


def frr():
    return Frr.__new__(Frr)


def test_frr_as_a_witness():
    """One AS of its own in front, not two; communities of what it received are unknown apart from those of its policy."""
    path = (LOCAL_AS, LOCAL_AS, 65002)
    route = ROUTE._replace(as_path=path, communities=frozenset({MARK, (65002, 100)}))
    assert frr().as_shown("post", route) == route._replace(as_path=path[1:])
    assert frr().as_shown("pre", route) == route._replace(as_path=path[1:], communities=frozenset({MARK}))
    assert frr().as_shown("post", ROUTE) == ROUTE


def test_a_path_as_gobgp_shows_it():
    path = {"attrs": [{"type": 1, "value": 2}, {"type": 2, "as_paths": [{"segment_type": 2, "num": 2, "asns": [65002, 7]}]},
                      {"type": 4, "metric": 9}, {"type": 8, "communities": [65002 << 16 | 100]},
                      {"type": 14, "nexthop": "2001:db8::0:2", "afi": 2, "safi": 1, "value": [{"prefix": "2001:db8::/48"}]}]}
    assert gobgp._route(path) == Route("2001:db8::2", (65002, 7), 9, 2, 0, frozenset({(65002, 100)}))


def test_churn_knows_what_it_has_withdrawn_last():
    class Table:
        def __init__(self):
            self.routes = {}

        def announce(self, prefixes, path):
            self.routes.update(dict.fromkeys(prefixes, path))

        def withdraw(self, prefixes):
            for prefix in prefixes:
                self.routes.pop(prefix, None)

    prefixes = [f"10.0.{n}.0/24" for n in range(60)]
    heard = Table()
    churn = Churn(heard, 65002, prefixes, rate=100000)
    churn.run()
    assert churn.changes == 4 * len(prefixes) and churn.error is None
    assert churn.withdrawn == set(prefixes) - heard.routes.keys() and churn.withdrawn
    numbers = [path.med for path in heard.routes.values()]
    assert len(numbers) == len(set(numbers))
