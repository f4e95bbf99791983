import copy

from gateway_service.worker.topology import event_queue


def test_an_event_queue_is_named_by_group_and_event():
    assert event_queue("MESSAGE_CREATE").name == "default.MESSAGE_CREATE"


def test_a_dead_message_of_an_event_queue_has_somewhere_to_go():
    arguments = event_queue("A").queue_arguments

    assert arguments == {"x-queue-type": "quorum", "x-dead-letter-exchange": "gateway.dead", "x-delivery-limit": 3}


def test_a_broker_without_quorum_queues_gets_no_arguments():
    assert event_queue("A", quorum=False).queue_arguments is None


def test_what_is_sent_to_an_event_queue_goes_to_no_other():
    queue = event_queue("A", "moderation")

    assert (queue.exchange.name, queue.exchange.type, queue.routing_key) == ("gateway.retries", "topic", "moderation.A")


def test_an_event_queue_collects_every_lane():
    assert event_queue("A").events_keys == ("A.*",)


def test_a_copy_of_an_event_queue_collects_the_same():
    # kombu binds copies of a queue to channels.
    assert copy.copy(event_queue("A")).events_keys == ("A.*",)
