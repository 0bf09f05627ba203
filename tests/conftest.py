"""Fixtures: real servers, started when first asked for, and said at the end which they were."""

import contextlib
import functools
import os
import signal
import uuid
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import redis

from agents import waiting
from agents.complaints import suggest
from agents.embedded import EmbeddedRedis
from tests import redises, servers
from tests.brokers import Unavailable
from tests.leaks import leaks, leaks_in_logs
from tests.processes import ENTRY
from tests.servers import Kafka, Redis
from tests.workers import HOURLY, Deploy, Deployment

if TYPE_CHECKING:
    from tests.brokers import ApacheKafka
    from tests.certificates import Papers
    from tests.nurseries import Nursery
    from tests.outages import Scene, Stage
    from tests.proxies import Proxy
    from tests.secured import SecuredKafka, SecuredRedis
    from tests.worlds import Play

ROOT = Path(__file__).parent.parent
TAKEN = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mutant", help="Break what tests/mutants.py lists under this name.")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TAKEN] = {}
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # a shell's background: children inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if name := config.getoption("--mutant"):
        _mutate(name)
    # A busy machine is no failure; continuous integration asks the same questions every time.
    hypothesis.settings.register_profile(
        "steady",
        deadline=None,
        derandomize="CI" in os.environ,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("steady")


def _mutate(name: str) -> None:
    """In this process, and in the workers that it starts."""
    from tests import mutants  # noqa: PLC0415 - few runs need it

    if name not in mutants.MUTANTS:
        raise pytest.UsageError(f"--mutant {name!r}: {suggest(name, mutants.MUTANTS)}")
    mutants.apply(name)
    ENTRY[:] = ["tests.mutants", name]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where tests run side by side, each process says what it used."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["taken"] = session.config.stash[TAKEN]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process has ended: remember what it used."""
    taken = getattr(node, "workeroutput", {}).get("taken", {})
    for name, text in taken.items():
        node.config.stash[TAKEN][f"{name} of {node.gateway.id}"] = text


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which servers were used, and how long each file of tests took."""
    for name, text in sorted(terminalreporter.config.stash[TAKEN].items()):
        terminalreporter.write_line(f"{name}: {text}")
    seconds: defaultdict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.split("::")[0]] += report.duration
    terminalreporter.section("seconds by file")
    for path, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        terminalreporter.write_line(f"{spent:8.2f}  {path}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that prints or logs a password has failed."""
    report = yield
    for title, text in report.sections:
        if found := leaks(text):
            report.outcome = "failed"
            report.longrepr = f"{title} holds passwords: {', '.join(found)}"
    return report


@pytest.fixture(scope="session", autouse=True)
def no_password_in_any_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Workers and servers write their logs into the folders of the tests."""
    yield
    assert leaks_in_logs(tmp_path_factory.getbasetemp()) == []


@pytest.fixture(scope="session")
def kafka(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kafka]:
    """The best Kafka that can be had here; see `tests/servers.py`."""
    with servers.choose_kafka(tmp_path_factory.mktemp("kafka")) as found:
        request.config.stash[TAKEN]["kafka"] = f"{found.kind}, {found.bootstrap} ({found.note})"
        if servers.real_kafka_required() and not found.is_real:
            pytest.fail(f"DRIFTLINE_REQUIRE_KAFKA is set, and there is only {found.note}")
        yield found


@pytest.fixture(scope="session")
def mock_kafka() -> Iterator[Kafka]:
    """librdkafka's mock cluster, also where there is a real one."""
    with servers.mock_kafka() as found:
        yield found


@pytest.fixture(scope="session")
def real_kafka(kafka: Kafka) -> Kafka:
    """For what the mock cannot do: rebalances, admin calls, retention."""
    if not kafka.is_real:
        pytest.skip(f"needs an Apache Kafka; this is {kafka.note}")
    return kafka


@pytest.fixture(scope="session", params=["mock", "real"])
def broker(request: pytest.FixtureRequest) -> Kafka:
    """Both in turn, for the tests that must hold on either."""
    found = request.getfixturevalue(f"{request.param}_kafka")
    assert isinstance(found, Kafka)
    return found


@pytest.fixture(scope="session")
def redis_server(request: pytest.FixtureRequest) -> Iterator[Redis]:
    """A Redis for the whole run."""
    with servers.choose_redis() as found:
        request.config.stash[TAKEN]["redis"] = f"{found.kind}, {found.url} ({found.note})"
        yield found


@pytest.fixture(scope="module", params=sorted(redises.binaries()))
def play(request: pytest.FixtureRequest) -> Iterator["Play"]:
    """Scenarios of the store, on each Redis server that this machine has."""
    from tests.worlds import play_on  # noqa: PLC0415 - after a mutant is in place

    with redises.serve(redises.binaries()[request.param]) as path:
        yield functools.partial(play_on, path)


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> "Papers":
    """Certificates, made anew for every run."""
    from tests.certificates import Papers  # noqa: PLC0415 - few tests need it

    return Papers.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def secured_kafka(
    papers: "Papers", tmp_path_factory: pytest.TempPathFactory
) -> Iterator["SecuredKafka"]:
    """A Kafka that asks who we are. It starts Apache Kafka, whatever the other tests run on."""
    from tests.secured import SecuredKafka  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("secured") / "kafka"
    with or_skipped(), SecuredKafka(folder, papers.authority) as found:
        yield found


@pytest.fixture(scope="session")
def secured_redis(
    papers: "Papers", tmp_path_factory: pytest.TempPathFactory
) -> Iterator["SecuredRedis"]:
    """A Redis that asks who we are."""
    from tests.secured import SecuredRedis  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("redis")
    with or_skipped(), SecuredRedis(folder, papers.authority) as found:
        yield found


@pytest.fixture(scope="session")
def proxied(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple["ApacheKafka", "Proxy"]]:
    """A Kafka that may be stopped and started, and the proxy that its clients can stay on."""
    from tests.proxies import proxied_kafka  # noqa: PLC0415

    with or_skipped(), proxied_kafka(tmp_path_factory.mktemp("proxied") / "kafka") as found:
        yield found


@pytest.fixture
def stage(
    proxied: tuple["ApacheKafka", "Proxy"],
    own_redis: EmbeddedRedis,
    nursery: "Nursery",
    namespace: str,
    tmp_path: Path,
) -> Iterator["Stage"]:
    """Makes a deployment whose workers reach Kafka and Redis through proxies."""
    from tests.outages import scene  # noqa: PLC0415

    with contextlib.ExitStack() as stack:

        def make(**more: Any) -> "Scene":
            made = stack.enter_context(scene(proxied, own_redis, namespace, tmp_path, **more))
            made.d.starting = nursery.start
            return made

        yield make


@contextlib.contextmanager
def or_skipped() -> Iterator[None]:
    """For servers of a test's own: without them it is skipped, or fails where they must be."""
    try:
        yield
    except Unavailable as why:
        if servers.real_kafka_required():
            pytest.fail(str(why))
        pytest.skip(str(why))


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """The address of an empty database."""
    with contextlib.closing(redis.Redis.from_url(redis_server.url)) as client:
        client.flushdb()
        client.script_flush()
    return redis_server.url


@pytest.fixture(scope="module")
def redis_socket() -> Iterator[str]:
    """The socket of a Redis that a module has to itself, restarts and rollbacks included."""
    with redises.serve(sorted(redises.binaries().values())[-1]) as path:
        yield path


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off begins at nothing: for lost answers that are many, of a Redis that is never away."""
    monkeypatch.setattr(waiting, "FIRST_S", 0.0)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of the test's own, which keeps its data on disk: to be killed and started again."""
    binary = servers.redis_binary()
    folder = str(tmp_path)
    with EmbeddedRedis(binary, appendonly="yes", appendfsync="always", dir=folder) as server:
        yield server


@pytest.fixture
def namespace() -> str:
    """A prefix for topics, groups and keys that nobody else uses."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of the real data sets: DRIFTLINE_DATA, or ../shared/data beside the project."""
    given = os.environ.get("DRIFTLINE_DATA")
    path = Path(given) if given else ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no real data at {path}; DRIFTLINE_DATA names another place")
    return path


@pytest.fixture
def deploy(broker: Kafka, redis_url: str, namespace: str, tmp_path: Path) -> Iterator[Deploy]:
    """Makes a deployment on either broker; everything it started ends with the test."""
    yield from _deploy(broker, redis_url, namespace, tmp_path)


@pytest.fixture
def deploy_real(
    real_kafka: Kafka, redis_url: str, namespace: str, tmp_path: Path
) -> Iterator[Deploy]:
    """The same, for what the mock cannot do."""
    yield from _deploy(real_kafka, redis_url, namespace, tmp_path)


@pytest.fixture(scope="session")
def nursery() -> Iterator["Nursery"]:
    """Starts workers in a tenth of a second."""
    from tests.nurseries import Nursery  # noqa: PLC0415 - few tests need it

    with Nursery() as found:
        yield found


@pytest.fixture
def deploy_forked(deploy_real: Deploy, nursery: "Nursery") -> Deploy:
    """The same with such workers, for tests that are not about how one starts."""

    def make(tables: str = HOURLY, **more: Any) -> Deployment:
        made = deploy_real(tables, **more)
        made.starting = nursery.start
        return made

    return make


def _deploy(kafka: Kafka, redis_url: str, namespace: str, folder: Path) -> Iterator[Deploy]:
    with contextlib.ExitStack() as stack:

        def make(tables: str = HOURLY, url: str = redis_url, **settings: Any) -> Deployment:
            made = Deployment(kafka, url, namespace, folder, tables, **settings)
            return stack.enter_context(made)

        yield make
