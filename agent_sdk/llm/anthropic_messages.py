"""A conversation in the bytes of Anthropic's Messages, where users and the model take turns, and marks of what shall be cached."""

import hashlib
import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from pydantic import JsonValue

from agent_sdk.core.errors import BadRequest
from agent_sdk.core.messages import FilePart, Message, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from agent_sdk.llm.encoding import encode_json
from agent_sdk.llm.tool_names import wire_name

DIALECT = "anthropic.messages"
REDACTED = "redacted:"
"""Begins the signature of thoughts that came encrypted; that of a block we do not know begins with a brace, being the block itself."""

_ROLE = slice(9, 10)
"""Where `u` or `a` stands in an encoded message."""
_HEADS = {"user": b'{"role":"user","content":[', "assistant": b'{"role":"assistant","content":['}
_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_TEXTS = frozenset({"application/json", "application/xml", "application/yaml"})
_MAX_ID_CHARS = 64


def taking_turns(encoded: Sequence[bytes], mark: bytes) -> list[bytes]:
    """Return the messages with neighbours of one role merged; `mark` goes behind the last blocks of the last two turns of the user.

    The second mark lets a cache be found again that many blocks of one turn have pushed out of the vendor's sight.
    """
    messages = list(encoded) if _alternates(encoded) else _merged(encoded)
    if mark:
        turns = (at for at in range(len(messages) - 1, -1, -1) if messages[at][_ROLE] == b"u")
        for at, _ in zip(turns, range(2), strict=False):
            messages[at] = messages[at][:-3] + mark + b"}]}"
    return messages


def encode_message(message: Message) -> bytes:
    """Return the message as the protocol has it, or nothing where it holds nothing that could be said.

    Raises:
        BadRequest: it refers to a file that this protocol cannot carry.
    """
    if message.role == "assistant":
        role, blocks = "assistant", _said(message)
    else:
        role, blocks = "user", _asked(message.parts)
    joined = b",".join(blocks)
    return _HEADS[role] + joined + b"]}" if joined else b""


@lru_cache(maxsize=4096)
def wire_call_id(identity: str) -> str:
    """Return a call's id in the letters that the protocol allows (`^[a-zA-Z0-9_-]+$`); two are never alike."""
    plain = re.sub(r"[^A-Za-z0-9-]", lambda found: f"_{ord(found[0]):x}_", identity)
    return plain if len(plain) <= _MAX_ID_CHARS else hashlib.sha256(identity.encode()).hexdigest()


def _alternates(encoded: Sequence[bytes]) -> bool:
    roles = b"".join([message[_ROLE] for message in encoded])
    return len(roles) == len(encoded) and b"uu" not in roles and b"aa" not in roles


def _merged(encoded: Sequence[bytes]) -> list[bytes]:
    messages: list[bytes] = []
    for message in filter(None, encoded):
        if messages and messages[-1][_ROLE] == message[_ROLE]:
            messages[-1] = messages[-1][:-2] + b"," + message[message.index(b"[") + 1 :]
        else:
            messages.append(message)
    return messages


def _asked(parts: Sequence[Part]) -> Iterator[bytes]:
    for part in parts:
        match part:
            case TextPart(text=text) if text.strip():
                yield b'{"type":"text","text":' + encode_json(text) + b"}"
            case FilePart():
                yield encode_json(_file(part))
            case ToolResultPart():
                yield encode_json(_result(part))
            case _:
                pass


def _said(message: Message) -> Iterator[bytes]:
    """Yield the blocks of a reply; what is signed goes back unaltered, and only where it came from."""
    is_ours = message.protocol == DIALECT
    for part in message.parts:
        match part:
            case TextPart(text=text, signature=citations) if text.strip():
                cited = b',"citations":' + citations.encode() if is_ours and citations is not None else b""
                yield b'{"type":"text","text":' + encode_json(text) + cited + b"}"
            case ReasoningPart(signature=str() as signature) if is_ours:
                yield _thoughts(part.text, signature)
            case ToolCallPart():
                given: JsonValue = part.args if part.args is not None else {"INVALID_JSON": part.raw or ""}
                yield encode_json({"type": "tool_use", "id": wire_call_id(part.id), "name": wire_name(part.tool), "input": given})
            case _:
                pass


def _thoughts(text: str, signature: str) -> bytes:
    if signature.startswith("{"):
        return signature.encode()
    if signature.startswith(REDACTED):
        return encode_json({"type": "redacted_thinking", "data": signature.removeprefix(REDACTED)})
    return encode_json({"type": "thinking", "thinking": text, "signature": signature})


def _result(part: ToolResultPart) -> JsonValue:
    text = part.output if isinstance(part.output, str) else encode_json(part.output).decode()
    blocks: list[JsonValue] = [{"type": "text", "text": text}] if text.strip() else []
    content: JsonValue = [*blocks, *map(_file, part.files)] if part.files else text
    said: dict[str, JsonValue] = {"type": "tool_result", "tool_use_id": wire_call_id(part.id), "content": content}
    return said | {"is_error": True} if part.is_error else said


def _file(part: FilePart) -> JsonValue:
    kind, ref = part.media_type, part.ref
    data = ref.partition(",")[2] if ref.startswith("data:") else None
    is_link = ref.startswith(("https://", "http://"))
    if kind in _IMAGES and data is not None:
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
    if kind.startswith("image/") and is_link:
        return {"type": "image", "source": {"type": "url", "url": ref}}
    title: dict[str, JsonValue] = {} if part.name is None else {"title": part.name}
    if kind == "application/pdf" and data is not None:
        return {"type": "document", "source": {"type": "base64", "media_type": kind, "data": data}, **title}
    if kind == "application/pdf" and is_link:
        return {"type": "document", "source": {"type": "url", "url": ref}, **title}
    if (kind.startswith("text/") or kind in _TEXTS) and data is not None:
        return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": _text(part)}, **title}
    raise BadRequest(
        f"a {kind} file cannot be sent ({ref[:80]})",
        hint="give JPEG, PNG, GIF, WebP and PDF as an https or data URL, and text as a data URL",
    )


def _text(part: FilePart) -> str:
    """Return what a data URL of text holds."""
    head, _, data = part.ref.partition(",")
    try:
        return (b64decode(data, validate=True) if head.endswith(";base64") else unquote_to_bytes(data)).decode()
    except ValueError as error:
        raise BadRequest(f"the file {part.name or 'without a name'} is no text in UTF-8", hint="encode it as UTF-8") from error
