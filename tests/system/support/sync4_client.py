#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sync4_client ADDR PORT SEED ALPN: aioquic speaks distsoc/sync/4 with a node (docs/wire/social.md). Its
key is made from the 32 bytes SEED in hexadecimal. Each line of standard input is a message as JSON, a tab,
and how many messages answer it. These are printed, each on a line. A connection that the
node ends is printed as {"closed": code, "why": text}."""
import asyncio
import json
import ssl
import sys

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamDataReceived
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from no_params import certificate

STREAM = 0


class Peer(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.heard, self.messages, self.is_closed = b"", asyncio.Queue(), False

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            self.is_closed = True
            self.messages.put_nowait({"closed": hex(event.error_code), "why": event.reason_phrase})
        if not isinstance(event, StreamDataReceived) or event.stream_id != STREAM:
            return
        self.heard += event.data
        while len(self.heard) >= 4:
            length = int.from_bytes(self.heard[:4], "big")
            if len(self.heard) < 4 + length:
                return
            self.messages.put_nowait(json.loads(self.heard[4:4 + length]))
            self.heard = self.heard[4 + length:]


async def main(host, port, seed, alpn):
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
    configuration = QuicConfiguration(is_client=True, alpn_protocols=[alpn], verify_mode=ssl.CERT_NONE,
                                      server_name="mesh.invalid", certificate=certificate(key), private_key=key)
    async with connect(host, int(port), configuration=configuration, create_protocol=Peer,
                       wait_connected=False) as peer:
        peer.transmit()
        try:
            await asyncio.wait_for(peer.wait_connected(), 20)
        except ConnectionError:
            pass  # its end is among the messages
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            text, count = line.rstrip("\n").rsplit("\t", 1)
            if not peer.is_closed:
                peer._quic.send_stream_data(STREAM, len(text.encode()).to_bytes(4, "big") + text.encode())
                peer.transmit()
            for _ in range(int(count)):
                print(json.dumps(await peer.messages.get()), flush=True)


asyncio.run(main(*sys.argv[1:]))
