"""What a command needs before it can begin: the settings, loaded once, and the app and agent that they or its options name."""

import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import typer
from pydantic import JsonValue

from agent_sdk.cli.recall import ANY_APP, Recall, program
from agent_sdk.config import BadSetting, LoadedSettings, Settings, SettingsInvalid, examine_settings, read_environ
from agent_sdk.core.errors import ConfigError, NotFound, RequestError
from agent_sdk.core.frozen import frozen
from agent_sdk.observability import configure_logging
from agent_sdk.runtime import AgentDeclaration, App, Runtime, load_app

AnyAgent = AgentDeclaration[Any, Any]


@frozen
class Globals:
    """The options that stand before the command."""

    debug: bool = False
    config: Path | None = None


@frozen
class Given:
    """What the command's options say of the settings; None leaves it to the other sources."""

    app: str | None = None
    journal: str | None = None
    model: str | None = None
    base_url: str | None = None

    @property
    def vendor(self) -> str:
        """The section of the settings that `base_url` belongs to: no other vendor's key may reach that server."""
        vendor = (self.model or "").partition(":")[0]
        return vendor if vendor in {"anthropic", "gemini"} else "openai"

    def overrides(self) -> Mapping[str, JsonValue]:
        named = {"app": self.app, "journal": self.journal, "model": self.model}
        named[f"{self.vendor}.base_url"] = self.base_url
        return {key: value for key, value in named.items() if value is not None}


@frozen
class Opened:
    """The settings that hold for a command, and how a later command finds the same."""

    loaded: LoadedSettings
    given: Given
    config: Path | None
    is_logging: bool

    @property
    def settings(self) -> Settings:
        return self.loaded.settings

    @property
    def recall(self) -> Recall:
        in_memory = self.settings.journal if self.settings.journal.startswith("memory:") else None
        app = ANY_APP if self.settings.app is None else self.given.app
        return Recall(self.config, app, self.given.journal or in_memory, self.given.base_url, program(), self.given.vendor)

    def require_journal(self) -> None:
        """Refuse to look into a journal that is not there: to open it would make it.

        Raises:
            NotFound: there is no such file.
        """
        parts = urlsplit(self.settings.journal)
        path = unquote(parts.path[1:])
        is_plain = parts.scheme == "sqlite" and path != ":memory:" and not (parts.query or parts.fragment)
        if is_plain and not os.path.lexists(self.loaded.cwd / path):
            raise NotFound(f"there is no journal at {path}", hint="name the one that has the runs: --journal sqlite:///PATH")

    def app(self) -> App:
        """Import the app, from the current directory first.

        Raises:
            ConfigError: none is named, or it cannot be loaded.
        """
        reference = self.settings.app
        if reference is None:
            raise ConfigError(
                "no app is named", hint="name the module and the App or Agent in it: --app my_agents:app, or the setting `app`"
            )
        _import_from(self.loaded.cwd)
        try:
            return load_app(reference)
        except SystemExit as error:
            raise ConfigError(
                f"{reference!r} ends the process on import: SystemExit({error.code!r})",
                hint="guard its entry with `if __name__ == '__main__':`",
            ) from error

    def agent(self, app: App, name: str | None) -> AnyAgent:
        """Return the agent of that name, or the only one; with the model that an option names for it.

        Raises:
            RequestError: there is no such agent, or several and no name.
        """
        if name is None and len(app.agents) != 1:
            names = ", ".join(agent.name for agent in app.agents)
            raise RequestError(
                f"the app has {len(app.agents)} agents", hint=f"choose one with --agent: {names}" if names else "App(agents=[...])"
            )
        agent = app.agents[0] if name is None else app.agent(name)
        return agent if self.given.model is None else agent.with_options(model=self.settings.model)

    @asynccontextmanager
    async def runtime(self, app: App | None = None) -> AsyncGenerator[Runtime]:
        """Open the journal; without an app, for commands that look or ask and perform nothing.

        Raises:
            NotFound: a command that performs nothing finds no journal.
        """
        settings = self.settings
        if app is None:
            self.require_journal()
        async with Runtime.open(
            settings.journal,
            app=app if app is not None else App([]),
            tenant=settings.tenant,
            settings=self.loaded,
            dispatch=settings.dispatch,
            lease_s=settings.worker.lease_s,
        ) as runtime:
            yield runtime


def open_settings(ctx: typer.Context, given: Given | None = None, *, logs: bool = False) -> Opened:
    """Load the settings and set up the logs: on stderr, with --debug, `logs` or where the settings speak of logging, else not at all.

    Raises:
        SettingsInvalid: with all that is wrong.
    """
    opened, findings = examine(ctx, given, logs=logs)
    if findings:
        raise SettingsInvalid(findings)
    return opened


def examine(ctx: typer.Context, given: Given | None = None, *, logs: bool = False) -> tuple[Opened, list[BadSetting]]:
    """Open what holds of the settings as `open_settings` does, and return it with all that is wrong."""
    options = ctx.find_object(Globals) or Globals()
    given = given if given is not None else Given()
    loaded, findings = examine_settings(overrides=given.overrides(), config_file=options.config, environ=read_environ(), cwd=Path.cwd())
    logging = loaded.settings.logging
    is_asked_for = logs or any(origin.kind != "default" for key, origin in loaded.origins.items() if key.startswith("logging."))
    is_logging = options.debug or is_asked_for
    level = "DEBUG" if options.debug else logging.level if is_asked_for else "CRITICAL"
    configure_logging(level, logging.format, sys.stderr)
    if loaded.settings.signs:
        _import_from(loaded.cwd)
    return Opened(loaded, given, options.config, is_logging), findings


def _import_from(folder: Path) -> None:
    """Find what settings and options name in the folder first, as `python -m` does."""
    if (here := str(folder)) not in sys.path:
        sys.path.insert(0, here)
