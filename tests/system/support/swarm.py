# SPDX-License-Identifier: Apache-2.0
"""A swarm of libtorrent DHT nodes that a test talks to, in a process of its own
and if need be a network namespace (torrent_dht.py)."""
import hashlib
import json
import pathlib
import subprocess
import sys

from lab import Mismatch, Skip, free_port, wait_for

PROGRAM = pathlib.Path(__file__).parent / "torrent_dht.py"


class Swarm:
    """count nodes that know each other, at ports from one on."""

    def __init__(self, lab, address="127.0.0.1", count=12, netns=None):
        try:
            import libtorrent  # pylint: disable=unused-import,import-outside-toplevel
        except ImportError as why:
            raise Skip("python3-libtorrent is not installed") from why
        prefix = ["ip", "netns", "exec", netns] if netns else []
        self.address, self.port, self.count = address, free_port(), count
        self.process = subprocess.Popen(
            [*prefix, sys.executable, str(PROGRAM), address, str(self.port), str(count)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        lab.processes.append(self.process)
        json.loads(self.process.stdout.readline())
        for node in range(count):
            wait_for(lambda: self.ask("live", node) >= min(count - 1, 4),
                     "libtorrent's nodes know each other")

    def config(self, **more):
        """The [dht] section of a node that begins with this swarm."""
        keys = {"bootstrap": ", ".join(f"{self.address}:{self.port + i}" for i in range(3)),
                "private": "yes", "publish": "direct", **more}
        return "[dht]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())

    def ask(self, *command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "failed" in answer:
            raise Mismatch(f"{command[0]}: {answer['failed']}")
        return answer["ok"]


def text_of(value):
    """What text_of of torrent_dht.py made of bytes."""
    return bytes.fromhex(value["hex"]).decode() if isinstance(value, dict) else value


def key_pair(byte):
    """(secret as libtorrent wants it, public), in hexadecimal."""
    from nacl.signing import SigningKey  # pylint: disable=import-outside-toplevel

    seed = bytes([byte]) * 32
    secret = bytearray(hashlib.sha512(seed).digest())
    secret[0] &= 248
    secret[31] = secret[31] & 63 | 64
    return bytes(secret).hex(), bytes(SigningKey(seed).verify_key).hex()
