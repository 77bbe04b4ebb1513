#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""version_client ADDR PORT: aioquic greets in QUIC version 2, which weft does
not speak, and is to be led to version 1. Prints the version of the connection
whose handshake completed."""
import asyncio
import ssl
import sys

from aioquic.asyncio.client import connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicProtocolVersion


async def main():
    versions = [QuicProtocolVersion.VERSION_2, QuicProtocolVersion.VERSION_1]
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["mesh/1"], verify_mode=ssl.CERT_NONE,
        server_name="mesh.invalid", original_version=versions[0], supported_versions=versions)
    async with connect(sys.argv[1], int(sys.argv[2]), configuration=configuration) as client:
        # connect() returns when the handshake is complete.
        print(f"version {client._quic._version}", flush=True)


asyncio.run(asyncio.wait_for(main(), 20))
