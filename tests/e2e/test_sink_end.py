"""psql-sink ends in order at any moment of its life as a member of a consumer group."""
import time

import pytest

from harness.cluster import wait_for

pytestmark = pytest.mark.scenario


def test_term_while_joining_the_group(lab):
    """From before the join to after the first assignment: the client must not be freed in a state it cannot stand."""
    sink = lab.cluster(("A",)).sink(start=False)
    for number, delay in enumerate([0, 0.002, 0.003, 0.004, 0.006, 0.01, 0.02, 0.1] * 2, 1):
        sink.start()
        wait_for("started", 15, lambda: len(sink.events("started")) == number, every=0.002)
        time.sleep(delay)
        assert sink.terminate() == 0, sink.tail()
