"""What other processes have committed, found by one query for all that is followed here."""

import json
import sqlite3
from collections.abc import Hashable, Sequence

_HEADS = """
SELECT runs.tenant, runs.run_id, runs.head FROM json_each(?) AS followed
JOIN runs ON runs.tenant = json_extract(followed.value, '$[0]') AND runs.run_id = json_extract(followed.value, '$[1]')
"""


class Tail:
    """Remembers the heads of the followed runs. It belongs to one thread."""

    def __init__(self) -> None:
        self._heads: dict[Hashable, int] = {}

    def moved(self, db: sqlite3.Connection, keys: Sequence[Hashable]) -> list[Hashable]:
        """Return the keys to be rung after another process's commit: runs whose head is another one now, and whatever names no run."""
        runs = json.dumps([key for key in keys if isinstance(key, tuple)])
        found = db.execute(_HEADS, (runs,)).fetchall() if runs != "[]" else []
        before = self._heads
        self._heads = {(tenant, run_id): head for tenant, run_id, head in found}
        return [key for key in keys if key not in self._heads or before.get(key) != self._heads[key]]
