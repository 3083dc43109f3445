"""What protects the console in a browser: headers of every page, and which requests may change something. Pure functions."""

from collections.abc import Mapping

from gateway.core.errors import Forbidden

# No script, style, frame or connection of another site, and none inside the page (W3C CSP 3). Images in answers of models
# are shown only if they come inside the answer itself, so that an answer cannot tell another site that it was read.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
SAFE_METHODS = frozenset({"GET", "HEAD"})


def check_same_origin(method: str, headers: Mapping[str, str]) -> None:
    """Checks that a page of this gateway sent a request that may change something; other sites cannot use its cookie.

    Browsers send `Sec-Fetch-Site` (W3C Fetch Metadata) and `Origin` (RFC 6454) with such requests, and pages cannot change them.

    Raises:
        Forbidden: another site sent it, or no browser did.
    """
    if method in SAFE_METHODS:
        return
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is None and origin is None:
        raise Forbidden(
            "Requests that change something need the headers of a browser. Programs use the API instead: see /docs."
        )
    if site is not None and site != "same-origin":
        raise Forbidden("Another site sent this request.")
    authority = None if origin is None else origin.partition("://")[2]
    if authority is not None and (not authority or authority != headers.get("host")):
        raise Forbidden("A page of another address sent this request.")
