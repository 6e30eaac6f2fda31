"""OTLP over HTTP: https://opentelemetry.io/docs/specs/otlp/#otlphttp."""

import gzip
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import urllib3

from regnal.bridges.otlp.batch import Signal
from regnal.bridges.otlp.options import OtlpOptions
from regnal.bridges.otlp.sending import NO_RECEIVER, SHOWN, Refused
from regnal.bridges.outgoing import NotSent
from regnal.bridges.web_trouble import reason_of
from regnal.messages.base import Bytes, Seconds

CONTENT_TYPE = "application/x-protobuf"

LONGEST_ANSWER: Bytes = 64 * 1024

UNWANTED = (400, 413, 422)
"""Sent again, the same would be refused again.  Of what else is refused the cause is on
the way there (a wrong path or password, a proxy), where it can be put right: it waits."""

REMEDIES: Mapping[int, str] = {
    401: "see otel.headers",
    403: "see otel.headers",
    404: "is otel.endpoint the base URL of an OTLP receiver?",
    405: "is otel.endpoint the base URL of an OTLP receiver?",
    415: "is otel.endpoint the base URL of an OTLP receiver?",
}


class HttpTransport:
    """See `regnal.bridges.otlp.sending.Transport`."""

    def __init__(self, options: OtlpOptions) -> None:
        self._options = options
        self._pool: urllib3.PoolManager | None = None

    def post(self, signal: Signal, body: bytes) -> bytes:
        """Raises NotSent, Refused."""
        options = self._options
        try:
            answer = self._connections().request(
                "POST",
                f"{options.endpoint}/v1/{signal}",
                body=gzip.compress(body) if options.gzip else body,
                headers=self._headers(),
                redirect=False,
                preload_content=False,
            )
            said = answer.read(LONGEST_ANSWER)
            if len(said) < LONGEST_ANSWER:
                answer.release_conn()
            else:
                answer.close()  # what follows nobody wants
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            why = reason_of(error, "otel.cafile, otel.certfile and otel.keyfile")
            raise NotSent(f"{options.shown}: {why}") from error
        self._judge(answer, said)
        return said if answer.status == 200 else b""  # 2xx is as good

    def close(self) -> None:
        if self._pool is not None:
            self._pool.clear()

    def _judge(self, answer: urllib3.BaseHTTPResponse, said: bytes) -> None:
        """Raises NotSent, Refused."""
        status = answer.status
        speaks_otlp = answer.headers.get("content-type", "").startswith(CONTENT_TYPE)
        if 200 <= status < 300:
            if status == 200 and said and not speaks_otlp:
                raise NotSent(f"{self._options.shown}: {NO_RECEIVER}")
            return
        quoted = "" if speaks_otlp else said[:SHOWN].decode(errors="replace").strip()
        remedy = REMEDIES.get(status, "")
        why = f"{self._options.shown} answered {status}" + "".join(
            f": {part}" for part in (quoted, remedy) if part
        )
        # A proxy that says 400 does not know what we said; one that says 413 does.
        if status in UNWANTED and (speaks_otlp or status == 413):
            raise Refused(why)
        raise NotSent(why, after=_seconds(answer.headers.get("retry-after", "")))

    def _connections(self) -> urllib3.PoolManager:
        """Raises OSError where a file cannot be read."""
        if self._pool is None:
            options = self._options
            options.check_files()
            self._pool = urllib3.PoolManager(
                num_pools=1,
                retries=False,
                timeout=urllib3.Timeout(total=options.timeout),
                ca_certs=str(options.cafile) if options.cafile else None,
                cert_file=str(options.certfile) if options.certfile else None,
                key_file=str(options.keyfile) if options.keyfile else None,
            )
        return self._pool

    def _headers(self) -> dict[str, str]:
        ours = {"content-type": CONTENT_TYPE, "user-agent": "regnal"}
        if self._options.gzip:
            ours["content-encoding"] = "gzip"
        return {**self._options.headers, **ours}


def _seconds(retry_after: str) -> Seconds:
    """Of the header; 0 where it says nothing that can be read."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return 0.0
