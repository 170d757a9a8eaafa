"""An agent with the short forms that run it at once."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar, Unpack, overload

from agent_sdk.runtime.app import App
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.functions import DepsFactory
from agent_sdk.runtime.options import AgentOptions
from agent_sdk.runtime.runtime import Runtime

DepsT = TypeVar("DepsT")
OutputT = TypeVar("OutputT")
GivenDeps = TypeVar("GivenDeps")
GivenOutput = TypeVar("GivenOutput")
T = TypeVar("T")


class Agent(AgentDeclaration[DepsT, OutputT]):
    """A frozen declaration: what the agent is, what it may use and how far it may go.

    `model` is `vendor:name`, or any object with the `stream` method of a `Model`. `strategy` is `loop` (turns until an answer), `plan` (a
    whole DAG first) or `fixed` (the author's `plan`). `output` is the type of the answer, text if not given. `deps` makes the dependencies
    of a run, so that any process can; `live_deps` is an object of this process: its runs say that they cannot be resumed elsewhere. Where a
    run ends without its answer, `compensate` has its finished effects undone, the last first, as far as their tools can.

    `instructions` are a text, or a function `(info: RunInfo)` that makes it once a run. `settings` say how the model is to answer,
    `context` how a conversation is kept within its bounds; a model of `fallbacks` is asked where the one before it fails. `budget` is what
    each run may spend, with all runs below it.

    Guardrails are functions, sync or async, that return what is wrong, or None. `input_guardrails` `(text, info)` judge the goal and each
    message, `call_guardrails` `(call: GuardedCall, info)` a call before it is made, `output_guardrails` `(answer, info)` the typed answer,
    which they can end the run over. `validators` `(answer)` or `(answer, info)` come before those; what they complain of, returned or
    raised as a ValueError or an AssertionError, goes back to the model, which answers again. Whatever else one raises counts as a
    complaint. They run on the event loop, so keep those that are not async quick.

    Raises:
        ConfigError: the parts do not fit together.
    """

    @overload
    def __init__(self: "Agent[None, str]", **options: Unpack[AgentOptions]) -> None: ...
    @overload
    def __init__(self: "Agent[None, GivenOutput]", *, output: type[GivenOutput], **options: Unpack[AgentOptions]) -> None: ...
    @overload
    def __init__(self: "Agent[GivenDeps, str]", *, deps: DepsFactory[GivenDeps], **options: Unpack[AgentOptions]) -> None: ...
    @overload
    def __init__(
        self: "Agent[GivenDeps, GivenOutput]", *, deps: DepsFactory[GivenDeps], output: type[GivenOutput], **options: Unpack[AgentOptions]
    ) -> None: ...
    @overload
    def __init__(self: "Agent[GivenDeps, str]", *, live_deps: GivenDeps, **options: Unpack[AgentOptions]) -> None: ...
    @overload
    def __init__(
        self: "Agent[GivenDeps, GivenOutput]", *, live_deps: GivenDeps, output: type[GivenOutput], **options: Unpack[AgentOptions]
    ) -> None: ...
    def __init__(
        self,
        *,
        output: object = str,
        deps: DepsFactory[Any] | None = None,
        live_deps: object = None,
        **options: Unpack[AgentOptions],
    ) -> None:
        super().__init__(options, output=output, deps=deps, live_deps=live_deps)

    async def run(self, goal: str) -> OutputT:
        """Run to the answer, with a journal in memory that is gone afterwards.

        Raises:
            RunFailed: the run ended without an answer.
        """
        async with Runtime.open("memory://", app=App([self])) as runtime:
            run = await runtime.start(self, goal)
            return await run.result()

    def run_sync(self, goal: str) -> OutputT:
        """Do what `run` does, from code that is not async; where an event loop runs already, as in a notebook, in a thread of its own."""
        return _run_in_thread(self.run(goal)) if _is_in_loop() else asyncio.run(self.run(goal))


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run_in_thread(work: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine in a new thread's loop and wait for it."""
    results: list[T] = []
    errors: list[BaseException] = []

    def main() -> None:
        try:
            results.append(asyncio.run(work))
        except BaseException as error:  # noqa: BLE001  (handed to the waiting thread, whatever it is)
            errors.append(error)

    thread = threading.Thread(target=main, name="agent-run-sync")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
