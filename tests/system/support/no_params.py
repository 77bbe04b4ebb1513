#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""no_params client ADDR PORT | no_params server SEED: aioquic as a peer of
weft. Its ClientHello or EncryptedExtensions lack QUIC transport parameters
(RFC 9001 8.2). The server's node key is made from the 32 bytes SEED in
hexadecimal; it prints its port. Each prints the code with which weft closes,
in hexadecimal."""
import asyncio
import datetime
import ssl
import sys

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

closed = asyncio.Event()


class Peer(QuicConnectionProtocol):
    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            print(f"{event.error_code:#x}", flush=True)
            closed.set()


def drop_params():
    """The extension is the only one that aioquic's QUIC adds to its TLS."""
    whole = QuicConnection._initialize

    def initialize(self, peer_cid):
        whole(self, peer_cid)
        self.tls.handshake_extensions = []

    QuicConnection._initialize = initialize


def certificate(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mesh.invalid")])
    now = datetime.datetime.now(datetime.timezone.utc)
    return (x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
            .public_key(key.public_key()).not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=1)).sign(key, None))


async def client(host, port):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["mesh/1"],
                                      verify_mode=ssl.CERT_NONE, server_name="mesh.invalid")
    async with connect(host, port, configuration=configuration, create_protocol=Peer,
                       wait_connected=False) as peer:
        peer.transmit()
        await closed.wait()


async def server(seed):
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
    configuration = QuicConfiguration(is_client=False, alpn_protocols=["mesh/1"],
                                      certificate=certificate(key), private_key=key)
    running = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=Peer)
    print(running._transport.get_extra_info("sockname")[1], flush=True)
    await closed.wait()


if __name__ == "__main__":
    drop_params()
    role = client(sys.argv[2], int(sys.argv[3])) if sys.argv[1] == "client" else server(sys.argv[2])
    asyncio.run(asyncio.wait_for(role, 60))
