"""A TCP relay that can cut its path: every mode can be set at any time and holds for old and new connections.

pass       forwards
blackhole  reads nothing more and forwards nothing; connections stay open, new ones are accepted and left alone
drop       every packet that arrives is thrown away before the kernel answers it: a cable that was pulled. Neither keepalive
           probes nor new connections are answered; when healed, TCP sends again what is still wanted
hold       takes what comes and forwards it when healed, after the connection's end as well: bytes that are on their way
reset      resets every connection, new ones too
refuse     closes the listening port as well
delay      forwards everything `seconds` later, order kept
throttle   forwards at most `rate` bytes per second and direction

Besides, `loss` is the share of packets that the path loses on their way to the relay, in both directions and any mode.
"""
import asyncio
import contextlib
import ctypes
import socket
import struct
import time

from .reactor import reactor


def reset_socket(sock):
    """The next close sends a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# Of <linux/filter.h> and <asm-generic/socket.h>: a filter in the old BPF runs before TCP sees a packet, and needs no privilege.
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
LOAD_ABSOLUTE, JUMP_IF_GREATER_OR_EQUAL, RETURN, RANDOM = 0x20, 0x35, 0x06, 0xFFFFF000 + 56


def lose_packets(sock, share):
    """This share of the packets that come for the socket is dropped; a listening socket's children inherit it."""
    if sock.fileno() < 0:
        return  # closed meanwhile
    if share <= 0:
        with contextlib.suppress(FileNotFoundError):  # it had none
            sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        return
    if share >= 1:
        program = [(RETURN, 0, 0, 0)]
    else:
        program = [(LOAD_ABSOLUTE, 0, 0, RANDOM), (JUMP_IF_GREATER_OR_EQUAL, 1, 0, int(share * 2**32)), (RETURN, 0, 0, 0),
                   (RETURN, 0, 0, 0xFFFFFFFF)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))


class Cutter:
    def __init__(self, target, listen=("127.0.0.1", 0)):
        self.target = target
        self.mode, self.seconds, self.rate, self.loss = "pass", 0.0, 0, 0.0
        self.forwarded = 0
        self._writers = set()
        self._changed = None
        self.port = reactor().run(self._start(listen))
        self.address = (listen[0], self.port)

    async def _start(self, listen):
        self._changed = asyncio.Event()
        self._listen = listen
        self._server = await asyncio.start_server(self._on_client, *listen)
        port = self._server.sockets[0].getsockname()[1]
        self._listen = (listen[0], port)
        return port

    # --- control, from any thread ---
    def set(self, mode, seconds=0.0, rate=0, loss=0.0):
        reactor().run(self._set(mode, seconds, rate, loss))

    def heal(self):
        self.set("pass")

    def cut(self):
        """Resets what is connected now; new connections pass."""
        reactor().call(self._reset_all)

    def connections(self):
        return len(self._writers) // 2

    def close(self):
        reactor().run(self._close())

    # --- inside the loop ---
    async def _set(self, mode, seconds, rate, loss):
        assert mode in ("pass", "blackhole", "drop", "hold", "reset", "refuse", "delay", "throttle"), mode
        self.mode, self.seconds, self.rate, self.loss = mode, seconds, rate, 1.0 if mode == "drop" else loss
        if mode in ("reset", "refuse"):
            self._reset_all()
        if mode == "refuse" and self._server:
            self._server.close()
            self._server = None
        elif mode != "refuse" and not self._server:
            self._server = await asyncio.start_server(self._on_client, *self._listen)
        for sock in [w.get_extra_info("socket") for w in self._writers] + list(self._server.sockets if self._server else ()):
            lose_packets(sock, self.loss)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _reset_all(self):
        for writer in list(self._writers):
            reset_socket(writer.get_extra_info("socket"))
            writer.transport.abort()

    async def _close(self):
        if self._server:
            self._server.close()
        self._reset_all()
        self._changed.set()

    async def _on_client(self, reader, writer):
        self._writers.add(writer)
        other = None
        try:
            if self.mode == "reset":
                reset_socket(writer.get_extra_info("socket"))
                writer.transport.abort()
                return
            while self.mode == "blackhole":
                await self._changed.wait()
            other_reader, other = await asyncio.open_connection(*self.target)
            self._writers.add(other)
            for w in (writer, other):
                lose_packets(w.get_extra_info("socket"), self.loss)
            towards, back = self.filters()
            await asyncio.gather(self._pump(reader, other, towards), self._pump(other_reader, writer, back))
        except OSError:
            pass
        finally:
            for w in (writer, other):
                if w is not None:
                    self._writers.discard(w)
                    w.transport.abort()

    def filters(self):
        """Functions for the bytes of a new connection, towards the target and back."""
        return (lambda data: data), (lambda data: data)

    async def _pump(self, reader, writer, change):
        """A delayed byte waits from the moment it was read, so order and pace are kept."""
        queue = asyncio.Queue()
        room = asyncio.Semaphore(256)  # chunks on their way, except while they are held

        async def read():
            while True:
                while self.mode == "blackhole":
                    await self._changed.wait()
                try:
                    data = await reader.read(65536)
                except OSError:
                    data = b""
                # What arrived after the cut began stays in here until it is healed.
                while self.mode == "blackhole":
                    await self._changed.wait()
                if self.mode != "hold":
                    await room.acquire()
                await queue.put((time.monotonic() + (self.seconds if self.mode == "delay" else 0), data))
                if not data:
                    return

        async def write():
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0, due - time.monotonic()))
                while self.mode in ("blackhole", "hold"):
                    await self._changed.wait()
                room.release()
                if not data:
                    if writer.can_write_eof():
                        writer.write_eof()
                    return
                if self.mode == "throttle" and self.rate:
                    await asyncio.sleep(len(data) / self.rate)
                writer.write(change(data))
                self.forwarded += len(data)
                await writer.drain()
        tasks = [asyncio.ensure_future(read()), asyncio.ensure_future(write())]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()


class KafkaCutter(Cutter):
    """A path to a Kafka broker. Clients learn the broker's address from the answers to Metadata (versions 0 to 8) and
    FindCoordinator (0 to 2); the port in them is replaced by this cutter's, so the client stays on this path. One broker."""

    FIRST_PORT = {3: "_port_in_metadata", 10: "_port_in_coordinator"}  # by the key of the request
    NEWEST = {3: 8, 10: 2}

    def filters(self):
        asked = {}  # correlation id -> key and version of the request
        return self._framed(lambda frame: self._note(frame, asked)), self._framed(lambda frame: self._replace(frame, asked))

    @staticmethod
    def _framed(change):
        """Applies `change` to whole frames; bytes of an unfinished one wait."""
        rest = bytearray()

        def feed(data):
            rest.extend(data)
            out = bytearray()
            while len(rest) >= 4:
                size, = struct.unpack_from("!i", rest)
                if len(rest) < 4 + size:
                    break
                frame = change(bytes(rest[4:4 + size]))
                del rest[:4 + size]
                out += struct.pack("!i", len(frame)) + frame
            return bytes(out)
        return feed

    def _note(self, frame, asked):
        key, version, correlation = struct.unpack_from("!hhi", frame)
        if key in self.FIRST_PORT:
            assert version <= self.NEWEST[key], f"version {version} of request {key} is not known here"
            asked[correlation] = key, version
        return frame

    def _replace(self, frame, asked):
        correlation, = struct.unpack_from("!i", frame)
        if correlation not in asked:
            return frame
        key, version = asked.pop(correlation)
        at = getattr(self, self.FIRST_PORT[key])(frame, version)
        if at is None or struct.unpack_from("!i", frame, at)[0] != self.target[1]:
            return frame
        return frame[:at] + struct.pack("!i", self.port) + frame[at + 4:]

    @staticmethod
    def _port_in_metadata(frame, version):
        at = 4 + (4 if version >= 3 else 0)  # correlation id, throttle time
        count, = struct.unpack_from("!i", frame, at)
        assert count <= 1, "one broker only"
        if count < 1:
            return None
        at += 4 + 4  # count, node id
        length, = struct.unpack_from("!h", frame, at)
        return at + 2 + length

    @staticmethod
    def _port_in_coordinator(frame, version):
        at = 4 + 2  # correlation id, error
        if version >= 1:
            at += 4  # throttle time
            length, = struct.unpack_from("!h", frame, at)
            at += 2 + max(length, 0)  # error message
        at += 4  # node id
        length, = struct.unpack_from("!h", frame, at)
        return at + 2 + length
