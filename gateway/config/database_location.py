"""Where a database is: an SQLite file, or a PostgreSQL server. Its text never contains the password."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gateway.config.secret import Secret

_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")
_EXPECTED = "expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or sqlite:///FILE"


@dataclass(frozen=True, slots=True)
class DatabaseLocation:
    """An SQLite file or a PostgreSQL database.

    Attributes:
        file: the SQLite file; None for PostgreSQL.
        url: the URL of the PostgreSQL database with its password; None for SQLite.
    """

    file: Path | None = None
    url: Secret | None = None

    @classmethod
    def from_url(cls, url: str) -> "DatabaseLocation":
        """Read a URL, such as `postgresql://locus:secret@db.example/locus` or `sqlite:////var/lib/locus/locus.db`.

        Raises:
            ValueError: it is not the URL of such a database; the message contains no part of it.
        """
        scheme, separator, rest = url.partition("://")
        if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
            return cls(file=Path(unquote(rest[1:])))
        if scheme not in _POSTGRESQL or not separator:
            raise ValueError(_EXPECTED)
        try:
            parts = urlsplit(f"//{rest}")
            valid = parts.port != 0 and len(parts.path) > 1 and not re.search(r"[\s#]", rest)
        except ValueError:
            valid = False
        if not valid or parts.netloc.count("@") > 1:
            raise ValueError(f"{_EXPECTED}; write special characters in the password percent-encoded, `@` as %40")
        return cls(url=Secret(f"postgresql://{rest}"))

    def __str__(self) -> str:
        """The file, or host, port and name of the database, without user and password."""
        if self.url is None:
            return str(self.file)
        parts = urlsplit(self.url.reveal())
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def password(self) -> str:
        """The password as the URL has it, percent-encoded; empty if there is none."""
        return "" if self.url is None else urlsplit(self.url.reveal()).password or ""

    def redacted(self, text: str) -> str:
        """Return a text, such as a driver's error message, without the password."""
        for secret in {self.password, unquote(self.password)} - {""}:
            text = text.replace(secret, "***")
        return text
