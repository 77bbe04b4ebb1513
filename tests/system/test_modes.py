#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A daemon with its default settings, flooded by pktgen: the mode follows.

    a: pktgen from a million invented addresses -- veth -- b: the daemon, its program in front
"""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, Skip, check, check_eq, run, wait_for

BUILD = pathlib.Path(os.environ.get("BUILD", "build/release"))
PKTGEN = str(BUILD / "pktgen")
PORT = 7000


def flooded(lab, kind, rate):
    """pktgen at work; to be stopped."""
    nodes = lab.network.nodes
    mac = nodes["b"].run("cat", "/sys/class/net/veth0/address").strip()
    return subprocess.Popen(nodes["a"].command(
        PKTGEN, "send", "veth0", "--mac", mac, "--to", "10.77.0.2", "--kind", kind, "--rate",
        str(rate), "--sources", "1000000"), stdout=subprocess.DEVNULL)


def mode_of(daemon):
    return daemon.json("xdp", "status")["mode"]


def daemon_of(lab):
    lab.veth_pair()
    daemon = lab.daemon("b", netns=lab.network.nodes["b"].name,
                        listen=[f"10.77.0.2:{PORT}"]).start()
    done = daemon.weft("xdp", "attach", "veth0")
    if "kernel refuses the XDP program" in done.stderr or "needs CAP_BPF" in done.stderr:
        raise Skip(done.stderr.strip())
    check_eq(done.returncode, OK, f"attach: {done.stderr}")
    check_eq(mode_of(daemon), "normal", "before")
    return daemon


def check_flood_moves_to(lab, kind, rate, mode):
    daemon = daemon_of(lab)
    flood = flooded(lab, kind, rate)
    try:
        wait_for(lambda: mode_of(daemon) == mode, f"mode {mode} by {kind}")
        check(flood.poll() is None, "the flood ended")
    finally:
        flood.terminate()
        flood.wait()


def test_initials_of_invented_addresses_move_to_pressured(lab):
    check_flood_moves_to(lab, "initial", 2000, "pressured")


def test_many_initials_move_to_flood(lab):
    check_flood_moves_to(lab, "initial", 100000, "flood")


def test_dht_datagrams_move_to_flood(lab):
    check_flood_moves_to(lab, "krpc", 120000, "flood")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
