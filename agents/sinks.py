"""Sinks: where a bridge delivers events. One class with `deliver` each, and one line in SINKS.

`deliver` returns once the event is safe with the other side, and raises Refused (never again) or
Unreachable (later) where it is not. What a sink says about its address never holds a secret.
"""

import dataclasses
import datetime
import email.utils
import importlib.metadata
import logging
import sys
import urllib.parse
from collections.abc import Mapping
from typing import Protocol

import httpx

MEDIA_TYPE = "application/json"
AGAIN = frozenset({408, 425, 429})  # of 4xx: those that time may heal
LONGEST_S = 3_600.0  # what a server may ask us to wait
CONNECT_S, ANSWER_S = 5.0, 15.0


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """What a sink is given. attributes: CloudEvents' without prefix: id, type, source, time, ..."""

    topic: str
    value: bytes
    attributes: Mapping[str, str]


class Refused(Exception):
    """The other side does not take this event, and would not take it again."""


class Unreachable(Exception):
    """It may take it later. after_s: when it asked to be tried again, if it did."""

    def __init__(self, words: str, after_s: float = 0.0) -> None:
        super().__init__(words)
        self.after_s = after_s


class BadAddress(ValueError):
    """A sink cannot deliver to what it was given; the text says what it needs."""


class Sink(Protocol):
    """Takes events, one at a time, in order."""

    def __init__(self, address: str) -> None: ...

    def deliver(self, event: Event) -> None:
        """Raises Refused or Unreachable."""

    def close(self) -> None:
        """Let go of connections."""


class Stdout:
    """One line of JSON an event."""

    def __init__(self, address: str) -> None:
        """Raises BadAddress where there is an address."""
        if address:
            raise BadAddress("stdout takes no address")

    def deliver(self, event: Event) -> None:
        """Print it. Line breaks within JSON are only between its tokens, and go."""
        sys.stdout.write(event.value.decode("utf-8", "replace").replace("\n", " ") + "\n")
        sys.stdout.flush()

    def close(self) -> None:
        """Nothing is kept open."""


class Webhook:
    """POST to a URL: CloudEvents' HTTP binding in binary mode, the event's JSON as the body.

    2xx is delivered; 408, 425, 429, 5xx and no answer are tried again; anything else is refused.
    Redirects are not followed: an event goes where it was sent or nowhere.
    """

    def __init__(self, address: str, transport: httpx.BaseTransport | None = None) -> None:
        """Raises BadAddress. A user and password in the address become an Authorization header."""
        self.place = _place(address)
        # It would log every address at INFO, secrets and all.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        logging.getLogger("httpcore").setLevel(logging.WARNING)
        self._address = address
        self._client = httpx.Client(
            transport=transport,
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            headers={"user-agent": f"driftline/{_version()}"},
        )

    def deliver(self, event: Event) -> None:
        """Post it. The answer's body is not read."""
        headers = {"content-type": MEDIA_TYPE} | {
            f"ce-{name}": encoded(value) for name, value in event.attributes.items()
        }
        try:
            with self._client.stream(
                "POST", self._address, content=event.value, headers=headers
            ) as answer:
                status, after = answer.status_code, answer.headers.get("retry-after", "")
        except httpx.TransportError as error:
            # Its text may repeat the address; its kind says enough.
            raise Unreachable(f"{self.place}: {type(error).__name__}") from None
        if 200 <= status < 300:
            return
        if status >= 500 or status in AGAIN:
            raise Unreachable(f"{self.place} answered {status}", _seconds(after))
        raise Refused(f"{self.place} answered {status}")

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


SINKS: dict[str, type[Sink]] = {
    "stdout": Stdout,
    "webhook": Webhook,
}


def encoded(value: str) -> str:
    """A CloudEvents attribute as an HTTP header's value (HTTP binding 1.0.2, section 3.1.3.2).

    >>> encoded('Euro € 100%')
    'Euro%20%E2%82%AC%20100%25'
    """
    plain = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"%')
    return urllib.parse.quote(value, safe=plain)


def _place(address: str) -> str:
    """Scheme and host: all that is ever said of an address, for any other part may be secret."""
    try:
        parts = urllib.parse.urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
        httpx.URL(address)
    except (ValueError, httpx.InvalidURL):
        raise BadAddress("the webhook's address is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadAddress("a webhook needs an address that begins with http:// or https://")
    return f"{parts.scheme}://{parts.hostname}{port}"


def _seconds(after: str) -> float:
    """Retry-After, seconds or a date, as seconds from now; 0 where it says nothing."""
    if after.isascii() and after.isdigit():
        return min(float(after), LONGEST_S)
    try:
        moment = email.utils.parsedate_to_datetime(after)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        return 0.0
    left = (moment - datetime.datetime.now(datetime.UTC)).total_seconds()
    return min(max(left, 0.0), LONGEST_S)


def _version() -> str:
    try:
        return importlib.metadata.version("driftline")
    except importlib.metadata.PackageNotFoundError:
        return "0"
