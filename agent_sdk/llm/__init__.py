from agent_sdk.llm.options import OpenAIOptions, Timeouts
from agent_sdk.llm.own import OwnModel
from agent_sdk.llm.resolve import open_model, parse_model_name
from agent_sdk.llm.retry import RetryingModel, RetryPolicy
from agent_sdk.llm.streamed import StreamedModel, Streaming, with_complete
from agent_sdk.llm.vendor_errors import CertificateRefused, QuotaExhausted

__all__ = [
    "CertificateRefused",
    "OpenAIOptions",
    "OwnModel",
    "QuotaExhausted",
    "RetryPolicy",
    "RetryingModel",
    "StreamedModel",
    "Streaming",
    "Timeouts",
    "open_model",
    "parse_model_name",
    "with_complete",
]
