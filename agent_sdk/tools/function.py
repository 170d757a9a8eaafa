"""A function as a tool: still the plain function to whoever calls it, and a declared, checked `Tool` to a run."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property, partial
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from pydantic import JsonValue

from agent_sdk.core.errors import ArgumentsInvalid, ConfigError, NotDone
from agent_sdk.core.findings import Finding
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ports import Verdict
from agent_sdk.core.tools import ToolContext, ToolSpec, Wait
from agent_sdk.tools.declaration import Declaration, Form
from agent_sdk.tools.isolation import Home, check_home, require_library
from agent_sdk.tools.processes import ProcessPool
from agent_sdk.tools.threads import ThreadPool

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
Q = ParamSpec("Q")
S = TypeVar("S")


@frozen
class Pools:
    """Where a tool's functions run that do not run on the event loop."""

    threads: ThreadPool | None = None
    processes: ProcessPool | None = None


_NO_POOLS = Pools()


class FunctionTool(Generic[P, R_co]):
    """A tool made of a function by `@tool`.

    Called, it is the function. As a `Tool`, one of a synchronous function that is not inline needs a thread pool first, and one with
    `isolation="process"` a process pool: `bound_to(threads, processes)`.
    Accessed through an instance, a method's tool is bound to the instance.
    """

    def __init__(self, declaration: Declaration, target: Callable[P, R_co], receiver: object = None, pools: Pools = _NO_POOLS) -> None:
        self.__wrapped__ = target
        self.__name__ = declaration.plain.__name__
        self.__qualname__ = declaration.plain.__qualname__
        self.__module__ = declaration.plain.__module__
        self.__doc__ = declaration.plain.__doc__
        self.declaration = declaration
        self._receiver = receiver
        self._pools = pools

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        return self.__wrapped__(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type) -> "FunctionTool[P, R_co]": ...
    @overload
    def __get__(self: "FunctionTool[Concatenate[S, Q], R_co]", instance: S, owner: type | None = None) -> "FunctionTool[Q, R_co]": ...
    def __get__(self, instance: object, owner: type | None = None) -> "FunctionTool[Any, Any]":
        receiver = owner if self.declaration.binding == "class" else instance
        if receiver is None or self._receiver is not None or self.declaration.binding == "nothing":
            return self
        return FunctionTool[Any, Any](self.declaration, MethodType(self.declaration.function, receiver), receiver, self._pools)

    def __repr__(self) -> str:
        return f"<tool {self.name} ({self.declaration.options.effect})>"

    @property
    def name(self) -> str:
        """Return the name alone, which costs nothing: `spec` reads the signature when it is first asked for."""
        return self.declaration.name

    @property
    def spec(self) -> ToolSpec:
        """Return the declaration.

        Raises:
            ToolDeclarationError: the signature cannot be a tool's.
        """
        return self._form.spec

    def bound_to(self, threads: ThreadPool, processes: ProcessPool | None = None) -> "FunctionTool[P, R_co]":
        """Return this tool as one that calls its function in these threads or processes; itself where it needs neither.

        Raises:
            ConfigError: it needs processes, and what starts them is not installed.
            ToolDeclarationError: another process would not find its function.
        """
        declaration = self.declaration
        if declaration.home is not None and processes is not None:
            require_library()
            check_home(declaration.plain, declaration.home)
        elif not declaration.needs_thread:
            return self
        return FunctionTool(declaration, self.__wrapped__, self._receiver, Pools(threads, processes))

    def approval(self, args: Mapping[str, JsonValue]) -> str | None:
        """Say why a person must allow this call first. Arguments that do not hold need nobody's word: they never reach the function."""
        rule = self.declaration.approval
        if rule is None:
            return None
        try:
            values = self._form.values(args)
        except ArgumentsInvalid:
            return None
        return rule.reason_for(values, self._receiver)

    def wait(self, args: Mapping[str, JsonValue]) -> Wait:
        """Refuse: a function is called.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            f"{self.name} is called, and waits for nothing", hint="only a tool whose spec.kind is not 'call' says what it waits for"
        )

    def problems(self, args: Mapping[str, JsonValue], *, partial: frozenset[str] = frozenset()) -> Sequence[Finding]:
        return self._form.arguments.findings(args, partial)

    async def call(self, args: Mapping[str, JsonValue], context: ToolContext[object]) -> JsonValue:
        form = self._form
        values = form.arguments.parse(args)
        if self.declaration.home is not None:
            return await self._isolated(self.declaration.home, args, context)
        if form.context is not None:
            values[form.context] = context
        function = cast("Callable[..., object]", self.__wrapped__)
        if self.declaration.is_async:
            return form.results.dump(await cast("Awaitable[object]", function(**values)))
        result: JsonValue = await self._perform(lambda: form.results.dump(function(**values)))
        return result

    async def verify(self, context: ToolContext[object]) -> Verdict:
        """Ask the tool's check, and judge what it returns as the tool's own result.

        None and `NotDone`, returned or raised, mean that nothing was done; a check of a tool that returns None says so with a `Verdict`.

        Raises:
            ConfigError: the tool has no check.
        """
        check = self.declaration.check
        if check is None:
            raise ConfigError(
                f"{self.name} has no check to ask", hint='only @tool(effect="verify", check=...) can be asked whether a key was done'
            )
        function = check.bound(self._receiver)
        ask = partial(function, context.idempotency_key, context) if len(check.names) == 2 else partial(function, context.idempotency_key)
        try:
            found = await cast("Awaitable[object]", ask()) if check.is_async else await self._perform(ask)
        except NotDone:
            return Verdict(is_done=False)
        return self._verdict(found)

    async def compensate(self, args: Mapping[str, JsonValue], output: JsonValue, context: ToolContext[object]) -> None:
        """Undo a finished call; it may come again with the same idempotency key, and the compensation makes that harmless.

        Raises:
            ConfigError: the tool has no compensation.
            ArgumentsInvalid: the call was of an older form of the tool.
            ResultInvalid: the output is not what the compensation takes.
            Exception: whatever the compensation raised.
        """
        form = self._form
        if form.compensation is None:
            raise ConfigError(f"{self.name} has no compensation", hint="only @tool(compensate=...) can be undone")
        undo = form.compensation.bound(self._receiver, form.values(args), output, context)
        if form.compensation.companion.is_async:
            await cast("Awaitable[object]", undo())
        else:
            await self._perform(undo)

    async def _isolated(self, home: Home, args: Mapping[str, JsonValue], context: ToolContext[object]) -> JsonValue:
        if self._pools.processes is None:
            raise ConfigError(
                f"{self.name} has no process to run in", hint="bind it with bound_to(ThreadPool(), ProcessPool()), as a runtime does"
            )
        return await self._pools.processes.run(home, args, self.declaration.limits, context)

    def _verdict(self, found: object) -> Verdict:
        if isinstance(found, Verdict):
            return Verdict(is_done=True, output=self._form.results.dump(found.output)) if found.is_done else found
        if found is None or found is NotDone or isinstance(found, NotDone):
            return Verdict(is_done=False)
        return Verdict(is_done=True, output=self._form.results.dump(found))

    async def _perform(self, function: Callable[[], Any]) -> Any:  # noqa: ANN401  (the callers know the type)
        if self.declaration.options.inline:
            return function()
        if self._pools.threads is None:
            raise ConfigError(
                f"{self.name} is synchronous and has no thread to run in",
                hint="bind it with bound_to(ThreadPool()), as a runtime does; or make it async, or inline=True where it never blocks",
            )
        return await self._pools.threads.run(function)

    @cached_property
    def _form(self) -> Form:
        return self.declaration.of_function if self._receiver is None else self.declaration.of_method
