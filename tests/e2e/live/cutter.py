"""A TCP path that can be cut: pass, delay, blackhole (nothing flows, nothing ends), reset (RST, and refused)."""
import selectors
import socket
import struct
import threading
import time
from collections import deque

LIMIT = 1 << 20  # bytes on the way in one direction


class _Way:
    """One direction of a connection."""

    def __init__(self, source, target):
        self.source, self.target = source, target
        self.queue = deque()  # (due, bytes)
        self.size = 0
        self.ended = self.shut = False


class Cutter:
    def __init__(self, target):
        self._target = target
        self._listener = None
        self._port = 0
        self._mode, self._delay = "pass", 0.0
        self._ways = []
        self._lock = threading.Lock()
        self._stop = False
        self._listen()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def address(self):
        return "127.0.0.1", self._port

    def set(self, mode, delay=0.1):
        """pass, delay, blackhole or reset."""
        if mode not in ("pass", "delay", "blackhole", "reset"):
            raise ValueError(mode)
        with self._lock:
            self._mode, self._delay = mode, delay if mode == "delay" else 0.0
            if mode == "reset":
                self._reset()
                self._close_listener()
            elif self._listener is None:
                self._listen()

    def reset_once(self):
        """Ends what there is; new connections pass."""
        with self._lock:
            self._reset()

    def close(self):
        self._stop = True
        self._thread.join(3)
        with self._lock:
            self._reset()
            self._close_listener()

    def _listen(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen(64)
        listener.setblocking(False)
        self._listener, self._port = listener, listener.getsockname()[1]

    def _close_listener(self):
        if self._listener:
            self._listener.close()
            self._listener = None

    def _reset(self):
        for way in self._ways:
            try:
                way.source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                way.source.close()
            except OSError:
                pass
        self._ways = []

    def _run(self):
        while not self._stop:
            with self._lock:
                moved = self._mode != "blackhole" and self._step()
            if not moved:
                self._wait()

    def _wait(self):
        with selectors.DefaultSelector() as selector, self._lock:
            if self._mode == "blackhole":
                sockets = []
            else:
                sockets = [w.source for w in self._ways if not w.ended and w.size < LIMIT]
                sockets += [self._listener] if self._listener else []
            for one in set(sockets):
                if one.fileno() >= 0:
                    selector.register(one, selectors.EVENT_READ)
            selector.select(0.002 if any(w.queue for w in self._ways) or not sockets else 0.01)

    def _step(self):
        moved = self._accept()
        for way in list(self._ways):
            try:
                moved |= self._move(way)
            except OSError:
                self._drop(way)
        return moved

    def _accept(self):
        if not self._listener:
            return False
        try:
            near, _ = self._listener.accept()
        except BlockingIOError:
            return False
        try:
            far = socket.create_connection(self._target, timeout=1)
        except OSError:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            near.close()
            return True
        for one in (near, far):
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ways += [_Way(near, far), _Way(far, near)]
        return True

    def _move(self, way):
        moved = False
        if not way.ended and way.size < LIMIT:
            try:
                data = way.source.recv(65536)
                moved = True
                if data:
                    way.queue.append((time.monotonic() + self._delay, data))
                    way.size += len(data)
                else:
                    way.ended = True
            except BlockingIOError:
                pass
        while way.queue and way.queue[0][0] <= time.monotonic():
            due, data = way.queue[0]
            try:
                sent = way.target.send(data)
            except BlockingIOError:
                break
            moved, way.size = True, way.size - sent
            way.queue.popleft()
            if sent < len(data):
                way.queue.appendleft((due, data[sent:]))
        if way.ended and not way.queue and not way.shut:
            way.shut = True
            way.target.shutdown(socket.SHUT_WR)
        return moved

    def _drop(self, way):
        pair = [w for w in self._ways if way.source in (w.source, w.target)]
        for one in pair:
            self._ways.remove(one)
            try:
                one.source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.source.close()
            except OSError:
                pass
