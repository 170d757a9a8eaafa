"""What settings and options name in a program as `module:name`: an app, or the function that signs requests."""

from importlib import import_module
from inspect import iscoroutinefunction
from types import ModuleType
from typing import cast

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.nearest import nearest
from agent_sdk.llm.options import Sign
from agent_sdk.runtime.functions import takes

_SIGN = "write it as `async def sign(request: HttpRequest) -> HttpRequest`"


def missing_module(name: str, error: ModuleNotFoundError) -> ConfigError:
    """Return the error for a module that is not there, or that needs one which is not."""
    if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
        return ConfigError(f"there is no module {name!r}", hint="start from the folder that holds it, or set PYTHONPATH")
    return ConfigError(f"module {name!r} needs a module that is missing: {error.name}", hint=f"install {error.name}")


def load_sign(reference: str, setting: str) -> Sign:
    """Import the function that the setting names as `module:function`, which signs a vendor's requests.

    What its module raises is told by its type alone: such code reads keys, and may say them.

    Raises:
        ConfigError: there is no such module or function, it is not async or takes no request, or the module fails on import.
    """
    module_name, _, path = reference.partition(":")
    found = _found(_imported(module_name, setting), path, setting)
    if not (iscoroutinefunction(found) or iscoroutinefunction(type(found).__call__)) or isinstance(found, type):
        raise ConfigError(f"{setting} names {reference!r}, which is no async function", hint=_SIGN)
    sign = cast("Sign", found)
    if not takes(sign, 1):
        raise ConfigError(f"{setting} names {reference!r}, which cannot be called with a request alone", hint=_SIGN)
    return sign


def _imported(name: str, setting: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = missing_module(name, error)
        raise ConfigError(f"{setting}: {missing.message}", hint=missing.hint) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001  (code that is not ours; its words and its traceback may hold a key)
        hint = f"python -c 'import {name}' shows why"
        raise ConfigError(f"{setting}: module {name!r} fails on import: {type(error).__name__}", hint=hint) from None


def _found(module: ModuleType, path: str, setting: str) -> object:
    found: object = module
    for part in path.split("."):
        known = [name for name, value in vars(found).items() if callable(value)] if hasattr(found, "__dict__") else []
        found = getattr(found, part, None)
        if found is None:
            near = nearest(part, known)
            hint = f"did you mean {near!r}?" if near else _SIGN
            raise ConfigError(f"{setting}: module {module.__name__!r} has no {path!r}", hint=hint)
    return found
