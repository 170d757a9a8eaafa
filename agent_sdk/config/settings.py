"""The settings tree: what may be set, within which bounds, and what holds if nothing is. Where values come from is known by `load`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from agent_sdk.config.secret import Secret, SecretLiteral, SecretRef

OPENAI_URL = "https://api.openai.com/v1"
JOURNAL_SCHEMES = ("sqlite", "memory", "postgresql", "postgres")

_MODEL = re.compile(r"[a-z][a-z0-9_-]*:[\x21-\x7e]+")
_APP = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True)
class Expects:
    """What a setting's value must be, in words for people; without one, type and bounds say it."""

    words: str


def _wrong(hint: str = "") -> PydanticCustomError:
    return PydanticCustomError("wrong_value", "not as expected", {"hint": hint})


def _model(name: str | None) -> str | None:
    if name is not None and not _MODEL.fullmatch(name):
        raise _wrong(f"did you mean openai:{name}?" if re.fullmatch(r"[\w.-]+", name) else "")
    return name


def _app(name: str | None) -> str | None:
    if name is not None and not _APP.fullmatch(name):
        raise _wrong("name the module and the App within it, as in my_agents.main:app")
    return name


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise _wrong("it cannot be read as a URL") from error
    if any(character.isspace() or not character.isprintable() for character in url):
        raise _wrong("a URL holds no spaces")
    return parts


def _journal(url: str) -> str:
    parts = _split(url)
    if parts.scheme not in JOURNAL_SCHEMES:
        raise _wrong(f"the schemes are {', '.join(JOURNAL_SCHEMES)}")
    if parts.scheme == "sqlite" and (parts.netloc or len(parts.path) < 2):
        raise _wrong("three slashes stand before a path: sqlite:///agent.db, four before an absolute one")
    return url


def _dispatch(url: str | None) -> str | None:
    if url is None:
        return None
    parts = _split(url)
    if parts.scheme not in {"nats", "tls"} or not parts.hostname:
        raise _wrong("a queue over NATS is named nats://host:4222; without one, the journal itself tells workers of runs")
    return url


def _base_url(url: str) -> str:
    parts = _split(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _wrong(f"such as {OPENAI_URL} or http://localhost:11434/v1")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise _wrong("write no user, password, query or fragment; the key belongs in api_key")
    return url.rstrip("/")


def _secret(value: object, info: ValidationInfo) -> Secret | None:
    """Read a reference; other text only where the loader says that it came from a place which holds secrets anyway."""
    if value is None or isinstance(value, SecretRef | SecretLiteral):
        return value
    if not isinstance(value, str):
        raise _wrong()
    if ref := SecretRef.parse(value):
        return ref
    if value.startswith(("env:", "file:")):
        raise _wrong("a variable's name has letters, digits and _ alone; a path is not empty")
    context: object = info.context
    if isinstance(context, Mapping) and context.get("literal_secrets"):  # pyright: ignore[reportUnknownMemberType]  (pydantic does not type it)
        return SecretLiteral(SecretStr(value))
    raise PydanticCustomError(
        "literal_secret",
        "a secret may not stand here itself",
        {"hint": "put it into an environment variable or a file, and write env:NAME or file:PATH here"},
    )


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class Section(BaseModel):
    """Base of the tree: unchangeable, closed to unknown keys, and silent about what it was given."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False, validate_default=True)


class OpenAISettings(Section):
    """How to reach OpenAI, or any server that speaks its protocol."""

    api_key: Annotated[
        SecretRef | SecretLiteral | None,
        PlainValidator(_secret),
        PlainSerializer(str, return_type=str, when_used="unless-none"),
        Expects("a reference to a secret, env:NAME or file:PATH, or null"),
    ] = SecretRef("env", "OPENAI_API_KEY")
    base_url: Annotated[str, AfterValidator(_base_url), Expects("an http or https URL")] = OPENAI_URL
    organization: Annotated[str | None, Expects("an organization's id, or null")] = Field(default=None, pattern=r"^[\x21-\x7e]{1,200}$")

    def key(self, environ: Mapping[str, str], cwd: Path | None = None) -> str | None:
        """Fetch the API key; None where none is set, or where only the default reference is and another server than OpenAI's is asked.

        Raises:
            SecretUnresolved: the key cannot be had.
        """
        by_default = "api_key" not in self.model_fields_set
        if self.api_key is None or (by_default and self.base_url != OPENAI_URL and not environ.get("OPENAI_API_KEY")):
            return None
        return self.api_key.resolve(environ, cwd)


class ModelCallSettings(Section):
    """How long one model call may take, how often it is tried, and what it asks for; None leaves the choice to the vendor."""

    connect_timeout_s: float = Field(default=10.0, gt=0, le=600)
    first_token_timeout_s: float = Field(default=120.0, gt=0, le=3600)
    idle_timeout_s: float = Field(default=60.0, gt=0, le=3600)
    total_timeout_s: float = Field(default=600.0, gt=0, le=86400)
    max_attempts: int = Field(default=4, ge=1, le=20)
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_output_tokens: int | None = Field(default=None, ge=1, le=10_000_000)


class LimitSettings(Section):
    """How far one run may go, where its agent does not say; the names are those of `core.agent.Limits`."""

    max_turns: int = Field(default=50, ge=1, le=100_000)
    max_steps: int = Field(default=1000, ge=1, le=1_000_000)
    max_parallel: int = Field(default=8, ge=1, le=10_000)
    step_timeout_s: float = Field(default=60.0, gt=0, le=604_800)
    run_timeout_s: float | None = Field(default=None, gt=0, le=31_536_000)
    max_plan_repairs: int = Field(default=3, ge=0, le=100)
    max_answer_repairs: int = Field(default=2, ge=0, le=100)
    max_retries: int = Field(default=100, ge=0, le=10_000_000)
    max_repeats: int = Field(default=3, ge=1, le=1000)
    max_goal_bytes: int = Field(default=1024 * 1024, ge=1, le=64 * 1024 * 1024)
    max_output_bytes: int = Field(default=16 * 1024 * 1024, ge=1, le=1024 * 1024 * 1024)
    max_crashes: int = Field(default=5, ge=0, le=1000)
    max_depth: int = Field(default=5, ge=0, le=100)


class LoggingSettings(Section):
    """What the process logs, and in which form."""

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)] = "INFO"
    format: Literal["json", "text"] = "text"


class ThreadSettings(Section):
    """The pool of sync tools: its size, and how many threads may be given up on before no new one replaces them."""

    size: int = Field(default=32, ge=1, le=1024)
    max_abandoned: int = Field(default=64, ge=0, le=100_000)


class RetentionSettings(Section):
    """For how many days runs are kept after their end, by how they ended; None keeps them for good."""

    succeeded_days: float | None = Field(default=None, gt=0, le=36_500)
    failed_days: float | None = Field(default=None, gt=0, le=36_500)
    cancelled_days: float | None = Field(default=None, gt=0, le=36_500)
    expired_days: float | None = Field(default=None, gt=0, le=36_500)


class BackupSettings(Section):
    """How a Postgres journal is copied."""

    programs: Annotated[str | None, Expects("the directory of pg_dump and pg_restore, or null")] = Field(default=None, min_length=1)


class WorkerSettings(Section):
    """How a worker works: how many runs at once, and how long its leases and its farewell are."""

    concurrency: int = Field(default=64, ge=1, le=10_000)
    lease_s: float = Field(default=30.0, ge=1, le=3600)
    grace_s: float = Field(default=25.0, ge=0, le=86_400)


class Settings(Section):
    """All that an operator may set; relative paths start at the working directory."""

    model: Annotated[str | None, AfterValidator(_model), Expects("vendor:name such as openai:gpt-5-mini, or null")] = None
    app: Annotated[str | None, AfterValidator(_app), Expects("module:app, or null")] = None
    journal: Annotated[str, AfterValidator(_journal), Expects("a URL such as sqlite:///agent.db")] = "sqlite:///agent.db"
    tenant: Annotated[str, Expects("1 to 128 letters, digits, '.', '_' or '-', the first a letter or digit")] = Field(
        default="default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
    )
    dispatch: Annotated[str | None, AfterValidator(_dispatch), Expects("a URL such as nats://localhost:4222, or null")] = None
    worker: WorkerSettings = WorkerSettings()
    openai: OpenAISettings = OpenAISettings()
    model_call: ModelCallSettings = ModelCallSettings()
    limits: LimitSettings = LimitSettings()
    logging: LoggingSettings = LoggingSettings()
    threads: ThreadSettings = ThreadSettings()
    retention: RetentionSettings = RetentionSettings()
    backup: BackupSettings = BackupSettings()
