"""Tools under names that every protocol allows, mapped both ways without loss; and ids of calls that are short enough."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from pydantic import JsonValue

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm.encoding import encode_json

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
MAX_ID_CHARS = 40


@frozen
class Toolbox:
    """Tools as they are sent, and their own names by those on the wire, where the protocol forbids the own."""

    encoded: bytes
    names: Mapping[str, str]


def pack(tools: Sequence[ToolSpec], describe: Callable[[str, ToolSpec], JsonValue]) -> Toolbox:
    """Return the tools as a JSON array of what `describe` makes of each and its name on the wire.

    Raises:
        ConfigError: two of them have the same name.
    """
    names = {wire_name(tool.name): tool.name for tool in tools}
    if len(names) < len(tools):
        raise ConfigError("two tools have the same name", hint="rename one of them")
    encoded = encode_json([describe(name, tool) for name, tool in zip(names, tools, strict=True)])
    return Toolbox(encoded, {wire: own for wire, own in names.items() if wire != own})


@lru_cache(maxsize=4096)
def wire_name(tool: str) -> str:
    """Return the name under which a tool is offered: its own where the protocols allow that, else one made of it, always the same."""
    if _NAME.fullmatch(tool):
        return tool
    cut = re.sub(r"[^A-Za-z0-9_-]|^(?=[0-9-])", "_", tool)[:55]
    return f"{cut}_{hashlib.sha256(tool.encode()).hexdigest()[:8]}"


def wire_id(identity: str) -> str:
    """Return the id itself, or where it is longer than a protocol's 40 characters, a digest of it."""
    return identity if len(identity) <= MAX_ID_CHARS else hashlib.sha256(identity.encode()).hexdigest()[:MAX_ID_CHARS]
