"""Whether a call needs a person's word first: always, never, or as the tool's own rule says of the arguments."""

import inspect
from collections.abc import Callable, Mapping
from types import FunctionType

from agent_sdk.core.frozen import frozen
from agent_sdk.tools.companion import Companion, read_companion
from agent_sdk.tools.signature import declaration_error

Approval = bool | str | Callable[..., bool | str | None]
"""True: always. A text: always, for this reason. A function: what it returns of the arguments that it asks for by name."""

MAX_REASON_CHARS = 500
_HINT = "write approval=True, a reason, or a function such as lambda amount: amount > 100"


@frozen
class ApprovalRule:
    """Says why a call needs approval. What goes wrong in a rule is itself a reason: no call slips through a rule that failed."""

    tool: str
    reason: str | None
    companion: Companion | None

    def reason_for(self, values: Mapping[str, object], receiver: object) -> str | None:
        """Return why a call with these validated arguments needs approval; None where it needs none."""
        if self.companion is None:
            return self.reason
        try:
            asked = values if self.companion.takes_any else {name: values[name] for name in self.companion.names if name in values}
            return self._judged(self.companion.bound(receiver)(**asked))
        except (Exception, SystemExit) as error:  # noqa: BLE001  (the boundary to a tool: its rule is the user's code)
            return f"the approval rule of {self.tool} failed, so a person decides: {_said(error)}"[:MAX_REASON_CHARS]

    def _judged(self, verdict: object) -> str | None:
        match verdict:
            case None | False | "":
                return None
            case True:
                return f"{self.tool} asks for approval of this call"
            case str():
                return verdict[:MAX_REASON_CHARS]
            case _:
                if inspect.iscoroutine(verdict):
                    verdict.close()
                return f"the approval rule of {self.tool} returned {type(verdict).__name__}, which is no answer, so a person decides"


def read_approval(tool: FunctionType, name: str, given: Approval) -> ApprovalRule | None:
    """Look at what `approval=` was given; None where no call needs approval.

    Raises:
        ToolDeclarationError: it can not be asked.
    """
    match given:
        case False:
            return None
        case True:
            return ApprovalRule(name, f"every call of {name} needs approval", None)
        case str():
            if not given.strip():
                raise declaration_error(tool, "its reason for approval is empty", _HINT)
            return ApprovalRule(name, given[:MAX_REASON_CHARS], None)
        case _:
            return ApprovalRule(name, None, _rule(tool, read_companion(tool, given)))


def _rule(tool: FunctionType, companion: Companion | None) -> Companion:
    if companion is None:
        raise declaration_error(tool, "its approval is no function that can be asked", _HINT)
    if companion.is_async:
        raise declaration_error(
            tool, "its approval rule is async, and it is asked before anything is awaited", "write it as a plain function"
        )
    if not companion.by_name:
        raise declaration_error(tool, "its approval rule takes arguments by position alone", "arguments come by name: take the '/' away")
    known = tool.__code__.co_varnames[: tool.__code__.co_argcount + tool.__code__.co_kwonlyargcount]
    if unknown := sorted(companion.required.difference(known)):
        names = ", ".join(known) or "none"
        raise declaration_error(
            tool, f"its approval rule asks for '{unknown[0]}', which is no parameter of the tool", f"its parameters are: {names}"
        )
    return companion


def _said(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  (an exception may itself be broken: the same boundary)
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
