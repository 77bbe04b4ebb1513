#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OpenSSL's own QUIC client meets the daemon: the handshake completes over
X.509, and a peer without a key is refused politely."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, Skip, check, check_eq, run


def s_client(address, alpn, *extra):
    probe = subprocess.run(["openssl", "s_client", "-help"], capture_output=True, text=True,
                           check=False)
    if "-quic" not in probe.stdout + probe.stderr:
        raise Skip("this openssl has no s_client -quic")
    return subprocess.run(["openssl", "s_client", "-quic", "-connect", address, "-alpn", alpn,
                           "-servername", "mesh.invalid", *extra], input="Q\n", text=True,
                          capture_output=True, timeout=DEADLINE_S, check=False)


def test_a_stock_client_completes_the_handshake(lab):
    a = lab.daemon("a").start()
    done = s_client(a.json("status")["listen"][0], "mesh/1")
    text = done.stdout + done.stderr
    check("BEGIN CERTIFICATE" in text, text)
    check("ALPN protocol: mesh/1" in text, text)
    check_eq(a.json("status")["counters"]["quic.accepted_cnt"], 1, "accepted")
    check_eq(a.weft("node", "id").returncode, OK, "afterwards")


def test_a_foreign_alpn_is_refused(lab):
    """s_client does not print the code; test_identity sees that it is 0x178."""
    a = lab.daemon("a").start()
    done = s_client(a.json("status")["listen"][0], "h3")
    text = done.stdout + done.stderr
    check("no peer certificate available" in text and done.returncode != 0, text)
    check_eq(a.json("status")["counters"]["quic.refused_alpn_cnt"], 1, "refused")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
