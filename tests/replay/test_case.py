"""Whatever is named, its journals are found, told apart, and readable as one case."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.journal.encoding import line
from regnal.journal.places import segment_path, segments
from regnal.journal.reader import Record, Window, scan
from regnal.journal.segment_input import begun_at
from regnal.journal.verification import verify
from regnal.replay.case import damaged, opened
from regnal.replay.troubles import TROUBLES
from tests.examples import examples
from tests.journal.builders import damages, records
from tests.journal.damaging import (
    MUSEUM,
    contents_of,
    forgeries,
    several,
    write,
)
from tests.replay.sources.cases import (
    MEMBERS,
    bundle_of,
    codes,
    copied,
    lines_in,
    names,
    said,
    small,
)

IDENTIFIER = "7713109121156472471"
"""Of the museum's database cluster."""


def test_a_directory_above_the_journals_of_all_members() -> None:
    with opened([str(MUSEUM)]) as case:
        assert names(case) == list(MEMBERS)
        assert case.expected == MEMBERS
        assert case.troubles == ()
        assert case.missing == ()
        for journal in case.journals:
            assert journal.directory == MUSEUM / journal.member
            assert journal.origin == str(journal.directory)
            assert (journal.scope, journal.system_identifier) == ("demo", IDENTIFIER)
            assert journal.starts[0].incarnation == 1


def test_a_member_whose_journal_is_not_there_is_told() -> None:
    with opened([str(MUSEUM / "pg2"), str(MUSEUM / "pg1")]) as case:
        assert names(case) == ["pg1", "pg2"]
        assert case.missing == ("pg3",)
        assert codes(case) == ["member_missing"]
        assert case.troubles[0].subject == "pg3"


def test_a_bundle_is_read_as_the_directories_that_went_in(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "b.tar.gz", *(MUSEUM / name for name in MEMBERS))
    with opened([str(bundle)]) as case:
        assert names(case) == list(MEMBERS)
        assert case.troubles == ()
        for journal in case.journals:
            assert lines_in(journal.directory) == lines_in(MUSEUM / journal.member)
            assert journal.origin == str(bundle)
            assert journal.configuration is not None
            assert journal.witness is not None
            assert verify(journal.directory, [journal.witness]).is_whole
        unpacked = case.journals[0].directory
        assert unpacked.stat().st_mode & 0o777 == 0o700
    assert not unpacked.parent.parent.exists(), "nothing stays behind"


def test_an_end_that_was_cut_off_a_bundled_journal_is_seen(tmp_path: Path) -> None:
    """The manifest is a witness."""
    bundle_of(tmp_path / "b.tar.gz", MUSEUM / "pg1")
    with opened([str(tmp_path / "b.tar.gz")]) as case:
        (journal,) = case.journals
        segments(journal.directory)[-1].path.unlink()
        assert verify(journal.directory).is_whole
        assert journal.witness is not None
        assert not verify(journal.directory, [journal.witness]).is_whole


def test_several_places_make_one_case(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "b.tar.gz", MUSEUM / "pg3")
    with opened([str(bundle), str(MUSEUM / "pg1"), str(MUSEUM / "pg2")]) as case:
        assert names(case) == list(MEMBERS)
        assert case.troubles == ()


def test_what_is_named_twice_is_read_once() -> None:
    again = MUSEUM / "pg1" / ".." / "pg1"
    with opened([str(MUSEUM), str(again), str(MUSEUM / "pg1")]) as case:
        assert names(case) == list(MEMBERS)
        assert case.troubles == ()


@pytest.mark.parametrize(
    ("place", "code", "why"),
    [
        ("nowhere", "place_unusable", "does not exist; name a journal directory"),
        ("nul\0", "place_unusable", r"'nul\x00' does not exist"),
        ("x" * 5000, "place_unusable", "cannot be read"),
        ("ftp://u:secret@host/x", "place_unusable", "are not read from ftp://"),
        ("http://", "place_unusable", "write http://HOST:PORT"),
        ("http://[::1", "place_unusable", "write http://HOST:PORT"),
        ("nats://", "stream_unusable", "write nats://HOST:PORT/CLUSTER"),
        ("nats://host:port", "stream_unusable", "this is no URL"),
        ("empty", "no_journal", "there is no journal in it"),
        ("text", "bundle_refused", "is not a bundle"),
        ("pipe", "bundle_refused", "is not a plain file"),
        ("dangling", "place_unusable", "does not exist"),
        ("journal-000000000001.jsonl", "place_unusable", "name its directory"),
    ],
)
def test_what_cannot_be_used_is_told_and_the_rest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, code: str, why: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("no bundle\n")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "journal-000000000001.jsonl").write_text("{}\n")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    with opened([place, str(MUSEUM)]) as case:
        assert names(case) == list(MEMBERS)
        assert codes(case) == [code]
        assert why in str(case.troubles[0])
        assert "secret" not in str(case.troubles[0])
    with opened([place]) as case:
        assert case.journals == ()
        assert codes(case) == [code]


def test_a_bundle_that_was_cut_off_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "b.tar.gz", MUSEUM / "pg1", MUSEUM / "pg2")
    content = bundle.read_bytes()
    bundle.write_bytes(content[: len(content) * 2 // 3])
    with opened([str(bundle)]) as case:
        assert names(case)[0] == "pg1"
        assert lines_in(case.journals[0].directory) == lines_in(MUSEUM / "pg1")
        assert codes(case)[0] == "bundle_flawed"
        assert "is not complete" in str(case.troubles[0])


def test_the_journal_of_another_cluster_is_left_out(tmp_path: Path) -> None:
    small(tmp_path / "other", "pg9", "billing")
    with opened([str(tmp_path), str(MUSEUM)]) as case:
        assert names(case) == list(MEMBERS)
        assert codes(case) == ["other_cluster"]
        assert said(case, ["pg9", "the cluster billing", "the cluster demo"])
    with opened([str(tmp_path), str(MUSEUM)], every=True) as case:
        assert names(case) == [*MEMBERS, "pg9"]
        assert case.troubles == ()


def test_a_cluster_of_the_same_name_is_another_one(tmp_path: Path) -> None:
    """Staging and production are both called main: the database cluster tells."""
    copied(tmp_path)
    pg3 = tmp_path / "pg3"
    contents = contents_of(pg3)
    shutil.rmtree(pg3)
    for name, content in contents.items():
        contents[name] = content.replace(IDENTIFIER.encode(), b"7000000000000000001")
    write(contents, pg3)
    with opened([str(tmp_path)]) as case:
        assert names(case) == ["pg1", "pg2"]
        assert codes(case)[0] == "other_cluster"
        assert said(case, [IDENTIFIER, "7000000000000000001"])


def test_of_two_clusters_of_one_size_the_first_that_is_named(tmp_path: Path) -> None:
    small(tmp_path / "a", "pg1", "billing")
    small(tmp_path / "b", "pg1", "orders")
    with opened([str(tmp_path / "b"), str(tmp_path / "a")]) as case:
        assert [journal.scope for journal in case.journals] == ["orders"]


def test_a_bundle_and_the_live_tail_are_joined(tmp_path: Path) -> None:
    """The bundle has the beginning and half of the second segment, the directory the
    end: retention has removed the rest."""
    whole = small(tmp_path / "live")
    expected = lines_in(whole)
    first, second, _ = segments(whole)
    early = tmp_path / "early"
    shutil.copytree(whole, early)
    segments(early)[2].path.unlink()
    (early / "quiet.jsonl").unlink()
    cut = early / second.path.name
    cut.write_bytes(cut.read_bytes()[:-200])
    bundle = bundle_of(tmp_path / "b.tar.gz", early)
    first.path.unlink()
    for places in ([bundle, whole], [whole, bundle]):
        with opened(list(map(str, places))) as case:
            (journal,) = case.journals
            assert codes(case) == ["journal_joined"]
            assert lines_in(journal.directory) == expected
            assert damages(journal.directory) == []
            assert str(bundle) in journal.origin


def test_of_two_copies_the_undamaged_segments_are_taken(tmp_path: Path) -> None:
    for copy, damaged_one in (("a", 0), ("b", 1)):
        shutil.copytree(MUSEUM / "pg1", tmp_path / copy)
        path = segments(tmp_path / copy)[damaged_one].path
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    with opened([str(tmp_path / "a"), str(tmp_path / "b")]) as case:
        (journal,) = case.journals
        assert "journal_joined" in codes(case)
        assert lines_in(journal.directory) == lines_in(MUSEUM / "pg1")


def test_parts_that_follow_each_other_are_joined(tmp_path: Path) -> None:
    whole = small(tmp_path / "early")
    expected = lines_in(whole)
    (tmp_path / "late").mkdir()
    for segment in segments(whole)[1:]:
        segment.path.rename(tmp_path / "late" / segment.path.name)
    (whole / "quiet.jsonl").rename(tmp_path / "late" / "quiet.jsonl")
    with opened([str(tmp_path / "late"), str(whole)]) as case:
        (journal,) = case.journals
        assert lines_in(journal.directory) == expected
        assert damages(journal.directory) == []


def test_of_two_journals_that_do_not_fit_the_newer_is_used(tmp_path: Path) -> None:
    """The journal was lost, and the daemon began another one."""
    small(tmp_path / "lost", begun=1_000.0)
    small(tmp_path / "new", begun=50_000.0)
    for places in (["lost", "new"], ["new", "lost"]):
        with opened([str(tmp_path / one) for one in places]) as case:
            (journal,) = case.journals
            assert journal.directory == tmp_path / "new"
            assert codes(case) == ["journal_conflict"]
            assert said(case, ["pg1", str(tmp_path / "lost"), "left out"])


def test_segments_of_several_members_in_one_directory_are_told_apart(
    tmp_path: Path,
) -> None:
    mixed = small(tmp_path / "mixed", "pg1")
    other = small(tmp_path / "other", "pg2")
    last = segments(mixed)[-1].first
    for segment in segments(other):
        # Later than ours, as if pg2 had gone on in our directory.
        shutil.copy(segment.path, segment_path(mixed, last + 100 + segment.first))
    shutil.rmtree(other)
    with opened([str(mixed)]) as case:
        assert names(case) == ["pg1", "pg2"]
        assert codes(case) == ["journal_mixed"]
        assert said(case, ["pg1 of demo, pg2 of demo"])
        for journal in case.journals:
            starts = [r for r in scan(journal.directory) if isinstance(r, Record)]
            assert {r.fields["member"] for r in starts if r.kind == "start"} == {
                journal.member
            }


def test_a_journal_of_which_no_record_can_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "journal-000000000001.jsonl").write_text("rubbish\n")
    with opened([str(tmp_path), str(MUSEUM)]) as case:
        assert names(case) == list(MEMBERS)
        assert codes(case) == ["journal_damaged"]
        assert said(case, [str(tmp_path), "no record can be read"])
    with opened([str(tmp_path), str(MUSEUM)], every=True) as case:
        assert names(case) == ["", *MEMBERS]
        (damage,) = damages(tmp_path)
        assert str(tmp_path) in damaged(case.journals[0], damage).text


def test_a_journal_that_begins_in_the_middle_of_a_segment_is_known_by_its_clock(
    tmp_path: Path,
) -> None:
    copied(tmp_path, "pg1", "pg2")
    first, *_, last = segments(tmp_path / "pg1")
    _, *rest = lines_in(tmp_path / "pg1")[:100]
    first.path.unlink()
    last.path.unlink()
    segment_path(tmp_path / "pg1", 2).write_bytes(b"".join(rest))
    with opened([str(tmp_path)]) as case:
        assert names(case) == ["pg1", "pg2"]
        assert codes(case) == ["member_missing"]
        assert lines_in(case.journals[0].directory) == rest[1:]


def test_a_journal_of_the_future_is_told_with_the_remedy(tmp_path: Path) -> None:
    whole = small(tmp_path, segments=1)
    start, *rest = records(whole)
    body = start.line.partition(b",")[2].rpartition(b',"hash"')[0]
    text, _ = line(1, body.replace(b'"format":1', b'"format":2'), "0" * 32)
    path = segments(whole)[0].path
    path.write_bytes(b"".join([text, *(record.line for record in rest)]))
    with opened([str(whole)]) as case:
        trouble = damaged(case.journals[0], damages(whole)[0])
        assert "reads up to 1; use a newer version" in trouble.text


def test_only_the_time_that_is_asked_for_is_looked_at(tmp_path: Path) -> None:
    whole = small(tmp_path / "a", segments=4)
    since = begun_at(segments(whole)[2])
    with opened([str(whole)], since=since) as case:
        (journal,) = case.journals
        assert journal.directory == whole
        window = Window(since=since)
        assert 0 < len(list(scan(journal.directory, window))) < len(records(whole))


def test_every_code_is_published() -> None:
    text = Path("docs/journal.md").read_text()
    for code, meaning in TROUBLES.items():
        assert f"| `{code}` | {meaning} |" in text


def test_what_was_laid_out_is_removed_when_somebody_fails(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "b.tar.gz", MUSEUM / "pg1")
    seen: list[Path] = []

    def fail() -> None:
        with opened([str(bundle)]) as case:
            seen.append(case.journals[0].directory)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not seen[0].parent.parent.exists()


SHORT = {name: contents_of(MUSEUM / name) for name in MEMBERS}


@given(data=st.data())
@examples(12)
def test_nothing_that_befalls_the_journals_of_a_cluster_makes_a_case_fail(
    data: st.DataObject,
) -> None:
    """Cut, flipped, dropped, doubled, exchanged, forged; as directories or bundled."""
    with tempfile.TemporaryDirectory() as name:
        places = []
        for member, contents in SHORT.items():
            harm = data.draw(several(contents) | forgeries(contents), label=member)
            places.append(str(write(harm.contents, Path(name) / member)))
        if data.draw(st.booleans(), label="bundled"):
            bundle = bundle_of(Path(name) / "bundle", *map(Path, places))
            places = [str(bundle)]
        with opened(places) as case:
            assert len(case.journals) <= len(SHORT)
            for journal in case.journals:
                for item in scan(journal.directory, with_held=True):
                    assert isinstance(item, Record) or str(damaged(journal, item))
