"""Who asks for a page: the operator, or the holder of a gateway key, who sees its own requests and spending only."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import Scope

from gateway.config.access import Grant
from gateway.console.sessions import Session, Sessions, admin_digest
from gateway.core.errors import AuthenticationFailed, Forbidden
from gateway.core.identity import KeyIdentity
from gateway.http.auth import check_operator
from gateway.http.service import Service

COOKIE = "locus_session"
POLL = b"x-locus-poll"  # a header of requests that a page sends by itself: an open page keeps no session alive
# Requests that the operator sends from the console. A key of the portfolio file with this name limits what they may cost.
PLAYGROUND = "playground"
OPERATOR = Grant(KeyIdentity("console", "console"))


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks for a page.

    Attributes:
        operator: may see and change everything.
        grant: what requests to models may do, and who pays for them.
        session: the login; None: the operator on the gateway's own machine, who needs none.
    """

    operator: bool
    grant: Grant
    session: Session | None = None

    @property
    def key_id(self) -> str | None:
        """The id of the only key whose requests may be shown; None: all."""
        return None if self.operator else self.grant.identity.id

    def need_operator(self) -> None:
        """
        Raises:
            Forbidden: the visitor is not the operator.
        """
        if not self.operator:
            raise Forbidden("This page is for the operator: log in with the admin key.")


class NotLoggedIn(AuthenticationFailed):
    """There is no session, or it is over."""


async def visitor_of(scope: Scope, service: Service, cookies: Mapping[str, str]) -> Visitor:
    """Who sent a request.

    Raises:
        NotLoggedIn: an admin key is set, and the request has no session that is valid.
        Forbidden: none is set, and the request may come from another machine or site.
        StoreUnavailable: the database of sessions is away.
    """
    settings = service.in_force.portfolio.settings
    if settings.admin_key is None:
        check_operator(dict(scope["headers"]), settings)
        return Visitor(True, operator_grant(service))
    value = cookies.get(COOKIE, "")
    polls = any(name == POLL for name, _ in scope["headers"])
    session = await sessions_of(service).find(value, polls=polls) if value else None
    if session is None:
        raise NotLoggedIn("Log in to see this page.")
    if session.key_id is None:
        if not hmac.compare_digest(session.digest, admin_digest(settings.admin_key.to_bytes())):
            raise NotLoggedIn("The admin key was replaced: log in with the new one.")
        return Visitor(True, operator_grant(service), session)
    try:
        return Visitor(False, await service.keys.grant_of_digest(session.key_id, session.digest), session)
    except AuthenticationFailed as exc:
        raise NotLoggedIn(exc.message) from exc


def sessions_of(service: Service) -> Sessions:
    """
    Raises:
        Forbidden: the gateway has no database for sessions.
    """
    if service.database is None:
        raise Forbidden("The console keeps its sessions in the database: set `record` or `store` under `gateway`.")
    return Sessions(service.database)


def operator_grant(service: Service) -> Grant:
    """What requests of the operator's playground may do."""
    return service.keys.file_keys.named(PLAYGROUND) or OPERATOR
