"""Evidence on its way between processes: packed as data, in frames of bounded length."""

from __future__ import annotations

import struct
from typing import IO, Any

import msgspec
import numpy as np

from grader.judging.evidence import ARRAY, DTYPES

FRAME_LIMIT = 64_000_000  # bytes; far more than any evidence


def read_frame(stream: IO[bytes]) -> bytes | None:
    """A frame: its length in four bytes, then its bytes. None at the end of the stream."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    (length,) = struct.unpack(">I", head)
    if length > FRAME_LIMIT:
        raise ValueError(f"a message of {length} bytes is larger than {FRAME_LIMIT}")
    body = stream.read(length)
    return body if len(body) == length else None


def write_frame(stream: IO[bytes], frame: bytes) -> None:
    stream.write(struct.pack(">I", len(frame)) + frame)
    stream.flush()


def encode(message: Any) -> bytes:
    """Plain data, or a `msgspec.Struct` that holds it, as msgpack."""
    return msgspec.msgpack.encode(message, enc_hook=_pack_array)


def decode(frame: bytes, kind: Any) -> Any:
    """Read what `encode` wrote as `kind`. Raises `msgspec.DecodeError` on anything else."""
    try:
        return msgspec.msgpack.decode(frame, type=kind, ext_hook=_unpack_array)
    except (ValueError, TypeError, RecursionError) as error:
        raise msgspec.DecodeError(f"not a message of ours: {error}") from None


def _pack_array(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        raise NotImplementedError(f"{type(value).__name__} is not plain data")
    header = (value.dtype.name, list(value.shape), np.ascontiguousarray(value).tobytes())
    return msgspec.msgpack.Ext(ARRAY, msgspec.msgpack.encode(header))


def _unpack_array(code: int, data: memoryview) -> np.ndarray:
    dtype, shape, values = msgspec.msgpack.decode(data, type=tuple[str, list[int], bytes])
    if code != ARRAY or dtype not in DTYPES:
        raise ValueError(f"extension {code} of {dtype!r}")
    return np.frombuffer(values, dtype=dtype).reshape(shape)
