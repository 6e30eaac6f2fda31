"""Records that come late, twice and in any order are a journal again."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.replay.sources import spool
from regnal.replay.sources.spool import Spool
from tests.examples import examples
from tests.journal.builders import damages
from tests.journal.damaging import MUSEUM, contents_of, lines_of
from tests.replay.sources.cases import lines_in

LINES = [text.rstrip(b"\n") for text in lines_of(contents_of(MUSEUM / "pg1"))[:250]]
"""Of both incarnations."""


@pytest.fixture(scope="module", autouse=True)
def _many_files() -> object:
    """Small buckets and little memory, so that every path is taken."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "BUCKET", 32)
        patch.setattr(spool, "AHEAD", 20_000)
        yield


@given(data=st.data(), again=st.lists(st.sampled_from(LINES), max_size=50))
@examples(15)
def test_any_order_and_repetition_gives_the_journal(
    data: st.DataObject, again: list[bytes]
) -> None:
    order = data.draw(st.randoms(use_true_random=False))
    texts = [*LINES, *again]
    order.shuffle(texts)
    with tempfile.TemporaryDirectory() as name:
        come = Spool(Path(name) / "spool")
        assert all(map(come.add, texts))
        (directory,) = come.finish()
        assert damages(directory) == []
        assert lines_in(directory) == [text + b"\n" for text in LINES]
        assert [path.name for path in directory.parent.iterdir()] == ["0001"]


@given(payload=st.binary(max_size=80))
def test_what_is_no_record_is_refused(payload: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        come = Spool(Path(name) / "spool")
        assert not come.add(payload)
        assert not come.add(LINES[0] + b"\n" + LINES[1])
        assert not come.add(LINES[0][:-1])
        assert come.finish() == []


def test_numbers_that_are_far_apart_do_not_make_a_million_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "MAXIMUM_BUCKETS", 3)
    come = Spool(tmp_path / "spool")
    told = [
        come.add(LINES[0].replace(b'{"n":1,', b'{"n":%d,' % (number * 10**6 + 1)))
        for number in range(5)
    ]
    assert told == [True, True, True, False, False]
