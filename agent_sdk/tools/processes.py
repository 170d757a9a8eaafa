"""Processes for tools that must really be stopped: each call gets a fresh one, spawned and never forked, and up to so many side by side."""

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from pydantic import JsonValue

from agent_sdk.core.errors import ArgumentsInvalid, ConfigError, NotDone, RequestError, ResultInvalid, ToolError
from agent_sdk.core.findings import Finding
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools.child import Request, perform
from agent_sdk.tools.isolation import Home, Limits, require_library

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

END_S = 5.0
"""How long one waits for a killed process to be gone."""
_GUARD = 'a script that starts runs does so under `if __name__ == "__main__":`, since a tool\'s process imports its file again'


class ToolProcessDied(ToolError):
    """A tool's process ended without an answer: it was over a limit, was killed, or crashed. What it did until then is not known."""

    code = "tool_process_died"
    retryable = True


class NoProcessFree(NotDone):
    """No process could be started for the call, or it does not find the function; the function was not called."""

    code = "tool_no_process"


class RemoteTraceback(Exception):
    """Where the tool failed, as its own process tells it."""


class ProcessPool:
    """Calls functions in processes of their own, `size` of them at once at most; further calls wait their turn.

    A process is started for one call, so that no call sees what another left behind, and limits bind that call alone. The caller's
    time limit or cancellation kills it and whatever it started; so does the end of this process. It costs nothing until it is used.
    """

    def __init__(self, size: int = 4) -> None:
        if size < 1:
            raise RequestError("a process pool has room for at least one process")
        self._free = asyncio.Semaphore(size)
        self._children: set[_Child] = set()
        self._closed = False

    @property
    def processes(self) -> int:
        """Count the calls that have a process, or wait for one to start."""
        return len(self._children)

    async def run(self, home: Home, args: Mapping[str, JsonValue], limits: Limits, context: ToolContext[object]) -> JsonValue:
        """Call the function that stands at `home`, and return its result.

        Raises:
            NoProcessFree: no process started, or it does not find the function; the function was not called.
            ToolProcessDied: the process ended without an answer.
            ToolError: what the function raised, with the same code.
        """
        left_s = None if context.deadline_s is None else context.deadline_s - time.monotonic()
        names = context.tenant, context.run_id, context.step_id, context.attempt, context.idempotency_key
        request = Request(home, json.dumps(dict(args)), limits, *names, left_s, context.principal, context.agent)
        async with self._free:
            if self._closed:
                raise NoProcessFree("the process pool is closed", hint="a runtime that was closed calls no more tools: open another")
            return parse_answer(await self._answer(_Child(request)), limits)

    def close(self) -> None:
        """Kill what still runs, and start nothing more."""
        self._closed = True
        for child in self._children:
            child.kill()

    async def _answer(self, child: "_Child") -> str:
        self._children.add(child)
        try:
            return await self._answered(await asyncio.to_thread(child.start), child.limits)
        finally:
            self._children.discard(child)
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, child.end))

    async def _answered(self, answer: "Future[str]", limits: Limits) -> str:
        answered = asyncio.wrap_future(answer)
        answered.add_done_callback(_look_at)
        try:
            return await asyncio.shield(answered)  # the library ends a cancelled one late; `_Child.end` does so at once
        except (OSError, MemoryError) as error:
            raise died(error, limits) from None


class _Child:
    """One call's process. `start` and `end` block and so belong to threads; `end` may come first, and nothing is started then."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.limits = request.limits
        self._name = f"agent-sdk-tool-{id(self):x}"
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._is_over = False

    def start(self) -> "Future[str]":
        import multiprocessing  # noqa: PLC0415  (only who isolates tools pays for it)

        require_library()
        from pebble import concurrent  # noqa: PLC0415  (an extra)

        with self._lock:
            if self._is_over:
                raise NoProcessFree("the call was given up before its process started")
            try:
                spawn = multiprocessing.get_context("spawn")
                # the library declares `mp_context` and reads `context`; without the latter it forks
                isolated = concurrent.process(name=self._name, context=spawn, mp_context=spawn)(perform)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportUnknownVariableType]  (the same)
                answer = cast("Future[str]", isolated(self._request))
            except (OSError, EOFError, AssertionError, RuntimeError) as error:
                raise NoProcessFree(f"no process could be started for the tool: {str(error).strip()[:300]}", hint=_GUARD) from error
            self._process = next((each for each in multiprocessing.active_children() if each.name == self._name), None)
            return answer

    def kill(self) -> None:
        """Kill the process and whatever it started, without waiting."""
        process = self._process
        if process is None or process.pid is None:
            return
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):  # none is left, or it has not come to lead its group yet
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()

    def end(self) -> None:
        """Kill what is left, and wait until it is gone."""
        with self._lock:
            self._is_over = True
            self.kill()
            if self._process is not None:
                self._process.join(END_S)


def refuse_second_main() -> None:
    """Refuse to go on where a tool's process imports the script that started it, so that the script's runs are not started twice.

    Raises:
        ConfigError: this process is importing its parent's script.
    """
    module = sys.modules.get("multiprocessing.process")
    if module is not None and getattr(module.current_process(), "_inheriting", False):
        raise ConfigError("a tool's process came to the line that starts its parent's runs", hint=_GUARD)


def _look_at(answered: asyncio.Future[str]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not answered.cancelled():
        answered.exception()


def parse_answer(answer: str, limits: Limits) -> JsonValue:
    """Return the result that a process answered with, or raise what stands there for its error."""
    told: dict[str, JsonValue] = json.loads(answer)
    if "failure" not in told:
        return told["output"]
    raise _error(cast("dict[str, Any]", told["failure"]), limits)


def _error(failure: Mapping[str, Any], limits: Limits) -> ToolError:
    """Return what the tool raised, or what stands for it here."""
    message, hint = failure["message"], failure.get("hint")
    match failure["kind"]:
        case "NotFound":
            error: ToolError = NoProcessFree(f"the tool's process cannot import its function: {message}", hint=_GUARD)
        case "MemoryError":
            error = _out_of_memory(limits)
        case "ArgumentsInvalid" | "ResultInvalid" as kind:
            findings = tuple(Finding(**finding) for finding in failure["findings"])
            error = (ArgumentsInvalid if kind == "ArgumentsInvalid" else ResultInvalid)(message, findings=findings, hint=hint)
        case kind:
            base: type[ToolError] = NotDone if kind == "NotDone" else ToolError
            made = cast("type[ToolError]", type(base.__name__, (base,), {"code": failure["code"], "retryable": failure["retryable"]}))
            error = made(message, hint=hint, retry_after_s=failure.get("retry_after_s"))
    if failure.get("traceback") is not None:
        error.__cause__ = RemoteTraceback(failure["traceback"])
    return error


def died(error: OSError | MemoryError, limits: Limits) -> ToolProcessDied:
    """Say how a process ended that gave no answer."""
    code = getattr(error, "exitcode", None)
    if isinstance(error, MemoryError):
        return _out_of_memory(limits)
    if limits.cpu_s is not None and code == -getattr(signal, "SIGXCPU", 0):
        return ToolProcessDied(
            f"the tool's process used up its processor time: cpu_s is {limits.cpu_s:g}", hint="raise cpu_s, or give it less at a time"
        )
    if code == -getattr(signal, "SIGKILL", 9):
        return ToolProcessDied(
            "the tool's process was killed from outside", hint="the system kills processes when memory runs out: see its log"
        )
    return ToolProcessDied(f"the tool's process ended{_manner(code)} and gave no answer", hint=f"its own output may say why; and {_GUARD}")


def _manner(code: int | None) -> str:
    if code is None:
        return ""
    if code >= 0:
        return f" with exit code {code}"
    try:
        return f" by {signal.Signals(-code).name}"
    except ValueError:
        return f" by signal {-code}"


def _out_of_memory(limits: Limits) -> ToolProcessDied:
    limit = f": memory_mb is {limits.memory_mb}" if limits.memory_mb is not None else ""
    return ToolProcessDied(f"the tool's process ran out of memory{limit}", hint="raise memory_mb, or give it less at a time")
