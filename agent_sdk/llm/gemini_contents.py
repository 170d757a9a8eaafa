"""Messages in the bytes of Gemini's contents: parts with their signatures, calls, and results under the names of what was called."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from urllib.parse import unquote_to_bytes

from pydantic import JsonValue

from agent_sdk.core.errors import BadRequest
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, FilePart, Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from agent_sdk.llm.encoding import encode_json
from agent_sdk.llm.tool_names import wire_id, wire_name

DIALECT = "gemini"
USER = b'{"role":"user","parts":['
MODEL = b'{"role":"model","parts":['
_UNSIGNED = "skip_thought_signature_validator"
"""What the vendor wants in place of the signature of a call that its model did not make, or made before it signed calls."""
_IN_RESULTS = frozenset({"application/pdf", "image/jpeg", "image/png", "image/webp", "text/plain"})


class ContentWriter:
    """Encodes messages of one conversation in their order; with `has_files`, a result itself may hold files."""

    def __init__(self, conversation: Conversation, *, has_files: bool) -> None:
        self._conversation = conversation
        self._has_files = has_files
        self._called: dict[StepId, tuple[int, str]] = {}

    def __call__(self, message: Message) -> bytes:
        """Return the message as a content, or as two where files follow on results; nothing where it has nothing to say.

        Raises:
            BadRequest: it refers to a file that this protocol cannot carry, or answers no call.
        """
        match message.role:
            case "user":
                return _content(USER, list(_user_parts(message)))
            case "assistant":
                self._note(message)
                return _content(MODEL, list(_model_parts(message)))
            case "tool":
                return self._results([part for part in message.parts if isinstance(part, ToolResultPart)])

    def _note(self, message: Message) -> None:
        for call in message.tool_calls:
            self._called.setdefault(call.id, (len(self._called), wire_name(call.tool)))

    def _results(self, results: Sequence[ToolResultPart]) -> bytes:
        """Encode the results of one turn, in the order of its calls."""
        ordered = sorted(results, key=lambda result: self._call(result)[0])
        contents = [_content(USER, [self._result(result) for result in ordered])]
        files = [(result.id, file) for result in ordered for file in result.files if not self._holds(file)]
        if files:
            named = b'{"text":' + encode_json(f"Files in results: {', '.join(wire_id(each) for each, _ in files)}") + b"}"
            contents.append(_content(USER, [named, *(_file(file) for _, file in files)]))
        return b",".join(contents)

    def _result(self, result: ToolResultPart) -> bytes:
        output = encode_json(result.output)
        if b'"$ref"' in output:  # the vendor takes that for a reference to a part of the result
            output = encode_json(output.decode())
        encoded = b'{"functionResponse":{"id":%b,"name":%b,"response":{"%b":%b}' % (
            encode_json(wire_id(result.id)),
            encode_json(self._call(result)[1]),
            b"error" if result.is_error else b"output",
            output,
        )
        if held := [_file(file) for file in result.files if self._holds(file)]:
            encoded += b',"parts":[' + b",".join(held) + b"]"
        return encoded + b"}}"

    def _holds(self, file: FilePart) -> bool:
        return self._has_files and not is_loose(file)

    def _call(self, result: ToolResultPart) -> tuple[int, str]:
        """Return place and name of the call that is answered."""
        messages = reversed(self._conversation.messages)
        while result.id not in self._called:
            message = next(messages, None)
            if message is None:
                raise BadRequest(f"the result {result.id} answers no call of the conversation", hint="keep calls and results together")
            self._note(message)
        return self._called[result.id]


def is_loose(file: FilePart) -> bool:
    """Say whether no result can hold the file."""
    return file.media_type not in _IN_RESULTS or not file.ref.startswith("data:")


def loose_files(message: Message) -> bool:
    """Say whether files may follow on the message's results, in a content of their own."""
    return any(isinstance(part, ToolResultPart) and part.files for part in message.parts)


def _content(begin: bytes, parts: Sequence[bytes]) -> bytes:
    return begin + b",".join(parts) + b"]}" if parts else b""


def _user_parts(message: Message) -> Iterator[bytes]:
    for part in message.parts:
        match part:
            case TextPart(text=text) if text:
                yield b'{"text":' + encode_json(text) + b"}"
            case FilePart():
                yield _file(part)
            case _:
                pass


def _model_parts(message: Message) -> Iterator[bytes]:
    """Yield the parts in their order; thoughts and signatures go back to the protocol that they came from."""
    is_ours = message.protocol == DIALECT
    is_first_call = True
    for part in message.parts:
        match part:
            case TextPart(text=text, signature=signature) if text or (signature and is_ours):
                yield b'{"text":' + encode_json(text) + _signature(signature if is_ours else None) + b"}"
            case ReasoningPart(text=text, signature=signature) if is_ours:
                yield b'{"text":' + encode_json(text) + b',"thought":true' + _signature(signature) + b"}"
            case ToolCallPart(signature=signature):
                signed = signature if is_ours else None
                yield b'{"functionCall":' + _call(part) + _signature(signed or (_UNSIGNED if is_first_call else None)) + b"}"
                is_first_call = False
            case FilePart():
                yield _file(part)
            case _:
                pass


def _call(call: ToolCallPart) -> bytes:
    args: JsonValue = call.args if call.args is not None else {"INVALID_JSON": call.raw or ""}
    return b'{"id":%b,"name":%b,"args":%b}' % (encode_json(wire_id(call.id)), encode_json(wire_name(call.tool)), encode_json(args))


def _signature(signature: str | None) -> bytes:
    return b',"thoughtSignature":' + encode_json(signature) if signature else b""


def _file(file: FilePart) -> bytes:
    if file.ref.startswith("data:"):
        head, _, data = file.ref.partition(",")
        if not head.endswith(";base64"):
            data = b64encode(unquote_to_bytes(data)).decode()
        return b'{"inlineData":{"mimeType":%b,"data":%b}}' % (encode_json(file.media_type), encode_json(data))
    if file.ref.startswith(("https://", "gs://")):
        return b'{"fileData":{"mimeType":%b,"fileUri":%b}}' % (encode_json(file.media_type), encode_json(file.ref))
    raise BadRequest(f"a file at {file.ref[:80]!r} cannot be sent", hint="give it as a data URL, or by an https or gs address")
