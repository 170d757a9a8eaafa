"""The tree of errors: one root, four branches named by who must act. What maps them to HTTP or exit codes lives in the faces."""

from collections.abc import Sequence
from typing import ClassVar

from agent_sdk.core.findings import Finding, render_findings
from agent_sdk.core.usage import Attempt, Usage


class AgentSDKError(Exception):
    """Whatever the SDK raises on purpose.

    `code` is stable and machine-readable, `retryable` says whether the same call may succeed later, `hint` says how to mend it.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str | None] = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = message
        self.hint = hint if hint is not None else self.default_hint
        super().__init__(message)
        if self.hint is not None:
            self.add_note(f"hint: {self.hint}")


class RequestError(AgentSDKError):
    """The caller asked for something that cannot be done as asked."""

    code = "request_invalid"


class ConfigError(AgentSDKError):
    """The operator's settings or set-up are wrong."""

    code = "config_invalid"


class LimitError(AgentSDKError):
    """A limit that somebody set was reached."""

    code = "limit_reached"


class OutsideError(AgentSDKError):
    """A model, tool or database failed. `retry_after_s` is None where the world did not say when to try again."""

    code = "outside_failed"

    def __init__(self, message: str, *, hint: str | None = None, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message, hint=hint)


class PlanRefused(RequestError):
    """An author's plan does not hold; `findings` say all that is wrong, and nothing was performed."""

    code = "plan_refused"

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__(f"the plan does not hold:\n{render_findings(self.findings)}")


class InputTooLarge(RequestError):
    """A goal, message or argument is over its size cap."""

    code = "input_too_large"


class NotFound(RequestError):
    """Nothing has the name or id that was given."""

    code = "not_found"


class RunEnded(RequestError):
    """The run has ended; it takes no more messages."""

    code = "run_ended"


class RunBusy(RequestError):
    """Another owner holds the run's lease."""

    code = "run_busy"
    retryable = True


class RunExists(RequestError):
    """A run with this id was created before."""

    code = "run_exists"


class RunSuspended(RequestError):
    """The run was suspended before it ended; resume it to get its result."""

    code = "run_suspended"


class RunWaits(RequestError):
    """The run waits for somebody or something, named by its reason, and has no result yet."""

    code = "run_waits"


class RunFailed(AgentSDKError):
    """The run ended without a result; `failure_code` is the code of what ended it."""

    code = "run_failed"

    def __init__(self, message: str, *, failure_code: str, hint: str | None = None) -> None:
        self.failure_code = failure_code
        super().__init__(message, hint=hint)


class RunCancelled(AgentSDKError):
    """The run was cancelled on request."""

    code = "run_cancelled"


class RunExpired(LimitError):
    """The run's deadline passed before it ended."""

    code = "run_expired"


class ModelNotNamed(ConfigError):
    """A run needs a model, and none was named."""

    code = "model_not_named"
    default_hint: ClassVar[str | None] = "name one: --model openai:gpt-5-mini, the setting `model`, or Agent(model=...)"


class QueueUnreachable(ConfigError):
    """No server of the queue that hands out runs can be used. The journal alone does, more slowly."""

    code = "queue_unreachable"


class ToolDeclarationError(ConfigError):
    """A function cannot be made a tool as it is written."""

    code = "tool_declaration"


class TurnLimit(LimitError):
    """The loop took as many turns as its agent allows."""

    code = "turn_limit"
    default_hint: ClassVar[str | None] = "raise Limits.max_turns, or give the agent a narrower goal"


class RepeatedCall(LimitError):
    """The model asked for the same call with the same arguments too often."""

    code = "repeated_call"
    default_hint: ClassVar[str | None] = "the model is stuck: look at the tool's answers, or raise Limits.max_repeats"


class StepLimit(LimitError):
    """The run has as many steps as its agent allows."""

    code = "step_limit"
    default_hint: ClassVar[str | None] = "raise Limits.max_steps, or give the agent a narrower goal"


class LedgerRefused(LimitError):
    """A reservation of `needed` would take the ledger's row `row` over its limit; nothing was written."""

    code = "budget_exceeded"
    row: str = ""
    needed: int = 0
    limit: int = 0
    reserved: int = 0
    settled: int = 0


class ContextFull(LimitError):
    """What the model would be sent is more than it may get, and nothing of it can be left out."""

    code = "context_full"


class InputRefused(RequestError):
    """A guardrail refuses the goal."""

    code = "input_refused"


class GuardrailRefused(LimitError):
    """A guardrail refuses the answer."""

    code = "guardrail_refused"


class PlanError(OutsideError):
    """The model never gave a plan that holds. The raw replies stand in the run's journal, in its `model.called` events."""

    code = "plan_invalid"
    default_hint: ClassVar[str | None] = (
        "look at the findings with `agent-sdk runs events RUN`; a clearer goal or a stronger model usually helps"
    )


class AnswerError(OutsideError):
    """The model never gave an answer of the declared output type."""

    code = "answer_invalid"


class ModelError(OutsideError):
    """A model call failed; the subclasses say why and whether to retry.

    `attempts` counts how often it was tried, and `tried` lists these tries where somebody kept them; `usage` is what the failed call is
    known to have used, None where nothing is known.
    """

    code = "model_failed"
    attempts: int = 1
    tried: tuple[Attempt, ...] = ()
    usage: Usage | None = None


class RateLimited(ModelError):
    """The vendor refuses calls for now (HTTP 429)."""

    code = "model_rate_limited"
    retryable = True


class Overloaded(ModelError):
    """The vendor is over capacity (HTTP 503, 529)."""

    code = "model_overloaded"
    retryable = True


class Unavailable(ModelError):
    """The vendor could not be reached, closed the connection or failed inside (HTTP 5xx, timeouts)."""

    code = "model_unavailable"
    retryable = True
    default_hint: ClassVar[str | None] = "look whether the server runs and is not overloaded, then try again"


class ContextTooLong(ModelError):
    """The request does not fit the model's context."""

    code = "model_context_too_long"


class AuthFailed(ModelError):
    """The vendor does not accept the key (HTTP 401, 403)."""

    code = "model_auth_failed"
    default_hint: ClassVar[str | None] = "check the API key and that it may use this model"


class BadRequest(ModelError):
    """The vendor refuses the request as malformed."""

    code = "model_bad_request"


class ContentRefused(ModelError):
    """The vendor's safety system refuses to answer."""

    code = "model_content_refused"


class ReplyInvalid(ModelError):
    """The vendor's reply is not of its own protocol, so nothing in it can be trusted."""

    code = "model_reply_invalid"
    retryable = True


class ToolError(OutsideError):
    """A tool failed; raise it in a tool to give the model and the journal a message on purpose."""

    code = "tool_failed"


class NotDone(ToolError):
    """A tool's own word that nothing was done: the one failure of a `once` effect that is not `unknown`."""

    code = "tool_not_done"


class ToolTimedOut(ToolError):
    """A tool did not return within its time."""

    code = "tool_timed_out"
    retryable = True


class ArgumentsInvalid(ToolError):
    """The arguments do not fit the tool's parameters; the function was not called."""

    code = "arguments_invalid"

    def __init__(self, message: str, *, findings: tuple[Finding, ...] = (), hint: str | None = None) -> None:
        self.findings = findings
        super().__init__(message, hint=hint)


class ResultInvalid(ToolError):
    """The tool returned what its declaration does not allow, or what JSON cannot hold."""

    code = "result_invalid"

    def __init__(self, message: str, *, findings: tuple[Finding, ...] = (), hint: str | None = None) -> None:
        self.findings = findings
        super().__init__(message, hint=hint)


class StorageError(OutsideError):
    """The journal cannot read or write."""

    code = "storage_failed"


class Fenced(StorageError):
    """Another owner or writer came first; nothing was written."""

    code = "fenced"


class InboxPending(StorageError):
    """A conditional append was refused, because the run's inbox holds items that its owner has not read."""

    code = "inbox_pending"
    retryable = True


class StorageBusy(StorageError):
    """Another process kept the journal locked for longer than one waits; nothing was written."""

    code = "storage_busy"
    retryable = True


class StorageFull(StorageError):
    """The disk is full; what was acknowledged is safe."""

    code = "storage_full"
    default_hint: ClassVar[str | None] = "free disk space, then resume the run"


class StorageReadOnly(StorageError):
    """The journal's place cannot be written."""

    code = "storage_read_only"


class JournalCorrupt(StorageError):
    """The journal's bytes are not what was written."""

    code = "journal_corrupt"


class JournalNewer(StorageError):
    """The journal was written by a newer version of the SDK."""

    code = "journal_newer"
    default_hint: ClassVar[str | None] = "upgrade agent_sdk to at least the version that wrote it"
