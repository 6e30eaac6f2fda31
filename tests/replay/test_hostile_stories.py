"""Whatever befell the journals, and whoever forged them: something is told, nothing raised."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from regnal.cli.main import regnal
from regnal.events.spans.otlp_json import export_request
from regnal.journal.segment_input import MAXIMUM_LINE
from regnal.replay.case import opened
from regnal.replay.explaining.explain import Investigation
from regnal.replay.telling.html.page import story_html
from regnal.replay.telling.markdown import story_markdown
from regnal.replay.telling.text import incidents_text, story_text
from regnal.replay.telling.waterfall_svg import waterfall_svg
from regnal.replay.tracing import spans_of, traces_of
from tests.examples import examples
from tests.journal.damaging import (
    MUSEUM,
    Contents,
    contents_of,
    falsehoods,
    foreign,
    forgeries,
    of_the_future,
    rewritten,
    several,
    write,
)

MEMBERS = ("pg1", "pg2", "pg3")
REAL = {name: contents_of(MUSEUM / name) for name in MEMBERS}


def written(journals: Mapping[str, Contents], directory: str) -> dict[str, Path]:
    return {
        name: write(contents, Path(directory) / name)
        for name, contents in journals.items()
    }


def tell_all(directories: Mapping[str, Path]) -> Investigation:
    """The list and some stories, in every form; each can be written as UTF-8."""
    found = Investigation(directories)
    incidents_text(found.listed(), width=80, style=plain).encode()
    for incident in found.incidents[1::2][:4]:
        story = found.story(incident)
        json.loads(story.model_dump_json())
        story_text(story, width=80, style=plain, is_full=True).encode()
        story_markdown(story, is_full=True).encode()
        page = story_html(story, is_full=True)
        assert "<script>alert" not in page
    return found


def plain(text: str, kind: str) -> str:
    return text


@given(data=st.data())
@examples(5)  # each reads and tells three journals
def test_no_harm_and_no_forgery_makes_a_story_fail(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        harmed = {
            member: data.draw(
                falsehoods(contents) | several(contents) | forgeries(contents),
                label=member,
            ).contents
            for member, contents in REAL.items()
        }
        tell_all(written(harmed, name))


@given(data=st.data())
@examples(5)
def test_no_harm_and_no_forgery_makes_a_trace_fail(data: st.DataObject) -> None:
    """Each can be written in every form."""
    with tempfile.TemporaryDirectory() as name:
        harmed = {
            member: data.draw(
                falsehoods(contents) | several(contents) | forgeries(contents),
                label=member,
            ).contents
            for member, contents in REAL.items()
        }
        written(harmed, name)
        with opened([name]) as case:
            traces = traces_of(spans_of(case))
    for trace in traces:
        json.dumps(export_request(trace.spans)).encode()
        waterfall_svg(trace).encode()


COMMANDS = (
    *(("trace", "export", "-f", form) for form in ("json", "waterfall", "svg")),
    ("trace", "export", "--all"),
    ("trace", "export", "--list"),
    *(("explain", "-f", form) for form in ("text", "markdown", "json", "html")),
    *(("explain", "--list", "-f", form) for form in ("text", "json")),
    ("explain", "-i", "latest~1", "--full"),
    ("journal", "ls"),
    ("journal", "ls", "--json"),
    ("journal", "show"),
    ("journal", "show", "--json"),
    ("journal", "tail"),
    ("journal", "verify"),
    ("journal", "verify", "--json"),
    ("journal", "export", "-o", "bundle.tar.gz"),
)


@given(data=st.data())
@examples(5)
def test_no_command_ends_with_a_traceback(data: st.DataObject) -> None:
    """What cannot be told is told as such, and the status says it."""
    harms = falsehoods(REAL["pg1"]) | several(REAL["pg1"]) | forgeries(REAL["pg1"])
    harm = data.draw(harms, label="harm")
    command = data.draw(st.sampled_from(COMMANDS), label="command")
    with tempfile.TemporaryDirectory() as name:
        place = write(harm.contents, Path(name) / "pg1")
        words = [str(Path(name) / w) if w == "bundle.tar.gz" else w for w in command]
        result = CliRunner().invoke(regnal, [*words, str(place)])
    assert result.exception is None or isinstance(result.exception, SystemExit), (
        result.exc_info
    )
    assert result.exit_code in (0, 1, 2)
    assert "\x1b" not in result.output


def test_a_newer_version_of_the_vocabulary_is_told_as_far_as_it_is_known(
    tmp_path: Path,
) -> None:
    newer = {name: of_the_future(contents) for name, contents in REAL.items()}
    found = tell_all(written(newer, str(tmp_path)))
    assert [one.cause for one in found.listed()] == [
        one.cause
        for one in Investigation({name: MUSEUM / name for name in MEMBERS}).listed()
    ]
    assert not [one for one in found.troubles if "left out" in one.text]


def test_a_record_that_says_what_it_cannot_say_is_told(tmp_path: Path) -> None:
    """It costs its field alone."""
    old, new = b'"in_recovery":', b'"in_recovery":"perhaps","x":'
    forged = rewritten(REAL["pg2"], lambda index, body: body.replace(old, new))
    found = tell_all(written({**REAL, "pg2": forged}, str(tmp_path)))
    (told,) = (one.text for one in found.troubles if "left out" in one.text)
    assert told.startswith("pg2")
    assert "host_lost" in [one.cause for one in found.listed()]


def test_journals_of_two_clusters_are_not_told_as_one(tmp_path: Path) -> None:
    journals = {**REAL, "pg3": foreign(REAL["pg3"], "other")}
    written(journals, str(tmp_path))
    result = CliRunner().invoke(regnal, ["explain", str(tmp_path)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "other" in result.output


def test_a_huge_record_is_shortened_or_told(tmp_path: Path) -> None:
    """One fits into a line of the journal, the other does not."""
    for size in (100_000, MAXIMUM_LINE):
        long = b'"error":"%b' % (b"x" * size)
        forged = rewritten(
            REAL["pg2"],
            lambda index, body, long=long: body.replace(b'"error":"', long),  # type: ignore[misc]
        )
        found = tell_all(written({"pg2": forged}, str(tmp_path / str(size))))
        assert found.incidents
