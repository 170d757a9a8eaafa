"""Gemini's errors, told apart by their `google.rpc` status, their reason, and the quota that was used up."""

import re

from agent_sdk.core.errors import AuthFailed, BadRequest, Overloaded, RateLimited, Unavailable
from agent_sdk.llm.vendor_errors import STATUSES, ErrorTable, QuotaExhausted

GEMINI = ErrorTable(
    "Gemini's",
    words=(
        ("api_key_", AuthFailed),
        ("billing_disabled", QuotaExhausted),
        ("perday", QuotaExhausted),  # such a quota comes back at midnight; a retry comes too early, whatever the error's RetryInfo says
    ),
    inside=(
        ("resource_exhausted", RateLimited),
        ("invalid_argument", BadRequest),
        ("failed_precondition", BadRequest),
        ("unauthenticated", AuthFailed),
        ("permission_denied", AuthFailed),
        ("unavailable", Overloaded),
    ),
    statuses={**STATUSES, 499: Unavailable},
    too_long=re.compile(r"input token count|payload size exceeds|context (length|window)|too many tokens", re.IGNORECASE),
    messages=(("enable billing", QuotaExhausted), ("limit: 0,", QuotaExhausted)),
)
