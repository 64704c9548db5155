"""Keeps a store in a table of the application's own database."""

import json
import sqlite3

import rolekeep
from rolekeep import Batch, Loaded, Persisted


class LogTable:
    """A log of batches. One statement reads it and one appends to it, so each is atomic."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("CREATE TABLE IF NOT EXISTS log (position INTEGER PRIMARY KEY, changes TEXT NOT NULL)")

    def load(self, since: int) -> Loaded:
        query = "SELECT position, changes FROM log WHERE position >= ? ORDER BY position"
        log = self._db.execute(query, (since,)).fetchall()
        changes = [change for position, text in log if position > since for change in json.loads(text)]
        return {"position": log[-1][0] if log else 0, "changes": changes}

    def persist(self, batch: Batch) -> Persisted:
        append = "INSERT INTO log SELECT ?, ? WHERE ? = (SELECT coalesce(max(position), 0) FROM log)"
        row = (batch["position"], json.dumps(batch["changes"]), batch["base"])
        return "done" if self._db.execute(append, row).rowcount == 1 else "stale"

    def close(self) -> None:
        self._db.close()


if __name__ == "__main__":
    with rolekeep.open(persister=LogTable("app.db")) as um:
        um.system.users.create("ada@example.org")
    with rolekeep.open(persister=LogTable("app.db")) as um:
        print(um.system.users.find(email="ada@example.org").email)
