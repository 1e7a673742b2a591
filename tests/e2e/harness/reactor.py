"""One asyncio loop in a thread of its own, shared by all speakers and cutters of a test run."""
import asyncio
import sys
import threading

# A verdict that computes in one lane must not slow the speakers and relays of the others: each of their socket calls gives the
# interpreter away, and by default gets it back five milliseconds later.
sys.setswitchinterval(0.0002)


class Reactor:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="reactor", daemon=True)
        self._thread.start()

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def run(self, coroutine, timeout=30):
        """Runs a coroutine there and returns its result; never call it from the loop's own thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def call(self, function, *arguments, timeout=30):
        """Calls a plain function there."""
        async def calling():
            return function(*arguments)
        return self.run(calling(), timeout)

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)


_shared = None
_lock = threading.Lock()


def reactor():
    global _shared
    with _lock:
        if _shared is None:
            _shared = Reactor()
        return _shared
