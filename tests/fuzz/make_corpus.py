#!/usr/bin/env python3
"""Seeds of the fuzz targets, cut from recorded streams: make_corpus.py STREAM.bmp... (run at the top of the tree).

One input per kind of message and size class, so that the corpus stays small."""
import pathlib
import struct
import sys

root = pathlib.Path("tests/fuzz/corpus")


def write(target, name, data):
    path = root / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


for source in sys.argv[1:]:
    stem = pathlib.Path(source).stem
    stream = pathlib.Path(source).read_bytes()
    write("fuzz_framer", stem, b"\x61" + stream[:3000])
    write("fuzz_bmp", stem, stream[:6000])
    at, seen = 0, set()
    while at + 6 <= len(stream):
        _, size, kind = struct.unpack(">BIB", stream[at:at + 6])
        body = stream[at + 6:at + size]
        at += size
        if len(body) + 6 < size:
            break
        key = (kind, len(body).bit_length())
        if key not in seen and len(body) < 3000:
            seen.add(key)
            write("fuzz_bmp", f"{stem}-type{kind}-{len(body)}", struct.pack(">BIB", 3, size, kind) + body)
        if kind == 0 and len(body) > 61:
            update = body[61:]
            shape = (min(struct.unpack(">H", update[:2])[0], 9), len(update) // 40)
            if ("u", shape) not in seen:
                seen.add(("u", shape))
                write("fuzz_update", f"{stem}-{shape[0]}-{shape[1]}", b"\x01" + update)
        if kind == 3:
            open_at = 42 + 20
            length = struct.unpack(">H", body[open_at + 16:open_at + 18])[0]
            message = body[open_at:open_at + length]
            if ("o", length) not in seen:
                seen.add(("o", length))
                write("fuzz_open", f"{stem}-{length}", message)
