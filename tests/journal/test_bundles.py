"""Journals in one file: complete, checkable, and harmless to whoever unpacks it."""

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.journal import unbundling
from regnal.journal.bundle_archive import header
from regnal.journal.bundle_manifest import Manifest
from regnal.journal.bundles import Bundle, Content, Making, write_bundle
from regnal.journal.pins import pin
from regnal.journal.places import segments
from regnal.journal.reader import Window
from regnal.journal.retention import compress
from regnal.journal.segment_input import begun_at
from regnal.journal.unbundling import BundleRefused, unpack_bundle, unpack_stream
from regnal.messages.cluster import StoreAnswered
from regnal.messages.settings import ConfigurationApplied
from tests.examples import examples
from tests.journal.builders import Member, records
from tests.journal.damaging import MUSEUM
from tests.journal.member_writer import speaking
from tests.regnal.configuration.builders import loaded
from tests.regnal.configuration.planting import planted


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """Two members; one has a compressed, a pinned segment and held records."""
    for name in ("pg1", "pg2"):
        member = Member(tmp_path / "cluster" / name).open()
        member.tell(StoreAnswered())
        member.ledger.roll("asked")
        member.ledger.roll("asked")
        member.beat()
        member.beat()
        member.ledger.write()
    first, second, _ = segments(tmp_path / "cluster" / "pg1")
    compress(first.path)
    pin(second, "reign-7")
    return tmp_path / "cluster"


MAKING = Making(made_at="2026-11-23T07:31:02+00:00", made_by="regnal 0.1.0")


def bundled(cluster: Path, making: Making = MAKING) -> Path:
    target = cluster.parent / "bundle.tar.gz"
    contents = [Content(cluster / "pg1", "/journals/pg1"), Content(cluster / "pg2")]
    write_bundle(target, contents, making)
    return target


def unpacked(bundle: Path, target: Path) -> Manifest:
    """Of a bundle without a flaw."""
    result = unpack_bundle(bundle, target)
    assert result.flaws == []
    assert result.manifest is not None
    return result.manifest


def test_what_was_bundled_is_unpacked(cluster: Path, tmp_path: Path) -> None:
    manifest = unpacked(bundled(cluster), tmp_path / "out")
    assert [journal.folder for journal in manifest.journals] == ["0001", "0002"]
    for name, journal in zip(("pg1", "pg2"), manifest.journals, strict=True):
        found = records(tmp_path / "out" / journal.folder, with_held=True)
        assert found == records(cluster / name, with_held=True)
        assert any(record.is_held for record in found)
        assert journal.is_whole
        assert journal.member == "pg1"  # as the toy members call themselves
        chain = [record for record in found if not record.is_held]
        assert journal.head == f"{chain[-1].n}:{chain[-1].hash}"
    assert segments(tmp_path / "out" / "0001")[1].pin.exists()


def test_the_manifest_tells_what_a_reader_wants_to_know_first(tmp_path: Path) -> None:
    museum = MUSEUM / "pg1"
    bundle = tmp_path / "bundle.tar.gz"
    troubles = ("pg3 did not answer",)
    write_bundle(bundle, [Content(museum, "here")], MAKING._replace(troubles=troubles))
    manifest = unpacked(bundle, tmp_path / "out")
    assert manifest.troubles == troubles
    (journal,) = manifest.journals
    assert (journal.member, journal.scope, journal.origin) == ("pg1", "demo", "here")
    assert journal.system_identifier == "7713109121156472471"
    assert [start.incarnation for start in journal.starts] == [1, 2]
    assert journal.starts[0].at == "2026-11-28T06:42:39.958543Z"
    assert journal.starts[0].versions["regnal"] == "0.1.0"
    assert journal.starts[0].boot == journal.starts[1].boot
    assert journal.configuration is not None
    assert journal.configuration.at == "2026-11-28T06:43:05.360901Z"
    assert journal.configuration.document["ttl"] == 20
    assert {file.size for file in journal.files} == {
        segment.path.stat().st_size for segment in segments(museum)
    }


def test_only_the_segments_of_the_time_are_bundled(tmp_path: Path) -> None:
    """And the configuration that was in force all the same, though it is older."""
    source = Member(tmp_path / "pg1").open()
    applied = configured(tmp_path, "s3cret")
    source.tell(applied)
    for _ in range(3):
        source.beat()
        source.ledger.roll("asked")
    source.beat()
    source.ledger.write()
    _, second, third, _ = segments(tmp_path / "pg1")
    seal = next(r for r in records(tmp_path / "pg1") if r.n == third.first - 1)
    window = Window(since=seal.wall, until=begun_at(third))
    bundle = tmp_path / "bundle.tar.gz"
    write_bundle(bundle, [Content(tmp_path / "pg1")], MAKING._replace(window=window))
    manifest = unpacked(bundle, tmp_path / "out")
    (journal,) = manifest.journals
    (segment,) = segments(tmp_path / "out" / "0001")
    found = records(tmp_path / "out" / "0001")
    assert segment.first == second.first == journal.first
    assert journal.head == f"{found[-1].n}:{found[-1].hash}"
    assert journal.is_whole
    assert (manifest.since, manifest.until) == (window.since, window.until)
    assert journal.configuration is not None
    assert journal.configuration.document == json.loads(applied.document)


def test_a_daemon_sends_its_journal_without_checking_it(cluster: Path) -> None:
    sent = Bundle([Content(cluster / "pg1")], MAKING, is_checked=False)
    archive = io.BytesIO(b"".join(sent.chunks()))
    result = unpack_stream("http://pg1", archive, cluster.parent / "out")
    assert result.flaws == []
    assert result.manifest == sent.manifest
    assert sent.manifest.journals[0].is_whole is None
    assert records(cluster.parent / "out" / "0001") == records(cluster / "pg1")
    with tarfile.open(fileobj=io.BytesIO(archive.getvalue())) as plain:
        names = plain.getnames()
    assert names[0] == "0001/quiet.jsonl", "tar reads it as well"
    assert names[-1] == "manifest.json"


def test_no_secret_of_the_configuration_gets_into_a_bundle(tmp_path: Path) -> None:
    member = Member(tmp_path / "pg1").open()
    member.tell(configured(tmp_path, "p1anted"))
    member.ledger.write()
    bundle = tmp_path / "bundle.tar.gz"
    write_bundle(bundle, [Content(tmp_path / "pg1")], MAKING)
    content = gzip.decompress(bundle.read_bytes())
    assert b'"password": "***"' in content
    assert re.findall(rb".{40}p1anted.{20}", content) == []
    assert b"p1anted" not in content


def test_a_live_journal_can_be_bundled(tmp_path: Path) -> None:
    with speaking(tmp_path / "live") as speaker:
        for _ in range(100):
            speaker.say(StoreAnswered())
        target = tmp_path / "bundle.tar.gz"
        write_bundle(target, [Content(tmp_path / "live")], MAKING)
    (journal,) = unpacked(target, tmp_path / "out").journals
    assert journal.is_whole
    assert records(tmp_path / "out" / "0001")


def test_a_bundle_that_cannot_be_finished_leaves_nothing(cluster: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_bundle(cluster / "bundle.tar.gz", [Content(cluster / "pg3")], MAKING)
    assert [path.name for path in sorted(cluster.iterdir())] == ["pg1", "pg2"]


def test_a_damaged_journal_is_bundled_with_what_is_said_of_it(cluster: Path) -> None:
    first, second, _ = segments(cluster / "pg1")
    first.path.write_bytes(b"rubbish")
    second.path.unlink()
    second.path.mkdir()
    (pg1, _) = unpacked(bundled(cluster), cluster.parent / "out").journals
    assert pg1.is_whole is False
    assert any(first.path.name in damage for damage in pg1.damages)
    assert any("is not a plain file" in damage for damage in pg1.damages)


def configured(directory: Path, secret: str) -> ConfigurationApplied:
    """A configuration with the secret in every option that takes one."""
    effective = loaded(planted(secret), directory=directory)
    assert secret in str(effective.document), "it is planted"
    return ConfigurationApplied(
        settings=effective.settings,
        document=effective.masked,
        postgres_changed=True,
        dynamic=effective.dynamic,
    )


def hostile(target: Path, name: str, **more: object) -> Path:
    """A bundle in which that is the only file beside a good one."""
    with tarfile.open(target, "w:gz") as archive:
        entry = tarfile.TarInfo(name)
        for attribute, value in more.items():
            setattr(entry, attribute, value)
        archive.addfile(entry, io.BytesIO(b"x" * entry.size))
        add(archive, "0002/quiet.jsonl", b"good\n")
    return target


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def left_out(bundle: Path, target: Path) -> str:
    """What is said of the bad file; the good one is there, and nothing else."""
    before = everything_in(target.parent)
    flaws = unpack_bundle(bundle, target).flaws
    assert everything_in(target.parent) - before == {
        target,
        target / "0002",
        target / "0002" / "quiet.jsonl",
    }
    *others, last = flaws
    assert {flaw.what for flaw in others} == {"left_out"}
    assert last.what == "unlisted"
    return " ".join(flaw.text for flaw in others)


def everything_in(directory: Path) -> set[Path]:
    return set(directory.glob("**/*"))


@pytest.mark.parametrize(
    "name",
    [
        "../0001/journal-000000000001.jsonl",
        "/etc/cron.d/journal",
        "/0001/journal-000000000001.jsonl",
        "0001/../../journal-000000000001.jsonl",
        "0001/authorized_keys",
        "0001/sub/journal-000000000001.jsonl",
        "0001/journal-000000000001.jsonl\n",
        "\u0660\u0660\u0660\u0661/quiet.jsonl",
        "",
    ],
)
def test_a_name_that_no_journal_has_is_left_out(tmp_path: Path, name: str) -> None:
    bundle = hostile(tmp_path / "bundle", name)
    why = left_out(bundle, tmp_path / "out")
    assert "is not the name of a journal's file" in why


@pytest.mark.parametrize(
    "kind",
    [
        *(tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE),
        *(tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.CONTTYPE),
    ],
)
def test_only_plain_files_are_unpacked(tmp_path: Path, kind: bytes) -> None:
    bundle = hostile(
        tmp_path / "bundle", "0001/quiet.jsonl", type=kind, linkname="/etc/passwd"
    )
    assert "is not a plain file" in left_out(bundle, tmp_path / "out")


def test_the_second_file_of_a_name_is_left_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "bundle", "w:gz") as archive:
        add(archive, "0002/quiet.jsonl", b"good\n")
        add(archive, "0002/quiet.jsonl", b"evil\n")
    assert "is there twice" in left_out(tmp_path / "bundle", tmp_path / "out")
    assert (tmp_path / "out" / "0002" / "quiet.jsonl").read_bytes() == b"good\n"


def test_ten_gigabytes_of_holes_are_not_believed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "bundle", "w:gz") as archive:
        sparse = tarfile.TarInfo("0001/quiet.jsonl")
        sparse.type, sparse.size = tarfile.GNUTYPE_SPARSE, 512
        block = bytearray(sparse.tobuf(tarfile.GNU_FORMAT))
        block[483:495] = b"%012o" % (10 * 1024**3)  # the size without the holes
        block[148:156] = b"%06o\0 " % sum((*block[:148], *b"        ", *block[156:]))
        assert archive.fileobj is not None
        archive.fileobj.write(bytes(block) + bytes(512))
        archive.offset += 1024
        add(archive, "0002/quiet.jsonl", b"good\n")
    assert "is not a plain file" in left_out(tmp_path / "bundle", tmp_path / "out")


def test_a_file_that_claims_more_than_there_is_room_for_is_refused(
    tmp_path: Path,
) -> None:
    with gzip.open(tmp_path / "bundle", "wb") as file:
        file.write(header("0001/quiet.jsonl", 10**15) + b"x" * 1000)
    with pytest.raises(BundleRefused, match=r"does not fit: .* set TMPDIR"):
        unpack_bundle(tmp_path / "bundle", tmp_path / "out")


def test_a_bundle_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unbundling, "MAXIMUM_SIZE", 1000)
    bundle = hostile(tmp_path / "bundle", "0001/quiet.jsonl", size=1001)
    with pytest.raises(BundleRefused, match="too large"):
        unpack_bundle(bundle, tmp_path / "out")


def test_a_bundle_of_too_many_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unbundling, "MAXIMUM_FILES", 2)
    with tarfile.open(tmp_path / "bundle", "w:gz") as archive:
        for number in range(3):
            add(archive, f"evil{number}", b"")
    with pytest.raises(BundleRefused, match="more than 2 files"):
        unpack_bundle(tmp_path / "bundle", tmp_path / "out")


def test_what_packs_a_thousand_to_one_is_refused_before_it_fills_the_disk(
    tmp_path: Path,
) -> None:
    bundle = tmp_path / "bundle"
    with gzip.open(bundle, "wb") as file:
        file.write(header("0001/quiet.jsonl", 2 * unbundling.RATIO_FROM))
        for _ in range(2 * unbundling.RATIO_FROM // 2**20):
            file.write(bytes(2**20))
    with pytest.raises(BundleRefused, match="times its size"):
        unpack_bundle(bundle, tmp_path / "out")
    written = (tmp_path / "out" / "0001" / "quiet.jsonl").stat().st_size
    assert written <= unbundling.RATIO_FROM


def test_many_bad_names_are_not_as_many_sentences(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "bundle", "w:gz") as archive:
        add(archive, "0001/quiet.jsonl", b"")
        for number in range(100):
            add(archive, f"evil{number}", b"")
    flaws = unpack_bundle(tmp_path / "bundle", tmp_path / "out").flaws
    assert len(flaws) == unbundling.FLAWS_TOLD + 1
    assert "and more" in flaws[-1].text


def test_nothing_that_is_there_is_written_over(cluster: Path, tmp_path: Path) -> None:
    bundle = bundled(cluster)
    unpack_bundle(bundle, tmp_path / "out")
    with pytest.raises(FileExistsError):
        unpack_bundle(bundle, tmp_path / "out")
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / "0001").symlink_to(tmp_path / "cluster")
    with pytest.raises(FileExistsError):
        unpack_bundle(bundle, tmp_path / "trap")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is not a bundle: it is not complete"),
        (b"not a bundle", "is not a bundle"),
        (
            b"x" * 10_000,
            "is not a bundle: it cannot be read to its end: no file begins where one should",
        ),
        (b"\x1f\x8b\x08\0" + b"\0" * 9, "is not a bundle"),
        (gzip.compress(b"x" * 10_000, mtime=0), "is not a bundle"),
        (bytes(1024), "no journal is in it; unpack it with what made it"),
    ],
)
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "bundle").write_bytes(content)
    with pytest.raises(BundleRefused, match=why):
        unpack_bundle(tmp_path / "bundle", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("there", ["nothing", "a directory", "a pipe"])
def test_where_there_is_no_file_it_says_so(tmp_path: Path, there: str) -> None:
    bundle = tmp_path / "bundle"
    if there == "a directory":
        bundle.mkdir()
    if there == "a pipe":
        os.mkfifo(bundle)
    with pytest.raises(BundleRefused, match="cannot be read: "):
        unpack_bundle(bundle, tmp_path / "out")


def changed(bundle: Path, change: str) -> Path:
    """The bundle with one thing altered after it was made."""
    target = bundle.with_name("changed.tar.gz")
    with tarfile.open(bundle) as source, tarfile.open(target, "w:gz") as archive:
        for entry in source:
            file = source.extractfile(entry)
            assert file is not None
            content = file.read()
            if entry.name == "manifest.json":
                manifest = json.loads(content)
                if change == "newer format":
                    manifest["bundle_format"] = 3
                if change == "no manifest":
                    continue
                content = (
                    b"{" if change == "torn manifest" else json.dumps(manifest).encode()
                )
            elif change == "other content" and entry.name == "0001/quiet.jsonl":
                content += b"\n"
            elif change == "less" and entry.name == "0002/quiet.jsonl":
                continue
            add(archive, entry.name, content)
        if change == "more":
            add(archive, "0003/quiet.jsonl", b"")
    return target


@pytest.mark.parametrize(
    ("change", "what", "why"),
    [
        ("newer format", "newer", "has format 3; this program reads up to 2"),
        ("no manifest", "unlisted", "has no manifest.json that can be read"),
        ("torn manifest", "left_out", "'manifest.json' cannot be read"),
        ("other content", "changed", "0001/quiet.jsonl is not as it was bundled"),
        ("less", "changed", "0002/quiet.jsonl is missing"),
        ("more", "changed", "0003/quiet.jsonl was added later"),
    ],
)
def test_a_bundle_that_does_not_keep_its_promise_is_used_and_told_of(
    cluster: Path, tmp_path: Path, change: str, what: str, why: str
) -> None:
    result = unpack_bundle(changed(bundled(cluster), change), tmp_path / "out")
    assert result.flaws[0].what == what
    assert why in result.flaws[0].text
    assert {"0001", "0002"} <= result.folders
    assert records(tmp_path / "out" / "0002") == records(cluster / "pg2")


def test_a_bundle_that_was_packed_again_by_hand_is_read(
    cluster: Path, tmp_path: Path
) -> None:
    unpack_bundle(bundled(cluster), tmp_path / "out")
    again = tmp_path / "again.tar"
    with tarfile.open(again, "w") as archive:
        archive.add(tmp_path / "out", arcname=".")
    result = unpack_bundle(again, tmp_path / "again")
    assert {flaw.what for flaw in result.flaws} == {"left_out", "unlisted"}
    for name, folder in (("pg1", "0001"), ("pg2", "0002")):
        assert records(tmp_path / "again" / folder) == records(cluster / name)


def test_a_bundle_of_format_1_is_read(cluster: Path, tmp_path: Path) -> None:
    """As `regnal journal export` of 0.1.0 made it."""
    bundle = tmp_path / "old.tar.gz"
    files = []
    with tarfile.open(bundle, "w:gz") as archive:
        for segment in segments(cluster / "pg1"):
            content = segment.path.read_bytes()
            name = f"0001/{segment.path.name}"
            add(archive, name, content)
            digest = hashlib.sha256(content).hexdigest()
            files.append({"name": name, "size": len(content), "sha256": digest})
        journal = {
            "member": "pg1",
            "folder": "0001",
            "first": 1,
            "head": "2:" + "0" * 32,
            "records": 2,
            "is_whole": True,
            "damages": [],
            "files": files,
        }
        manifest = {
            "bundle_format": 1,
            "journal_format": 1,
            "made_at": "2026-11-23T07:31:02+00:00",
            "made_by": "regnal 0.1.0",
            "journals": [journal],
        }
        add(archive, "manifest.json", json.dumps(manifest).encode())
    assert unpacked(bundle, tmp_path / "out").journals[0].configuration is None
    assert records(tmp_path / "out" / "0001") == records(cluster / "pg1")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small bundle, not packed."""
    directory = tmp_path_factory.mktemp("archive")
    member = Member(directory / "pg1").open()
    member.tell(StoreAnswered())
    member.ledger.roll("asked")
    sent = Bundle([Content(directory / "pg1")], MAKING, is_checked=False)
    return b"".join(sent.chunks())


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), pack=...)
@examples(50)
def test_a_flipped_bit_of_a_bundle_is_told_or_harmless(
    archive: bytes, where: float, bit: int, pack: bool
) -> None:
    content = bytearray(gzip.compress(archive, mtime=0) if pack else archive)
    content[int(where * len(content))] ^= 1 << bit
    unpack_and_compare(bytes(content), archive)


@given(length=st.floats(0, 1, exclude_max=True), pack=...)
@examples(50)
def test_a_bundle_that_is_cut_off_is_used_as_far_as_it_goes(
    archive: bytes, length: float, pack: bool
) -> None:
    content = gzip.compress(archive, mtime=0) if pack else archive
    unpack_and_compare(content[: int(length * len(content))], archive)


def unpack_and_compare(content: bytes, archive: bytes) -> None:
    """Either something is said, or what comes out is what went in."""
    with tempfile.TemporaryDirectory() as name:
        target = Path(name) / "deep" / "out"
        (target.parent).mkdir()
        try:
            flaws = unpack_stream("it", io.BytesIO(content), target).flaws
        except BundleRefused:
            return
        finally:
            outside = everything_in(Path(name)) - everything_in(target)
            assert outside <= {target, target.parent}
        if flaws:
            return
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            for entry in files.getmembers()[:-1]:
                file = files.extractfile(entry)
                assert file is not None
                assert (target / entry.name).read_bytes() == file.read()
