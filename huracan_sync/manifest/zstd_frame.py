"""One zstd frame, unpacked within the bounds that were signed for it.

The frame must say how large its content is, and that must be the signed figure, before any memory is taken for it;
its window is at most 8 MiB; it has no dictionary; nothing follows it. libzstd refuses a frame that holds more or less
than it says.
"""

from __future__ import annotations

import zstandard

from huracan_sync.manifest.refusals import refused

MAX_WINDOW = 8 * 1024 * 1024
LEVEL = 3
_MAGIC = b"\x28\xb5\x2f\xfd"


def compress(raw: bytes) -> bytes:
    """One frame, with the size of its content."""
    return zstandard.ZstdCompressor(level=LEVEL, write_content_size=True, write_checksum=False).compress(raw)


def decompress(frame: bytes, raw_len: int) -> bytes:
    """The content of `frame`, which has exactly `raw_len` bytes, or `BODY_FORMAT`."""
    try:
        if frame[:4] != _MAGIC:
            raise refused("BODY_FORMAT", "a body does not hold a zstd frame", actual=frame[:4].hex())
        told = zstandard.get_frame_parameters(frame)
        if told.content_size != raw_len or told.window_size > MAX_WINDOW or told.dict_id:
            raise refused(
                "BODY_FORMAT",
                f"a body's zstd frame is for {told.content_size} bytes where {raw_len} are signed",
                actual=told.content_size,
                expected=raw_len,
                window_bytes=told.window_size,
                dictionary=told.dict_id,
            )
        raw: bytes = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompress(frame, allow_extra_data=False)
    except (zstandard.ZstdError, MemoryError) as error:
        raise refused("BODY_FORMAT", f"a body cannot be unpacked: {error}", reason=str(error)) from None
    return raw
