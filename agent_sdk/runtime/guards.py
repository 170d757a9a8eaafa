"""The border to an agent's guardrails and validators: code that is not ours, whose failures count as complaints."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

from pydantic import JsonValue

from agent_sdk.core.errors import GuardrailRefused
from agent_sdk.core.findings import Finding
from agent_sdk.core.frozen import frozen
from agent_sdk.core.messages import Message, ToolCallPart
from agent_sdk.core.ports import Guards
from agent_sdk.core.run import Run
from agent_sdk.observability import redact_text
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.functions import Complaint, GuardedCall, RunInfo, blocks, name_of, needs_info
from agent_sdk.tools import ThreadPool

_LOG = logging.getLogger("agent_sdk.runtime")
_MAX_CHARS = 4000


@frozen
class _Said:
    """What one function said is wrong; `has_failed` where it did not come to a judgement."""

    text: str
    has_failed: bool = False

    def finding(self, code: str) -> Finding:
        return Finding("guardrail_failed" if self.has_failed else code, "$", self.text)


@frozen
class AgentGuards:
    """The guardrails and validators of one agent, each with `step_timeout_s`; what may block the loop runs in `threads`, as tools do."""

    agent: AgentDeclaration[Any, Any]
    threads: ThreadPool

    async def goal(self, run: Run) -> str | None:
        """Say what is wrong with the goal: the first complaint."""
        return await self._input(run.goal, run)

    async def message(self, message: Message, run: Run) -> str | None:
        """Say what is wrong with a message from outside: the first complaint."""
        return await self._input(message.text, run)

    async def call(self, call: ToolCallPart, run: Run) -> list[Finding]:
        """Say all that is wrong with a call. One whose arguments are none is not for guardrails to judge."""
        if call.args is None or not self.agent.call_guardrails:
            return []
        info, args = self._info(run), call.args
        said = [await self._ask(guard, GuardedCall(call.tool, deepcopy(args)), info) for guard in self.agent.call_guardrails]
        return [each.finding("guardrail_refused") for each in said if each is not None]

    async def answer(self, value: JsonValue, run: Run) -> list[Finding]:
        """Say all that validators find wrong with a valid answer; guardrails judge one that has nothing wrong. A plan is no answer.

        Each is shown the answer as it will be given, whatever one before it did to what it was shown.

        Raises:
            GuardrailRefused: a guardrail complains, or fails.
        """
        agent = self.agent
        if (run.created is not None and run.created.plan_only) or not (agent.validators or agent.output_guardrails):
            return []
        info = self._info(run)
        judged = [await self._validate(validator, agent.parse_answer(deepcopy(value)), info) for validator in agent.validators]
        if findings := [said.finding("answer_refused") for said in judged if said is not None]:
            return findings
        for guard in agent.output_guardrails:
            if (said := await self._ask(guard, agent.parse_answer(deepcopy(value)), info)) is not None:
                raise GuardrailRefused(
                    f"a guardrail of agent {agent.name!r} refuses the answer: {said.text}",
                    hint="the refused answer stands in the run's journal",
                )
        return []

    async def _input(self, text: str, run: Run) -> str | None:
        info = self._info(run)
        for guard in self.agent.input_guardrails:
            if (said := await self._ask(guard, text, info)) is not None:
                return said.text
        return None

    async def _validate(self, validator: Callable[..., Complaint], answer: object, info: RunInfo) -> _Said | None:
        return await self._ask(validator, *((answer, info) if needs_info(validator) else (answer,)), mild=(ValueError, AssertionError))

    async def _ask(self, function: Callable[..., Complaint], *given: object, mild: tuple[type[Exception], ...] = ()) -> _Said | None:
        """Call the author's function in a task of its own; what it raises is a complaint, and where not of a `mild` kind, a failure."""
        asking = asyncio.current_task()

        async def judge() -> _Said | None:
            try:
                return _said(await self._called(partial(function, *given), may_block=blocks(function)))
            except mild as error:
                return _Said(_plain(_text(error)) or type(error).__name__)
            except (KeyboardInterrupt, GeneratorExit):  # not the function's: a person, or the interpreter, ends what it is part of
                raise
            except BaseException as error:  # one of the boundaries to code that is not ours: it fails closed
                if isinstance(error, asyncio.CancelledError) and asking is not None and asking.cancelling():
                    raise
                return _failed(function, error)

        async with asyncio.TaskGroup() as tasks:
            judging = tasks.create_task(judge())
        return judging.result()

    async def _called(self, function: Callable[[], object], *, may_block: bool) -> object:
        async with asyncio.timeout(self.agent.spec.limits.step_timeout_s):
            said = await self.threads.run(function) if may_block else function()
            return await said if inspect.isawaitable(said) else said

    def _info(self, run: Run) -> RunInfo:
        return RunInfo(run.tenant, run.run_id, self.agent.name, run.created.principal if run.created is not None else None)


def guards_of(agent: AgentDeclaration[Any, Any], threads: ThreadPool) -> Guards | None:
    """Return the agent's guards; None where it has none, so that its runs pay nothing for them."""
    has_any = agent.input_guardrails or agent.call_guardrails or agent.output_guardrails or agent.validators
    return AgentGuards(agent, threads) if has_any else None


def _said(value: object) -> _Said | None:
    """Return what a function that came back said is wrong.

    Raises:
        TypeError: it returned neither a text nor None.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"it returned {type(value).__name__}, and neither a text nor None")
    return _Said(_plain(value) or "refused")


def _failed(function: Callable[..., object], error: BaseException) -> _Said:
    _LOG.error("the guardrail or validator %s failed, which refuses what it was to judge", name_of(function), exc_info=error)
    said = _text(error)
    return _Said(f"guardrail_failed: {_plain(f'{type(error).__name__}: {said}' if said else type(error).__name__)}", has_failed=True)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  (an exception may itself be broken: part of the same boundary)
        return ""


def _plain(text: str) -> str:
    """Return the text as the journal can keep it, without secrets, and not too long."""
    start = text[: 4 * _MAX_CHARS]
    return redact_text(start.encode(errors="backslashreplace").decode().replace("\0", "\\0"))[:_MAX_CHARS].strip()
