from agent_sdk.observability.boundary import ObserverFailed
from agent_sdk.observability.follow import Follower
from agent_sdk.observability.hooks import Hook, HookSink
from agent_sdk.observability.logs import (
    JsonFormatter,
    LogContext,
    LogFormat,
    LogLevel,
    TextFormatter,
    bind,
    bound,
    configure_logging,
    describe_error,
    trace_id_of,
)
from agent_sdk.observability.plain import one_line
from agent_sdk.observability.records import event_schema, record_of
from agent_sdk.observability.redact import MASK, is_secret_name, redact_json, redact_text
from agent_sdk.observability.relay import TenantTokens, TokenRelay
from agent_sdk.observability.sinks import ConsoleSink, JsonLinesSink, LoggingSink, render_fact
from agent_sdk.observability.taxonomy import KINDS, Family, Kind, Severity, detail_of, family_of, severity_of, summary_of
from agent_sdk.observability.tokens import StreamItem, TokenChannel, TokensDropped, TokenStream

__all__ = [
    "KINDS",
    "MASK",
    "ConsoleSink",
    "Family",
    "Follower",
    "Hook",
    "HookSink",
    "JsonFormatter",
    "JsonLinesSink",
    "Kind",
    "LogContext",
    "LogFormat",
    "LogLevel",
    "LoggingSink",
    "ObserverFailed",
    "Severity",
    "StreamItem",
    "TenantTokens",
    "TextFormatter",
    "TokenChannel",
    "TokenRelay",
    "TokenStream",
    "TokensDropped",
    "bind",
    "bound",
    "configure_logging",
    "describe_error",
    "detail_of",
    "event_schema",
    "family_of",
    "is_secret_name",
    "one_line",
    "record_of",
    "redact_json",
    "redact_text",
    "render_fact",
    "severity_of",
    "summary_of",
    "trace_id_of",
]
