"""The reading of pages itself: which blocks are found, and on which lines their code stands."""

import ast

import pytest

from tests.docs.blocks import Block, as_module, blocks_of

PAGE = """\
# A page
```python
from asyncio import sleep

answer = 42
await sleep(0)
print('''two
lines''')
```
```sh
make test
```
````python no-run
```
````
"""


def test_python_blocks_are_found_with_their_lines_and_marks() -> None:
    blocks = list(blocks_of(PAGE))
    assert [(block.line, block.is_run) for block in blocks] == [(2, True), (13, False)]
    assert blocks[1].source == "```\n"


def test_a_block_that_is_never_closed_is_named_by_its_line() -> None:
    with pytest.raises(ValueError, match="opens on line 2"):
        list(blocks_of("text\n```python\nx = 1\n"))


def test_an_awaiting_block_is_enclosed_from_the_last_free_line_and_keeps_its_lines() -> None:
    module = as_module(list(blocks_of(PAGE))[:1])
    assert module.splitlines()[2:8] == [
        "from asyncio import sleep",
        "async def block_on_line_2() -> None:",
        "    answer = 42",
        "    await sleep(0)",
        "    print('''two",
        "lines''')",
    ]


@pytest.mark.parametrize(
    "source",
    [
        "async with a() as b:\n    pass\n",
        "# first\nx = [i async for i in a()]\n",
        "import a\nasync for b in a.c():\n    pass\n",
    ],
)
def test_a_block_without_a_free_line_is_enclosed_from_its_fence(source: str) -> None:
    lines = as_module([Block(1, source, is_run=True)]).splitlines()
    assert lines[0] == "async def block_on_line_1() -> None:"
    ast.parse("\n".join(lines))


def test_a_block_that_defines_coroutines_without_awaiting_them_stays_as_it_is() -> None:
    source = "async def f() -> None:\n    await g()\n"
    assert as_module([Block(2, source, is_run=True)]) == f"\n\n{source}"


def test_a_traceback_names_the_line_of_the_page() -> None:
    code = Block(7, "x = 1\nraise ValueError\n", is_run=True).compiled("page.md")
    with pytest.raises(ValueError, match=r"^$") as caught:
        exec(code, {})
    assert caught.traceback[-1].lineno + 1 == 9
