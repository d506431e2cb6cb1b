"""Which addresses may be asked, and what a server is called when we speak of it.

In: an address, and the first address of the run (`home`), which a person or the settings named.
Out: None, or why it is left alone.

- Every address but the first may be a stranger's choice: a redirect, a link, the server that a directory names. It must
  be encrypted and lead to the public internet, so that nobody sends us into a local network.
- When the first address is on this machine, others on this machine are fine too: that is how the tests play a network.

Not covered: a name that leads elsewhere the next time it is looked up (DNS rebinding); encryption is what protects
there, because a device in a local network has no certificate for a stranger's name.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

LONGEST_ADDRESS = 2_000  # characters


def refusal(home: str, url: str) -> str | None:
    """What is wrong with an address.

    >>> refusal("https://social.example", "http://other.example/a")
    'is not an encrypted address'
    >>> refusal("https://social.example", "https://127.0.0.1/"), refusal("http://127.0.0.1:1", "http://127.0.0.1:2/")
    ('is not on the public internet', None)
    """
    parts = _split(url)
    host = parts.hostname or ""
    if is_local(home) and _is_local_host(host):
        return None
    if parts.scheme != "https":
        return "is not an encrypted address"
    if host != _split(home).hostname and _is_private(host):
        return "is not on the public internet"
    return None


def server_of(url: str) -> str:
    """
    >>> server_of("https://social.example:8443/@bob?a=1")
    'https://social.example:8443'
    """
    parts = _split(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def name_of(url: str) -> str:
    """What to call a server: without what an address may hold of a password, and short.

    >>> name_of("https://user:secret@social.example:8443/@bob?a=1")
    'social.example:8443'
    """
    name = _split(url).netloc.rpartition("@")[2]
    return "".join(char for char in name if char.isprintable())[:100]


def is_local(url: str) -> bool:
    """Whether it is on this machine.

    >>> is_local("http://127.0.0.1:8080"), is_local("http://localhost"), is_local("https://example.org")
    (True, True, False)
    """
    return _is_local_host(_split(url).hostname or "")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.hostname  # raises where brackets don't match
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts


def _is_local_host(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def _is_private(host: str) -> bool:
    """Whether a name leads into a local network; one that can't be looked up is left to the request."""
    return any(not _is_public(address) for address in _addresses(host))


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    inside = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
    return bool(inside.is_global and not inside.is_multicast)


def _addresses(host: str) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    with contextlib.suppress(ValueError):
        yield ipaddress.ip_address(host.partition("%")[0])
        return
    with contextlib.suppress(OSError, UnicodeError):
        for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
            with contextlib.suppress(ValueError):
                yield ipaddress.ip_address(str(address[0]).partition("%")[0])


def server_in(address: str) -> str | None:
    """A web address without the slash at its end; None for what is none.

    >>> server_in("https://pds.example/"), server_in("http://["), server_in("ftp://pds.example")
    ('https://pds.example', None, None)
    """
    if len(address) > LONGEST_ADDRESS or not address.isprintable() or not address.isascii():
        return None
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        return None
    return address.rstrip("/") if valid and " " not in address else None
