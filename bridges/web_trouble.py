"""Why a request over HTTP failed, in words for the operator."""

from http.client import BadStatusLine, RemoteDisconnected

import urllib3


def reason_of(error: Exception, cafile: str) -> str:
    """Without the library's objects, and without the URL.  `cafile`: the option that says
    who vouches for the server."""
    while isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason:
        error = error.reason
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "its name is not known"
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # a TimeoutError, too
        return str(error.__cause__ or "it cannot be reached")
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "it does not answer in time"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return _broken(error.args[-1])
    if isinstance(error, urllib3.exceptions.SSLError):
        if "WRONG_VERSION_NUMBER" in str(error):
            return "it does not speak TLS there: http:// in place of https://?"
        return f"its certificate is refused: {error}; see {cafile}"
    return str(error) or type(error).__name__


def _broken(why: object) -> str:
    """What it sent in place of an answer is not shown: it may be anything."""
    if isinstance(why, BadStatusLine) and not isinstance(why, RemoteDisconnected):
        return "it does not speak HTTP/1.1 there; is it the port of another protocol?"
    if isinstance(why, ConnectionError):  # RemoteDisconnected is one
        return (
            "it broke the connection off; does it want TLS (https://), or a certificate "
            "of ours that it knows?"
        )
    return "its answer is broken"
