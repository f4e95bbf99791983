import os
import sys

from kombu.utils.functional import retry_over_time

from gateway_service.worker.pulse import Pulse, is_staying


def test_a_worker_may_stay_in_a_handler_for_as_long_as_it_takes(app):
    @app.task(name="handler")
    def handler():
        return is_staying(sys._getframe())

    assert handler.apply().get() is True
    assert is_staying(sys._getframe()) is False


def test_a_worker_may_wait_for_a_broker_that_is_away():
    assert retry_over_time(lambda: is_staying(sys._getframe()), OSError) is True


def test_the_first_sign_of_life_is_given_at_once():
    reading, writing = os.pipe()
    Pulse(writing).start()

    assert os.read(reading, 10) == b"."
    os.close(reading)  # which ends it
