"""Secrets taken out of a record so that it can be performed again: one placeholder for one secret, and every value keeps its kind."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from pydantic import JsonValue

from agent_sdk.core.envelope import EVENT_CLASSES
from agent_sdk.observability import MASK, is_secret_name, redact_text

SHORTEST = 6
"""A secret of fewer characters is masked where it was recognised alone: elsewhere the same characters may mean something else."""
_WRAPPING = "\"'\\ "
_PLAIN_NAMES = frozenset({"$ref", "output_schema", "type", "kind"})
"""What stands under these is a reference, a schema or a word of ours, whatever it is called."""


@dataclass(slots=True)
class Masking:
    """The secrets found so far and what stands for each."""

    placeholders: dict[str, str] = field(default_factory=dict[str, str])

    def mask(self, recording: JsonValue) -> JsonValue:
        """Return a recording's JSON with every secret masked, wherever it comes again."""
        data = cast("dict[str, JsonValue]", recording)
        events = [self._event(cast("dict[str, JsonValue]", event)) for event in cast("list[JsonValue]", data["events"])]
        masked: JsonValue = {**data, "history": self._value(data.get("history")), "events": cast("JsonValue", events)}
        known = sorted((secret for secret in self.placeholders if len(secret) >= SHORTEST), key=len, reverse=True)
        return _replaced(masked, [(secret, self.placeholders[secret]) for secret in known])

    def _event(self, event: dict[str, JsonValue]) -> dict[str, JsonValue]:
        kind, data = EVENT_CLASSES[str(event["type"])], cast("dict[str, JsonValue]", event["data"])
        return {**event, "data": {name: self._value(value) if name in kind.BODY else value for name, value in data.items()}}

    def _value(self, value: JsonValue, *, is_secret: bool = False) -> JsonValue:
        match value:
            case str():
                return self._placeholder(value) if is_secret and value else self._text(value)
            case dict():
                return {name: self._member(name, inner, is_secret=is_secret) for name, inner in value.items()}
            case list():
                return [self._value(inner, is_secret=is_secret) for inner in value]
            case int() | float() if is_secret and not isinstance(value, bool):
                return type(value)(0)
            case _:
                return value

    def _member(self, name: str, value: JsonValue, *, is_secret: bool) -> JsonValue:
        if name in _PLAIN_NAMES:
            return value
        return self._value(value, is_secret=is_secret or is_secret_name(name))

    def _text(self, text: str) -> str:
        masked = text
        for secret in _secrets_in(text):
            masked = masked.replace(secret, self._placeholder(secret))
        return masked

    def _placeholder(self, secret: str) -> str:
        if secret in self.placeholders.values():
            return secret
        return self.placeholders.setdefault(secret, f"{MASK[:-1]}-{len(self.placeholders) + 1}]")


def _secrets_in(text: str) -> Iterator[str]:
    """Yield what the rules of redaction mask in a text, without the quotes around it."""
    pieces = redact_text(text).split(MASK)
    place = len(pieces[0])
    for piece in pieces[1:]:
        end = text.find(piece, place) if piece else len(text)
        if end < 0:
            return
        if secret := text[place:end].strip(_WRAPPING):
            yield secret
        place = end + len(piece)


def _replaced(value: JsonValue, secrets: list[tuple[str, str]]) -> JsonValue:
    match value:
        case str():
            for secret, placeholder in secrets:
                value = value.replace(secret, placeholder)
            return value
        case dict():
            return {str(_replaced(name, secrets)): _replaced(inner, secrets) for name, inner in value.items()}
        case list():
            return [_replaced(inner, secrets) for inner in value]
        case _:
            return value
