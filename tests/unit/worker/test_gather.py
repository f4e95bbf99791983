import logging

import pytest

from gateway_service.worker.gather import Gather, Part, Verdict

LOG = logging.getLogger("test")
ERRORS = (ConnectionError,)


class BrokerMessage:
    """Notes how it was settled."""

    def __init__(self) -> None:
        self.settled: list[str] = []

    def acknowledge(self, logger, errors):
        assert (logger, errors) == (LOG, ERRORS)
        self.settled.append("acknowledged")

    def reject(self, logger, errors, requeue):
        assert (logger, errors) == (LOG, ERRORS)
        self.settled.append("requeued" if requeue else "dead")


@pytest.fixture
def message():
    return BrokerMessage()


def parts_of(message, number):
    gather = Gather(number, message.acknowledge, message.reject)
    return [Part(gather) for _ in range(number)]


def test_a_message_is_open_while_one_of_its_tasks_is(message):
    first, _second = parts_of(message, 2)

    first.acknowledge(LOG, ERRORS)

    assert message.settled == []


def test_a_message_is_acknowledged_when_all_its_tasks_are(message):
    for part in parts_of(message, 3):
        part.acknowledge(LOG, ERRORS)

    assert message.settled == ["acknowledged"]


def test_a_task_counts_once_however_often_it_settles(message):
    first, second = parts_of(message, 2)

    first.acknowledge(LOG, ERRORS)
    first.acknowledge(LOG, ERRORS)
    first.reject(LOG, ERRORS, requeue=True)
    still_open = list(message.settled)
    second.acknowledge(LOG, ERRORS)

    assert (still_open, message.settled) == ([], ["acknowledged"])


@pytest.mark.parametrize(
    ("verdicts", "settled"),
    [
        (["acknowledge", "dead"], "dead"),
        (["dead", "acknowledge"], "dead"),
        (["requeue", "acknowledge"], "requeued"),
        (["dead", "requeue"], "requeued"),
        (["requeue", "dead"], "requeued"),
    ],
)
def test_the_gravest_verdict_counts(message, verdicts, settled):
    for part, verdict in zip(parts_of(message, len(verdicts)), verdicts, strict=True):
        if verdict == "acknowledge":
            part.acknowledge(LOG, ERRORS)
        else:
            part.reject(LOG, ERRORS, requeue=verdict == "requeue")

    assert message.settled == [settled]


def test_a_run_that_goes_on_elsewhere_is_settled_here(message):
    gather = Gather(2, message.acknowledge, message.reject)
    Part(gather, lambda: Verdict.ACKNOWLEDGED).reject(LOG, ERRORS, requeue=True)
    Part(gather).acknowledge(LOG, ERRORS)

    assert message.settled == ["acknowledged"]


def test_a_run_that_is_made_again_here_stays_open(message):
    gather = Gather(1, message.acknowledge, message.reject)
    first = Part(gather, lambda: None)
    first.reject(LOG, ERRORS, requeue=True)
    first.acknowledge(LOG, ERRORS)
    still_open = list(message.settled)
    Part(gather).acknowledge(LOG, ERRORS)

    assert (still_open, message.settled) == ([], ["acknowledged"])


def test_a_rejected_run_is_dead_and_not_made_again(message):
    Part(Gather(1, message.acknowledge, message.reject), lambda: None).reject(LOG, ERRORS, requeue=False)

    assert message.settled == ["dead"]
