"""What may be inside a pickle that comes from another Raft node: plain values only.

pysyncobj unpickles whatever reaches its port.  An unrestricted pickle runs any code
it names; ours names nothing but what the protocol needs.
"""

import codecs
import io
import pickle
from typing import IO, Any

import pysyncobj.pickle
from pysyncobj.node import Node, TCPNode

FORBIDDEN = "a Raft peer sent a pickle that names {module}.{name}"


def accept_plain_values_only() -> None:
    """Make pysyncobj read pickles by `PlainUnpickler`; for the whole process."""
    pysyncobj.pickle.loads = loads
    pysyncobj.pickle.load = load


def loads(data: bytes | str) -> Any:
    raw = data if isinstance(data, bytes) else data.encode()
    return PlainUnpickler(io.BytesIO(raw)).load()


def load(file: IO[bytes]) -> Any:
    return PlainUnpickler(file).load()


class PlainUnpickler(pickle.Unpickler):
    """Numbers, texts, bytes, collections of them, and the address of a node."""

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case ("pysyncobj.node", "Node"):
                return Node
            case ("pysyncobj.node", "TCPNode"):
                return TCPNode
            case ("builtins" | "__builtin__", "set"):
                return set
            case ("builtins" | "__builtin__", "bytes"):
                return bytes
            case ("_codecs", "encode"):
                return _latin1
            case _:
                raise pickle.UnpicklingError(FORBIDDEN.format(module=module, name=name))


def _latin1(text: str, encoding: str) -> bytes:
    """How protocol 2 writes bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in a pickle encoded as {encoding}")
    return codecs.latin_1_encode(text)[0]
