"""What the demo computes, computed in another way: from bytecode and tokens instead of syntax trees and patterns."""

import ast
import io
import os
import sys
import tokenize
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from modulefinder import ModuleFinder
from pathlib import Path
from types import CodeType

PASSED_OVER = {"test", "tests", "idle_test", "site-packages", "dist-packages"}
NO_CODE = {tokenize.NL, tokenize.COMMENT, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def sources(root: Path) -> dict[str, str]:
    """Return the text of every file that counts, by its path; one that is no Python is left out."""
    found: dict[str, str] = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in PASSED_OVER]
        for place in (Path(folder, name) for name in names if name.endswith(".py")):
            if place.is_symlink() or not place.is_file():
                continue
            try:
                with tokenize.open(place) as file:
                    text = file.read()
                _compiled(text)
            except (SyntaxError, ValueError):
                continue
            found[place.relative_to(root).as_posix()] = text
    return found


def importers(root: Path) -> dict[str, set[str]]:
    """Return who imports each module, by its name."""
    texts = sources(root)
    names = {_module(path): path for path in texts}
    known = {*names, *sys.stdlib_module_names}
    found: dict[str, set[str]] = defaultdict(set)
    for module, path in names.items():
        for named in _imports(_compiled(texts[path]), path):
            target = named
            while target and target not in known:
                target = target.rpartition(".")[0]
            if target and target != module:
                found[target].add(module)
    return found


def undocumented(root: Path) -> set[str]:
    """Return the modules without a docstring."""
    return {_module(path) for path, text in sources(root).items() if not _docstring(text).strip()}


def lines(root: Path) -> dict[str, Counter[str]]:
    """Return the lines of each file by kind."""
    return {path: _lines(text) for path, text in sources(root).items()}


def _compiled(text: str) -> CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(text, "source", "exec", dont_inherit=True)


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imports(code: CodeType, path: str) -> Iterator[str]:
    package = Path(path).parent.parts
    for what, details in ModuleFinder().scan_opcodes(code):
        match what, details:
            case "absolute_import", (_, name):
                yield name
            case "relative_import", (level, names, name):
                base = ".".join(package[: len(package) - level + 1])
                yield from [f"{base}.{name}"] if name else [f"{base}.{each}" for each in names]
            case _:
                pass
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imports(constant, path)


def _docstring(text: str) -> str:
    """Return the docstring, read from the tokens of the first statement."""
    strings: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.STRING:
            strings.append(token.string)
        elif token.type == tokenize.NEWLINE or token.string == ";":
            break
        elif token.type not in {tokenize.NL, tokenize.COMMENT}:
            return ""
    value: object = ast.literal_eval(" ".join(strings)) if strings else ""
    return value if isinstance(value, str) else ""


def _lines(text: str) -> Counter[str]:
    code: set[int] = set()
    comments: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comments.add(token.start[0])
        elif token.type not in NO_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    all_lines = io.StringIO(text).readlines()
    blanks = {number for number, line in enumerate(all_lines, start=1) if not line.strip() and number not in code}
    only_comments = comments - code
    return Counter(code=len(all_lines) - len(only_comments) - len(blanks), comments=len(only_comments), blanks=len(blanks))
