"""Who may ask from where: only pages of this app, at an address that this app serves.

The Origin must be the very address that the request came to; and that address must be one of the app's own, because a
foreign page can have its own name point to this computer ("DNS rebinding") and then has Origin and Host agree.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from state.channel.refusals import Refusal

OWN_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
WILDCARDS = frozenset({"0.0.0.0", "::"})
"""Addresses that mean "every address of this computer"."""
_PORTS = {"http": 80, "https": 443}


def check_origin(origin: str | None, scheme: str, host: str | None, hosts: Collection[str] = ()) -> None:
    """Turn away what does not come from a page of this app.

    Parameters
    ----------
    origin : str or None
        The request's Origin header.
    scheme : str
        ``http`` or ``https``: how the request came.
    host : str or None
        The request's Host header.
    hosts : collection of str
        Addresses that the app is configured to serve, beside those of this computer. With a wildcard among them, every
        numeric address counts: a foreign page has a name, and cannot have the browser send a number instead.

    Raises
    ------
    Refusal
        403 with code ``origin``.
    """
    asked = _place(f"{scheme}://{host}") if host else None
    came = _place(origin) if origin else None
    if asked is None or came is None or asked != came or not _served(asked[1], hosts):
        raise Refusal(403, "origin", "Only pages of this app may speak to its store. Open the app at its own address.")


def _place(address: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port; None for what is no address of a site."""
    try:
        parts = urlsplit(address)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        return None
    if scheme not in _PORTS or not host or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    return scheme, host.rstrip("."), port or _PORTS[scheme]


def _served(host: str, hosts: Collection[str]) -> bool:
    known = {name.strip("[]").lower() for name in hosts if name}
    if host in OWN_HOSTS or host in known - WILDCARDS:
        return True
    return bool(known & WILDCARDS) and _numeric(host)


def _numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
