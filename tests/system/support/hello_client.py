#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hello_client ADDR PORT SEED [AHEAD_S]: aioquic makes a session of the mesh and greets
(docs/wire/session.md). Its node key is made from the 32 bytes SEED in hexadecimal. Prints,
as JSON, the key that the other side proved, the ALPN, its HELLO and the addresses in it. With AHEAD_S its clock
is so many seconds ahead, and the session stays until standard input ends."""
import asyncio
import json
import ssl
import sys
import time

import cbor2
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import StreamDataReceived
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from no_params import certificate

HELLO, CONTROL_STREAM = 8, 0


def frame(kind, payload):
    body = cbor2.dumps({0: kind, 1: 0, 2: 0, 3: cbor2.dumps(payload, canonical=True)}, canonical=True)
    return len(body).to_bytes(4, "big") + body


class Peer(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.heard, self.greeting = b"", asyncio.get_running_loop().create_future()

    def quic_event_received(self, event):
        if not isinstance(event, StreamDataReceived) or event.stream_id != CONTROL_STREAM:
            return
        self.heard += event.data
        length = int.from_bytes(self.heard[:4], "big")
        if len(self.heard) >= 4 + length > 4 and not self.greeting.done():
            self.greeting.set_result(cbor2.loads(self.heard[4:4 + length]))


async def main(host, port, seed, ahead_s=None):
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["mesh/1"], verify_mode=ssl.CERT_NONE,
                                      server_name="mesh.invalid", certificate=certificate(key),
                                      private_key=key)
    async with connect(host, port, configuration=configuration, create_protocol=Peer) as peer:
        greeting = {0: 1, 1: 0, 2: int(time.time()) + int(ahead_s or 0), 5: "aioquic"}
        peer._quic.send_stream_data(CONTROL_STREAM, frame(HELLO, greeting))
        peer.transmit()
        said = await peer.greeting
        shown = peer._quic.tls._peer_certificate.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        # What it answers to is read: an answer means that our greeting was taken.
        await peer.ping()
        fields = cbor2.loads(said[3]).items()
        print(json.dumps({"key": shown.hex(), "alpn": peer._quic.tls.alpn_negotiated, "type": said[0],
                          "hello": {str(k): v for k, v in fields if isinstance(v, (int, str))},
                          "addresses": next((v for _, v in fields if isinstance(v, list)), [])},
                         default=bytes.hex), flush=True)
        if ahead_s is not None:
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(asyncio.wait_for(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]), 60))
