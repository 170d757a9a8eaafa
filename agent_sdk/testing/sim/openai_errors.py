"""What OpenAI's servers say instead of a reply, and how they see who asks."""

from pydantic import JsonValue

from agent_sdk.testing.chat_protocol import RawReply, error_reply
from agent_sdk.testing.sim.asked import SimRequest
from agent_sdk.testing.sim.faults import Fault
from agent_sdk.testing.sim.wire import HttpAsked

SERVER_ERROR: JsonValue = {
    "message": "The server had an error while processing your request. Sorry about that!",
    "type": "server_error",
    "param": None,
    "code": "server_error",
}


def key_refusal(asked: HttpAsked, api_key: str | None) -> RawReply | None:
    """Return the answer to a key that is not the right one."""
    key = asked.headers.get("Authorization", "")
    if api_key is None or key == f"Bearer {api_key}":
        return None
    if not key:
        return error_reply(401, "You didn't provide an API key.")
    return _bad_key()


def refuse(fault: Fault, request: SimRequest) -> RawReply:
    """Return the vendor's error for a failure instead of a reply."""
    match fault.kind:
        case "rate_limited":
            wait_s = fault.retry_after_s
            message = f"Rate limit reached for {request.model} on requests per min (RPM): Limit 500. Please try again in {wait_s:g}s."
            return error_reply(
                429,
                message,
                code="rate_limit_exceeded",
                kind="requests",
                Retry_After=f"{-(-wait_s // 1):g}",
                retry_after_ms=f"{wait_s * 1000:.0f}",
                x_ratelimit_limit_requests="500",
                x_ratelimit_remaining_requests="0",
                x_ratelimit_reset_requests=f"{wait_s * 1000:.0f}ms",
            )
        case "overloaded":
            return error_reply(503, "The engine is currently overloaded, please try again later", kind="server_error")
        case "context_too_long":
            message = f"Your input of {request.input_tokens} tokens exceeds the maximum context length of this model."
            return error_reply(400, message, code="context_length_exceeded")
        case "auth_failed":
            return _bad_key()
        case "unknown_model":
            message = f"The model `{request.model}` does not exist or you do not have access to it."
            return error_reply(404, message, code="model_not_found")
        case "filtered":
            return error_reply(400, "Your request was rejected as a result of our safety system.", code="content_policy_violation")
        case _:
            return error_reply(500, "The server had an error while processing your request. Sorry about that!", kind="server_error")


def _bad_key() -> RawReply:
    return error_reply(401, "Incorrect API key provided: sk-****.", code="invalid_api_key")
