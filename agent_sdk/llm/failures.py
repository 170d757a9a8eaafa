"""What each failure of a model call means for the wrappers around it: the one table."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from agent_sdk.core.errors import (
    AuthFailed,
    BadRequest,
    ContentRefused,
    ContextTooLong,
    ModelError,
    Overloaded,
    RateLimited,
    ReplyInvalid,
    Unavailable,
)
from agent_sdk.core.frozen import frozen
from agent_sdk.llm.rate_limiter import RateLimitFull, RateLimitUnknown
from agent_sdk.llm.vendor_errors import CertificateRefused, QuotaExhausted


class CircuitOpen(ModelError):
    """The model failed so often that it is left alone for a while. Nothing was sent."""

    code = "circuit_open"


@frozen
class Treatment:
    """`vendor` is what the failure says of the vendor, and opens or closes the circuit; `falls_back` is whether another model is asked.

    Whether the same model is asked again is the error's own word, `retryable`.
    """

    vendor: Literal["up", "down", "unknown"]
    falls_back: bool


TREATMENTS: Mapping[type[ModelError], Treatment] = MappingProxyType(
    {
        Unavailable: Treatment("down", falls_back=True),
        Overloaded: Treatment("down", falls_back=True),
        ReplyInvalid: Treatment("down", falls_back=True),
        CertificateRefused: Treatment("down", falls_back=True),
        RateLimited: Treatment("up", falls_back=True),
        QuotaExhausted: Treatment("up", falls_back=True),
        CircuitOpen: Treatment("unknown", falls_back=True),
        RateLimitFull: Treatment("unknown", falls_back=True),
        RateLimitUnknown: Treatment("unknown", falls_back=False),  # the next model's limits lie in the same store
        AuthFailed: Treatment("up", falls_back=False),  # a wrong key is the operator's to mend, and would else cost money unseen
        BadRequest: Treatment("up", falls_back=False),
        ContextTooLong: Treatment("up", falls_back=False),
        ContentRefused: Treatment("up", falls_back=False),
        ModelError: Treatment("unknown", falls_back=False),
    }
)

FALLS_BACK = frozenset(kind for kind, treatment in TREATMENTS.items() if treatment.falls_back)
"""The errors after which another model is asked, unless somebody says otherwise."""
UNSENT = frozenset({CircuitOpen.code, RateLimitFull.code, RateLimitUnknown.code})
"""The codes of tries that sent nothing, and count against no number of attempts."""


def treatment(error: ModelError) -> Treatment:
    """Return the entry of the nearest class; a user's own error is treated as the class that it refines."""
    return next(TREATMENTS[kind] for kind in type(error).__mro__ if kind in TREATMENTS)
