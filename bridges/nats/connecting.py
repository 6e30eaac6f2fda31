"""How the configuration's options are said to the NATS library."""

import ssl
from typing import Any

from regnal.bridges.nats.options import NatsOptions


def account(options: NatsOptions) -> dict[str, Any]:
    """Who we are."""
    credentials = options.credentials
    return {
        "user": options.username,
        "password": options.password,
        "token": options.token,
        "user_credentials": str(credentials) if credentials is not None else None,
    }


def encryption(options: NatsOptions) -> dict[str, Any]:
    """Raises OSError where a file cannot be read."""
    if not options.wants_tls:
        return {}
    context = ssl.create_default_context(
        cafile=str(options.cafile) if options.cafile else None
    )
    if options.certfile is not None:
        keyfile = str(options.keyfile) if options.keyfile else None
        context.load_cert_chain(str(options.certfile), keyfile)
    return {"tls": context}
