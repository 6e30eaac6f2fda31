"""Why a request over HTTP failed, in words for the operator."""

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
    if isinstance(error, urllib3.exceptions.SSLError):
        return f"its certificate is refused: {error}; see {cafile}"
    return str(error) or type(error).__name__
