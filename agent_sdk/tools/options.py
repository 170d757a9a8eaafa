"""What `@tool` was told, looked at before anything is made of it."""

import inspect
import math
import re
from types import FunctionType
from typing import get_args

from agent_sdk.core.tools import Effect
from agent_sdk.tools.declaration import Options
from agent_sdk.tools.signature import declaration_error

_EFFECTS = get_args(Effect)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


def check_options(function: FunctionType, options: Options) -> None:
    """Find options that make no sense, alone or together.

    Raises:
        ToolDeclarationError: with a hint on how to mend it.
    """
    _check_call(function, options)
    _check_effect(function, options)
    _check_word(function, options)


def _check_call(function: FunctionType, options: Options) -> None:
    name = options.name if options.name is not None else function.__name__
    if not _NAME.fullmatch(name):
        raise declaration_error(
            function, f"{name!r} is no name that models can call", 'give it one of letters, digits and "_", as in @tool(name="search")'
        )
    if options.timeout_s is not None and not options.timeout_s > 0:
        raise declaration_error(function, f"timeout_s is {options.timeout_s}", "give seconds above 0, or None for the agent's limit")
    if options.inline and inspect.iscoroutinefunction(function):
        raise declaration_error(function, "an async function is on the event loop already", "take inline=True away")


def _check_effect(function: FunctionType, options: Options) -> None:
    if options.effect not in _EFFECTS:
        raise declaration_error(function, f"there is no effect {options.effect!r}", f"choose one of {', '.join(_EFFECTS)}")
    if options.retries < 0 or (options.retries and options.effect == "once"):
        hint = (
            'declare effect="read", "idempotent" or "verify" if it may be repeated'
            if options.retries > 0
            else "retries counts further attempts: 0 or more"
        )
        raise declaration_error(function, f"retries is {options.retries}, and its effect is {options.effect!r}", hint)
    if (options.effect == "verify") != (options.check is not None):
        problem = "has no check" if options.check is None else f"has a check, and its effect is {options.effect!r}"
        raise declaration_error(function, f"it {problem}", 'effect="verify" and check=... go together')
    if options.compensate is not None and options.effect == "read":
        raise declaration_error(function, "it has a compensation, and its effect is 'read'", "what changes nothing needs no undoing")


def _check_word(function: FunctionType, options: Options) -> None:
    if options.approval_s is None:
        return
    if options.approval is False:
        raise declaration_error(function, "it has approval_s and no approval", "give approval= too, or take approval_s away")
    if not (options.approval_s > 0 and math.isfinite(options.approval_s)):
        raise declaration_error(function, f"approval_s is {options.approval_s}", "give seconds above 0, or None to wait for ever")
