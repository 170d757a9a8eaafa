"""What an agent promises to answer: plain text, or a value of a type."""

from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from agent_sdk.core.findings import Finding
from agent_sdk.core.frozen import frozen


@frozen
class AnswerType:
    """The declared type of an agent's answers; `adapter` is None for plain text."""

    adapter: TypeAdapter[Any] | None = None

    def findings(self, value: JsonValue) -> tuple[Finding, ...]:
        """Say what keeps `value` from being such an answer."""
        if self.adapter is None:
            if isinstance(value, str) and not value.strip():
                return (Finding("answer_empty", "$", "the answer is empty", hint="answer the goal in words"),)
            return ()
        try:
            self.adapter.validate_python(value)
        except ValidationError as error:
            return tuple(
                Finding(
                    "answer_type",
                    "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in problem["loc"]),
                    problem["msg"],
                    found=repr(problem["input"])[:120],
                )
                for problem in error.errors(include_url=False)
            )
        except Exception as error:  # noqa: BLE001  (the boundary to a user's validator: its failure is a finding, not the end of the process)
            return (Finding("answer_check_failed", "$", f"the answer's own validator failed: {type(error).__name__}: {error}"[:400]),)
        return ()
