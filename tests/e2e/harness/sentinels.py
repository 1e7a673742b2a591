"""A Redis master, a replica that can be cut off from it, and three Sentinels; with TLS everywhere or nowhere."""
import contextlib
import subprocess

import redis

from .cluster import Process, free_port, wait_for

NAME = "the-master"
DOWN_AFTER = 1.0  # seconds


def certificates(directory):
    """An authority, and one certificate for 127.0.0.1 that serves everybody."""
    directory.mkdir()
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for argv in ([*new, "-x509", "-subj", "/CN=ca", "-addext", "basicConstraints=critical,CA:TRUE",
                  "-keyout", "ca.key", "-out", "ca.crt"],
                 [*new[:-2], "-subj", "/CN=redis", "-keyout", "redis.key", "-out", "redis.csr"],
                 ["openssl", "x509", "-req", "-in", "redis.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                  "-days", "2", "-extfile", "names", "-out", "redis.crt"]):
        subprocess.run(argv, cwd=directory, check=True, capture_output=True, timeout=30)
    return directory


class Sentinels:
    """`url` and `settings` are what ha-arbiter needs. The client certificate is asked for too."""

    def __init__(self, lab, tls=False):
        self.lab, self.tls = lab, tls
        self.files = certificates(lab.directory / "tls") if tls else None
        self.master_port, self.replica_port = free_port(), free_port()
        self.master = self._server("master", self.master_port)
        # The replica reaches its master through a path of its own, so that what it misses can be chosen.
        self.path = lab.cutter(("127.0.0.1", self.master_port))
        self.replica = self._server("replica", self.replica_port, "--replicaof", f"127.0.0.1 {self.path.port}")
        wait_for("the replica follows", 15, lambda: self.role(self.replica_port)[0] == "slave"
                 and self.role(self.replica_port)[3] == "connected")
        self.ports = [free_port() for _ in range(3)]
        self.watchers = [self._sentinel(n, port) for n, port in enumerate(self.ports)]
        for port in self.ports:
            wait_for("the Sentinels know one another and the replica", 20, lambda p=port: self._knows(p))
        hosts = ",".join(f"127.0.0.1:{p}" for p in self.ports)
        self.url = f"{'rediss+' if tls else ''}sentinel://{hosts}/{NAME}/0"
        self.settings = {"redis-ca": str(self.files / "ca.crt"), "redis-cert": str(self.files / "redis.crt"),
                         "redis-key": str(self.files / "redis.key")} if tls else {}

    def _port(self, port):
        if not self.tls:
            return ["--port", port]
        return ["--port", 0, "--tls-port", port, "--tls-replication", "yes", "--tls-cert-file", self.files / "redis.crt",
                "--tls-key-file", self.files / "redis.key", "--tls-ca-cert-file", self.files / "ca.crt"]

    def _start(self, name, argv):
        process = Process(name, argv, self.lab.directory / f"{name}.log").start()
        self.lab.at_end(process.kill)
        return process

    def _server(self, name, port, *more):
        directory = self.lab.directory / name
        directory.mkdir()
        process = self._start(name, ["redis-server", *self._port(port), "--bind", "127.0.0.1", "--save", "", "--dir",
                                     directory, "--repl-diskless-sync-delay", "0", *more])
        wait_for(f"{name} answers", 10, lambda: self.role(port))
        return process

    def _sentinel(self, number, port):
        directory = self.lab.directory / f"sentinel{number}"
        directory.mkdir()
        config = directory / "sentinel.conf"
        # The failover time is also how long a replica may follow its master by another path before that is mended.
        config.write_text(f"bind 127.0.0.1\nsentinel monitor {NAME} 127.0.0.1 {self.master_port} 2\n"
                          f"sentinel down-after-milliseconds {NAME} {int(DOWN_AFTER * 1000)}\n"
                          f"sentinel failover-timeout {NAME} 60000\n")
        return self._start(f"sentinel{number}", ["redis-server", config, "--sentinel", *self._port(port), "--dir", directory])

    def client(self, port):
        tls = {"ssl": True, "ssl_ca_certs": str(self.files / "ca.crt"), "ssl_certfile": str(self.files / "redis.crt"),
               "ssl_keyfile": str(self.files / "redis.key")} if self.tls else {}
        return redis.Redis(host="127.0.0.1", port=port, decode_responses=True, socket_timeout=5, **tls)

    def role(self, port):
        """What ROLE answers, or nothing while nobody does."""
        with contextlib.suppress(redis.RedisError), contextlib.closing(self.client(port)) as r:
            return r.execute_command("ROLE")
        return None

    def _knows(self, port):
        with contextlib.suppress(redis.RedisError), contextlib.closing(self.client(port)) as r:
            state = r.sentinel_master(NAME)
            return state["num-other-sentinels"] == 2 and state["num-slaves"] == 1
        return False

    def current(self):
        """A client of whoever is the master now."""
        port = self.master_port if self.master.alive() else self.replica_port
        return self.client(port)
