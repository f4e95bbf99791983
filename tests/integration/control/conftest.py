import pytest

from tests.support.control_stack import running_stack


@pytest.fixture(scope="session")
def stack(rabbitmq, rabbitmq_vhosts, tmp_path_factory):
    """Eight shards in two supervisors on RabbitMQ, for every test of this folder."""
    rabbitmq.start()
    with running_stack(rabbitmq_vhosts.take(), tmp_path_factory.mktemp("control")) as stack:
        yield stack
