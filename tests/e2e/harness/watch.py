"""Was a row that nobody touched ever invisible? A watcher polls rib_live on a connection of its own, and at the end the
history is asked as well: what was hidden between two polls stands there as a withdrawal or as the end of a peer."""
import threading
import time

import psycopg2
from psycopg2.extras import execute_values

ROWS = """
SELECT ro.name, host(p.addr), l.view, l.prefix::text, l.peer_id, l.path_id
FROM rib_live l JOIN peers p USING (peer_id) JOIN routers ro USING (router_id)
"""
MISSING = """
SELECT name, addr, view, prefix::text FROM steady s WHERE NOT EXISTS
  (SELECT FROM rib_live l WHERE l.peer_id = s.peer_id AND l.view = s.view AND l.prefix = s.prefix AND l.path_id = s.path_id)
"""
WITHDRAWN = """
SELECT ro.name, host(p.addr), l.view, l.prefix::text, count(*)
FROM rib_log l JOIN peers p USING (peer_id) JOIN routers ro USING (router_id) WHERE l.withdrawn GROUP BY 1, 2, 3, 4
"""
# Peer Down, not in the dump, router given up (psql-sink/SCHEMA.md).
PEER_ENDS = """
SELECT ro.name, host(p.addr), count(*)
FROM peer_event e JOIN peers p USING (peer_id) JOIN routers ro USING (router_id) WHERE e.kind IN (2, 6, 7) GROUP BY 1, 2
"""


class Watch(threading.Thread):
    """Watches these rows, keys (router, peer, view, prefix), from now on. All of them must be visible now."""

    def __init__(self, database, keys, every=0.1):
        super().__init__(daemon=True, name="watch")
        self.database, self.every = database, every
        self.polls, self.longest_gap = 0, 0.0  # seconds without a look, as when the server is away
        self._missing = set()
        self._error = None
        self._ended = threading.Event()
        self._rows = [r for r in database.sql(ROWS) if r[:4] in keys]
        self.keys = {r[:4] for r in self._rows}
        assert self.keys == set(keys), f"not visible at the start: {sorted(set(keys) - self.keys)[:5]}"
        self._history = self._hidden_in_history()
        self._connection = self._connect()
        self._look()
        self.start()

    def _connect(self):
        connection = self.database.connect()
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE steady "
                           "(name text, addr text, view int2, prefix cidr, peer_id int4, path_id int8)")
            execute_values(cursor, "INSERT INTO steady VALUES %s", self._rows, page_size=1000)
            cursor.execute("ANALYZE steady")
        return connection

    def run(self):
        looked = time.monotonic()
        while not self._ended.is_set():
            try:
                self._look()
                now = time.monotonic()
                self.longest_gap, looked = max(self.longest_gap, now - looked), now
            except psycopg2.Error:
                self._reconnect()
            except Exception as e:  # noqa: BLE001 - told by missing()
                self._error = e
                return
            self._ended.wait(self.every)
        if self._connection:
            self._connection.close()

    def _look(self):
        with self._connection.cursor() as cursor:
            cursor.execute(MISSING)
            self._missing.update(cursor.fetchall())
        self.polls += 1

    def _reconnect(self):
        """The server was away, or is."""
        if self._connection:
            self._connection.close()
        self._connection = None
        while self._connection is None and not self._ended.is_set():
            try:
                self._connection = self._connect()
            except psycopg2.Error:
                self._ended.wait(self.every)

    def _hidden_in_history(self):
        """key or (router, peer) -> how often its end is written down."""
        return {tuple(row[:-1]): row[-1] for query in (WITHDRAWN, PEER_ENDS) for row in self.database.sql(query)}

    def missing(self):
        """Keys of watched rows that were missing at any time so far. The watch goes on."""
        if self._error:
            raise self._error
        now = self._hidden_in_history()
        hidden = {key for key, count in now.items() if count > self._history.get(key, 0)}
        return self._missing | {key for key in self.keys if key in hidden or key[:2] in hidden}

    def end(self):
        self._ended.set()
        self.join(10)
