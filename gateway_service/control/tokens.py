"""Who may do what: bearer tokens with a name and a scope, from a file."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from gateway_service.errors import ConfigurationError
from gateway_service.refusals import Forbidden, Unauthorized
from gateway_service.telemetry import register_secret

Scope = Literal["read", "control"]
_SCOPES: Final[Mapping[str, Scope]] = {"read": "read", "control": "control"}
MIN_TOKEN_CHARS: Final = 16
_MAX_FILE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Token:
    """One line of the file, without the token itself."""

    name: str
    scope: Scope


class Tokens:
    """The tokens of a service; without any, every caller may do everything, which only loopback allows."""

    def __init__(self, tokens: Mapping[bytes, Token]) -> None:
        self._tokens = tokens

    def __bool__(self) -> bool:
        return bool(self._tokens)

    def authorize(self, authorization: str | None, scope: Scope) -> str:
        """Return the name of who sent this ``Authorization`` header.

        Raises:
            Unauthorized: The token is missing or unknown.
            Forbidden: It lacks the scope.
        """
        if not self._tokens:
            return "anyone"
        kind, _, token = (authorization or "").partition(" ")
        known = self._tokens.get(_digest(token.strip())) if kind.lower() == "bearer" else None
        if known is None:
            raise Unauthorized(
                "this service wants a bearer token that it knows: Authorization: Bearer TOKEN; "
                "commands take it from GATEWAY_CONTROL_TOKENS_FILE"
            )
        if scope == "control" and known.scope != "control":
            raise Forbidden(f"the token {known.name!r} has the scope 'read'; this needs 'control'")
        return known.name


def read_tokens(path: Path | None) -> Tokens:
    """Read the file that ``control_tokens_file`` names.

    Raises:
        ConfigurationError: It cannot be read, or a line of it is wrong; no token is shown.
    """
    return Tokens({_digest(token): Token(name, scope) for name, scope, token in _lines(path)})


def strongest_token(path: Path | None) -> str | None:
    """Return the token that a command of ours sends: one with the scope ``control`` if there is one.

    Raises:
        ConfigurationError: As of :func:`read_tokens`.
    """
    found = sorted(_lines(path), key=lambda line: line[1] != "control")
    return found[0][2] if found else None


def _lines(path: Path | None) -> list[tuple[str, Scope, str]]:
    if path is None:
        return []
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE_BYTES).decode()
    except OSError as exc:
        raise ConfigurationError(f"control_tokens_file: {path} cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"control_tokens_file: {path} is not a text file") from None
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 3 or words[1] not in _SCOPES or len(words[2]) < MIN_TOKEN_CHARS:  # noqa: PLR2004
            raise ConfigurationError(
                f"control_tokens_file: line {number} of {path} must be a name, 'read' or 'control', and a token of at "
                f"least {MIN_TOKEN_CHARS} characters"
            )
        if not words[2].isascii():  # no header of HTTP carries it
            raise ConfigurationError(f"control_tokens_file: line {number} of {path}: a token must be ASCII")
        register_secret(words[2])
        found.append((words[0], _SCOPES[words[1]], words[2]))
    if not found:
        raise ConfigurationError(f"control_tokens_file: {path} has no token in it")
    return found


def _digest(token: str) -> bytes:
    """Look tokens up by digest: comparing them directly would tell by its duration how much of a guess is right."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
