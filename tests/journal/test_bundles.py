"""Journals in one file: complete, checkable, and harmless to whoever unpacks it."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from regnal.journal import bundles
from regnal.journal.bundles import BundleRefused, unpack_bundle, write_bundle
from regnal.journal.places import segments
from regnal.journal.retention import compress, pin
from regnal.messages.cluster import StoreAnswered
from tests.journal.builders import Member, records
from tests.journal.member_writer import speaking


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
    pin(second, "incident")
    return tmp_path / "cluster"


def bundled(cluster: Path) -> Path:
    target = cluster.parent / "bundle.tar.gz"
    write_bundle(
        target,
        [cluster / "pg1", cluster / "pg2"],
        made_at="2026-11-23T07:31:02+00:00",
        made_by="regnal 0.1.0",
    )
    return target


def test_what_was_bundled_is_unpacked(cluster: Path, tmp_path: Path) -> None:
    manifest = unpack_bundle(bundled(cluster), tmp_path / "out")
    assert [journal.folder for journal in manifest.journals] == ["0001", "0002"]
    for name, journal in zip(("pg1", "pg2"), manifest.journals, strict=True):
        found = records(tmp_path / "out" / journal.folder, with_held=True)
        assert found == records(cluster / name, with_held=True)
        assert any(record.is_held for record in found)
        assert journal.is_whole
        assert journal.member == "pg1"  # as the toy members call themselves
        chain = [record for record in found if not record.is_held]
        assert journal.head == f"{chain[-1].n}:{chain[-1].fields['hash']}"
    assert segments(tmp_path / "out" / "0001")[1].pin.exists()


def test_a_live_journal_can_be_bundled(tmp_path: Path) -> None:
    with speaking(tmp_path / "live") as speaker:
        for _ in range(100):
            speaker.say(StoreAnswered())
        target = tmp_path / "bundle.tar.gz"
        write_bundle(target, [tmp_path / "live"], made_at="now", made_by="regnal")
    (journal,) = unpack_bundle(target, tmp_path / "out").journals
    assert journal.is_whole
    assert records(tmp_path / "out" / "0001")


def test_a_bundle_that_cannot_be_finished_leaves_nothing(cluster: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_bundle(
            cluster / "bundle.tar.gz", [cluster / "pg3"], made_at="", made_by=""
        )
    assert [path.name for path in sorted(cluster.iterdir())] == ["pg1", "pg2"]


def hostile(target: Path, name: str, **more: object) -> Path:
    with tarfile.open(target, "w:gz") as archive:
        entry = tarfile.TarInfo(name)
        for attribute, value in more.items():
            setattr(entry, attribute, value)
        content = io.BytesIO(b"x" * entry.size)
        archive.addfile(entry, content)
    return target


@pytest.mark.parametrize(
    "name",
    [
        "../0001/journal-000000000001.jsonl",
        "/etc/cron.d/journal",
        "0001/../../journal-000000000001.jsonl",
        "0001/authorized_keys",
        "0001/sub/journal-000000000001.jsonl",
        "0001/journal-000000000001.jsonl\n",
    ],
)
def test_a_name_that_no_journal_has_is_refused(tmp_path: Path, name: str) -> None:
    bundle = hostile(tmp_path / "bundle", name)
    with pytest.raises(BundleRefused, match="is not the name of a journal's file"):
        unpack_bundle(bundle, tmp_path / "out" / "deep")
    assert not list((tmp_path).glob("out/**/*"))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
def test_only_plain_files_are_unpacked(tmp_path: Path, kind: bytes) -> None:
    bundle = hostile(
        tmp_path / "bundle", "0001/quiet.jsonl", type=kind, linkname="/etc/passwd"
    )
    with pytest.raises(BundleRefused, match="is not a plain file"):
        unpack_bundle(bundle, tmp_path / "out")


def test_a_bundle_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "MAXIMUM_SIZE", 1000)
    bundle = hostile(tmp_path / "bundle", "0001/quiet.jsonl", size=1001)
    with pytest.raises(BundleRefused, match="too large"):
        unpack_bundle(bundle, tmp_path / "out")


def test_nothing_that_is_there_is_written_over(cluster: Path, tmp_path: Path) -> None:
    bundle = bundled(cluster)
    unpack_bundle(bundle, tmp_path / "out")
    with pytest.raises(FileExistsError):
        unpack_bundle(bundle, tmp_path / "out")


@pytest.mark.parametrize(
    "content", [b"", b"not a bundle", b"\x1f\x8b\x08\0" + b"\0" * 9]
)
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bundle").write_bytes(content)
    with pytest.raises(BundleRefused, match="is not a bundle"):
        unpack_bundle(tmp_path / "bundle", tmp_path / "out")


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
                    manifest["bundle_format"] = 2
                if change == "no manifest":
                    continue
                content = (
                    b"{" if change == "torn manifest" else json.dumps(manifest).encode()
                )
            elif change == "other content" and entry.name.endswith(".jsonl"):
                content += b"\n"
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return target


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("newer format", "reads up to 1"),
        ("no manifest", "has no manifest.json"),
        ("torn manifest", "cannot be read"),
        ("other content", "is not what the manifest says"),
    ],
)
def test_a_bundle_that_does_not_keep_its_promise_is_refused(
    cluster: Path, tmp_path: Path, change: str, why: str
) -> None:
    with pytest.raises(BundleRefused, match=why):
        unpack_bundle(changed(bundled(cluster), change), tmp_path / "out")
