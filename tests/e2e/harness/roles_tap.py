"""Listens to the tables of roles that ha-arbiter publishes to its gate, and notes when each came."""
import contextlib
import socket
import struct
import threading
import time

GREETING = b"\xff" + bytes(8) + b"\x7f" + bytes([3, 0]) + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x05READY" + b"\x0bSocket-Type" + struct.pack(">I", 3) + b"SUB"


class RolesTap(threading.Thread):
    """A subscriber of a ZeroMQ PUB socket at ipc://PATH, as a plain socket speaks it (ZMTP 3.0); it comes back when the
    arbiter is restarted."""

    def __init__(self, endpoint):
        super().__init__(daemon=True, name="roles-tap")
        self.path = endpoint.removeprefix("ipc://")
        self.times = []
        self._ended = threading.Event()
        self.start()

    def run(self):
        while not self._ended.wait(0.02):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as s:
                s.settimeout(0.2)
                s.connect(self.path)
                s.sendall(GREETING)
                self._read(s, len(GREETING))  # libzmq hangs up when more comes before its own greeting is out
                s.sendall(bytes([4, len(READY)]) + READY + bytes([0, 1, 1]))
                self._listen(s)

    @staticmethod
    def _read(s, size):
        got = b""
        while len(got) < size:
            chunk = s.recv(size - len(got))
            if not chunk:
                raise ConnectionError
            got += chunk

    def _listen(self, s):
        buffer = b""
        while not self._ended.is_set():
            try:
                chunk = s.recv(65536)
            except TimeoutError:
                continue
            if not chunk:
                return
            buffer = self._frames(buffer + chunk)

    def _frames(self, buffer):
        while len(buffer) >= 2:
            long = buffer[0] & 2
            head = 9 if long else 2
            if len(buffer) < head:
                break
            size = struct.unpack(">Q", buffer[1:9])[0] if long else buffer[1]
            if len(buffer) < head + size:
                break
            body, command = buffer[head:head + size], buffer[0] & 4
            if not command and body[:1] == b"R":
                self.times.append(time.monotonic())
            buffer = buffer[head + size:]
        return buffer

    def longest_gap(self, since, until=None):
        """Seconds without a table between these instants."""
        until = until or time.monotonic()
        times = [since, *(t for t in self.times if since < t < until), until]
        return max(b - a for a, b in zip(times, times[1:]))

    def end(self):
        self._ended.set()
        self.join(5)
