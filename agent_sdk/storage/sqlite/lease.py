"""Leases: how one is lengthened, and the connection of its own over which another thread than the event loop's does that."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from agent_sdk.core.ports import Claim, Clock
from agent_sdk.storage.sqlite.failures import storage_error

_RENEW = "UPDATE runs SET lease_until = ? WHERE tenant = ? AND run_id = ? AND epoch = ? AND owner IS NOT NULL"


def lengthen(db: sqlite3.Connection, claim: Claim, until: int) -> Claim | None:
    """Return the claim as it stands until then; None where it was given up or taken over."""
    if not db.execute(_RENEW, (until, claim.tenant, claim.run_id, claim.epoch)).rowcount:
        return None
    query = "SELECT head FROM runs WHERE tenant = ? AND run_id = ?"
    (head,) = db.execute(query, (claim.tenant, claim.run_id)).fetchone()
    return replace(claim, head=head, lease_until=until)


class SqliteLeaseLine:
    """Renews all leases in one transaction. It waits for no disk: after a loss of power nobody is left who holds a lease."""

    def __init__(self, path: Path, connect: Callable[[], sqlite3.Connection], clock: Clock) -> None:
        self._path = path
        self._connect = connect
        self._clock = clock
        self._db: sqlite3.Connection | None = None

    def renew(self, claims: Sequence[Claim], *, lease_s: float) -> Sequence[Claim]:
        try:
            return self._renewed(claims, lease_s)
        except sqlite3.Error as error:
            self.close()
            raise storage_error(error, self._path) from error

    def close(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _renewed(self, claims: Sequence[Claim], lease_s: float) -> list[Claim]:
        if self._db is None:
            self._db = self._connect()
        self._db.execute("BEGIN IMMEDIATE")
        until = self._clock.now_us() + int(lease_s * 1_000_000)
        renewed = [lengthened for claim in claims if (lengthened := lengthen(self._db, claim, until)) is not None]
        self._db.execute("COMMIT")
        return renewed
