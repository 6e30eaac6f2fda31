#!/usr/bin/env python3
"""Tells a chat what happens: receives Regnal's webhooks, posts a line as Slack takes it.

    WEBHOOK_SECRET=... CHAT_URL=https://hooks.slack.com/services/... chat_webhook.py 9000

and in the configuration of every member:

    webhooks:
      - url: http://127.0.0.1:9000/
        secret: ...
        events: [failover.*, switchover.*, postgres.crashed, member.fenced]

Several members tell the same event under the same id: it is posted once.  Needs nothing
but Python.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
import urllib.request
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

MAXIMUM_AGE = 300
"""Seconds: an older request may be one that somebody has recorded."""

REMEMBERED = 1000

SENTENCES = {
    "regnal.failover.started.v1": ":rotating_light: failover begins: {text}",
    "regnal.failover.completed.v1": ":white_check_mark: {leader} leads instead of "
    "{former}, after {promoted_after_seconds:.1f} s",
    "regnal.switchover.completed.v1": ":arrows_counterclockwise: {leader} leads instead "
    "of {former}, as it was asked for",
    "regnal.postgres.crashed.v1": ":boom: PostgreSQL of {subject} ended (signal {signal})",
    "regnal.member.fenced.v1": ":no_entry: {subject} was fenced",
}


def is_genuine(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """https://www.standardwebhooks.com"""
    ident, moment = headers["webhook-id"], headers["webhook-timestamp"]
    covered = f"{ident}.{moment}.".encode() + body
    digest = hmac.new(secret.encode(), covered, hashlib.sha256).digest()
    wanted = "v1," + base64.b64encode(digest).decode()
    is_new = abs(time.time() - int(moment)) < MAXIMUM_AGE
    return is_new and hmac.compare_digest(wanted, headers["webhook-signature"])


def sentence(event: dict[str, Any]) -> str:
    values = {**event["data"], "subject": event["subject"]}
    # A type that this program does not know is told as it is.
    form = SENTENCES.get(event["type"], f"{event['type']} of {{subject}}")
    return f"[{event['source'].split('/')[2]}] {form.format(**values)}"


class Receiver(BaseHTTPRequestHandler):
    secret, chat_url = "", ""
    seen: ClassVar[dict[str, None]] = {}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            genuine = is_genuine(self.headers, body, self.secret)
        except (TypeError, ValueError, KeyError):
            genuine = False
        if not genuine:
            self.answer(401)
            return
        ident = self.headers["webhook-id"]
        if ident not in self.seen:
            try:
                self.post(sentence(json.loads(body)))
            except OSError:
                self.answer(503)  # the chat is away: Regnal tries again
                return
            self.seen[ident] = None
            if len(self.seen) > REMEMBERED:
                del self.seen[next(iter(self.seen))]
        self.answer(204)

    def post(self, text: str) -> None:
        request = urllib.request.Request(
            self.chat_url,
            data=json.dumps({"text": text}).encode(),
            headers={"content-type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=5).close()

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()


def main() -> None:
    Receiver.secret = os.environ["WEBHOOK_SECRET"]
    Receiver.chat_url = os.environ["CHAT_URL"]
    server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    print(f"listening on port {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
