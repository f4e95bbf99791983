import re

from docs import generate
from gateway_service.protocol.states import TRANSITIONS


def test_the_page_is_what_the_table_says():
    assert (generate.DOCS / "state-machine.md").read_text("utf-8") == generate.state_machine()


def test_the_diagram_has_every_transition():
    arrows = {
        (before, trigger.strip(), after)
        for before, after, triggers in re.findall(
            r"^    (\w+) --> (\w+): (.+)$", generate.state_machine(), re.MULTILINE
        )
        for trigger in triggers.split(",")
    }

    assert arrows == {(str(before), str(trigger), str(after)) for (before, trigger), after in TRANSITIONS.items()}


def test_an_unknown_argument_is_refused(capsys):
    assert (generate.main(["--help"]), "usage" in capsys.readouterr().err) == (2, True)
