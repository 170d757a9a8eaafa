"""Every python block of the project's pages type-checks and runs, from the top of each page to its bottom."""

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.blocks import as_module, blocks_of

ROOT = Path(__file__).parents[2]
PAGES = {
    page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
}
CHECKERS = {
    "mypy": ["mypy", "--config-file", str(ROOT / "pyproject.toml")],
    "pyright": ["pyright", "--warnings", "--pythonpath", sys.executable],
}


@pytest.fixture
def module() -> Iterator[ModuleType]:
    """A module for one page, known by its name: pydantic and `@tool` look names up there."""
    made = ModuleType("page")
    sys.modules[made.__name__] = made
    yield made
    del sys.modules[made.__name__]


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages as modules, in a folder that holds nothing else."""
    folder = tmp_path_factory.mktemp("pages")
    for name, text in PAGES.items():
        module = folder / (name.removesuffix(".md").replace("/", "__").replace("-", "_") + ".py")
        # a page shows values that it does not use again
        module.write_text(as_module(list(blocks_of(text))) + "# pyright: strict, reportUnusedVariable=false\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_page_runs_from_its_top_to_its_bottom(page: str, module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    compiled = [(block.compiled(page), block.is_run) for block in blocks_of(PAGES[page])]
    with asyncio.Runner() as runner:
        for code, is_run in compiled:
            if is_run and code.co_flags & inspect.CO_COROUTINE:
                runner.run(eval(code, vars(module)))
            elif is_run:
                exec(code, vars(module))


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_pages_type_check(checker: str, modules: Path) -> None:
    command = [sys.executable, "-m", *CHECKERS[checker], *map(str, sorted(modules.iterdir()))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
