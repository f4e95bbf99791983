"""load_options: precedence, where a fault comes from, and what is nobody's business."""

import pytest

from gateway_service.errors import EX_CONFIG, ConfigurationError
from gateway_service.settings import SETTINGS, load_options, load_worker_options

TOKEN = {"DISCORD_TOKEN": "abc.def.ghi"}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def toml(tmp_path, text):
    path = tmp_path / "settings.toml"
    path.write_text(text, "utf-8")
    return path


def faults(flags=None, env=None, config_file=None):
    with pytest.raises(ConfigurationError) as refused:
        load_options(flags or {}, TOKEN if env is None else {**TOKEN, **env}, config_file)
    return refused.value.faults


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(tmp_path):
    file = toml(tmp_path, "shard_count = 1\nprocesses = 1\nlarge_threshold = 60")
    env = {**TOKEN, "GATEWAY_SHARD_COUNT": "2", "GATEWAY_PROCESSES": "2"}

    options = load_options({"shard_count": "3", "processes": None}, env, file)

    assert (options.shard_count, options.processes, options.large_threshold) == (3, 2, 60)
    assert options.log_level == "info"


def test_the_file_is_found_by_its_name_in_the_working_folder(tmp_path):
    (tmp_path / "gateway.toml").write_text("shard_count = 7")

    assert load_options({}, TOKEN).shard_count == 7


def test_the_file_is_found_by_the_variable(tmp_path):
    (tmp_path / "gateway.toml").write_text("shard_count = 7")
    env = {**TOKEN, "GATEWAY_CONFIG": str(toml(tmp_path, "shard_count = 8"))}

    assert load_options({}, env).shard_count == 8


def test_the_file_has_toml_values(tmp_path):
    file = toml(
        tmp_path,
        """
        shard_count = "auto"
        shards = [0, "4-5"]
        intents = ["GUILDS", "GUILD_MESSAGES"]
        tasks = ["my_bot.tasks"]
        [presence]
        status = "idle"
        """,
    )

    options = load_options({}, TOKEN, file)

    assert (options.shard_count, options.shards, int(options.intents)) == ("auto", (0, 4, 5), 513)
    assert (options.tasks, options.presence) == (("my_bot.tasks",), {"status": "idle"})


def test_an_empty_variable_counts_as_not_set():
    assert load_options({}, {**TOKEN, "GATEWAY_SHARDS": "", "GATEWAY_CONFIG": " "}).shards is None


def test_the_brokers_variable_of_celery_is_read_too():
    assert str(load_options({}, {**TOKEN, "CELERY_BROKER_URL": "redis://a/0"}).broker_url) == "redis://a/0"


def test_our_own_broker_variable_wins_over_the_one_of_celery():
    env = {**TOKEN, "CELERY_BROKER_URL": "redis://a/0", "GATEWAY_BROKER_URL": "redis://b/0"}

    assert str(load_options({}, env).broker_url) == "redis://b/0"


def test_an_unknown_key_is_named_with_the_closest_known_one(tmp_path):
    file = toml(tmp_path, "shard_cuont = 3")

    assert faults(config_file=file) == (f"{file}: unknown setting 'shard_cuont'; did you mean 'shard_count'?",)


def test_an_unknown_variable_is_named_with_the_closest_known_one():
    assert faults(env={"GATEWAY_SHARD_COUTN": "3"}) == (
        "GATEWAY_SHARD_COUTN: unknown setting; did you mean 'GATEWAY_SHARD_COUNT'?",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("GATEWAY_SERVICE_PORT", "80"),
        ("GATEWAY_SERVICE_PORT_HTTP", "80"),
        ("GATEWAY_SERVICE_SERVICE_HOST", "10.0.0.1"),
        ("GATEWAY_PORT", "tcp://10.0.0.1:80"),
        ("GATEWAY_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("GATEWAY_SERVICE_PORT_80_TCP_ADDR", "10.0.0.1"),
    ],
)
def test_what_kubernetes_puts_into_every_environment_is_not_a_setting(name, value):
    assert load_options({}, {**TOKEN, name: value})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"shard_count = \n", "is not valid TOML: Invalid value (at line 1, column 15)"),
        (b"x = '\xff'", "is not UTF-8 text, at byte 6"),
    ],
)
def test_a_file_that_is_no_toml_is_told_with_the_place(tmp_path, content, sentence):
    file = tmp_path / "bad.toml"
    file.write_bytes(content)

    assert faults(config_file=file) == (f"{file}: {sentence}",)


def test_a_file_that_is_not_there_is_told(tmp_path):
    missing = tmp_path / "missing.toml"

    assert faults(config_file=missing) == (f"{missing}: cannot be read: No such file or directory",)


def test_a_bad_file_does_not_accuse_the_token_that_may_be_in_it(tmp_path):
    missing = tmp_path / "missing.toml"

    with pytest.raises(ConfigurationError) as refused:
        load_options({}, {}, missing)

    assert refused.value.faults == (f"{missing}: cannot be read: No such file or directory",)


def test_faults_of_every_source_come_together_and_name_where_they_are(tmp_path):
    file = toml(tmp_path, "compression = 'rar'\nunknown_key = 1")

    told = faults({"shard_count": "0"}, {"GATEWAY_INTENTS": "x1", "GATEWAY_NONSENSE": "1"}, file)

    assert [fault.split(": ")[0] for fault in told] == [
        str(file),
        "GATEWAY_NONSENSE",
        "--shard-count",
        "GATEWAY_INTENTS",
        str(file),
    ]


def test_a_missing_token_names_its_variable():
    with pytest.raises(ConfigurationError, match=r"^DISCORD_TOKEN: is not set") as refused:
        load_options({}, {})

    assert refused.value.exit_code == EX_CONFIG


def test_the_token_may_be_in_a_file(tmp_path):
    (tmp_path / "token").write_text("Bot abc.def.ghi\n")

    options = load_options({}, {"DISCORD_TOKEN_FILE": str(tmp_path / "token")})

    assert options.token.get_secret_value() == "abc.def.ghi"


def test_a_stronger_source_of_the_token_beats_a_weaker_one(tmp_path):
    (tmp_path / "token").write_text("abc.def.ghi\n")
    file = toml(tmp_path, f"token_file = '{tmp_path / 'nowhere'}'")

    assert load_options({}, TOKEN, file).token.get_secret_value() == "abc.def.ghi"
    assert load_options({"token_file": str(tmp_path / "token")}, TOKEN).token.get_secret_value() == "abc.def.ghi"


def test_two_tokens_in_one_source_are_refused(tmp_path):
    assert faults(env={"DISCORD_TOKEN_FILE": str(tmp_path)})[0] == (
        "DISCORD_TOKEN and DISCORD_TOKEN_FILE are both set; keep one"
    )


def test_a_token_file_that_cannot_be_read_is_told_once(tmp_path):
    with pytest.raises(ConfigurationError) as refused:
        load_options({}, {"DISCORD_TOKEN_FILE": str(tmp_path / "nowhere")})

    assert refused.value.faults == (
        f"DISCORD_TOKEN_FILE: {tmp_path / 'nowhere'} cannot be read: No such file or directory",
    )


def test_a_worker_reads_its_settings_from_the_same_sources_without_a_token(tmp_path):
    file = toml(tmp_path, "tasks = ['my_bot']\nshard_count = 3")

    options = load_worker_options({"CELERY_BROKER_URL": "redis://a/0"}, file)

    assert (options.tasks, str(options.broker_url)) == (("my_bot",), "redis://a/0")


def test_a_worker_is_told_of_mistyped_names_too():
    with pytest.raises(ConfigurationError, match=r"^GATEWAY_BROKER_ULR: unknown setting; did you mean"):
        load_worker_options({"GATEWAY_BROKER_ULR": "redis://a/0"})


def test_no_two_settings_share_a_name():
    for names in ([s.name for s in SETTINGS], [s.env for s in SETTINGS], [s.flag for s in SETTINGS if s.flag]):
        assert len(set(names)) == len(names)
