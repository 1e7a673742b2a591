"""Changes of routes at a steady rate."""
import random
import threading
import time

from .bgp_speaker import Path


class Churn(threading.Thread):
    """Every prefix is changed a few times within a second and then never again, so a change that was lost, or an old one
    that won, is not healed by a later one. Each announcement carries its number as MED."""

    def __init__(self, speaker, asn, prefixes, rate, first=0, seed=7):
        super().__init__(daemon=True)
        self._speaker, self._asn, self._prefixes, self._pause = speaker, asn, prefixes, 1 / rate
        self._ended = threading.Event()
        self._first, self._seed = first, seed
        self.changes = 0
        self.withdrawn = set()  # prefixes whose last change was a withdrawal
        self.error = None

    def run(self):
        try:
            self._work(random.Random(self._seed))
        except OSError as e:
            self.error = str(e)

    def _work(self, dice):
        together = 20  # prefixes in change at a time
        next_time = time.monotonic()
        for start in range(0, len(self._prefixes), together):
            group = self._prefixes[start:start + together]
            for turn in range(4):
                for prefix in group:
                    next_time += self._pause
                    if self._ended.wait(max(0, next_time - time.monotonic())):
                        return
                    self._change(prefix, turn, dice)

    def _change(self, prefix, turn, dice):
        self.changes += 1
        if turn in (1, 3) and dice.random() < 0.35:
            self._speaker.withdraw([prefix])
            self.withdrawn.add(prefix)
            return
        number = self._first + self.changes
        v6 = ":" in prefix
        path = Path("2001:db8:ffff::2" if v6 else "192.0.2.2",
                    (self._asn, *(dice.randrange(1000, 60000) for _ in range(dice.randrange(1, 5)))), number,
                    ((self._asn, number % 65536),))
        self._speaker.announce([prefix], path)
        self.withdrawn.discard(prefix)

    def stop(self):
        """Ends it; an error of the BGP session is the caller's."""
        self._ended.set()
        self.join(10)
