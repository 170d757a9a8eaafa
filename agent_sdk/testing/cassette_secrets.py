"""What must not stand in a cassette, and what stands there instead: keys, cookies, and the names of accounts."""

import json
import re
from collections.abc import Iterable, Mapping, Set as AbstractSet
from dataclasses import field
from functools import lru_cache
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

from agent_sdk.core.frozen import frozen

REMOVED = "[removed]"
SHORTEST = 8
"""What a request carries and is shorter than this is a stand-in, such as `test`, and not looked for in what is said."""

DEEPEST = 3
"""How often JSON may stand in a text of JSON, as arguments do in a reply."""

_HEADERS = frozenset(
    {"api-key", "authorization", "cookie", "openai-organization", "openai-project", "proxy-authorization", "set-cookie", "x-api-key"}
    | {"anthropic-organization-id", "x-amz-security-token", "x-goog-api-key", "x-goog-user-project"}
)
_QUERY = frozenset({"key", "sig", "signature", "token"})
_NAMED = re.compile(r"[-_](?:key|secret|signature|credential|password)$|(?<!page)(?<!next)[-_]token$", re.IGNORECASE)
"""What secrets are commonly called, in headers and in queries."""
_SHAPES = re.compile(
    r"sk-[A-Za-z0-9_-]{16,}|AIza[A-Za-z0-9_-]{30,}|org-[A-Za-z0-9]{16,}|proj_[A-Za-z0-9]{16,}|ya29\.[A-Za-z0-9._-]{16,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}"
)
"""What the keys and account names of the large vendors, and JSON web tokens, look like."""


@frozen
class Cleaner:
    """Takes secrets out of texts and headers: those that are given, those that a request carried, and what looks like one."""

    given: frozenset[str] = field(default_factory=frozenset[str], repr=False)

    def knowing(self, headers: Mapping[str, str], query: str) -> "Cleaner":
        """Return a cleaner that also knows what this request carries as secrets, wherever it may come back."""
        carried = {piece for name, value in headers.items() if _is_secret(name, _HEADERS) for piece in re.split(r"[ ;,=]+", value)}
        carried |= {value for name, value in parse_qsl(query) if _is_secret(name, _QUERY)}
        return Cleaner(self.given | frozenset(value for value in carried if len(value) >= SHORTEST))

    def text(self, text: str) -> str:
        for written in sorted({each for secret in self.given for each in _spellings(secret)}, key=len, reverse=True):
            text = text.replace(written, REMOVED)
        return _SHAPES.sub(REMOVED, text)

    def headers(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(name, REMOVED if _is_secret(name, _HEADERS) else self.text(value)) for name, value in headers]

    def query(self, query: str) -> str:
        """Return the query without its secrets, in the order of its names."""
        pairs = sorted(parse_qsl(query, keep_blank_values=True))
        return urlencode([(name, REMOVED if _is_secret(name, _QUERY) else self.text(value)) for name, value in pairs], safe="[]")


def _is_secret(name: str, known: AbstractSet[str]) -> bool:
    return name.lower() in known or _NAMED.search(name) is not None


@lru_cache(maxsize=256)
def _spellings(secret: str) -> frozenset[str]:
    """Return the secret as texts and addresses write it, and JSON, where that may stand in JSON again."""
    spelled = {secret, quote(secret, safe=""), quote_plus(secret)}
    for _ in range(DEEPEST):
        spelled |= {json.dumps(text, ensure_ascii=is_ascii)[1:-1] for text in spelled for is_ascii in (True, False)}
    return frozenset(spelled | {text.replace("/", "\\/") for text in spelled})
