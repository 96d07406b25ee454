"""A native messaging host as people write it with Python and `websockets`: one socket, one native frame a message."""

import asyncio
import json
import struct
import sys
import time

import websockets

seq = 0


def say(frame):
    encoded = json.dumps(frame, separators=(",", ":")).encode()
    sys.stdout.buffer.write(struct.pack("=I", len(encoded)) + encoded)
    sys.stdout.buffer.flush()


async def frames():
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while True:
        try:
            (length,) = struct.unpack("=I", await reader.readexactly(4))
            frame = json.loads(await reader.readexactly(length))
        except asyncio.IncompleteReadError:
            return
        if frame["type"] == "batch":
            for one in frame["frames"]:
                yield one
        else:
            yield frame


async def listen(socket):
    global seq
    try:
        async for text in socket:
            seq += 1
            say({"type": "message", "session": "s", "seq": seq, "text": text, "time": int(time.time() * 1000)})
    except websockets.ConnectionClosed:
        pass


async def main():
    global seq
    socket = listener = None
    async for frame in frames():
        kind = frame["type"]
        if kind == "hello":
            say({"type": "welcome"})
        elif kind == "open":
            socket = await websockets.connect(frame["url"], compression=None, max_size=None)
            say({"type": "opened", "id": frame["id"]})
            seq += 1
            say({"type": "state", "session": "s", "seq": seq, "state": "open"})
            listener = asyncio.create_task(listen(socket))
        elif kind == "send":
            await socket.send(frame["text"])
        elif kind == "close":
            listener.cancel()
            socket.transport.abort()
            say({"type": "ok", "id": frame["id"]})


asyncio.run(main())
