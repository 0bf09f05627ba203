"""Settings: what a file and the environment may say, and what is said about what they may not."""

from pathlib import Path

import pytest

from agents.settings import BadSettings, Settings, load
from stream.events import Limits
from stream.settings import DAY_S, DetectorSettings, ModelSettings

EXAMPLE = """
[kafka]
brokers = ["a:9092", "b:9093"]
group_id = "watchers"
session_timeout_s = "6s"

[redis]
url = "redis://:swordfish@127.0.0.1:6380/1"
key_prefix = "staging"

[topics]
prefix = "staging.driftline"
create = false

[worker]
stages = ["ledger", "watch"]
checkpoint_s = "500ms"

[http]
port = 0

[limits]
max_ahead_s = "5m"

[intake]
unknown_models = "refuse"

[defaults]
pane_s = "1h"
windows_s = ["1d", "7d"]
owner = "risk team"

[models.credit]
pane_s = "30d"
windows_s = "30d"
ignore = ["customer"]
objectives = { accuracy = 0.8 }

[models.credit.effect_floors]
age = 0.5
"output:prediction" = 0.02

[[models.credit.detectors]]
name = "KSWIN"
signal = "age"
raw = true
parameters = { alpha = 0.001, window_size = 100 }
"""


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA__BROKERS", "REDIS__URL"):
        monkeypatch.delenv(f"DRIFTLINE__{name}", raising=False)


def read(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "driftline.toml"
    path.write_text(text)
    return load(path)


def complaint(tmp_path: Path, text: str) -> str:
    with pytest.raises(BadSettings) as caught:
        read(tmp_path, text)
    return str(caught.value)


def test_defaults_need_no_file() -> None:
    settings = load(None)
    assert settings.kafka.brokers == ("127.0.0.1:9092",)
    assert settings.worker.stages == ("intake", "ledger", "watch")
    assert settings.topics.name("ground-truth") == "driftline.ground-truth"
    assert settings.http.host == "127.0.0.1"
    assert settings.model("any") == ModelSettings()
    assert settings.limits.decoding() == Limits(max_bytes=1_000_000)


def test_every_table_is_read(tmp_path: Path) -> None:
    settings = read(tmp_path, EXAMPLE)
    assert settings.kafka.brokers == ("a:9092", "b:9093")
    assert settings.kafka.session_timeout_s == 6
    assert settings.redis.url.get_secret_value().endswith("6380/1")
    assert settings.worker.checkpoint_s == 0.5
    assert settings.limits.decoding().max_ahead_ms == 300_000
    assert settings.intake.unknown_models == "refuse"
    assert settings.topics.name("events") == "staging.driftline.events"


def test_a_models_own_table_goes_over_the_defaults(tmp_path: Path) -> None:
    settings = read(tmp_path, EXAMPLE)
    credit, other = settings.model("credit"), settings.model("other")
    assert (credit.pane_s, credit.windows_s, credit.owner) == (
        30 * DAY_S,
        (30 * DAY_S,),
        "risk team",
    )
    assert (other.pane_s, other.windows_s) == (3600, (DAY_S, 7 * DAY_S))
    assert credit.ignore == ("customer",)
    assert credit.objectives == {"accuracy": 0.8}
    assert credit.effect_floors == {"age": 0.5, "output:prediction": 0.02}
    wanted = DetectorSettings("KSWIN", "age", True, {"alpha": 0.001, "window_size": 100})
    assert credit.detectors == (wanted,)
    assert type(credit.detectors[0].parameters["window_size"]) is int


def test_the_environment_goes_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE__KAFKA__BROKERS", "c:1, d:2")
    monkeypatch.setenv("DRIFTLINE__HTTP__PORT", "7070")
    monkeypatch.setenv("DRIFTLINE__DEFAULTS__LATENESS_S", "2m")
    settings = read(tmp_path, EXAMPLE)
    assert settings.kafka.brokers == ("c:1", "d:2")
    assert settings.kafka.group_id == "watchers"
    assert settings.http.port == 7070
    assert settings.model("other").lateness_s == 120


@pytest.mark.parametrize("name", ["DRIFTLINE__KAFAK__BROKERS", "DRIFTLINE__KAFKA__BROKER"])
def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "a:1")
    with pytest.raises(BadSettings, match=r"did you mean '(kafka|brokers)'"):
        load(None)


CASES = {
    "[kafka]\nbroker = 'a:1'": ("kafka.broker", "no such key", "did you mean 'brokers'"),
    "[kafak]\nbrokers = ['a:1']": ("kafak", "no such key", "did you mean 'kafka'"),
    "[kafka]\nbrokers = ['a']": ("kafka.brokers", "'a'", "kafka-1:9092"),
    "[kafka]\nbrokers = []": ("kafka.brokers", "[]", "at least 1"),
    "[kafka]\nbrokers = 7": ("kafka.brokers", "7", "tuple"),
    "[http]\nport = 70000": ("http.port", "70000", "less than or equal to 65535"),
    "[http]\nport = 'web'": ("http.port", '"web"', "must be a valid integer"),
    "[worker]\nstages = ['leger']": ("worker.stages.0", '"leger"', "'intake', 'ledger' or 'watch'"),
    "[worker]\ncheckpoint_s = '1x'": ("worker.checkpoint_s", '"1x"', '"90s"'),
    "[worker]\ncheckpoint_s = 0": ("worker.checkpoint_s", "0", "greater than 0"),
    "[intake]\nunknown_models = 'ask'": (
        "intake.unknown_models",
        '"ask"',
        "'register' or 'refuse'",
    ),
    "[topics]\nprefix = 'a b'": ("topics.prefix", '"a b"', "match pattern"),
    "[defaults]\npanes = 1": ("defaults.panes", "no such key", "pane_s"),
    "[defaults]\npane_s = '500ms'": ("defaults.pane_s", "500ms", "whole seconds"),
    "[defaults]\npane_s = 0": ("defaults.pane_s", "0", "more than 0"),
    "[models.m]\npane_s = '7h'": ("models.m.windows_s", "86400", "multiples of pane_s = 25200"),
    "[models.m]\ntask = 'ranking'": ("models.m.task", '"ranking"', "'classification'"),
    "[[models.m.detectors]]\nsignal = 'age'": ("models.m.detectors.0.name", "missing"),
    "[[models.m.detectors]]\nname = 'ADWIN'\nparam = 1": (
        "models.m.detectors.0.param",
        "parameters",
    ),
    "[[defaults.detectors]]\nname = 'ADVIN'": ("defaults.detectors.0: name", "'ADVIN'", "ADWIN"),
    "[models.m]\ntask = 'regression'\n[[models.m.detectors]]\nname = 'DDM'": ("models.m", "'DDM'"),
    "kafka = 3": ("kafka", "3", "must be a valid dictionary"),
}


@pytest.mark.parametrize("text", CASES)
def test_what_is_wrong_is_named_with_its_value_and_what_is_allowed(
    tmp_path: Path, text: str
) -> None:
    said = complaint(tmp_path, text)
    assert len(said.splitlines()) == 1
    assert "driftline.toml" in said
    for part in CASES[text]:
        assert part in said, said


def test_all_that_is_wrong_is_in_one_message(tmp_path: Path) -> None:
    said = complaint(
        tmp_path, "[http]\nport = -1\n[kafka]\ngroup = 'x'\n[worker]\nshutdown_s = 'soon'"
    )
    assert [line.split(": ")[1].split(" ")[0] for line in said.splitlines()] == [
        "kafka.group",
        "worker.shutdown_s",
        "http.port",
    ]


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    assert "line 2" in complaint(tmp_path, "[kafka]\nbrokers = [}\n")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"nowhere\.toml: there is no such file"):
        load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("url", ["http://:swordfish@h", "redis://:swordfish@127.0.0.1"])
def test_a_secret_is_never_shown(tmp_path: Path, url: str) -> None:
    text = f"[redis]\nurl = '{url}'\n"
    if url.startswith("redis"):
        assert "swordfish" not in repr(read(tmp_path, text))
    else:
        assert "swordfish" not in complaint(tmp_path, text)
    assert "swordfish" not in complaint(tmp_path, f"redis = ['{url}']")
    assert "swordfish" not in complaint(tmp_path, f"[redis]\nulr = '{url}'")


def test_settings_do_not_change(tmp_path: Path) -> None:
    settings = load(None)
    with pytest.raises(ValueError, match="frozen"):
        settings.http.port = 1
