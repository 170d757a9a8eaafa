"""A function's signature as a tool's declaration: what it takes, what it returns, and what makes it no tool."""

import inspect
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType, FunctionType, NoneType
from typing import Annotated, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo

from agent_sdk.core.errors import ToolDeclarationError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools.docstring import Docstring, parse_docstring

NOTHING = inspect.Parameter.empty
"""No default, or no annotation."""

Hints = Mapping[str, object]


@frozen
class Parameter:
    """One argument that a model gives; `annotation` has its `Annotated` constraints, `default` is `NOTHING` where it must be given."""

    name: str
    annotation: object
    default: object
    description: str | None

    @property
    def is_required(self) -> bool:
        return self.default is NOTHING


@frozen
class Signature:
    """What `read_signature` found; `context` names the parameter that takes the `ToolContext`, and `deps` is the type it asks for."""

    parameters: tuple[Parameter, ...]
    context: str | None
    deps: object
    returns: object
    summary: str


def declaration_error(function: FunctionType, problem: str, hint: str | None = None) -> ToolDeclarationError:
    """Return the error that says where the function stands."""
    code = function.__code__
    return ToolDeclarationError(f"{code.co_filename}:{code.co_firstlineno}: {function.__qualname__}: {problem}", hint=hint)


def class_of(function: FunctionType) -> str:
    """Return the qualified name of the class body that the function stands in; empty where it stands in none."""
    owner = function.__qualname__.rpartition(".")[0]
    return "" if owner.endswith("<locals>") else owner


def check_shape(function: FunctionType, *, is_method: bool) -> None:
    """Find what the function's code alone shows to be wrong, so that it is said where the function stands.

    Raises:
        ToolDeclarationError: star parameters, positional-only parameters, a parameter without an annotation, or a generator.
    """
    code = function.__code__
    if code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
        raise declaration_error(function, "a tool returns its result, and this function yields", "return a list")
    count = code.co_argcount + code.co_kwonlyargcount
    if code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
        star = "*" + code.co_varnames[count] if code.co_flags & inspect.CO_VARARGS else "**" + code.co_varnames[count]
        raise declaration_error(
            function, f"parameter '{star}': a model must know each argument by name", "name the parameters one by one, or take a list"
        )
    for position, name in enumerate(code.co_varnames[:count]):
        if position == 0 and is_method:
            continue
        if position < code.co_posonlyargcount:
            raise declaration_error(
                function, f"parameter '{name}': a tool is called with names, and this one has only a position", "take the '/' away"
            )
        if name not in function.__annotations__:
            raise declaration_error(function, f"parameter '{name}': it has no annotation", _annotation_hint(name, position))


def early_hints(function: FunctionType, frame: FrameType | None) -> Hints | None:
    """Resolve the text annotations of a function inside a function, while the names around it can still be seen.

    None where there is nothing to do, or no way.
    """
    if "<locals>" not in function.__qualname__ or not any(isinstance(text, str) for text in function.__annotations__.values()):
        return None
    names: dict[str, object] = {}
    while frame is not None and frame.f_code.co_name != "<module>":
        names = {**frame.f_locals, **names}
        frame = frame.f_back if not frame.f_code.co_flags & inspect.CO_OPTIMIZED else None
    try:
        return get_type_hints(function, localns=names, include_extras=True)
    except (NameError, TypeError, SyntaxError):
        return None  # said by `read_signature`, if it is still so when the tool is used


def read_signature(function: FunctionType, hints: Hints | None, *, is_method: bool) -> Signature:
    """Read what the function takes and returns.

    Raises:
        ToolDeclarationError: an annotation does not resolve or stands in the wrong place; the message names file, line and parameter.
    """
    resolved = hints if hints is not None else _resolve(function)
    docstring = parse_docstring(function.__doc__)
    context: str | None = None
    deps: object = NOTHING
    parameters: list[Parameter] = []
    for given in list(inspect.signature(function, follow_wrapped=False).parameters.values())[is_method:]:
        if given.name not in resolved:
            raise declaration_error(function, f"parameter '{given.name}': it has no annotation", _annotation_hint(given.name, 0))
        if not is_context(resolved[given.name]):
            parameters.append(_parameter(function, given, resolved[given.name], docstring))
        elif context is None:
            context, deps = given.name, _deps(resolved[given.name])
        else:
            raise declaration_error(function, f"parameter '{given.name}': '{context}' takes the ToolContext already", "one is enough")
    return Signature(tuple(parameters), context, deps, resolved.get("return", NOTHING), docstring.summary)


def _resolve(function: FunctionType) -> Hints:
    closure: dict[str, object] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # a cell that is still empty
            closure[name] = cell.cell_contents
    try:
        return get_type_hints(function, localns=closure or None, include_extras=True)
    except NameError as error:
        name = error.name or ""
        raise declaration_error(
            function,
            f"{_bearer(function, name)}: nothing is named '{name}' where the annotation is read",
            "import it outside `if TYPE_CHECKING:`, or define it at the module's top level",
        ) from error
    except (TypeError, SyntaxError, AttributeError) as error:
        raise declaration_error(function, f"its annotations cannot be read: {error}") from error


def _parameter(function: FunctionType, given: inspect.Parameter, hint: object, docstring: Docstring) -> Parameter:
    where = f"parameter '{given.name}'"
    if isinstance(given.default, FieldInfo):
        raise declaration_error(function, f"{where}: its default is a Field", f"write {given.name}: Annotated[..., Field(...)] = default")
    extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    if any(isinstance(extra, FieldInfo) and not extra.is_required() for extra in extras):
        raise declaration_error(
            function, f"{where}: its default stands in the annotation", f"write the default in the signature: {given.name}: ... = default"
        )
    documented = next((text for extra in extras if isinstance(text := getattr(extra, "documentation", None), str)), None)
    return Parameter(given.name, hint, given.default, documented or docstring.parameters.get(given.name))


def is_context(hint: object) -> bool:
    """Say whether the annotation is `ToolContext`, `ToolContext[...]` or either of them or None."""
    if hint is ToolContext or get_origin(hint) is ToolContext:
        return True
    members = [member for member in get_args(hint) if member is not NoneType]
    return len(members) == 1 and NoneType in get_args(hint) and is_context(members[0])


def _deps(hint: object) -> object:
    """Return what stands in `ToolContext[...]`."""
    if get_origin(hint) is ToolContext:
        return get_args(hint)[0]
    return next((_deps(member) for member in get_args(hint) if is_context(member)), NOTHING)


def _annotation_hint(name: str, position: int) -> str:
    if position == 0 and name == "self":
        return "this is a method: give the agent the one of an instance, as in tools=[Shop().search]"
    if position == 0 and name == "cls":
        return "write @tool above @classmethod"
    return f"write its type, as in {name}: str"


def _bearer(function: FunctionType, name: str) -> str:
    """Say which annotation speaks of the name."""
    for parameter, annotation in function.__annotations__.items():
        if name and name in str(annotation):
            return "return type" if parameter == "return" else f"parameter '{parameter}'"
    return "an annotation"
