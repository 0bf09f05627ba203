"""Sinks: what each of them promises, and what a webhook sends and never says."""

import contextlib
import datetime
import email.utils
import logging
from collections.abc import Iterator

import pytest

from agents.embedded import free_port
from agents.sinks import SINKS, BadAddress, Event, Refused, Stdout, Unreachable, Webhook, encoded
from tests.hooks import Hook

EVENT = Event(
    "driftline.alerts",
    b'{"id": "1",\n "model": "m"}',
    {"id": "1", "type": "driftline.alert.v1", "source": "/driftline/m%20x/1", "specversion": "1.0"},
)


@contextlib.contextmanager
def webhook(address: str) -> Iterator[Webhook]:
    sink = Webhook(address)
    try:
        yield sink
    finally:
        sink.close()


@pytest.mark.parametrize("name", SINKS)
def test_every_sink_refuses_a_bad_address_in_words(name: str) -> None:
    with pytest.raises(BadAddress, match="address"):
        SINKS[name]("gopher://x")


def test_stdout_prints_one_line_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    sink = Stdout("")
    sink.deliver(EVENT)
    sink.deliver(EVENT)
    sink.close()
    assert capsys.readouterr().out == '{"id": "1",  "model": "m"}\n' * 2


def test_a_webhook_is_sent_a_cloudevent() -> None:
    with Hook() as hook, webhook(f"{hook.url}/in?key=1") as sink:
        sink.deliver(EVENT)
    (request,) = hook.requests
    assert (request.path, request.body) == ("/in?key=1", EVENT.value)
    told = {name: value for name, value in request.headers.items() if name.startswith("ce-")}
    assert told == {
        "ce-id": "1",
        "ce-type": "driftline.alert.v1",
        "ce-source": "/driftline/m%2520x/1",
        "ce-specversion": "1.0",
    }
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("driftline/")


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_what_was_taken_is_delivered(status: int) -> None:
    with Hook(status) as hook, webhook(hook.url) as sink:
        sink.deliver(EVENT)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_time_may_heal_is_tried_again(status: int) -> None:
    with (
        Hook(status) as hook,
        webhook(hook.url) as sink,
        pytest.raises(Unreachable, match=f"answered {status}"),
    ):
        sink.deliver(EVENT)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 410, 422])
def test_anything_else_is_refused(status: int) -> None:
    elsewhere = (status, {"location": "http://127.0.0.1:1/"})
    with (
        Hook(elsewhere) as hook,
        webhook(hook.url) as sink,
        pytest.raises(Refused, match=f"answered {status}"),
    ):
        sink.deliver(EVENT)
    assert len(hook.requests) == 1


def in_half_an_hour() -> str:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=30)
    return email.utils.format_datetime(moment, usegmt=True)


@pytest.mark.parametrize(
    ("after", "least", "most"),
    [("7", 7, 7), ("999999", 3_600, 3_600), ("in half an hour", 1_700, 1_801), ("soon", 0, 0),
     ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0), ("-5", 0, 0)],
)  # fmt: skip
def test_a_server_may_ask_for_patience(after: str, least: float, most: float) -> None:
    after = in_half_an_hour() if after == "in half an hour" else after
    with (
        Hook((503, {"retry-after": after})) as hook,
        webhook(hook.url) as sink,
        pytest.raises(Unreachable) as again,
    ):
        sink.deliver(EVENT)
    assert least <= again.value.after_s <= most


def test_nobody_there_is_tried_again() -> None:
    with (
        webhook(f"http://127.0.0.1:{free_port()}") as sink,
        pytest.raises(Unreachable, match="ConnectError"),
    ):
        sink.deliver(EVENT)


def test_a_user_in_the_address_is_a_header() -> None:
    with Hook() as hook, webhook(hook.url.replace("//", "//bob:hidden1@")) as sink:
        sink.deliver(EVENT)
    assert hook.requests[0].headers["authorization"] == "Basic Ym9iOmhpZGRlbjE="


@pytest.mark.parametrize("status", [200, 404, 503])
def test_secrets_of_an_address_are_never_said(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.NOTSET)
    said = ""
    with Hook(status) as hook:
        address = f"{hook.url.replace('//', '//bob:hidden1@')}/hidden2?token=hidden3#hidden4"
        with webhook(address) as sink:
            try:
                sink.deliver(EVENT)
            except (Refused, Unreachable) as error:
                said = repr(error)
            said += repr(sink) + sink.place
    assert hook.requests[0].path == "/hidden2?token=hidden3"
    assert "hidden" not in said + caplog.text


@pytest.mark.parametrize(
    "address", ["", "hooks.example.com/hidden", "ftp://hidden@x", "http://", "https://x:hidden/"]
)
def test_a_bad_address_is_not_repeated(address: str) -> None:
    with pytest.raises(BadAddress) as bad:
        Webhook(address)
    assert "hidden" not in str(bad.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("plain-1.0/x:y", "plain-1.0/x:y"), ("a b", "a%20b"), ('"', "%22"), ("50%", "50%25"),
     ("é", "%C3%A9"), ("a\r\nset: x", "a%0D%0Aset:%20x"), ("😀", "%F0%9F%98%80")],
)  # fmt: skip
def test_attributes_are_encoded_as_the_binding_says(value: str, expected: str) -> None:
    assert encoded(value) == expected


def test_a_sink_is_a_class_with_deliver() -> None:
    assert all(callable(getattr(sink, "deliver", None)) for sink in SINKS.values())
