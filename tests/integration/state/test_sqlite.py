"""One SQLite file under many hands, and when it is broken."""

import dataclasses
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_service.errors import StateUnavailable
from gateway_service.protocol.guilds import GuildSnapshot
from gateway_service.protocol.session import Session
from gateway_service.state import Namespace, Taken, open_state
from gateway_service.state.reserve import SIZE_BYTES
from gateway_service.state.sqlite import SCHEMA_VERSION, SqliteState
from tests.support.disk import fill, small_disk

BOT = Namespace("100", 4)
SESSION = Session(
    session_id="s",
    resume_gateway_url="wss://resume.discord.gg",
    seq=7,
    shard_id=0,
    num_shards=4,
    intents=1,
    guilds=GuildSnapshot(),
)

WRITER = """
import sys
from pathlib import Path
from gateway_service.protocol.guilds import GuildSnapshot
from gateway_service.protocol.session import Session
from gateway_service.protocol.guilds import GuildSnapshot
from gateway_service.protocol.session import Session
from gateway_service.state import Namespace
from gateway_service.state.sqlite import SqliteState

shard_id = int(sys.argv[2])
state = SqliteState(Path(sys.argv[1]), Namespace("100", 4))
for seq in range(100):
    state.save([Session(session_id="s", resume_gateway_url="u", seq=seq, shard_id=shard_id, num_shards=4, intents=1,
                        guilds=GuildSnapshot())])
    known = max((each.number for each in state.identifies()), default=0)
    state.take_permit(seq * 4 + shard_id, max_concurrency=10_000, known=known)
state.close()
"""


def opened(path, **settings):
    return SqliteState(path, BOT, **settings)


def take(state, shard_id):
    """Take a permit, knowing of every one before."""
    known = max((each.number for each in state.identifies()), default=0)
    return state.take_permit(shard_id, max_concurrency=16, known=known)


def test_a_clock_that_was_set_back_keeps_no_key_taken(tmp_path):
    state = opened(tmp_path / "state.db")
    take(state, 0)
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute("UPDATE identifies SET taken_at = taken_at + 86400, free_at = free_at + 86400")
    connection.close()

    assert isinstance(take(state, 16), Taken)
    assert [each.age_s == 0 for each in state.identifies()] == [True, False]
    state.close()


def test_several_processes_make_and_write_one_file(tmp_path):
    path = tmp_path / "state.db"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(shard_id)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )
        for shard_id in range(4)
    ]

    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    state = opened(path)
    taken = state.identifies()
    assert [state.load(shard_id).seq for shard_id in range(4)] == [99] * 4
    assert len(taken) == len({each.number for each in taken}) > 100  # the others came to know of one too late
    state.close()


def test_a_relative_path_starts_at_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_state("sqlite:///.gateway/state.db", BOT).close()

    assert (tmp_path / ".gateway" / "state.db").is_file()


def test_the_file_is_for_its_owner_alone(tmp_path):
    opened(tmp_path / "state.db").close()

    assert (tmp_path / "state.db").stat().st_mode & 0o077 == 0


def test_a_session_that_cannot_be_read_is_as_good_as_none(tmp_path):
    path = tmp_path / "state.db"
    opened(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO sessions VALUES ('100', 4, 0, 1, 'a', 1, '{\"of\": \"another version\"}')")
    connection.close()

    state = opened(path)
    assert state.load(0) is None
    state.close()


def make_foreign(path):
    path.write_text("this is no database, and long enough to be seen as something else than an empty file" * 20)


def make_corrupt(path):
    opened(path).close()
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xa5" * (len(content) - 100))


def make_newer(path):
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()


def make_directory(path):
    path.mkdir()


@pytest.mark.parametrize(
    ("break_it", "cure"),
    [
        (make_foreign, "it is no SQLite file; move it away or name another file"),
        (make_corrupt, "move it away"),
        (make_newer, f"schema {SCHEMA_VERSION + 1}"),
        (make_directory, "it cannot be opened; give this user the right to"),
    ],
    ids=["foreign", "corrupt", "newer", "directory"],
)
def test_a_broken_file_is_named_with_its_cure(tmp_path, break_it, cure):
    path = tmp_path / "state.db"
    break_it(path)

    with pytest.raises(StateUnavailable) as caught:
        opened(path).load(0)
    assert str(path) in str(caught.value)
    assert cure in str(caught.value)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(
        StateUnavailable, match=r"file/state\.db is not available: it cannot be made: File exists: .*/file"
    ):
        opened(tmp_path / "file" / "state.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_only_be_read_is_told(tmp_path):
    path = tmp_path / "state.db"
    opened(path).close()
    path.chmod(0o400)

    with pytest.raises(StateUnavailable, match="give this user the right"):
        opened(path)


def test_a_locked_file_is_told_after_the_busy_timeout_and_works_again_after(tmp_path):
    path = tmp_path / "state.db"
    state = opened(path, busy_timeout_s=0.05)
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StateUnavailable, match="another program has it locked"):
        take(state, 0)
    foreign.execute("ROLLBACK")
    foreign.close()

    take(state, 1)

    assert [each.shard_id for each in state.identifies()] == [1]
    state.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_on_a_full_disk_sessions_can_be_read_and_nothing_can_be_saved(tmp_path):
    with small_disk(tmp_path / "disk", size_kib=512) as disk:
        state = opened(disk / "state.db")
        state.save([SESSION])
        fill(disk)
        another = opened(disk / "state.db")

        assert another.load(0) == SESSION
        with pytest.raises(StateUnavailable, match="the disk is full; make room"):
            another.save([dataclasses.replace(SESSION, session_id="s" * 100_000)])
        with pytest.raises(StateUnavailable, match="the disk is full; make room"):
            another.save([])  # as doctor asks
        another.close()
        state.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_on_a_full_disk_the_reserve_is_spent_on_what_must_be_saved_and_filled_again(tmp_path):
    with small_disk(tmp_path / "disk", size_kib=4 * SIZE_BYTES // 1024) as disk:
        state = opened(disk / "state.db")
        state.save([SESSION])
        reserve = disk / "state.db.reserve"
        assert reserve.stat().st_size == SIZE_BYTES
        filling = fill(disk)
        larger = dataclasses.replace(SESSION, session_id="s" * 100_000)

        state.save([larger])
        assert not reserve.exists()
        assert opened(disk / "state.db").load(0) == larger
        filling.unlink()
        another = opened(disk / "state.db")
        another.save([SESSION])

        assert reserve.exists()
        another.close()
        state.close()


@pytest.mark.parametrize("put_another", [False, True], ids=["removed", "replaced"])
def test_a_file_that_vanishes_in_use_is_told_and_made_again(tmp_path, put_another):
    path = tmp_path / "state.db"
    state = opened(path)
    take(state, 0)
    for file in tmp_path.glob("state.db*"):
        file.unlink()
    if put_another:
        opened(path).close()

    with pytest.raises(StateUnavailable, match="removed or replaced while in use; it is made again"):
        take(state, 1)
    take(state, 2)
    state.close()

    assert path.stat().st_mode & 0o077 == 0
    assert [each.shard_id for each in opened(path).identifies()] == [2]


def test_old_identifies_make_room_for_new_ones(tmp_path):
    state = opened(tmp_path / "state.db", max_identifies=2)
    for shard_id in range(4):
        take(state, shard_id)

    assert [each.shard_id for each in state.identifies()] == [2, 3]
    state.close()


CLAIMER = """
import sys
from pathlib import Path
from gateway_service.protocol.guilds import GuildSnapshot
from gateway_service.protocol.session import Session
from gateway_service.state import Namespace
from gateway_service.state.sqlite import SqliteState

print(sorted(SqliteState(Path(sys.argv[1]), Namespace("100", 4)).claim([1, 2])), flush=True)
sys.stdin.read()
"""


def test_shards_belong_to_one_process_until_it_ends(tmp_path):
    path = tmp_path / "state.db"
    ours, of_another_bot = opened(path), SqliteState(path, Namespace("200", 4))
    with subprocess.Popen(
        [sys.executable, "-c", CLAIMER, str(path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout.readline() == b"[]\n"
        claims = [ours.claim([0, 1, 2, 3]), ours.claim([0, 3]), of_another_bot.claim([1])]
        other.kill()

    assert claims == [{1, 2}, frozenset(), frozenset()]
    assert ours.claim([0, 1, 2, 3]) == frozenset()
    ours.close()
    of_another_bot.close()


def test_a_closed_store_says_so(tmp_path):
    state = opened(tmp_path / "state.db")
    state.close()

    with pytest.raises(StateUnavailable, match="closed"):
        state.load(0)
