"""The page of a story, as a document: complete without a script, and never more than text."""

import json
import re
from base64 import b64encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.replay.explaining.story import Story
from regnal.replay.telling.html.chart import tick_text
from regnal.replay.telling.html.markup import readable, tag
from regnal.replay.telling.html.page import story_html
from regnal.replay.telling.html.points import points_of
from regnal.replay.telling.html.values import command_of, facts_table, span_text
from tests.examples import examples
from tests.replay.telling.documents import Document, read
from tests.replay.telling.stories import (
    changed,
    demo_story,
    empty,
    hostile,
    of_hours,
    shortened,
    with_a_missing_journal,
    with_many_members,
    without_a_successor,
)

VARIANTS = (
    demo_story,
    without_a_successor,
    with_a_missing_journal,
    of_hours,
    with_many_members,
    empty,
)


def page(story: Story, *, is_full: bool = False) -> Document:
    return read(story_html(story, is_full=is_full))


def test_the_verdict_stands_first() -> None:
    story = demo_story()
    assert page(story).one("h1").text == f"{story.verdict.sentence}."


def test_the_figures_are_large() -> None:
    figures = page(demo_story()).one("dl", class_="figures").text
    assert "no writes for16.93 s" in figures
    assert "WAL lost15.8 MiB" in figures
    assert "pg1 → pg2on timeline 2" in figures
    assert "asked for bynobody" in figures


def test_who_asked_is_said() -> None:
    figures = page(demo_story("reign-33")).one("dl", class_="figures").text
    assert "asked for by127.0.0.1" in figures


def test_where_writing_went_on_no_outage_is_drawn() -> None:
    document = page(demo_story("replica-pg3-115"))
    assert "writing went on" in document.one("dl", class_="figures").text
    # One is in the legend.
    assert len(document.all("rect", class_="no-writes")) == 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_event_is_in_the_list_with_its_facts(variant: object) -> None:
    assert callable(variant)
    story: Story = variant()
    document = page(story)
    items = {
        item.attributes["id"]: item.text
        for item in document.all("li")
        if re.fullmatch(r"e\d+", item.attributes.get("id", ""))
    }
    points = points_of(story)
    assert len(items) == len(points) >= len(story.events)
    for number, point in enumerate(points):
        assert point.text in items[f"e{number}"]
        assert point.what in items[f"e{number}"]
        assert f"--after {point.at.record - 1} -n 1" in items[f"e{number}"]


def test_a_link_of_the_chain_that_is_no_event_is_drawn_all_the_same() -> None:
    story = demo_story()
    points = points_of(story)
    told = {(one.member, one.at.record, one.what) for one in points}
    assert {(one.member, one.at.record, one.what) for one in story.chain} <= told
    assert len(points) > len(story.events)
    links = [one.link for one in points if one.link is not None]
    assert sorted(links) == list(range(1, len(story.chain) + 1))


def test_causes_and_effects_lead_to_one_another() -> None:
    points = points_of(demo_story())
    assert any(one.effects for one in points)
    for number, point in enumerate(points):
        for effect in point.effects:
            assert points[effect].cause == number


def test_the_facts_are_tables_in_tables() -> None:
    facts = {
        "candidates": [{"member": "pg2", "received_lsn": 67280608}, {"member": "pg3"}],
        "reason": {"code": "CANDIDATE_NOT_REACHABLE", "parameters": []},
        "leader_gone_at": 958.782,
        "nothing": None,
        "allowed": True,
    }
    document = read(facts_table(facts))
    assert len(document.all("table")) == 2
    text = document.elements[0].text
    assert "0/4029EE0" in text
    assert "clock of that boot" in text
    assert [one.text for one in document.all("th", scope="col")] == [
        "member",
        "received lsn",
    ]


def test_facts_that_are_nested_without_end_are_shown_as_json() -> None:
    deep: dict[str, object] = {}
    for _ in range(60):
        deep = {"in": deep}
    assert len(read(facts_table(deep)).all("table")) < 10


def test_a_missing_journal_is_said() -> None:
    document = page(with_a_missing_journal())
    notes = [one.text for one in document.all("span", class_="note")]
    assert "its journal is missing" in notes
    assert "the journal of pg3 is missing" in document.one("main").text


def test_an_outage_without_an_end_reaches_to_the_end_of_the_journals() -> None:
    document = page(without_a_successor())
    assert "to the end of the journals" in document.one("dl", class_="figures").text
    shading = document.all("rect", class_="no-writes")[0]
    left = float(shading.attributes["x"].rstrip("%"))
    width = float(shading.attributes["width"].rstrip("%"))
    assert left + width == pytest.approx(100)


def test_what_a_member_knew_last_is_told_from_what_it_saw() -> None:
    """The daemon of pg1 was gone: that it leads is only what it wrote last."""
    tracks = page(demo_story()).all("svg", class_="track")
    spoken = {one.attributes["aria-label"].partition(":")[0]: one for one in tracks}
    assert "primary, last known" in spoken["pg1, role"].text
    assert "last known" not in spoken["pg1, daemon"].text
    assert "last known" not in spoken["pg2, role"].text


def test_all_is_told_when_all_is_asked_for() -> None:
    story = demo_story()
    long = changed(story, chain=story.chain * 5)
    assert "and 10 more" in page(long).one("main").text
    assert "and 10 more" not in page(long, is_full=True).one("main").text


def test_the_policy_lets_nothing_run_but_what_is_in_the_page() -> None:
    document = page(demo_story())
    policy = document.one("meta", content="default-src").attributes["content"]
    script = document.one("script", type="module").text
    style = document.one("style").text
    assert f"script-src '{_hash(script)}'" in policy
    assert f"style-src '{_hash(style)}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not any("style" in one.attributes for one in document.elements)


def test_the_page_names_no_other_file() -> None:
    text = story_html(demo_story())
    document = read(text)
    assert not any("src" in one.attributes for one in document.elements)
    assert all(
        one.attributes["href"].startswith("#")
        for one in document.elements
        if "href" in one.attributes
    )
    assert not re.search(r"@import|url\(\s*[\"']?[^#\"']", document.one("style").text)


def test_every_link_within_the_page_leads_somewhere() -> None:
    document = page(demo_story())
    ids = [one.attributes["id"] for one in document.elements if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    assert {
        one.attributes["href"][1:]
        for one in document.elements
        if "href" in one.attributes
    } <= set(ids)


ATTACKS = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "javascript:alert(1)",
    "</style></title></textarea>",
    "&lt;script&gt; &#60;b&#62; &amp;",
    "\u2028\u2029\u202e\x00\x1b[2J\ud800\ufffe",
    "${alert(1)} {{7*7}} `x`",
)


@given(
    st.one_of(
        st.sampled_from(ATTACKS),
        st.text(max_size=40),
        st.text(alphabet="<>&\"'/!-=; \n\t`", max_size=40),
    )
)
@examples(20)
def test_no_text_of_a_journal_becomes_markup(text: str) -> None:
    attacked = story_html(hostile(text, shortened()))
    harmless = story_html(hostile("x" * len(text), shortened()))
    assert read(attacked).structure == read(harmless).structure
    attacked.encode()  # a file can hold it


@pytest.mark.parametrize("text", ATTACKS)
def test_what_was_written_is_shown_as_it_was_written(text: str) -> None:
    document = page(hostile(text))
    assert readable(text) in document.one("h1").text
    data = document.one("script", id="report").text
    assert "<" not in data
    assert "\u2028" not in data
    assert json.loads(data)["points"][0][-1].endswith(text)


def test_a_member_cannot_put_a_command_into_the_command() -> None:
    reference = demo_story().chain[0].at.model_copy(update={"member": "$(rm -rf ~); x"})
    assert "'$(rm -rf ~); x.journal'" in read(command_of(reference)).elements[0].text


def test_what_cannot_be_seen_is_shown() -> None:
    assert readable("a\u202eb\x00") == "a⟨U+202E⟩b⟨U+0000⟩"
    assert readable("ä\n\t→ 漢") == "ä\n\t→ 漢"


def test_an_attribute_is_left_out_or_bare_or_escaped() -> None:
    written = tag(
        "a", "x", href=None, hidden=True, title='"', class_="b", disabled=False
    )
    assert written == '<a hidden title="&quot;" class="b">x</a>'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.0004, "0.4 ms"),
        (0.226, "0.23 s"),
        (16.9339, "16.93 s"),
        (245.0, "4 min 05 s"),
        (7800.0, "2 h 10 min"),
        (90000.0, "1 d 01 h"),
    ],
)
def test_a_span_is_told_in_two_units_at_most(seconds: float, text: str) -> None:
    assert span_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "step", "text"),
    [
        (0.0, 5.0, "+0 s"),
        (16.84, 0.01, "+16.84 s"),
        (-2.0, 1.0, "\N{MINUS SIGN}2 s"),
        (90.0, 30.0, "+1:30 min"),
        (61.5, 0.5, "+1:01.5 min"),
        (7200.0, 3600.0, "+2:00 h"),
    ],
)
def test_a_tick_has_as_many_digits_as_its_step(
    seconds: float, step: float, text: str
) -> None:
    assert tick_text(seconds, step) == text


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
