#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Foreign QUIC stacks meet the daemon. OpenSSL's client: the handshake
completes over X.509, and a peer without a key is refused politely. aioquic: a
peer without QUIC transport parameters is refused, in either role."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, Skip, check, check_eq, run, static

try:
    import oracle
except ImportError as missing:
    print(f"python3-cbor2 and python3-nacl are needed: {missing}")
    sys.exit(77)

NO_PARAMS = pathlib.Path(__file__).parent / "support" / "no_params.py"
MISSING_EXTENSION = "0x16d"


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


def no_params(*words):
    probe = subprocess.run([sys.executable, "-c", "import aioquic"], capture_output=True, check=False)
    if probe.returncode:
        raise Skip("python3-aioquic is not installed")
    return subprocess.Popen([sys.executable, NO_PARAMS, *words], stdout=subprocess.PIPE, text=True)


def test_a_client_without_transport_parameters_is_refused_and_the_daemon_lives(lab):
    """RFC 9001 8.2; such a ClientHello ended the daemon, from a borrowed address too."""
    a, b = lab.daemon("a").start(), lab.daemon("b").start()
    address = a.json("status")["listen"][0]
    for _ in range(3):
        peer = no_params("client", *address.rsplit(":", 1))
        said, _ = peer.communicate(timeout=DEADLINE_S)
        check_eq(said.split(), [MISSING_EXTENSION], "weft closed with")
    check_eq(a.process.poll(), None, f"weftd ended: {a.log_text()}")
    check_eq(b.weft("peer", "connect", a.weft("node", "id").stdout.strip(), address).returncode, OK,
             "a peer of ours, afterwards")


@static("it dials a server that is no node")
def test_a_server_without_transport_parameters_is_refused(lab):
    a = lab.daemon("a").start()
    seed = 32 * "5a"
    public, _, _ = oracle.key(bytes.fromhex(seed), b"")
    peer = no_params("server", seed)
    port = peer.stdout.readline().strip()
    done = a.weft("peer", "connect", oracle.z32(public), f"127.0.0.1:{port}")
    check(done.returncode != OK, f"connected: {done.stdout}")
    said, _ = peer.communicate(timeout=DEADLINE_S)
    check_eq(said.split(), [MISSING_EXTENSION], "weft closed with")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
