import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from gateway_service.simulator.corpus import play, read

DATA = Path(__file__).parents[2] / "data"


def data_generator():
    spec = spec_from_file_location("generate", DATA / "generate.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def file(tmp_path):
    def write(text):
        (tmp_path / "a.jsonl").write_bytes(text.encode())
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('{"t":"A","s":1,"op":0,"d":{"x":1}}', b'{"x":1}'),
        ('{"d": [1,  2] ,"t":"A"}', b"[1,  2]"),
        ('\t{ "t" : "A" , "d" : null }\r', b"null"),
        ('{"t":"A","d":"\\ud83d\\ude00 \\"d\\":"}', b'"\\ud83d\\ude00 \\"d\\":"'),
        ('{"t":"A","d":123456789012345678901234567890}', b"123456789012345678901234567890"),
        ('{"t":"A","d":{"d":{"t":"B"}}}', b'{"d":{"t":"B"}}'),
        ('{"t":"A","d":"\u2028\x85"}', '"\u2028\x85"'.encode()),
    ],
)
def test_the_text_of_d_is_exact(file, line, text):
    [recorded] = read(file(line))
    assert (recorded.event, recorded.text) == ("A", text)


def test_files_and_lines_keep_their_order(file, tmp_path):
    file('{"t":"A","d":1}\n\n{"t":"B","d":2}\n')
    (tmp_path / "b.jsonl").write_bytes(b'{"t":"C","d":3}')
    assert [recorded.event for recorded in read(tmp_path)] == ["A", "B", "C"]


@pytest.mark.parametrize("event", ["READY", "RESUMED"])
def test_recorded_session_control_is_left_out(file, event):
    assert list(read(file(f'{{"t":"{event}","d":{{}}}}'))) == []


@pytest.mark.parametrize("line", ["[]", '{"t":"A"}', '{"t":1,"d":1}', '{"t":"A","d":1', '{"t" "A"}', '{"t":"A","d":}'])
def test_a_bad_line_is_named(file, line):
    with pytest.raises(ValueError, match=r"a\.jsonl:2: "):
        list(read(file('{"t":"A","d":1}\n' + line)))


def test_an_empty_directory_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="jsonl"):
        list(read(tmp_path))


def test_each_dispatch_goes_to_the_shard_of_its_guild(discord, file):
    connections = [discord.dial(), discord.dial()]
    for shard_id, connection in enumerate(connections):
        discord.identify(connection, [shard_id, 2], intents=0)
        discord.now += 5
    directory = file(f'{{"t":"A","d":{{"guild_id":"{1 << 22}"}}}}\n{{"t":"B","d":null}}')

    played = play(directory, discord.hub)

    assert [(entry.recorded.event, entry.session_id, entry.seq) for entry in played] == [
        ("A", connections[1].session.session_id, 2),
        ("B", connections[0].session.session_id, 2),
    ]


def test_the_committed_data_is_what_the_generator_makes():
    assert (DATA / "dispatches.jsonl").read_bytes() == data_generator().committed_text().encode()


def test_the_generated_data_has_what_breaks_naive_code(tmp_path):
    recorded = list(read(data_generator().write(tmp_path)))
    texts = [entry.text for entry in recorded]
    assert max(map(len, texts)) > 400_000
    assert any(entry.data is None for entry in recorded)
    assert any(b"__type__" in text for text in texts)
    assert any(b"123456789012345678901234567890" in text for text in texts)
    assert all(json.loads(text) == entry.data for text, entry in zip(texts, recorded, strict=True))
