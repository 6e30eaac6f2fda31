"""The clocks of hosts, aligned: whatever crossed from one to another keeps its order."""

from hypothesis import given
from hypothesis import strategies as st

from regnal.replay.evidence.alignment import SKEW_WORTH_TELLING, aligned
from regnal.replay.evidence.track import Life, Stamp, Track, When

HOSTS = ("pg1", "pg2", "pg3")

offsets = st.floats(min_value=-1e6, max_value=1e6)
wall_errors = st.floats(min_value=-86400, max_value=86400)


def host(name: str, boot_offset: float, wall_error: float) -> Track:
    """Its boot clock shows `true time - boot_offset`, its wall clock is wrong by
    `wall_error`."""
    began = When(f"boot-{name}", -boot_offset)
    track = Track(member=name)
    track.lives.append(
        Life(
            incarnation=1,
            boot=began.boot,
            began=began,
            last=When(began.boot, 1000.0 - boot_offset),
            wall_offset=boot_offset + wall_error,
            last_record=100,
        )
    )
    return track


def at(name: str, true_time: float, boot_offset: float) -> When:
    return When(f"boot-{name}", true_time - boot_offset)


@given(
    st.tuples(offsets, offsets, offsets),
    st.tuples(wall_errors, wall_errors, wall_errors),
    st.lists(
        st.tuples(
            st.sampled_from(HOSTS),
            st.sampled_from(HOSTS),
            st.floats(min_value=0, max_value=900),
            st.floats(min_value=0.001, max_value=5),
        ),
        max_size=30,
    ),
)
def test_nothing_is_seen_before_it_was_written(
    boots: tuple[float, ...],
    walls: tuple[float, ...],
    crossings: list[tuple[str, str, float, float]],
) -> None:
    """However wrong the wall clocks are, by hours, and wherever the boot clocks began."""
    offset = dict(zip(HOSTS, boots, strict=True))
    tracks = {
        name: host(name, offset[name], wall)
        for name, wall in zip(HOSTS, walls, strict=True)
    }
    # A heartbeat each way between all of them, so that there is something to go by.
    for writer in HOSTS:
        for reader in HOSTS:
            if writer != reader:
                crossings = [*crossings, (writer, reader, 500.0, 0.01)]
    pairs = []
    for number, (writer, reader, written, latency) in enumerate(crossings):
        if writer == reader:
            continue
        sent = at(writer, written, offset[writer])
        seen = at(reader, written + latency, offset[reader])
        tracks[writer].published[str(number)] = sent
        tracks[reader].seen.append(Stamp(writer, str(number), seen))
        pairs.append((sent, seen))
    clocks = aligned(tracks.values())
    for sent, seen in pairs:
        assert clocks.moment(sent) <= clocks.moment(seen) + 0.02


def test_a_wall_clock_that_is_hours_off_is_outvoted_and_told() -> None:
    tracks = [host("pg1", 5.0, 0.0), host("pg2", 700.0, 7200.0), host("pg3", 90.0, 0.1)]
    exchange(tracks, (5.0, 700.0, 90.0))
    clocks = aligned(tracks)
    assert [skew.member for skew in clocks.skews] == ["pg2"]
    assert abs(clocks.skews[0].ahead - 7200) < SKEW_WORTH_TELLING
    same_time = [
        clocks.moment(at("pg1", 100, 5.0)),
        clocks.moment(at("pg2", 100, 700.0)),
    ]
    assert abs(same_time[0] - same_time[1]) < 0.01


def test_without_anything_in_common_the_wall_clock_is_believed_and_told() -> None:
    tracks = [host("pg1", 5.0, 0.0), host("pg2", 700.0, 0.0)]
    clocks = aligned(tracks)
    sure = [clocks.is_sure_of(f"boot-{name}") for name in ("pg1", "pg2")]
    assert sorted(sure) == [False, True]
    assert abs(clocks.moment(at("pg2", 10.0, 700.0)) - 10.0) < 0.001


def test_one_host_needs_no_alignment() -> None:
    first, second = host("pg1", 5.0, 0.0), host("pg1", 5.0, 0.0)
    second.member = "pg2"
    clocks = aligned([first, second])
    assert clocks.is_sure_of("boot-pg1")
    assert clocks.skews == ()


def test_of_no_journals_nothing_is_known() -> None:
    assert aligned([]).skews == ()


def exchange(tracks: list[Track], offset: tuple[float, ...]) -> None:
    """All of them publish a stamp, and see those of the others 4 ms later."""
    for writer, writers in zip(tracks, offset, strict=True):
        sent = at(writer.member, 50.0, writers)
        writer.published["stamp"] = sent
        for reader, readers in zip(tracks, offset, strict=True):
            if reader is not writer:
                seen = at(reader.member, 50.004, readers)
                reader.seen.append(Stamp(writer.member, "stamp", seen))
