"""What may stand for a setting: names, addresses, secrets and lists, each read from a file's value or from a variable's text."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, cast
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, PlainValidator, SecretStr, ValidationInfo
from pydantic_core import PydanticCustomError

from agent_sdk.config.secret import Secret, SecretLiteral, SecretRef
from agent_sdk.core.frozen import frozen

OPENAI_URL = "https://api.openai.com/v1"
JOURNAL_SCHEMES = ("sqlite", "memory", "postgresql", "postgres")
VENDORS = ("openai", "openai-responses", "anthropic", "gemini")
STORE_SCHEMES = ("postgresql", "postgres", "redis", "rediss")

_MODEL = re.compile(r"[a-z][a-z0-9_-]*:[\x21-\x7e]+")
_APP = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_FIELD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_CREDENTIAL = re.compile(r"auth|key|token|secret|cookie|pass|pwd|credential|signature|(?<![a-z])sig(?![a-z])|^code$", re.IGNORECASE)


class Section(BaseModel):
    """Base of the tree: unchangeable, closed to unknown keys, and silent about what it was given."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False, validate_default=True, defer_build=True
    )


@frozen
class Expects:
    """What a setting's value must be, in words for people; without one, type and bounds say it.

    What `may_hold_secrets` is shown by no error.
    """

    words: str
    may_hold_secrets: bool = False


def wrong(hint: str = "") -> PydanticCustomError:
    """Make the error on a value that is not as its setting expects."""
    return PydanticCustomError("wrong_value", "not as expected", {"hint": hint})


def model_name(name: str | None) -> str | None:
    """Check `vendor:name`."""
    if name is not None and not _MODEL.fullmatch(name):
        raise wrong(f"did you mean openai:{name}?" if re.fullmatch(r"[\w.-]+", name) else "")
    return name


def app_name(name: str | None) -> str | None:
    """Check `module:app`."""
    if name is not None and not _APP.fullmatch(name):
        raise wrong("name the module and the App within it, as in my_agents.main:app")
    return name


def _function_name(name: str | None) -> str | None:
    """Check `module:function`."""
    if name is not None and not _APP.fullmatch(name):
        raise wrong("name the module and the async function within it, as in my_cloud.auth:sign")
    return name


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise wrong("it cannot be read as a URL") from error
    if any(character.isspace() or not character.isprintable() for character in url):
        raise wrong("a URL holds no spaces")
    return parts


def journal_url(url: str) -> str:
    """Check where a journal is."""
    parts = _split(url)
    if parts.scheme not in JOURNAL_SCHEMES:
        raise wrong(f"the schemes are {', '.join(JOURNAL_SCHEMES)}")
    if parts.scheme == "sqlite" and (parts.netloc or len(parts.path) < 2):
        raise wrong("three slashes stand before a path: sqlite:///agent.db, four before an absolute one")
    return url


def dispatch_url(url: str | None) -> str | None:
    """Check where the queue is."""
    if url is None:
        return None
    parts = _split(url)
    if parts.scheme not in {"nats", "tls"} or not parts.hostname:
        raise wrong("a queue over NATS is named nats://host:4222; without one, the journal itself tells workers of runs")
    return url


def _base_url(url: str) -> str:
    parts = _split(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise wrong(f"such as {OPENAI_URL} or http://localhost:11434/v1")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise wrong("write no user, password, query or fragment; the key belongs in api_key")
    return url.rstrip("/")


def _secret(value: object, info: ValidationInfo) -> Secret | None:
    """Read a reference; other text only where the loader says that it came from a place which holds secrets anyway."""
    if value is None or isinstance(value, SecretRef | SecretLiteral):
        return value
    if not isinstance(value, str):
        raise wrong()
    if ref := SecretRef.parse(value):
        return ref
    if value.startswith(("env:", "file:")):
        raise wrong("a variable's name has letters, digits and _ alone; a path is not empty")
    if _takes_literals(info):
        return SecretLiteral(SecretStr(value))
    raise _literal("put it into an environment variable or a file, and write env:NAME or file:PATH here")


def _takes_literals(info: ValidationInfo) -> bool:
    context: object = info.context
    return isinstance(context, Mapping) and bool(cast("Mapping[str, object]", context).get("literal_secrets"))


def _literal(hint: str) -> PydanticCustomError:
    return PydanticCustomError("literal_secret", "a secret may not stand here itself", {"hint": hint})


def structured(value: object) -> object:
    """Read what stands in a variable or an option, where all is text, as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise wrong("in a variable it is written as JSON") from error


def _pairs(value: object, info: ValidationInfo) -> dict[str, str | Secret]:
    """Read headers or query fields; what looks like a credential by its name may stand here as little as a key may."""
    given = structured(value)
    if not isinstance(given, Mapping):
        raise wrong()
    return {name: _field(name, text, info) for name, text in cast("Mapping[str, object]", given).items()}


def _field(name: str, value: object, info: ValidationInfo) -> str | Secret:
    if not _FIELD.fullmatch(name):
        raise wrong("a name has letters, digits and dashes, and no spaces")
    if isinstance(value, SecretRef | SecretLiteral):
        return value
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise wrong(f"the value of {name} must be text on one line, in quotes where it looks like a number")
    if value.startswith(("env:", "file:")):
        return cast("Secret", _secret(value, info))
    if not _CREDENTIAL.search(name):
        return value
    if not _takes_literals(info):
        raise _literal(f"put the value of {name} into an environment variable or a file, and write env:NAME or file:PATH here")
    return SecretLiteral(SecretStr(value))


def _proxy(value: object, info: ValidationInfo) -> str | Secret | None:
    """Read a proxy's address; one with a password is a secret."""
    if value is None or isinstance(value, SecretRef | SecretLiteral):
        return value
    if not isinstance(value, str):
        raise wrong()
    if value.startswith(("env:", "file:")):
        return _secret(value, info)
    parts = _split(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise wrong("such as http://proxy.local:3128")
    if parts.username is None and parts.password is None:
        return value
    if not _takes_literals(info):
        raise _literal("a proxy's address with a password belongs into an environment variable: write env:NAME here")
    return SecretLiteral(SecretStr(value))


def _names(value: object) -> object:
    """Read a list; in a variable it is text, divided by commas."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value


def model_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Check several models of which none stands twice."""
    for name in names:
        model_name(name)
    if len(set(names)) < len(names):
        raise wrong("a model stands twice in the list")
    return names


def store_url(url: str | None) -> str | None:
    """Check where limits are shared."""
    if url is not None and _split(url).scheme not in STORE_SCHEMES:
        raise wrong(f"the schemes are {', '.join(STORE_SCHEMES)}")
    return url


Key = Annotated[
    SecretRef | SecretLiteral | None,
    PlainValidator(_secret),
    PlainSerializer(str, return_type=str, when_used="unless-none"),
    Expects("a reference to a secret, env:NAME or file:PATH, or null"),
]
FunctionName = Annotated[str | None, AfterValidator(_function_name), Expects("module:function, or null")]
BaseUrl = Annotated[str, AfterValidator(_base_url), Expects("an http or https URL")]
Pairs = Annotated[
    Mapping[str, str | SecretRef | SecretLiteral],
    PlainValidator(_pairs),
    PlainSerializer(lambda pairs: {name: str(value) for name, value in pairs.items()}, return_type=dict[str, str]),
    Expects("a mapping of names to texts or to references, env:NAME or file:PATH", may_hold_secrets=True),
]
Proxy = Annotated[
    str | SecretRef | SecretLiteral | None,
    PlainValidator(_proxy),
    PlainSerializer(str, return_type=str, when_used="unless-none"),
    Expects("an http or https URL, a reference to one, env:NAME or file:PATH, or null"),
]
Names = BeforeValidator(_names)
