"""What every store of runs does; a subclass says how to open one."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from gateway_service.errors import ConfigurationError, StateUnavailable
from gateway_service.state.once import Done, Granted, Held, RunKey, open_once
from tests.support.waiting import wait_until

RUN = RunKey("100", "run")
OTHER_RUN = RunKey("100", "run:1")
AS_LONG_AS_IT_WAS = RunKey("100", "as long as it was")
LEASE_S = 600.0
A_MOMENT_S = 0.05
A_WHILE_S = 0.5  # long enough for another call before it is over


class OnceContract:
    def open(self):
        """Open the one store of this test, as each process does."""
        raise NotImplementedError

    @pytest.fixture
    def once(self):
        once = self.open()
        yield once
        once.close()

    @pytest.fixture
    def another(self):
        another = self.open()
        yield another
        another.close()

    def test_of_all_who_ask_at_the_same_moment_one_gets_the_run(self, once, another):
        stores = [once, another] * 8
        with ThreadPoolExecutor(len(stores)) as threads:
            claims = list(threads.map(lambda pair: pair[1].begin(RUN, f"o{pair[0]}", LEASE_S), enumerate(stores)))

        assert sum(isinstance(claim, Granted) for claim in claims) == 1
        assert all(isinstance(claim, Granted | Held) for claim in claims)

    def test_who_comes_later_learns_when_to_come_again(self, once, another):
        once.begin(RUN, "first", LEASE_S)

        claim = another.begin(RUN, "second", LEASE_S)

        assert isinstance(claim, Held)
        assert LEASE_S - 60 < claim.for_s <= LEASE_S

    def test_the_same_owner_gets_a_run_that_is_under_way_no_second_time(self, once):
        once.begin(RUN, "first", LEASE_S)

        assert isinstance(once.begin(RUN, "first", LEASE_S), Held)

    def test_a_run_that_was_made_is_known_to_all(self, once, another):
        once.begin(RUN, "first", LEASE_S)
        once.finish(RUN, LEASE_S)

        assert another.begin(RUN, "second", LEASE_S) == Done()

    def test_runs_are_told_apart_by_their_keys(self, once):
        once.begin(RUN, "first", LEASE_S)

        assert once.begin(OTHER_RUN, "first", LEASE_S) == Granted()
        assert once.begin(RunKey("200", RUN.run), "first", LEASE_S) == Granted()

    def test_when_the_lease_of_a_dead_owner_ends_another_takes_the_run(self, once, another):
        once.begin(RUN, "dead", A_MOMENT_S)

        wait_until(lambda: another.begin(RUN, "second", LEASE_S) == Granted())

    def test_a_renewed_lease_goes_on(self, once, another):
        once.begin(RUN, "first", A_WHILE_S)
        once.renew([RUN], "first", LEASE_S)
        once.begin(AS_LONG_AS_IT_WAS, "first", A_WHILE_S)
        wait_until(lambda: another.begin(AS_LONG_AS_IT_WAS, "second", LEASE_S) == Granted())

        assert isinstance(another.begin(RUN, "second", LEASE_S), Held)

    def test_a_lease_that_the_store_lost_is_taken_again(self, once, another):
        once.renew([RUN], "first", LEASE_S)

        assert isinstance(another.begin(RUN, "second", LEASE_S), Held)

    def test_nobody_renews_the_lease_of_another(self, once, another):
        once.begin(RUN, "first", A_MOMENT_S)
        another.renew([RUN], "second", LEASE_S)

        wait_until(lambda: another.begin(RUN, "second", LEASE_S) == Granted())

    def test_a_run_that_was_made_is_not_renewed(self, once):
        once.finish(RUN, LEASE_S)
        once.renew([RUN], "first", LEASE_S)

        assert once.begin(RUN, "first", LEASE_S) == Done()

    def test_a_run_that_was_given_back_is_free(self, once, another):
        once.begin(RUN, "first", LEASE_S)
        once.release(RUN, "first")

        assert another.begin(RUN, "second", LEASE_S) == Granted()

    def test_nobody_gives_back_what_another_has(self, once, another):
        once.begin(RUN, "first", LEASE_S)
        another.release(RUN, "second")

        assert isinstance(another.begin(RUN, "second", LEASE_S), Held)

    def test_a_run_that_was_made_is_not_given_back(self, once):
        once.begin(RUN, "first", LEASE_S)
        once.finish(RUN, LEASE_S)
        once.release(RUN, "first")

        assert once.begin(RUN, "first", LEASE_S) == Done()

    def test_a_run_is_made_also_when_the_lease_went_to_another_in_the_meantime(self, once, another):
        once.begin(RUN, "slow", A_MOMENT_S)
        wait_until(lambda: another.begin(RUN, "second", LEASE_S) == Granted())
        once.finish(RUN, LEASE_S)

        assert once.begin(RUN, "third", LEASE_S) == Done()

    def test_a_run_that_was_made_is_forgotten_in_the_end(self, once, another):
        once.finish(RUN, A_MOMENT_S)

        wait_until(lambda: another.begin(RUN, "second", LEASE_S) == Granted())


class TestSqlite(OnceContract):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path):
        self.path = tmp_path / "folder" / "once.db"

    def open(self):
        return open_once(f"sqlite:///{self.path}")

    def test_what_was_forgotten_makes_room(self, once):
        once.finish(OTHER_RUN, 0.0)
        once.begin(RUN, "first", LEASE_S)

        assert once._connection.execute("SELECT key FROM runs").fetchall() == [(str(RUN),)]

    def test_a_file_that_is_none_is_named_with_its_cure(self, tmp_path):
        bad = tmp_path / "bad.db"
        bad.write_text("this is a text and no database" * 100)

        with pytest.raises(StateUnavailable, match=r"bad\.db .*it is no SQLite file"):
            open_once(f"sqlite:///{bad}")


class TestRedis(OnceContract):
    @pytest.fixture(autouse=True)
    def place(self, valkey_url):
        self.url = valkey_url

    def open(self):
        return open_once(self.url)

    def test_every_key_is_of_its_bot_and_lives_as_long_as_documented(self, once):
        begun, renewed, finished = [RunKey("100", f"run-{number}") for number in range(3)]
        once.begin(begun, "first", LEASE_S)
        once.renew([renewed], "first", LEASE_S / 2)
        once.finish(finished, LEASE_S * 2)

        with redis.Redis.from_url(self.url, decode_responses=True) as client:
            lives_s = {key: client.pttl(key) / 1000 for key in client.scan_iter()}

        assert lives_s == {
            "gateway:{100}:once:run-0": pytest.approx(LEASE_S, abs=60),
            "gateway:{100}:once:run-1": pytest.approx(LEASE_S / 2, abs=60),
            "gateway:{100}:once:run-2": pytest.approx(LEASE_S * 2, abs=60),
        }


def test_a_server_that_does_not_answer_is_named_without_its_password():
    with pytest.raises(StateUnavailable) as failure:
        open_once("redis://:hunter22@127.0.0.1:1/0")

    assert "127.0.0.1:1" in str(failure.value)
    assert "hunter22" not in str(failure.value)


def test_another_kind_of_store_is_refused():
    with pytest.raises(ConfigurationError, match=r"^once_url: must begin with sqlite:///, redis:// or rediss://$"):
        open_once("postgres://somewhere")
