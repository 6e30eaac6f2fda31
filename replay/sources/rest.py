"""Journals of a live cluster: every member is asked for its own, all at once.

One member names the others (`GET /cluster`); each sends its whole segments as a bundle
(`GET /journal?whole=true`), which is unpacked as it comes.  Who does not answer, or
sends half, is a trouble; what came is used.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import unquote, urlencode, urlsplit

from urllib3 import BaseHTTPResponse

from regnal.bridges.http.member_pools import (
    CertificateUnusable,
    MemberPools,
    NoAnswer,
    read_some,
)
from regnal.bridges.http.options import BasicCredentials, ClientOptions
from regnal.journal.progress import Progress
from regnal.journal.unbundling import BundleRefused, Unpacked, unpack_stream
from regnal.messages.base import Bytes, MemberName, Seconds
from regnal.messages.frozen import replace
from regnal.replay.sources.files import take_unpacked
from regnal.replay.sources.gathering import Gathered, Question, Workshop
from regnal.replay.troubles import TroubleCode

NOBODY = ClientOptions(
    credentials=None,
    insecure=False,
    cacert=None,
    certfile=None,
    keyfile=None,
    keyfile_password=None,
)
"""Without a name, and with the system's certificates."""

AT_ONCE = 8
"""Members that send at the same time: more would only share the same line."""

SHORT_SILENCE: Seconds = 10.0
"""Of a member that answers from memory."""

LONG_SILENCE: Seconds = 30.0
"""While a journal comes; its disk may be busy."""

LONGEST_FETCH: Seconds = 1800.0
"""For all of one journal: a gibibyte at half a megabyte a second."""

LARGEST_JOURNAL: Bytes = 8 * 1024**3
"""Of one member, as it is sent.  By default a daemon keeps one gibibyte."""

_LARGEST_ANSWER: Bytes = 16 * 1024**2

_LARGEST_REFUSAL: Bytes = 2000

_AGENT = "regnal"

_REMEDIES = {
    400: "it runs an older version; use its journal directory",
    401: "give the credentials, with --config or as http://NAME:PASSWORD@HOST:PORT",
    403: "this host is not in its restapi.allowlist; ask from one that is",
    404: "it has no journal: it runs another product, or an older version",
    503: "its journal is being read by others, or it has none; try again later",
}
"""By status of the answer."""


class Target(NamedTuple):
    """A member that is asked for its journal."""

    name: MemberName | None
    """None: nobody could say."""

    base: str
    """`http(s)://host:port`, without credentials."""

    answers: bool = True

    @classmethod
    def at(cls, name: MemberName, url: str) -> "Target":
        """Of a member that publishes this URL of its REST API."""
        base, _ = parted(url)
        return cls(name, base or "", answers=base is not None)

    @property
    def subject(self) -> str:
        return self.name or self.base


def find_in_clusters(
    places: Sequence[str], question: Question, shop: Workshop, gathered: Gathered
) -> None:
    """The members of the clusters to which these REST APIs belong."""
    client = question.client
    named: dict[str, Target] = {}
    others: dict[MemberName, Target] = {}
    for place in places:
        base, account = parted(place)
        if base is None:
            gathered.trouble(
                "place_unusable",
                place,
                f"{place} is not the address of a REST API; write http://HOST:PORT",
            )
            continue
        if account is not None:
            client = replace(client, credentials=account)
        if base not in named:
            with closing(MemberPools(client, _AGENT)) as pools:
                first, *rest = members_at(base, pools, gathered)
            named[base] = first
            others |= {target.name: target for target in rest if target.name}
    # Through a tunnel a member is not where it says it is: as it was named comes first.
    for target in named.values():
        others.pop(target.name or "", None)
    fetch(
        [*named.values(), *others.values()],
        replace(question, client=client),
        shop,
        gathered,
    )


def fetch(
    targets: Sequence[Target], question: Question, shop: Workshop, gathered: Gathered
) -> None:
    """The journals of these members."""
    if not targets:
        return
    gathered.spoken_of.update(target.name for target in targets if target.name)
    for target in targets:
        if not target.answers and target.name:
            gathered.trouble(
                "member_unreachable",
                target.name,
                f"{target.name} publishes no usable address of its REST API",
            )
    with (
        closing(MemberPools(question.client, _AGENT)) as pools,
        ThreadPoolExecutor(AT_ONCE, "fetch-journal") as pool,
    ):
        fetching = _Fetching(pools, question, shop, gathered)
        asked = [pool.submit(fetching.fetch, t) for t in targets if t.answers]
        try:
            for future in as_completed(asked):
                future.result()
        except BaseException:  # a person who does not want to wait for the rest
            fetching.is_over.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def parted(place: str) -> tuple[str | None, BasicCredentials | None]:
    """The address, and the account that stands in it."""
    try:
        parts = urlsplit(place)
        _ = parts.port
    except ValueError:
        return None, None
    if not parts.hostname:
        return None, None
    account = None
    if parts.username is not None:
        account = BasicCredentials(
            unquote(parts.username), unquote(parts.password or "")
        )
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", account


def members_at(base: str, pools: MemberPools, gathered: Gathered) -> Iterator[Target]:
    """The member that was named, and those that it names."""
    try:
        own = _name_in(_asked(pools, f"{base}/patroni"))
        members = _asked(pools, f"{base}/cluster").get("members")
    except (NoAnswer, CertificateUnusable) as error:
        gathered.trouble(
            "member_unreachable",
            base,
            f"{base} does not answer: {error}; name another member, or the journals "
            "themselves",
        )
        yield Target(None, base, answers=False)
        return
    yield Target(own, base)
    for member in members if isinstance(members, list) else ():
        name = _named(member, "name")
        if name is not None and name != own:
            yield Target.at(name, _named(member, "api_url") or "")


def _asked(pools: MemberPools, url: str) -> dict[str, Any]:
    """The document there; empty if it is none.  Raises NoAnswer."""
    response = pools.request("GET", url, silence=SHORT_SILENCE)
    try:
        document = json.loads(read_some(response, _LARGEST_ANSWER))
    except (ValueError, RecursionError):
        return {}
    finally:
        response.close()
    return document if isinstance(document, dict) else {}


def _name_in(status: dict[str, Any]) -> MemberName | None:
    return _named(status.get("patroni"), "name")


def _named(value: object, name: str) -> str | None:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) and found else None


class _Fetching:
    """Several members at once, one after the other in what they find."""

    def __init__(
        self,
        pools: MemberPools,
        question: Question,
        shop: Workshop,
        gathered: Gathered,
    ) -> None:
        self.is_over = threading.Event()
        """Nobody waits for what still comes."""

        self._pools = pools
        self._query = urlencode(
            {
                "whole": "true",
                **({"since": question.since} if question.since else {}),
                **({"until": question.until} if question.until else {}),
            }
        )
        self._shop = shop
        self._findings = gathered
        self._lock = threading.Lock()
        self._arrived = _Arrived(question.progress)

    def fetch(self, target: Target) -> None:
        """Never raises: what goes wrong is a trouble of this member."""
        subject = target.subject
        try:
            unpacked = self._ask(target)
        except (NoAnswer, CertificateUnusable) as error:
            self._trouble(
                "member_unreachable", subject, f"{subject} does not answer: {error}"
            )
        except _Refusal as error:
            self._trouble("member_refused", subject, str(error))
        except BundleRefused as error:
            self._trouble("answer_cut_off", subject, str(error))
        except OSError as error:
            self._trouble(
                "answer_cut_off",
                subject,
                f"the journal of {subject} cannot be stored: {error}; "
                "set TMPDIR to a directory with room",
            )
        else:
            self._take(target, unpacked)

    def _ask(self, target: Target) -> Unpacked:
        url = f"{target.base}/journal?{self._query}"
        response = self._pools.request("GET", url, silence=LONG_SILENCE)
        try:
            if response.status != 200:
                raise _refusal(target, response)
            with self._lock:
                directory = self._shop.new()
            name = f"the journal of {target.subject}"
            return unpack_stream(
                name, _Body(response, self.is_over), directory, self._arrived.of_one()
            )
        finally:
            response.close()

    def _take(self, target: Target, unpacked: Unpacked) -> None:
        with self._lock:
            for flaw in unpacked.flaws:
                self._findings.trouble("answer_cut_off", target.subject, flaw.text)
            if not unpacked.folders:
                self._findings.trouble(
                    "no_journal",
                    target.subject,
                    f"the journal of {target.subject} is empty",
                )
            take_unpacked(unpacked, target.base, self._findings)

    def _trouble(self, code: TroubleCode, subject: str, text: str) -> None:
        with self._lock:
            self._findings.trouble(code, subject, text)


class _Refusal(Exception):
    """The member answered, and not with a journal."""


def _refusal(target: Target, response: BaseHTTPResponse) -> _Refusal:
    said = read_some(response, _LARGEST_REFUSAL).decode(errors="replace").strip()
    remedy = _REMEDIES.get(response.status, "look into its log")
    return _Refusal(
        f"{target.subject} gives no journal: {response.status} {said[:200]!r}; {remedy}"
    )


class _Body:
    """The body of an answer, as long as it does not take too long or get too large."""

    def __init__(self, response: BaseHTTPResponse, is_over: threading.Event) -> None:
        self._response = response
        self._is_over = is_over
        self._until = time.monotonic() + LONGEST_FETCH
        self._left = LARGEST_JOURNAL

    def read(self, size: int) -> bytes:
        """Raises OSError."""
        if self._is_over.is_set():
            raise OSError("nobody waits for it any more")
        if time.monotonic() > self._until:
            raise OSError(f"it took longer than {LONGEST_FETCH:.0f} s; give --since")
        try:
            chunk = read_some(self._response, size)
        except NoAnswer as error:
            raise OSError(str(error)) from error
        self._left -= len(chunk)
        if self._left < 0:
            raise OSError(f"it is larger than {LARGEST_JOURNAL} bytes; give --since")
        return chunk


class _Arrived:
    """Adds up what comes from all members, for one progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._total: Bytes = 0

    def of_one(self) -> Callable[[Bytes], None]:
        """What is to be told how much has come of one of them."""
        before: Bytes = 0

        def heard(count: Bytes) -> None:
            nonlocal before
            with self._lock:
                self._total += count - before
                before = count
                self._progress("fetching journals", self._total, None)

        return heard
