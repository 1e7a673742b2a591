"""Redis behind Sentinels: a failover whose new master lacks the last claims."""
import contextlib
import signal

import pytest

from harness import verdict
from harness.cluster import wait_for
from harness.sentinels import Sentinels
from harness.stage import Stage

pytestmark = [pytest.mark.scenario, pytest.mark.loss]


@pytest.mark.long
@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_a_failover_loses_the_last_claims(lab, tls):
    """The replica is cut off, all routers of A move to B, the master dies: the new one knows of none of it."""
    r = Sentinels(lab, tls)
    s = Stage(lab, redis_url=r.url, redis_client=r.current, settings={"ha-arbiter": r.settings})
    s.settle()
    before = s.cluster.owners()
    s.generator.burst(200)
    r.path.set("blackhole")
    s.node("A").arbiter.signal(34)
    s.wait_owner("B", s.of("A"))
    claimed = s.cluster.owners()
    with contextlib.closing(r.client(r.replica_port)) as client:
        known = client.hgetall(s.cluster.redis_key("own"))
    lost = [k for k in claimed if known.get(k) != "{} {}".format(*claimed[k])]
    assert len(lost) >= len(s.of("A")), "the replica must know nothing of the switch"
    s.fault(lambda: r.master.signal(signal.SIGKILL)).generator.burst(200)
    r.master.wait()
    r.path.set("reset")  # what was under way to the replica never arrives
    s.silence()
    wait_for("a new master", 20, lambda: (r.role(r.replica_port) or [""])[0] == "master")
    verdict.wait_for_owners(s.cluster, s.generator, seconds=20)
    v = s.judge(quiet=5)
    after = s.cluster.owners()
    assert after.keys() == before.keys() and all(after[k][1] > claimed[k][1] for k in claimed), "epochs must rise"
    for name, node in s.cluster.nodes.items():
        state = node.arbiter.state()
        assert state["redis"] == "ok" and not state["solo"], (name, state["redis"])
    lab.note(f"duplicates={v.duplicates}")
    s.no_order_violations()
