"""How a server listens, and what it accepts."""

import ipaddress
from dataclasses import dataclass
from math import inf

from topwork.errors import UsageError
from topwork.system.advice import either


@dataclass(frozen=True)
class Settings:
    """The settings of a server.

    Args:
        host, port: where it listens; port 0 takes any that is free.
        token: that every request must have; ``None``: none is needed.
        is_open: whether others may be let in without a token.
        max_bytes: of a request.
        max_pixels: of a picture; larger ones are not decoded.
        max_pictures: of a request.
        max_waiting: the number of requests that may wait; further ones get the status 503.
        timeout: the seconds that a request may take.

    Raises:
        UsageError: a value is not valid; or others could use the server without a token, and *is_open* is false.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    is_open: bool = False
    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    max_pictures: int = 32
    max_waiting: int = 64
    timeout: float = 30.0

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_pixels", "max_pictures", "timeout"):
            value = getattr(self, name)
            if not 0 < value < inf:
                option = either(name, f"--{name.replace('_', '-')}")
                raise UsageError(f"{option} = {value:g}: expected a number above 0.")
        if self.token is not None and (not self.token or not self.token.isascii() or not self.token.isprintable()):
            raise UsageError(f"{either('token', '--token')} is empty or has characters that a header cannot have.")
        if self.token is None and not self.is_open and not is_loopback(self.host):
            raise UsageError(
                f"on {self.host}, other machines could use the server, and no token is set. Set one with "
                f"{either('token=', '--token')}, or allow everybody with {either('is_open=True', '--open')}."
            )


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.2", "::1", "0.0.0.0", "example.org")]
    [True, True, True, False, False]
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
