"""Structured logs: a JSON object or a line for people, with the run it belongs to, redacted. Whatever is logged, nothing here raises."""

import hashlib
import json
import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from typing import Literal, TextIO

from pydantic import JsonValue

from agent_sdk.core.errors import AgentSDKError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.observability.plain import MAX_TEXT, encodable, lines, one_line, to_plain, to_text, to_traceback
from agent_sdk.observability.redact import redact_json, redact_text

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
LogFormat = Literal["json", "text"]

ROOT_LOGGER = "agent_sdk"
MAX_CAUSES = 10
PLACE = ("tenant", "run_id", "step_id", "trace_id")
"""What a record says of where it belongs; a value given with `extra=` goes before the bound one."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", *PLACE}


@frozen
class LogContext:
    """The run and step that what is logged belongs to, as far as they are known."""

    tenant: TenantId | None = None
    run_id: RunId | None = None
    step_id: StepId | None = None
    trace_id: str | None = None


_NOWHERE = LogContext()
_context: ContextVar[LogContext] = ContextVar("agent_sdk.log_context", default=_NOWHERE)


@contextmanager
def bind(
    *, tenant: TenantId | None = None, run_id: RunId | None = None, step_id: StepId | None = None, trace_id: str | None = None
) -> Generator[None]:
    """Let what the block logs say where it belongs, also in its tasks and in threads that get a copy of the context.

    None leaves what is bound. A run bound inside another's trace stays in it.
    """
    outer = _context.get()
    token = _context.set(
        LogContext(
            tenant if tenant is not None else outer.tenant,
            run_id if run_id is not None else outer.run_id,
            step_id if step_id is not None else outer.step_id,
            trace_id if trace_id is not None else outer.trace_id,
        )
    )
    try:
        yield
    finally:
        _context.reset(token)


def bound() -> LogContext:
    """Return what is bound here."""
    return _context.get()


def trace_id_of(run_id: RunId) -> str:
    """Return the run's trace id, 32 hexadecimal digits made of its id: the same in each process that ever works on the run.

    Whoever runs a child binds the trace id of its root.
    """
    return hashlib.sha256(run_id.encode()).hexdigest()[:32]


def configure_logging(level: LogLevel, format: LogFormat, stream: TextIO, *, logger: str = ROOT_LOGGER) -> None:  # noqa: A002  (the setting's name)
    """Send what is logged under `logger` to the stream, and there alone; `""` takes in other libraries too.

    A second call replaces the first.
    """
    target = logging.getLogger(logger)
    for handler in list(target.handlers):
        if isinstance(handler, LogHandler):
            target.removeHandler(handler)
    added = LogHandler(stream)
    added.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    target.addHandler(added)
    target.setLevel(level)
    target.propagate = False


class LogHandler(logging.StreamHandler[TextIO]):
    """Writes to a stream; what cannot be written is counted in `lost`, since the standard handler would print the record unredacted."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.lost = 0

    def format(self, record: logging.LogRecord) -> str:
        return encodable(super().format(record), getattr(self.stream, "encoding", None))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the standard library's name)
        self.lost += 1


class JsonFormatter(logging.Formatter):
    """One JSON object: `ts` (ISO 8601, UTC), `level`, `logger`, `message`, `tenant`, `run_id`, `step_id` and `trace_id`.

    `data` holds what was given with `extra=`, and `error` what `describe_error` says, if there is any.
    """

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, JsonValue] = {
            "ts": _time(record).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            **_place(record),
        }
        if data := _data(record):
            entry["data"] = data
        if error := _error(record):
            entry["error"] = describe_error(error)
        return json.dumps(entry, separators=(",", ":"))


class TextFormatter(logging.Formatter):
    """One line for people, and under it the traceback if there is one. `zone` None means local time."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        super().__init__()
        self._zone = zone

    def format(self, record: logging.LogRecord) -> str:
        place = {name: value for name, value in _place(record).items() if name in {"run_id", "step_id"} and value is not None}
        pairs = "".join(f" {name}={value}" for name, value in {**place, **_data(record)}.items())
        time = _time(record).astimezone(self._zone).strftime("%H:%M:%S.%f")[:-3]
        line = one_line(f"{time} {record.levelname:<7} {record.name}: {_message(record)}{pairs}")
        error = _error(record)
        return line if error is None else f"{line}\n{lines(_traceback(error))}"


def describe_error(error: BaseException) -> dict[str, JsonValue]:
    """Return an error as data: type, code, message and hint, the same of what caused it, and the traceback; all redacted."""
    first, *causes = [_facts_of(each) for each in _chain(error)]
    return {**first, "causes": list[JsonValue](causes), "traceback": _traceback(error)}


def _facts_of(error: BaseException) -> dict[str, JsonValue]:
    facts: dict[str, JsonValue] = {"type": type(error).__qualname__, "message": redact_text(to_text(error), MAX_TEXT)}
    if isinstance(error, AgentSDKError):
        facts["code"] = error.code
        if error.hint is not None:
            facts["hint"] = redact_text(error.hint, MAX_TEXT)
    return facts


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, then what each was raised from, or else while handling."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen and len(seen) <= MAX_CAUSES:
        seen.add(id(following))
        yield following
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)


def _traceback(error: BaseException) -> str:
    return redact_text(to_traceback(error), 4 * MAX_TEXT).rstrip()


def _error(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None


def _message(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception as error:  # noqa: BLE001  (foreign code: the arguments' texts, or a format that they do not fit)
        text = f"{to_text(record.msg)} (arguments that do not fit: {type(error).__name__})"
    return redact_text(text, MAX_TEXT)


def _place(record: logging.LogRecord) -> dict[str, JsonValue]:
    context = _context.get()
    given = {name: vars(record).get(name) or getattr(context, name) for name in PLACE}
    if given["trace_id"] is None and given["run_id"] is not None:
        given["trace_id"] = trace_id_of(RunId(to_text(given["run_id"])))
    return {name: None if value is None else redact_text(to_text(value), MAX_TEXT) for name, value in given.items()}


def _data(record: logging.LogRecord) -> dict[str, JsonValue]:
    extra = to_plain({name: value for name, value in vars(record).items() if name not in _STANDARD})
    redacted = redact_json(extra, MAX_TEXT)
    return redacted if isinstance(redacted, dict) else {}


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)
