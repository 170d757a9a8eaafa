"""A function as a tool: still the plain function to whoever calls it, and a declared, checked `Tool` to a run."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property, partial
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from pydantic import JsonValue

from agent_sdk.core.errors import ConfigError, NotDone
from agent_sdk.core.findings import Finding
from agent_sdk.core.ports import Verdict
from agent_sdk.core.tools import ToolContext, ToolSpec
from agent_sdk.tools.declaration import Declaration, Form
from agent_sdk.tools.threads import ThreadPool

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
Q = ParamSpec("Q")
S = TypeVar("S")


class FunctionTool(Generic[P, R_co]):
    """A tool made of a function by `@tool`.

    Called, it is the function. As a `Tool`, one of a synchronous function that is not inline needs a thread pool first: `bound_to(pool)`.
    Accessed through an instance, a method's tool is bound to the instance.
    """

    def __init__(
        self, declaration: Declaration, target: Callable[P, R_co], receiver: object = None, pool: ThreadPool | None = None
    ) -> None:
        self.__wrapped__ = target
        self.__name__ = declaration.plain.__name__
        self.__qualname__ = declaration.plain.__qualname__
        self.__module__ = declaration.plain.__module__
        self.__doc__ = declaration.plain.__doc__
        self._declaration = declaration
        self._receiver = receiver
        self._pool = pool

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        return self.__wrapped__(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type) -> "FunctionTool[P, R_co]": ...
    @overload
    def __get__(self: "FunctionTool[Concatenate[S, Q], R_co]", instance: S, owner: type | None = None) -> "FunctionTool[Q, R_co]": ...
    def __get__(self, instance: object, owner: type | None = None) -> "FunctionTool[Any, Any]":
        receiver = owner if self._declaration.binding == "class" else instance
        if receiver is None or self._receiver is not None or self._declaration.binding == "nothing":
            return self
        return FunctionTool[Any, Any](self._declaration, MethodType(self._declaration.function, receiver), receiver, self._pool)

    def __repr__(self) -> str:
        return f"<tool {self.name} ({self._declaration.options.effect})>"

    @property
    def name(self) -> str:
        """Return the name alone, which costs nothing: `spec` reads the signature when it is first asked for."""
        return self._declaration.name

    @property
    def spec(self) -> ToolSpec:
        """Return the declaration.

        Raises:
            ToolDeclarationError: the signature cannot be a tool's.
        """
        return self._form.spec

    def bound_to(self, pool: ThreadPool) -> "FunctionTool[P, R_co]":
        """Return this tool as one that calls a synchronous function in the pool's threads; itself where it calls none."""
        if not self._declaration.needs_thread:
            return self
        return FunctionTool(self._declaration, self.__wrapped__, self._receiver, pool)

    def problems(self, args: Mapping[str, JsonValue], *, partial: frozenset[str] = frozenset()) -> Sequence[Finding]:
        return self._form.arguments.findings(args, partial)

    async def call(self, args: Mapping[str, JsonValue], context: ToolContext[object]) -> JsonValue:
        form = self._form
        values = form.arguments.parse(args)
        if form.context is not None:
            values[form.context] = context
        function = cast("Callable[..., object]", self.__wrapped__)
        if self._declaration.is_async:
            return form.results.dump(await cast("Awaitable[object]", function(**values)))
        result: JsonValue = await self._perform(lambda: form.results.dump(function(**values)))
        return result

    async def verify(self, context: ToolContext[object]) -> Verdict:
        """Ask the tool's check, and judge what it returns as the tool's own result.

        None and `NotDone`, returned or raised, mean that nothing was done; a check of a tool that returns None says so with a `Verdict`.

        Raises:
            ConfigError: the tool has no check.
        """
        check = self._declaration.check
        if check is None:
            raise ConfigError(
                f"{self.name} has no check to ask", hint='only @tool(effect="verify", check=...) can be asked whether a key was done'
            )
        function = MethodType(check.function, self._receiver) if check.is_method and self._receiver is not None else check.function
        ask = partial(function, context.idempotency_key, context) if check.takes_context else partial(function, context.idempotency_key)
        try:
            found = await cast("Awaitable[object]", ask()) if check.is_async else await self._perform(ask)
        except NotDone:
            return Verdict(is_done=False)
        return self._verdict(found)

    def _verdict(self, found: object) -> Verdict:
        if isinstance(found, Verdict):
            return Verdict(is_done=True, output=self._form.results.dump(found.output)) if found.is_done else found
        if found is None or found is NotDone or isinstance(found, NotDone):
            return Verdict(is_done=False)
        return Verdict(is_done=True, output=self._form.results.dump(found))

    async def _perform(self, function: Callable[[], Any]) -> Any:  # noqa: ANN401  (the callers know the type)
        if self._declaration.options.inline:
            return function()
        if self._pool is None:
            raise ConfigError(
                f"{self.name} is synchronous and has no thread to run in",
                hint="bind it with bound_to(ThreadPool()), as a runtime does; or make it async, or inline=True where it never blocks",
            )
        return await self._pool.run(function)

    @cached_property
    def _form(self) -> Form:
        return self._declaration.of_function if self._receiver is None else self._declaration.of_method
