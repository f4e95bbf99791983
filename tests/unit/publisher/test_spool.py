"""The spool in its folder: who takes over what, and what becomes of files that cannot be used."""

import pytest

from gateway_service.errors import SpoolCorrupt, SpoolUnavailable
from gateway_service.publisher import Adoption, Owner, Spool
from gateway_service.publisher.spool_file import SpoolFile
from tests.support.publishing import make_envelope

ALL = 10**9
SERVICE = (0, 1, 2, 3)


@pytest.fixture
def spools(tmp_path):
    """Make spools of processes that run some shards of four; all are closed at the end."""
    made = []

    def make(*shard_ids, num_shards=4, service=SERVICE, max_bytes=ALL):
        owner = Owner(num_shards=num_shards, shard_ids=shard_ids, service_shard_ids=service)
        made.append(Spool(tmp_path / "spool", max_bytes, owner))
        return made[-1]

    yield make
    for spool in made:
        spool.close()


def of(shard_id, *seqs, num_shards=4):
    return [make_envelope(seq, session=f"s{shard_id}", shard_id=shard_id, num_shards=num_shards) for seq in seqs]


def die(spool):
    """Let go of the file as a killed process does: nothing is deleted, nothing tidied up."""
    spool._file.close()
    spool._file = None


def files(tmp_path):
    """Return the names of all files that were not cleared."""
    return [name for name, size in sizes(tmp_path).items() if size]


def sizes(tmp_path):
    return {path.name: path.stat().st_size for path in sorted((tmp_path / "spool").glob("*.db"))}


def read(spool):
    return [(each.session, each.seq) for each in spool.read(0, 100, ALL)]


def test_there_is_no_file_before_it_is_needed(spools, tmp_path):
    spools(0).adopt()

    assert files(tmp_path) == []


def test_no_folder_is_made_where_nothing_may_be_written(spools, tmp_path):
    spools(0, max_bytes=0).adopt()

    assert not (tmp_path / "spool").exists()


def test_only_this_user_may_read_it(spools, tmp_path):
    spools(0).append(of(0, 1))

    (name,) = files(tmp_path)
    assert (tmp_path / "spool" / name).stat().st_mode & 0o077 == 0


def test_the_next_process_of_the_shards_takes_over_what_was_left(spools):
    before = spools(0, 1)
    before.append([*of(0, 7, 8), *of(1, 4)])
    die(before)
    after = spools(0, 1)

    adoption = after.adopt()

    assert {(rows.session, rows.count, rows.first_seq, rows.last_seq) for rows in adoption.rows} == {
        ("s0", 2, 7, 8),
        ("s1", 1, 4, 4),
    }
    assert read(after) == [("s0", 7), ("s0", 8), ("s1", 4)]
    assert (after.rows, after.size_bytes) == (3, 3 * make_envelope().size_bytes)


def test_an_emptied_file_is_cleared_when_asked_for_and_the_rows_of_the_next_one_have_larger_numbers(spools, tmp_path):
    spool = spools(0)
    rows = spool.append(of(0, 1, 2))

    spool.delete(dict.fromkeys(rows, make_envelope().size_bytes))
    is_there = bool(files(tmp_path))
    spool.tidy()

    assert (is_there, files(tmp_path), spool.rows, spool.size_bytes) == (True, [], 0, 0)
    assert min(spool.append(of(0, 3))) > max(rows)


def test_what_is_taken_over_later_has_larger_numbers_as_well(spools):
    spool, before = spools(0), spools(0)
    rows = spool.append(of(0, 1, 2))
    spool.delete(dict.fromkeys(rows, make_envelope().size_bytes))
    spool.tidy()
    before.append(of(0, 3))
    die(before)

    spool.adopt()

    assert [(each.seq, each.row > max(rows)) for each in spool.read(max(rows), 100, ALL)] == [(3, True)]


def test_an_emptied_file_is_still_there_for_the_next_process_after_a_crash(spools, tmp_path):
    before = spools(0)
    rows = before.append(of(0, 1, 2))
    before.delete(dict.fromkeys(rows, make_envelope().size_bytes))
    die(before)

    after, (name,) = spools(0), files(tmp_path)
    looks = [after.adopt() for _ in range(6)]

    # The first one clears it; its name stays until every ledger that has it is written anew.
    assert looks == [Adoption(files=frozenset({name}))] * 5 + [Adoption()]


def test_a_file_with_something_in_it_is_not_tidied_away(spools, tmp_path):
    spool = spools(0)
    spool.append(of(0, 1))
    spool.tidy()

    assert (read(spool), len(files(tmp_path))) == ([("s0", 1)], 1)


def test_what_is_written_after_it_comes_after_it(spools):
    before = spools(0)
    before.append(of(0, 1, 2))
    die(before)
    after = spools(0)
    after.adopt()

    after.append(of(0, 3))

    assert read(after) == [("s0", 1), ("s0", 2), ("s0", 3)]


def test_a_living_process_keeps_its_own(spools):
    spools(0, 1).append(of(0, 1))

    adoption = spools(0, 1).adopt()

    assert (adoption.rows, adoption.files, len(adoption.left)) == ((), adoption.left, 1)


def test_with_another_layout_each_process_takes_the_rows_of_its_shards(spools, tmp_path):
    for spool, envelopes in ((spools(0, 1), [*of(0, 1), *of(1, 2)]), (spools(2, 3), [*of(2, 3), *of(3, 4)])):
        spool.append(envelopes)
        die(spool)
    first, second = spools(0), spools(1, 2, 3)

    for _ in range(3):
        first.adopt()
        second.adopt()

    assert read(first) == [("s0", 1)]
    assert sorted(read(second)) == [("s1", 2), ("s2", 3), ("s3", 4)]
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize("stray", [{"num_shards": 8, "shard_id": 1}, {"num_shards": 4, "shard_id": 9}], ids=str)
def test_what_no_process_runs_is_taken_by_the_first(spools, stray):
    before = spools(stray["shard_id"], num_shards=stray["num_shards"])
    before.append(of(stray["shard_id"], 1, num_shards=stray["num_shards"]))
    die(before)
    first, second = spools(0, 1), spools(2, 3)

    assert not second.adopt().rows
    assert [rows.count for rows in first.adopt().rows] == [1]


def test_an_empty_file_is_cleared_at_the_end_and_a_full_one_stays(spools, tmp_path):
    one, other = spools(0), spools(1)
    rows = one.append(of(0, 1))
    other.append(of(1, 1))
    one.delete({rows[0]: make_envelope().size_bytes})

    one.close()
    other.close()

    assert [name.startswith("4-1-") for name in files(tmp_path)] == [True]


def test_a_damaged_file_is_moved_aside_and_the_others_are_taken(spools, tmp_path):
    before = spools(0)
    before.append(of(0, 1))
    die(before)
    (tmp_path / "spool" / "4-0-broken.db").write_bytes(b"this is no database" * 1000)
    after = spools(0)

    adoption = after.adopt()

    assert [rows.count for rows in adoption.rows] == [1]
    (moved,) = adoption.damaged
    assert moved.name.startswith("4-0-broken.db.damaged-")
    assert (adoption.damaged_files, len(adoption.files)) == ({"4-0-broken.db"}, 1)
    assert after.adopt().damaged_files == {"4-0-broken.db"}
    assert moved.is_file()
    assert "4-0-broken.db" not in files(tmp_path)


def test_a_file_damaged_in_use_is_moved_aside_and_another_begun(spools, tmp_path):
    spool = spools(0)
    spool.append(of(0, 1))

    moved = spool.set_aside()
    spool.append(of(0, 2))

    assert moved.is_file()
    assert read(spool) == [("s0", 2)]
    assert len(files(tmp_path)) == 1


def test_a_damaged_file_of_ours_does_not_count_against_what_is_taken_over(spools, tmp_path):
    other, ours = spools(1), spools(0)
    other.append([*of(0, 1), *of(1, 1)])
    ours.append(of(0, 2))
    (innocent,) = [name for name in files(tmp_path) if name.startswith("4-1-")]
    die(other)
    (damaged,) = [name for name in files(tmp_path) if name.startswith("4-0-")]
    ours._file._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ours._file._connection.execute("PRAGMA shrink_memory")
    (tmp_path / "spool" / damaged).write_bytes(b"this is no database" * 2000)

    adoption = ours.adopt()

    assert (adoption.rows, adoption.damaged, adoption.left) == ((), (), {innocent})
    assert damaged in adoption.failure
    assert innocent in files(tmp_path)
    ours.set_aside()
    assert [rows.count for rows in ours.adopt().rows] == [1]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "spool").write_text("a file")
    spool = Spool(tmp_path / "spool" / "bot", ALL, Owner(num_shards=1, shard_ids=[0], service_shard_ids=[0]))

    with pytest.raises(SpoolUnavailable, match="it cannot be made or written"):
        spool.append(of(0, 1))


def test_a_file_of_another_version_is_not_touched(tmp_path):
    file = SpoolFile(tmp_path / "a.db")
    file._connection.execute("PRAGMA user_version = 99")
    file.close()

    with pytest.raises(SpoolCorrupt, match="schema 99"):
        SpoolFile(tmp_path / "a.db")


def test_a_full_disk_is_told_and_what_was_written_stays(tmp_path):
    file = SpoolFile(tmp_path / "a.db")
    file.append(of(0, 1))
    file._connection.execute("PRAGMA max_page_count = 4")

    with pytest.raises(SpoolUnavailable, match="the disk is full; make room"):
        file.append([make_envelope(2, raw=b"x" * 100_000)])

    assert [each.seq for each in file.read(0, 10, ALL)] == [1]
    file.close()


def test_a_full_spool_says_so_and_settles_below_three_quarters(spools):
    size = make_envelope().size_bytes
    spool = spools(0, max_bytes=4 * size)
    rows = spool.append(of(0, 1, 2, 3, 4))
    before = (spool.why_full(), spool.has_settled)

    spool.delete({rows[0]: size})

    assert before == (f"it has its {4 * size} bytes", False)
    assert (spool.why_full(), spool.has_settled) == (None, True)
