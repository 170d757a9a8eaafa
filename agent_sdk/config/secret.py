"""Secrets as settings hold them: a reference to where one is kept, or one that came from the environment. Neither ever shows its value."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from agent_sdk.config.documents import read_text
from agent_sdk.config.marks import DocumentError
from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen

MASK = "********"
MAX_SECRET_BYTES = 64 * 1024

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SecretUnresolved(ConfigError):
    """A secret cannot be had from where its reference points."""

    code = "secret_unresolved"


@frozen
class SecretRef:
    """Where a secret is kept: `env:NAME` or `file:PATH`. It never holds the secret itself."""

    scheme: Literal["env", "file"]
    name: str

    @classmethod
    def parse(cls, text: str) -> "SecretRef | None":
        """Return the reference that `text` is, or None if it is none."""
        scheme, _, name = text.partition(":")
        if scheme == "env" and _ENV_NAME.fullmatch(name):
            return cls("env", name)
        if scheme == "file" and name.strip() and name.isprintable():
            return cls("file", name)
        return None

    def resolve(self, environ: Mapping[str, str], cwd: Path | None = None) -> str:
        """Fetch the secret; a relative path starts at `cwd`, and one line end behind the value is taken off.

        Raises:
            SecretUnresolved: the variable or file is missing, empty, unreadable, or holds more than one line.
        """
        if self.scheme == "env":
            return _usable(environ.get(self.name, ""), self, "is not set, or empty", hint=f"set the environment variable {self.name}")
        try:
            text = read_text((cwd or Path()) / self.name, max_bytes=MAX_SECRET_BYTES)
        except DocumentError as error:
            raise SecretUnresolved(f"the secret {self} cannot be had: {error.problem}", hint=error.hint or "check the path") from error
        return _usable(text, self, "is an empty file", hint="write the secret into the file")

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}"


@frozen
class SecretLiteral:
    """A secret that was given as such; only `resolve` tells it."""

    value: SecretStr

    def resolve(self, environ: Mapping[str, str], cwd: Path | None = None) -> str:
        """Return the secret, by the same rules as that of a reference.

        Raises:
            SecretUnresolved: it is empty, or holds more than one line.
        """
        del environ, cwd
        return _usable(self.value.get_secret_value(), self, "is empty", hint="give a reference: env:NAME or file:PATH")

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"SecretLiteral({MASK})"


Secret = SecretRef | SecretLiteral


def _usable(text: str, source: Secret, when_empty: str, *, hint: str) -> str:
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret.strip():
        raise SecretUnresolved(f"the secret {source} {when_empty}", hint=hint)
    if not secret.isprintable():
        raise SecretUnresolved(f"the secret {source} holds line ends or other unprintable characters", hint="keep it on one line")
    return secret
