"""The HTTP bridge: the REST API and the questions to other members."""

import importlib.metadata
import logging
import platform
from collections.abc import Sequence

from regnal.bridges.contract import Clock, HybridClock, Voice
from regnal.bridges.http.errors import UnusableOptions
from regnal.bridges.http.event_stream import EventDesk, EventSource
from regnal.bridges.http.explaining import Explain, ExplainDesk
from regnal.bridges.http.journal_stream import JournalReader, JournalSource
from regnal.bridges.http.options import ClientOptions, RestOptions
from regnal.bridges.http.prober import AskPostgres, Prober
from regnal.bridges.http.server import Mouth, Server
from regnal.bridges.http.service import MoreMetrics, Service
from regnal.bridges.metric import Measured
from regnal.messages.base import Command, MemberName, Message
from regnal.messages.envelope import Envelope, PartName
from regnal.messages.probes import AskFailsafe, ProbePeers
from regnal.messages.requests import RequestAnswered
from regnal.messages.status import PublishIncidents, PublishStatus, WithdrawPrimary

logger = logging.getLogger(__name__)


class HttpBridge:
    """See `bridges.contract.Bridge`."""

    def __init__(
        self,
        *,
        member: MemberName,
        scope: str,
        incarnation: int,
        peer_version: str,
        options: RestOptions,
        client: ClientOptions,
        voice: Voice,
        clock: Clock,
        hybrid_clock: HybridClock,
        journal: JournalSource | None,
        explain: Explain | None,
        more_metrics: MoreMetrics | None = None,
        events: EventSource | None = None,
        ask_postgres: AskPostgres,
    ) -> None:
        """`peer_version` is what we tell members of the peer product to be.
        `journal`, `explain`, `events` None: GET of that name answers 503.
        Raises UnusableOptions."""
        self._voice = voice
        self._mouth = Mouth(voice.say)
        self._reader = JournalReader(journal) if journal else None
        self._explainer = ExplainDesk(explain) if explain else None
        self._events = EventDesk(events) if events else None
        self._service = Service(
            name=member,
            scope=scope,
            incarnation=incarnation,
            product=product(),
            peer_version=peer_version,
            options=options,
            clock=clock,
            hybrid_clock=hybrid_clock,
            say=self._mouth.say,
            reader=self._reader,
            explainer=self._explainer,
            more_metrics=more_metrics,
            events=self._events,
        )
        self._server = Server(self._service, options)
        self._prober = Prober(client, voice, clock, hybrid_clock, ask_postgres)

    @property
    def name(self) -> PartName:
        return "http"

    @property
    def performs(self) -> tuple[type[Command], ...]:
        return (
            PublishStatus,
            PublishIncidents,
            WithdrawPrimary,
            RequestAnswered,
            ProbePeers,
            AskFailsafe,
        )

    @property
    def port(self) -> int:
        """Where the REST API listens, once started."""
        return self._server.port

    def measured(self) -> Sequence[Measured]:
        """What GET /metrics would tell; quick, from any thread."""
        return self._service.measured()

    def start(self) -> None:
        """Raises UnusableOptions; its text is for the operator."""
        self._server.start()
        self._mouth.start()
        self._prober.start()
        for desk in (self._reader, self._explainer, self._events):
            if desk is not None:
                desk.start()

    def perform(self, envelope: Envelope[Command]) -> None:
        message: Message = envelope.message
        match message:
            case WithdrawPrimary():
                self._service.withdraw()
            case PublishStatus(snapshot=snapshot):
                self._service.publish(snapshot)
            case PublishIncidents(document=document):
                self._service.publish_incidents(document)
            case RequestAnswered():
                self._server.call(self._service.answer, message)
            case ProbePeers() | AskFailsafe():
                self._prober.perform(envelope)
            case _:
                raise AssertionError(f"not ours: {message.__class__.__name__}")

    def reconfigure(self, options: RestOptions, client: ClientOptions) -> None:
        """Take another configuration over, or certificates that changed on disk.

        What cannot be used is told in the log, and the REST API goes on as it was.
        """
        try:
            self._prober.reconfigure(client)
            self._server.reconfigure(options)
        except UnusableOptions as error:
            logger.error("The REST API goes on as it was: %s", error)
        else:
            self._service.reconfigure(options)

    def stop(self) -> None:
        self._server.stop()
        self._mouth.stop()
        self._prober.stop()
        for desk in (self._reader, self._explainer, self._events):
            if desk is not None:
                desk.stop()


def product() -> str:
    """The `Server` header: who we are, and on what."""
    version = importlib.metadata.version("regnal")
    return f"Regnal/{version} Python/{platform.python_version()}"
