#!/usr/bin/env python3
"""Ends of WebSockets, with the library of others. Used by websocket.sh.

ws.py serve PORT           says first what the request's headers were, then every message again
ws.py ask URI ADDRESS FROM one connection to ADDRESS:80; a line of standard input each: "text T", "big BYTES", "close"; a line of answer each
"""
import asyncio
import hashlib
import json
import os
import sys

import websockets


async def serve(port):
    async def echo(socket):
        headers = socket.request_headers
        await socket.send(json.dumps({"xff": headers.get("X-Forwarded-For"), "host": headers.get("Host"),
                                      "connection": headers.get("Connection"), "path": socket.path,
                                      "peer": socket.remote_address[0]}))
        async for message in socket:
            await socket.send(message)
        print("closed", socket.close_code, flush=True)

    async with websockets.serve(echo, "0.0.0.0", port, max_size=None, ping_interval=None, compression=None):
        print("ready", flush=True)
        await asyncio.Future()


async def ask(uri, address, source):
    loop = asyncio.get_running_loop()
    async with websockets.connect(uri, host=address, port=80, local_addr=(source, 0), max_size=None,
                                  ping_interval=None, compression=None, extra_headers={"X-Forwarded-For": "9.9.9.9"}) as socket:
        print("opened", await socket.recv(), flush=True)
        while True:
            line = (await loop.run_in_executor(None, sys.stdin.readline)).split()
            if not line or line[0] == "close":
                break
            if line[0] == "big":
                sent = os.urandom(int(line[1]))
                await socket.send(sent)
                got = await socket.recv()
                same = hashlib.sha256(sent).digest() == hashlib.sha256(got).digest()
                print("big", len(got), "same" if same else "different", flush=True)
            else:
                await socket.send(line[1])
                pong = await socket.ping()
                print("text", await socket.recv(), flush=True)
                await pong
    print("closed", socket.close_code, flush=True)


if sys.argv[1] == "serve":
    asyncio.run(serve(int(sys.argv[2])))
else:
    asyncio.run(ask(*sys.argv[2:5]))
