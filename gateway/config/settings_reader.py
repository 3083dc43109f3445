"""Checks the section `gateway` of a portfolio file and resolves the references in it."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from gateway.config.addresses import AddressError, check_address, is_loopback
from gateway.config.database_location import DatabaseLocation
from gateway.config.document import Document
from gateway.config.front_ends import FRONT_ENDS
from gateway.config.references import References
from gateway.config.secret import Secret
from gateway.config.settings import BESIDE_RECORD, SHARED_SCHEMES, Otel, Settings, UtilityCalls
from gateway.config.yaml_reader import Place
from router.model.policy import Policy


def resolve_settings(
    document: Document,
    references: References,
    written: Settings,
    policies: Mapping[str, Policy],
    named_keys: bool = False,
) -> Settings:
    """The settings with keys from the environment and with paths that begin at the file's folder.

    `model_fields_set` stays as the file has it. Mistakes are reported to the document.

    Args:
        named_keys: True if the file has keys with a name, besides the plain ones of the settings.
    """
    keys = [references.gateway_key(("gateway", "keys", i), key.reveal()) for i, key in enumerate(written.keys)]
    admin_key = written.admin_key and references.gateway_key(("gateway", "admin_key"), written.admin_key.reveal())
    _check_access(document, written, keys, admin_key, named=named_keys)
    if written.utility_calls is not None:
        _check_utility_calls(document, written.utility_calls, policies)
    resolved = {
        "keys": tuple(key for key in keys if key is not None),
        "admin_key": admin_key,
        "key_pepper": written.key_pepper
        and references.gateway_key(("gateway", "key_pepper"), written.key_pepper.reveal()),
        # The default is in the working directory, because the file's folder may be read-only.
        "record": None if written.record is None else document.file(written.record),
        "store": _store(document, references, written.store),
        "shared": _shared(document, references, written.shared),
        "responses": _responses(document, written.responses),
        "otel": written.otel and _otel(document, references, written.otel),
    }
    return written.model_copy(update={k: v for k, v in resolved.items() if k in written.model_fields_set})


def _otel(document: Document, references: References, written: Otel) -> Otel:
    where: Place = ("gateway", "otel")
    resolved: dict[str, object] = {}
    if written.endpoint is not None:
        endpoint = references.required((*where, "endpoint"), written.endpoint)
        resolved["endpoint"] = None if endpoint is None else endpoint.reveal()
        try:
            if endpoint is not None:
                check_address(endpoint.reveal(), "otel")
        except AddressError as exc:
            document.report((*where, "endpoint"), str(exc))
    headers = {}
    for name, value in written.headers.items():
        if (secret := references.required_header((*where, "headers", name), value.reveal())) is not None:
            headers[name] = secret
    return written.model_copy(update=resolved | {"headers": headers})


def _store(document: Document, references: References, written: Secret | None) -> Secret | None:
    where: Place = ("gateway", "store")
    if written is None or (url := references.required(where, written.reveal())) is None:
        return None
    try:
        location = DatabaseLocation.from_url(url.reveal())
    except ValueError as exc:
        document.report(where, str(exc))
        return None
    if location.file is not None:
        return Secret(f"sqlite:///{document.file(location.file)}")
    if written == url and location.password:
        references.warn(where, "a literal password; write os.environ/NAME instead, so that the file can be shared")
    return url


def _shared(document: Document, references: References, written: Secret | None) -> Secret | None:
    where: Place = ("gateway", "shared")
    if written is None or (url := references.required(where, written.reveal())) is None:
        return None
    scheme, separator, rest = url.reveal().partition("://")
    if not separator or scheme not in SHARED_SCHEMES or not rest.partition("/")[0]:
        document.report(where, f"expected a URL such as valkey://HOST:6379/0; schemes are {', '.join(SHARED_SCHEMES)}")
        return None
    if written == url and "@" in rest:
        references.warn(where, "a literal password; write os.environ/NAME instead, so that the file can be shared")
    return url


def _responses(document: Document, written: Path | None) -> Path | None:
    return written if written is None or written == BESIDE_RECORD else document.file(written)


def _check_access(
    document: Document, written: Settings, keys: list[Secret | None], admin_key: Secret | None, *, named: bool
) -> None:
    """Reports settings with which clients could do more than they may."""
    if admin_key is not None and admin_key in keys:
        number = keys.index(admin_key)
        document.report(
            ("gateway", "admin_key"),
            f"the same as gateway.keys[{number}], whose holders would read metrics and details; choose another one",
        )
    without_keys = not written.keys and not named
    if without_keys and not is_loopback(written.host) and not written.run_time_keys:
        document.report(
            ("gateway", "host"),
            f"found {written.host!r}; without `keys` only a loopback address is served; with `admin_key` and `record` or `store` "
            "any address is, for keys that are made at run time",
        )
    if without_keys and is_loopback(written.host) and "*" in written.cors_origins:
        document.report(
            ("gateway", "cors_origins", written.cors_origins.index("*")),
            "found '*'; without `keys` every web page that a browser on this machine shows could use the gateway",
        )


def _check_utility_calls(document: Document, calls: UtilityCalls, policies: Mapping[str, Policy]) -> None:
    where: Place = ("gateway", "utility_calls")
    if calls.policy not in policies:
        document.report((*where, "policy"), f"found {calls.policy!r}, expected one of {', '.join(policies)}")
    if not calls.front_ends and not calls.patterns:
        document.report(where, "expected `front_ends` or `patterns`, to recognise the calls by")
    for i, name in enumerate(calls.front_ends):
        if name not in FRONT_ENDS:
            document.report((*where, "front_ends", i), f"found {name!r}, expected one of {', '.join(FRONT_ENDS)}")
    for i, pattern in enumerate(calls.patterns):
        try:
            re.compile(pattern)
        except re.error as exc:
            document.report((*where, "patterns", i), f"not a regular expression: {exc}")


def check_writable(document: Document, settings: Settings) -> None:
    """Reports the SQLite files that cannot be written."""
    record = "record" if settings.store is None else "store"
    for key, location in ((record, settings.database), ("responses", settings.responses_database)):
        path = None if location is None else location.file
        if path is not None and (fault := _unwritable(path)) is not None:
            document.report(("gateway", key), f"{path} cannot be written: {fault}; write another path, or null")


def _unwritable(path: Path) -> str | None:
    """The reason why a database file cannot be written or created, or None."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "it is a folder or a device, not a file"
        if not os.access(path, os.W_OK):
            return "the file is read-only"
    except FileNotFoundError:
        pass
    except OSError as exc:
        return str(exc.strerror or exc)
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        return f"{folder} is not a folder"
    return None if os.access(folder, os.W_OK | os.X_OK) else f"the folder {folder} is read-only"
