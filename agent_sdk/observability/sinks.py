"""Sinks that come with the SDK: a terminal, a file of JSON lines, and the log. What passes through them is redacted."""

import asyncio
import json
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import BinaryIO, TextIO

from agent_sdk.core.events import Fact
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.observability.plain import encodable, one_line
from agent_sdk.observability.records import record_of
from agent_sdk.observability.redact import redact_json, redact_text
from agent_sdk.observability.taxonomy import Severity, detail_of, severity_of, summary_of

DETAIL_LIMIT = 300
"""Longest text of a user that goes into one line for people."""
EVENT_LOGGER = "agent_sdk.events"

_LEVELS: dict[Severity, int] = {"info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


class ConsoleSink:
    """Writes one line a fact for people. `zone` None means local time."""

    def __init__(self, stream: TextIO, *, name: str = "console", zone: tzinfo | None = None) -> None:
        self._stream = stream
        self._name = name
        self._zone = zone

    @property
    def name(self) -> str:
        return self._name

    async def take(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact]) -> None:
        text = "".join(f"{render_fact(run_id, fact, zone=self._zone)}\n" for fact in facts)
        await asyncio.to_thread(self._write, encodable(text, self._stream.encoding))

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class JsonLinesSink:
    """Appends one JSON object a fact to a file that its owner alone may read; `agent-sdk events schema` describes them.

    The file is opened for each batch, so it may be moved away at any time. A line that a full disk tore apart is ended there, and follows
    whole.
    """

    def __init__(self, path: Path, *, name: str | None = None) -> None:
        self._path = path
        self._name = name if name is not None else f"jsonl:{path}"
        self._lock = asyncio.Lock()

    @property
    def name(self) -> str:
        return self._name

    async def take(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact]) -> None:
        async with self._lock:
            await asyncio.to_thread(self._append, tenant, run_id, facts)

    def _append(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact]) -> None:
        records = (redact_json(record_of(tenant, run_id, fact)) for fact in facts)
        data = b"".join(json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in records)
        with open(self._path, "a+b", opener=_open_private) as file:
            file.write(data if _ends_line(file) else b"\n" + data)


class LoggingSink:
    """Logs each fact under `agent_sdk.events`, without users' content, at the level of its severity."""

    def __init__(self, logger: logging.Logger | None = None, *, name: str = "logging") -> None:
        self._logger = logger if logger is not None else logging.getLogger(EVENT_LOGGER)
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    async def take(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact]) -> None:
        for fact in facts:
            level = _LEVELS[severity_of(fact.event)]
            if self._logger.isEnabledFor(level):
                record = redact_json(record_of(tenant, run_id, fact, with_body=False))
                context = {"tenant": tenant, "run_id": run_id, "step_id": getattr(fact.event, "step", None), "event": record}
                self._logger.log(level, "%s", redact_text(summary_of(fact.event)), extra=context)


def render_fact(run_id: RunId, fact: Fact, *, zone: tzinfo | None = None) -> str:
    """Return the fact as one redacted line: time, severity, run, type, what happened, and what its error or goal says."""
    time = datetime.fromtimestamp(fact.at / 1e6, UTC).astimezone(zone).strftime("%H:%M:%S.%f")[:-3]
    detail = detail_of(fact.event)
    text = redact_text(summary_of(fact.event)) + (f" - {redact_text(detail, DETAIL_LIMIT)}" if detail is not None else "")
    return one_line(f"{time}  {severity_of(fact.event):<5}  {run_id}  {fact.event.type:<16}  {text}")


def _ends_line(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
