"""What the demo's tools take and give, and the report that its agent answers with."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """Base of all shapes: unchangeable."""

    model_config = ConfigDict(frozen=True)


class Unreadable(Frozen):
    """A file that is no Python source which this interpreter can read, and why."""

    path: str
    reason: str


class Reading(Frozen):
    """What every tool that reads files says of those it could not read."""

    unreadable: list[Unreadable] = []


class Packages(Frozen):
    """The packages at the top of the tree, and the directories that were passed over."""

    names: list[str]
    passed_over: list[str]


class Sources(Frozen):
    """Python files, relative to the root, in order; `package` is the one they belong to, "" for the whole tree."""

    paths: list[str]
    count: int
    passed_over: list[str]
    package: str


class Parts(Frozen):
    """A list in parts of about the same length."""

    parts: list[list[str]]


class Names(Frozen):
    """Dotted names of modules."""

    names: list[str]


class ModuleImports(Frozen):
    """A module and what its import statements name, in full."""

    module: str
    names: list[str]


class ImportsRead(Reading):
    """What the import statements of some files name."""

    modules: list[ModuleImports]


class Link(Frozen):
    """One module imports another, once or often."""

    importer: str
    imported: str


class Links(Frozen):
    """Who imports whom."""

    links: list[Link]


class DocstringsRead(Reading):
    """Which modules of some files have no docstring."""

    documented: int
    undocumented: list[str]


class LinesRead(Reading):
    """The lines of one package's files by kind, as far as they could be read; `files` counts all of them."""

    package: str
    files: int
    code: int
    comments: int
    blanks: int


class Row(Frozen):
    """A name and a number; `members` are those that were counted, or some of them."""

    name: str
    count: int
    members: list[str] = []


class Table(Frozen):
    """Rows in order; `count` is the sum of theirs."""

    rows: list[Row]
    count: int


class Ranking(Frozen):
    """The first rows of a table by count; `largest` names the very first, "." where there is none."""

    rows: list[Row]
    largest: str


class Text(Frozen):
    """A text to be written to a file."""

    text: str


class Problems(Frozen):
    """All files that could not be read."""

    unreadable: list[Unreadable]


class Section(Frozen):
    """A part of a report: `unit` says what its rows count."""

    title: str
    unit: str
    rows: list[Row]


class Report(Frozen):
    """An answer about a source tree: what was found, how it was counted, how many files there are, and what was not looked at."""

    sections: Annotated[list[Section], Field(min_length=1)]
    how: list[str]
    files: int
    passed_over: list[str]
    unreadable: list[Unreadable]
