"""libpq's connection strings: read, written, compared and masked.

Both notations of the PostgreSQL manual are read (33.1.1 "Connection Strings"):
`key=value` and URI, with several hosts, IPv6 in brackets and sockets.  Unknown
keywords are kept: a server may know more of them than our libpq does.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import TypeAlias
from urllib.parse import unquote

Parameters: TypeAlias = dict[str, str]
"""Keyword to value, as libpq names them."""

SECRETS = frozenset({"password", "sslpassword"})

HIDDEN = "***"
"""In place of a secret, for people."""

OBFUSCATED = "********"
"""In place of a secret, in PostgreSQL's pg_stat_wal_receiver."""

URI_SCHEMES = ("postgresql://", "postgres://")

DEFAULTS: Mapping[str, str] = {
    "channel_binding": "prefer",
    "gssencmode": "prefer",
    "krbsrvname": "postgres",
    "port": "5432",
    "sslmode": "prefer",
    "sslnegotiation": "postgres",
    "target_session_attrs": "any",
}
"""What libpq takes where a string leaves a keyword out."""

COMPARED = (
    "host",
    "port",
    "user",
    "application_name",
    "krbsrvname",
    "sslmode",
    "sslkey",
    "sslcert",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
    "sslnegotiation",
    "gssencmode",
    "channel_binding",
    "target_session_attrs",
)
"""What makes two strings lead to the same server in the same way."""


class InvalidConnectionString(ValueError):
    """The text is in neither notation; the message never quotes it."""


def parse(text: str) -> Parameters:
    """The keywords of a connection string.  Raises InvalidConnectionString."""
    for scheme in URI_SCHEMES:
        if text.startswith(scheme):
            return _parse_uri(text.removeprefix(scheme))
    return _parse_pairs(text)


def build(parameters: Mapping[str, str]) -> str:
    """The `key=value` notation, in the order given."""
    return " ".join(f"{key}={quoted(value)}" for key, value in parameters.items())


def quoted(value: str) -> str:
    """A value of the `key=value` notation, quoted only where it must be."""
    if value and not re.search(r"[\s'\\]", value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def masked(text: str) -> str:
    """The string with its secrets hidden, for logs."""
    try:
        parameters = parse(text)
    except InvalidConnectionString:
        return "(unreadable connection string)"
    return build(
        {k: HIDDEN if k in SECRETS else value for k, value in parameters.items()}
    )


def differences(
    wanted: Mapping[str, str], actual: Mapping[str, str], server_version: int
) -> tuple[str, ...]:
    """The keywords in which two strings mean different things.

    libpq's defaults count as written.  A password counts as the same if it is
    obfuscated, since then nobody can tell.  `dbname` matters from 17 on, where
    slots are synchronised over that connection.
    """
    keywords = (*COMPARED, "dbname") if server_version >= 170000 else COMPARED
    found = [
        keyword
        for keyword in keywords
        if _meaning(wanted, keyword) != _meaning(actual, keyword)
    ]
    if not _same_password_source(wanted, actual):
        found.append("password")
    return tuple(found)


def split_hosts(host: str, port: str) -> tuple[tuple[str, str], ...]:
    """Each host of a list with its port; one port serves all hosts."""
    hosts = [without_brackets(part.strip()) for part in host.split(",")]
    ports = [part.strip() for part in port.split(",")]
    if len(ports) == 1:
        ports *= len(hosts)
    return tuple(zip_longest(hosts, ports[: len(hosts)], fillvalue=""))


def without_brackets(host: str) -> str:
    """An IPv6 address as libpq's `host` wants it."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def is_socket_directory(host: str) -> bool:
    return host.startswith(("/", "@"))


def _meaning(parameters: Mapping[str, str], keyword: str) -> object:
    value = parameters.get(keyword) or DEFAULTS.get(keyword, "")
    if keyword in ("host", "port"):
        host = parameters.get("host") or parameters.get("hostaddr", "")
        port = parameters.get("port") or DEFAULTS["port"]
        pairs = split_hosts(host.lower(), port)
        position = 0 if keyword == "host" else 1
        return tuple(pair[position] or DEFAULTS.get(keyword, "") for pair in pairs)
    return value


def _same_password_source(wanted: Mapping[str, str], actual: Mapping[str, str]) -> bool:
    if "password" in actual:
        # We cannot compare what is obfuscated, and need not: were it wrong,
        # the receiver would not stream.
        return actual["password"] in (OBFUSCATED, wanted.get("password", OBFUSCATED))
    if "password" in wanted:
        return False
    return wanted.get("passfile", "") == actual.get("passfile", "")


def _parse_pairs(text: str) -> Parameters:
    parameters: Parameters = {}
    rest = text.lstrip()
    while rest:
        match = re.match(r"([^\s=]+)\s*=\s*", rest)
        if match is None:
            raise InvalidConnectionString('a keyword is not followed by "="')
        value, rest = _take_value(rest[match.end() :])
        parameters[match.group(1)] = value
        rest = rest.lstrip()
    return parameters


def _take_value(text: str) -> tuple[str, str]:
    """The value at the beginning of the text, and what follows it."""
    is_quoted = text.startswith("'")
    value: list[str] = []
    characters = enumerate(text[1:] if is_quoted else text, start=int(is_quoted))
    for position, character in characters:
        if character == "\\":
            _, escaped = next(characters, (0, ""))
            value.append(escaped)
        elif is_quoted and character == "'":
            return "".join(value), text[position + 1 :]
        elif not is_quoted and character.isspace():
            return "".join(value), text[position:]
        else:
            value.append(character)
    if is_quoted:
        raise InvalidConnectionString("a quoted value has no end")
    return "".join(value), ""


def _parse_uri(text: str) -> Parameters:
    parameters: Parameters = {}
    location, _, query = text.partition("?")
    authority, _, database = location.partition("/")
    userinfo, at, hosts = authority.rpartition("@")
    if at:
        user, colon, password = userinfo.partition(":")
        if user:
            parameters["user"] = _decoded(user)
        if colon and password:
            parameters["password"] = _decoded(password)
    parameters |= _parse_hosts(hosts)
    if database:
        parameters["dbname"] = _decoded(database)
    parameters |= dict(_parse_query(query))
    return parameters


def _parse_hosts(text: str) -> Parameters:
    if not text:
        return {}
    hosts: list[str] = []
    ports: list[str] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?", part)
        if match is None:
            raise InvalidConnectionString("a host of the URI is malformed")
        hosts.append(_decoded(without_brackets(match.group(1))))
        ports.append(_decoded(match.group(2) or ""))
    parameters: Parameters = {}
    if "".join(hosts) or len(hosts) > 1:
        parameters["host"] = ",".join(hosts)
    if "".join(ports) or len(ports) > 1:
        parameters["port"] = ",".join(ports)
    return parameters


def _parse_query(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split("&") if text else ():
        keyword, equals, value = part.partition("=")
        if not equals or "=" in value:
            raise InvalidConnectionString("a parameter of the URI is malformed")
        if (keyword, value) == ("ssl", "true"):  # as JDBC writes it
            yield "sslmode", "require"
        else:
            yield _decoded(keyword), _decoded(value)


def _decoded(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})|%00", text):
        raise InvalidConnectionString("a percent-encoded character is malformed")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidConnectionString(
            "a percent-encoded character is malformed"
        ) from None
