"""The section `gateway` of a portfolio file -> `Settings`."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from gateway.config.document import Document, Place
from gateway.config.front_ends import FRONT_ENDS
from gateway.config.portfolio import (
    BreakerSettings,
    HedgeSettings,
    LoadSettings,
    RetrySettings,
    Settings,
    UtilityCalls,
    is_loopback,
)
from gateway.config.references import Values
from gateway.config.schema import BESIDE_RECORD, GatewayEntry, UtilityCallsEntry
from router.model.policy import Policy


def read_settings(
    document: Document, values: Values, gateway: GatewayEntry, policies: Mapping[str, Policy]
) -> Settings:
    """The settings of the section `gateway`."""
    keys = [values.own_key(("gateway", "keys", i), key) for i, key in enumerate(gateway.keys)]
    admin_key = None if gateway.admin_key is None else values.own_key(("gateway", "admin_key"), gateway.admin_key)
    if admin_key is not None and admin_key in keys:
        number = keys.index(admin_key)
        document.report(
            ("gateway", "admin_key"),
            f"the same as gateway.keys[{number}], whose holders would read metrics and details; choose another one",
        )
    if not gateway.keys and not is_loopback(gateway.host):
        document.report(
            ("gateway", "host"), f"found {gateway.host!r}; without `keys` only a loopback address is served"
        )
    if not gateway.keys and "*" in gateway.cors_origins:
        document.report(
            ("gateway", "cors_origins", gateway.cors_origins.index("*")),
            "found '*'; without `keys` every web page that a browser on this machine shows could use the gateway",
        )
    return Settings(
        host=gateway.host,
        port=gateway.port,
        keys=tuple(key for key in keys if key is not None),
        cors_origins=tuple(gateway.cors_origins),
        admin_key=admin_key,
        shutdown_grace_s=gateway.shutdown_grace,
        load=LoadSettings(
            gateway.max_requests,
            gateway.max_queued,
            gateway.queue_timeout,
            None if gateway.max_memory_mb is None else int(gateway.max_memory_mb * (1 << 20)),
        ),
        max_body_bytes=int(gateway.max_body_mb * (1 << 20)),
        record=_record(document, gateway),
        store_prompts=gateway.store_prompts,
        responses=_responses(document, gateway),
        response_retention_s=gateway.response_retention,
        retry=RetrySettings(gateway.retries, gateway.max_retry_after, gateway.retry_budget),
        hedging=None if gateway.hedging is None else HedgeSettings(gateway.hedging.quantile, gateway.hedging.budget),
        failover_for_named=gateway.failover_for_named,
        stream_recovery=gateway.stream_recovery,
        keep_alive_s=gateway.keep_alive,
        switch_price=gateway.switch_price,
        utility_calls=_utility_calls(document, gateway.utility_calls, policies),
        breaker=BreakerSettings(gateway.breaker_failures, gateway.cool_down, gateway.max_cool_down),
    )


def _utility_calls(
    document: Document, entry: UtilityCallsEntry | None, policies: Mapping[str, Policy]
) -> UtilityCalls | None:
    if entry is None:
        return None
    where: Place = ("gateway", "utility_calls")
    if entry.policy not in policies:
        document.report((*where, "policy"), f"found {entry.policy!r}, expected one of {', '.join(policies)}")
    if not entry.front_ends and not entry.patterns:
        document.report(where, "expected `front_ends` or `patterns`, to recognise the calls by")
    patterns = []
    for i, name in enumerate(entry.front_ends):
        if name in FRONT_ENDS:
            patterns.append(re.compile(FRONT_ENDS[name]))
        else:
            document.report((*where, "front_ends", i), f"found {name!r}, expected one of {', '.join(FRONT_ENDS)}")
    for i, pattern in enumerate(entry.patterns):
        try:
            patterns.append(re.compile(pattern))
        except re.error as exc:
            document.report((*where, "patterns", i), f"not a regular expression: {exc}")
    return UtilityCalls(entry.policy, tuple(patterns))


def _record(document: Document, gateway: GatewayEntry) -> Path | None:
    """Where the file does not say, it is in the working directory: the file's own folder may be one to read only."""
    if gateway.record is None:
        return None
    return document.file(gateway.record) if "record" in gateway.model_fields_set else Path(gateway.record)


def _responses(document: Document, gateway: GatewayEntry) -> Path | None:
    if gateway.responses == BESIDE_RECORD:
        record = _record(document, gateway)
        return None if record is None else record.with_name(f"{record.stem}-responses.db")
    return None if gateway.responses is None else document.file(gateway.responses)


def check_writable(document: Document, settings: Settings) -> None:
    """Reports a record, or a store of responses, that cannot be written."""
    for key, path in (("record", settings.record), ("responses", settings.responses)):
        if path is not None and (fault := _unwritable(path)) is not None:
            document.report(("gateway", key), f"{path} cannot be written: {fault}; write another path, or null")


def _unwritable(path: Path) -> str | None:
    """Why a database file cannot be written, or made; None where it can."""
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
