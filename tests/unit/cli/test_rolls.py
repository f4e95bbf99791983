"""What a person is told of a roll over several hosts, by what these answer at its end."""

from gateway_service.cli.rolls import begun_in, left_out_of, waiting_in

BEFORE = {"gateway@a": 100.0, "gateway@b": None, "gateway@c": 100.0}


def roll(host, began_at, state="done", then=(), passed_over=()):
    facts = {"began_at": began_at, "state": state, "then": [*then], "passed_over": [*passed_over]}
    return {"host": f"gateway@{host}", **facts}


def test_hosts_that_rolled_are_all_there_is_to_tell():
    rolls = [roll("a", 200.0), roll("b", 201.0, "halted"), roll("c", 202.0), roll("other", 203.0)]

    assert begun_in(rolls, BEFORE) == rolls[:3]
    assert left_out_of(rolls, BEFORE) == []


def test_a_host_that_died_and_what_the_next_one_did_last_week_are_no_success():
    rolls = [roll("a", 200.0), roll("c", 100.0)]

    silent, waiting = left_out_of(rolls, BEFORE)

    assert begun_in(rolls, BEFORE) == rolls[:1]
    assert (silent["code"], silent["host"]) == ("other_host", "gateway@b")
    assert "gateway@b does not answer" in silent["message"]
    assert (waiting["code"], waiting["host"]) == ("failed", "gateway@c")
    assert "gateway@c has not rolled" in waiting["message"]


def test_a_host_that_was_started_anew_meanwhile_did_not_get_through():
    failures = left_out_of([roll("a", 200.0), roll("b", None, "idle"), roll("c", 100.0)], BEFORE)

    assert [failure["host"] for failure in failures] == ["gateway@b", "gateway@c"]


def test_a_process_that_a_host_has_given_up_is_told():
    [failure] = left_out_of([roll("a", 200.0), roll("b", 201.0, passed_over=[3]), roll("c", 202.0)], BEFORE)

    assert (failure["code"], failure["host"]) == ("not_ready", "gateway@b")
    assert "process 3 of gateway@b was given up" in failure["message"]


def test_a_turn_is_waited_for_while_somebody_before_rolls():
    assert waiting_in([roll("a", 1.0, "rolling", ["gateway@b"]), roll("c", 1.0, "halted", ["gateway@d"])]) == {
        "gateway@b"
    }
