"""A cassette's file: exchanges as JSON that people can read and compare, and how a request finds its own."""

import base64
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter, ValidationError

from agent_sdk.core.errors import ConfigError, RequestError

VERSION = 1


class CassetteMiss(RequestError):
    """A request that was not recorded."""

    code = "cassette_miss"


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Asked(_Stored):
    """A request. `body` is JSON where it was, else text; a body that is no text stands in base64 under that name."""

    method: str
    path: str
    query: str = ""
    body: JsonValue = None

    @property
    def canonical(self) -> str:
        return json.dumps([self.method, self.path, self.query, self.body], sort_keys=True, ensure_ascii=False)


class Chunk(_Stored):
    """A piece of a response as it came: text, or base64 where a character was cut in two."""

    text: str | None = None
    base64: str | None = None

    @property
    def data(self) -> bytes:
        return self.text.encode() if self.text is not None else base64.b64decode(self.base64 or "")

    @classmethod
    def of(cls, data: bytes) -> "Chunk":
        try:
            return cls(text=data.decode())
        except UnicodeDecodeError:
            return cls(base64=base64.b64encode(data).decode())


class Answered(_Stored):
    """A response; `is_cut` where the connection ended before it was whole."""

    status: int
    headers: list[tuple[str, str]]
    chunks: list[Chunk]
    is_cut: bool = False


class Exchange(_Stored):
    """A request and its response."""

    request: Asked
    response: Answered


class _File(_Stored):
    version: Literal[1]
    exchanges: list[Exchange]


@dataclass(slots=True)
class Tape:
    """The exchanges of one cassette. The same request asked n times gets its n-th answer; beyond that, its last."""

    exchanges: list[Exchange]
    _played: dict[str, int] = field(default_factory=dict[str, int])

    def find(self, asked: Asked) -> Answered:
        """Return the recorded answer.

        Raises:
            CassetteMiss: there is none; the message names the nearest recorded request and where it differs.
        """
        found = [exchange.response for exchange in self.exchanges if exchange.request.canonical == asked.canonical]
        if not found:
            raise CassetteMiss(_missing(asked, self.exchanges), hint="record it: delete the cassette, or open it with mode='record'")
        number = self._played.get(asked.canonical, 0)
        self._played[asked.canonical] = number + 1
        return found[min(number, len(found) - 1)]


def parse_body(body: bytes) -> JsonValue:
    """Return a request's body as it is stored."""
    try:
        value: JsonValue = json.loads(body) if body else None
    except (ValueError, RecursionError):
        try:
            return body.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(body).decode()}
    return value


def read_tape(path: Path) -> Tape:
    """Return what was recorded.

    Raises:
        ConfigError: there is no such file, or it is no cassette.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"there is no cassette {path}", hint="record it first, with mode='record' and an upstream") from None
    try:
        return Tape(list(_ADAPTER.validate_json(content).exchanges))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{path} is no cassette: {place}: {first['msg']}", hint="delete it and record it again") from None


def write_tape(path: Path, exchanges: Sequence[Exchange]) -> None:
    """Write the cassette, whole or not at all."""
    stored = {"version": VERSION, "exchanges": [exchange.model_dump(mode="json", exclude_defaults=True) for exchange in exchanges]}
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(json.dumps(stored, indent=2, ensure_ascii=False) + "\n")
    Path(name).replace(path)


_ADAPTER = TypeAdapter(_File)


def _missing(asked: Asked, exchanges: Sequence[Exchange]) -> str:
    said = f"{asked.method} {asked.path} was not recorded with this query and body"
    if not exchanges:
        return f"{said}; the cassette is empty"
    nearest = max(
        (exchange.request for exchange in exchanges),
        key=lambda each: SequenceMatcher(None, each.canonical[:4000], asked.canonical[:4000], autojunk=False).ratio(),
    )
    differences = list(_differences(nearest.model_dump(mode="json"), asked.model_dump(mode="json"), ""))[:5]
    return f"{said}; nearest is {nearest.method} {nearest.path}, which differs at " + "; ".join(differences)


def _differences(recorded: JsonValue, asked: JsonValue, path: str) -> list[str]:
    if recorded == asked:
        return []
    if isinstance(recorded, dict) and isinstance(asked, dict):
        names = [*recorded, *(name for name in asked if name not in recorded)]
        return [each for name in names for each in _differences(recorded.get(name), asked.get(name), f"{path}.{name}")]
    if isinstance(recorded, list) and isinstance(asked, list) and len(recorded) == len(asked):
        pairs = enumerate(zip(recorded, asked, strict=True))
        return [each for n, (one, other) in pairs for each in _differences(one, other, f"{path}[{n}]")]
    return [f"{path.removeprefix('.')}: recorded {_short(recorded)}, asked {_short(asked)}"]


def _short(value: JsonValue) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]}..."
