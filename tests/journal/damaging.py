"""Real journals, and everything that can befall one: cut, flipped, dropped, forged.

A `Harm` changes the files of a journal and says which of its lines it touched.
"""

import gzip
import json
import math
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from regnal.journal.encoding import NO_HASH, Hash, line
from regnal.journal.places import segments

MUSEUM = Path(__file__).parent.parent / "journals" / "0.1.0-demo"


class Contents(dict[str, bytes]):
    """What is in the files of a journal, by their names."""

    def __repr__(self) -> str:
        return f"Contents({', '.join(self)})"


def contents_of(directory: Path, *, packed: bool = False) -> Contents:
    """The segments of a journal, unpacked unless they are to stay as they are."""
    found = Contents()
    for segment in segments(directory):
        content = segment.path.read_bytes()
        if segment.is_compressed and not packed:
            content = gzip.decompress(content)
        name = segment.path.name if packed else segment.path.name.removesuffix(".gz")
        found[name] = content
    return found


def write(contents: Contents, directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    return directory


def lines_of(contents: Contents) -> list[bytes]:
    return [text for _, content in sorted(contents.items()) for text in _lines(content)]


class Harm:
    """What was done, for whoever reads a failing test, and its result."""

    def __init__(
        self,
        what: str,
        contents: Contents,
        touched: Iterable[bytes] = (),
        *,
        is_seen: bool = True,
    ) -> None:
        """`touched`: lines of which nothing is asked any more.  `is_seen`: whether
        the journal itself shows it; an end cut off between two records, or whole
        segments before all others, only a witness shows."""
        self.what = what
        self.contents = contents
        self.touched = frozenset(touched)
        self.is_seen = is_seen

    def __repr__(self) -> str:
        return f"Harm({self.what})"


def _lines(content: bytes) -> list[bytes]:
    return re.findall(rb"[^\n]*\n|[^\n]+", content)


def _names(contents: Contents) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(contents))


@st.composite
def flips(draw: st.DrawFn, contents: Contents) -> Harm:
    """One bit is another."""
    name = draw(_names(contents))
    content = bytearray(contents[name])
    position = draw(st.integers(0, len(content) - 1))
    content[position] ^= 1 << draw(st.integers(0, 7))
    begin = contents[name].rfind(b"\n", 0, position) + 1
    end = contents[name].find(b"\n", position) + 1
    touched = {contents[name][begin:end]}
    if position == end - 1:  # it was the line's end: the next line is joined to it
        touched.add(contents[name][end : contents[name].find(b"\n", end) + 1])
    return Harm(
        f"bit of {name} at {position}",
        Contents({**contents, name: bytes(content)}),
        touched,
    )


@st.composite
def cuts(draw: st.DrawFn, contents: Contents) -> Harm:
    """A piece of one file is gone: its end, its beginning, or from its middle."""
    name = draw(_names(contents))
    content = contents[name]
    begin = draw(st.just(0) | st.integers(0, len(content)))
    end = draw(st.just(len(content)) | st.integers(begin, len(content)))
    left = content[:begin] + content[end:]
    kept = set(_lines(content[: content.rfind(b"\n", 0, begin) + 1]))
    is_within_a_line = begin > 0 and content[begin - 1 : begin] != b"\n"
    if is_within_a_line and begin < end < len(content):
        rest = content.find(b"\n", end) + 1  # what comes next is joined to it
    else:
        rest = content.find(b"\n", max(end - 1, 0)) + 1
    kept |= set(_lines(content[rest:]))
    is_last = name == max(contents)
    return Harm(
        f"bytes {begin} to {end} of {name}",
        Contents({**contents, name: left}),
        set(_lines(content)) - kept,
        is_seen=begin != end and not (is_last and end == len(content)),
    )


@st.composite
def line_harms(draw: st.DrawFn, contents: Contents) -> Harm:
    """Lines are taken out, stand twice, or change places."""
    name = draw(_names(contents))
    lines = _lines(contents[name])
    what = draw(st.sampled_from(("drop", "twice", "swap")))
    one, other = sorted(
        draw(st.tuples(*[st.integers(0, len(lines) - 1)] * 2).filter(_differ))
    )
    touched = {lines[one]}
    if what == "drop":
        del lines[one]
    elif what == "twice":
        lines.insert(other, lines[one])
        # Which of the two is the true one, nobody can say.
        touched = set()
    else:
        lines[one], lines[other] = lines[other], lines[one]
        touched.add(lines[one])
    is_seen = not (what == "drop" and one == len(lines) and name == max(contents))
    return Harm(
        f"{what} {one} {other} in {name}",
        Contents({**contents, name: b"".join(lines)}),
        touched,
        is_seen=is_seen,
    )


def _differ(pair: tuple[int, ...]) -> bool:
    return pair[0] != pair[1]


@st.composite
def file_harms(draw: st.DrawFn, contents: Contents) -> Harm:
    """Segments are missing, exchanged, or there again under another name."""
    names = sorted(contents)
    name = draw(st.sampled_from(names))
    others = [one for one in names if one != name]
    what = draw(st.sampled_from(("missing", "twice", "exchanged", "renamed")))
    changed = Contents(contents)
    touched: list[bytes] = []
    is_seen = True
    match what:
        case "missing":
            touched = _lines(changed.pop(name))
            is_seen = bool(others) and min(others) < name < max(others)
        case "exchanged" if others:
            other = draw(st.sampled_from(others))
            changed[name], changed[other] = changed[other], changed[name]
        case _:
            again = f"journal-{draw(st.integers(1, 999_999)):012d}.jsonl"
            # Another name alone harms nobody while the order stays.
            is_seen = what == "twice" and again != name
            content = changed.pop(name) if what == "renamed" else changed[name]
            if again in changed:
                touched = _lines(changed[again])
            changed[again] = content
    return Harm(f"{what} {name}", changed, touched, is_seen=is_seen)


FIELDS = (
    *("n", "hlc", "at", "kind", "id", "cause", "trace", "from", "type", "v", "data"),
    *("actor", "heard", "rule", "facts", "said", "state", "repeats", "member", "scope"),
    *("format", "previous", "why", "versions", "incarnation", "lost", "first", "last"),
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), inner)
    ),
    max_leaves=8,
)

KINDS = (
    *("message", "step", "snapshot", "start", "gap", "expired", "seal", "quiet"),
    *("tail_cut", "omen"),
)


def forged_bodies() -> st.SearchStrategy[bytes]:
    """What somebody may put between number and hash who knows how to compute it."""
    head = st.builds(
        b'"hlc":"2026-11-28T06:42:39.958543Z+0/pg1","at":1.5,"kind":"%b"'.__mod__,
        st.sampled_from(KINDS).map(str.encode),
    )
    rubbish = st.binary(max_size=30).filter(lambda b: b"\n" not in b)
    fields = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6).map(
        lambda d: json.dumps(d).encode()[1:-1]
    )
    return (
        rubbish
        | fields
        | st.builds(lambda a, b: a + b"," + b, head, fields)
        | st.builds(lambda a, b: a + b, head, rubbish)
    )


@st.composite
def forgeries(draw: st.DrawFn, contents: Contents) -> Harm:
    """Some bodies are others, and every hash after them is right again."""
    everything = lines_of(contents)
    indexes = st.integers(0, len(everything) - 1)
    forged = draw(
        st.dictionaries(indexes, forged_bodies(), min_size=1, max_size=5),
    )
    touched = set()
    changed = Contents()
    own: Hash = NO_HASH
    index = 0
    for name, content in sorted(contents.items()):
        made = []
        for text in _lines(content):
            body = forged.get(index, _body(text, own))
            new, own = line(index + 1, body, own)
            if index in forged:
                touched.add(new)
            made.append(new)
            index += 1
        changed[name] = b"".join(made)
    return Harm(f"forged {sorted(forged)}", changed, touched, is_seen=False)


ODD: Sequence[Any] = (
    *(None, True, 0, -1, 1.5, 2**70, -(2**70), 10**400, 1e308, math.nan, -math.inf),
    *("", "x" * 3000, "\x00\x1b[31m<script>alert(1)</script>", "{member}", "-5"),
    *("NaN", "Infinity", "2026-13-45", "pg1/2/3", "9" * 400, "../../etc/passwd"),
    *([], [[]], {}, {"a": 1}, [None], [{}], ["pg1"], {"code": 5, "parameters": 5}),
)
"""What no field expects; most fields expect some."""


@st.composite
def falsehoods(draw: st.DrawFn, contents: Contents) -> Harm:
    """In some records one field is something else, or missing; hashes are right again.

    Chance says where, not hypothesis: it takes many before one matters.
    """
    seed = draw(st.integers(0, 2**32))
    chance = random.Random(seed)
    count = draw(st.sampled_from((1, 20, 150)))
    last = len(lines_of(contents)) - 1
    wrong = {chance.randint(0, last) for _ in range(count)}

    def false(index: int, body: bytes) -> bytes:
        return _with_a_falsehood(body, chance) if index in wrong else body

    changed = rewritten(contents, false)
    return Harm(f"{count} falsehoods of seed {seed}", changed, is_seen=False)


def _with_a_falsehood(body: bytes, chance: random.Random) -> bytes:
    record = json.loads(b"{%b}" % body)
    holder, name = chance.choice(list(_places(record)))
    if chance.random() < 0.1:
        del holder[name]
    else:
        holder[name] = chance.choice(ODD)
    return json.dumps(record).encode()[1:-1]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in the value, with every name or number in it."""
    if isinstance(value, dict | list):
        for name in value if isinstance(value, dict) else range(len(value)):
            yield value, name
            yield from _places(value[name])


def foreign(contents: Contents, scope: str) -> Contents:
    """As a member of another cluster would have written it."""
    old, new = b'"demo"', json.dumps(scope).encode()
    return rewritten(contents, lambda index, body: body.replace(old, new))


def of_the_future(contents: Contents) -> Contents:
    """As a newer version might write it: every message has a higher version, a field
    more, and in each value one field more."""

    def newer(index: int, body: bytes) -> bytes:
        if b'"kind":"message"' not in body:
            return body
        record = json.loads(b"{%b}" % body)
        record["v"] += 1
        record["data"]["of_the_future"] = [1]
        for value in record["data"].values():
            if isinstance(value, dict):
                value["of_the_future"] = "more"
        return json.dumps(record, separators=(",", ":")).encode()[1:-1]

    return rewritten(contents, newer)


def rewritten(contents: Contents, new: Callable[[int, bytes], bytes]) -> Contents:
    """With the body of each record that `new` makes of its index and its old body, and
    every hash right."""
    changed = Contents()
    own: Hash = NO_HASH
    index = 0
    for name, content in sorted(contents.items()):
        made = []
        for text in _lines(content):
            body = new(index, _body(text, own))
            whole, own = line(index + 1, body, own)
            made.append(whole)
            index += 1
        changed[name] = b"".join(made)
    return changed


def _body(text: bytes, previous: Hash) -> bytes:
    body = text.partition(b",")[2].rpartition(b',"hash"')[0]
    return re.sub(rb'(?<="previous":")[0-9a-f]{32}', previous.encode(), body)


HARMS: Sequence[Callable[[Contents], st.SearchStrategy[Harm]]] = (
    flips,
    cuts,
    line_harms,
    file_harms,
)


def any_harm(contents: Contents) -> st.SearchStrategy[Harm]:
    return st.one_of([harm(contents) for harm in HARMS])


@st.composite
def several(draw: st.DrawFn, contents: Contents) -> Harm:
    """One harm after the other."""
    done = Harm("nothing", contents)
    for _ in range(draw(st.integers(1, 4))):
        left = Contents(
            {name: c for name, c in done.contents.items() if c.count(b"\n") > 1}
        )
        if left:
            harm = draw(any_harm(left))
            all_of_it = Contents({**done.contents, **harm.contents})
            done = Harm(f"{done.what}, {harm.what}", all_of_it)
    return done
