# SPDX-License-Identifier: Apache-2.0
"""What daemons say of their sessions with each other."""
import time

from lab import OK, check, check_eq, wait_for


def node_id(daemon):
    return daemon.json("node", "id")["node_id"]


def transport_of(daemon, peer):
    row = daemon.json("peer", "show", node_id(peer))["peer"]
    return row["connected"] and row["transport"]


def pings(a, b):
    return a.weft("peer", "ping", node_id(b), "--count", "1").returncode == OK


def meets(a, b, within_s):
    """a reaches b by its key within so many seconds; returns how many it took."""
    begin = time.monotonic()
    done = a.weft("peer", "connect", node_id(b))
    took = time.monotonic() - begin
    check_eq(done.returncode, OK, f"{a.name} reaches {b.name}: {done.stderr}")
    check(took < within_s, f"after {took:.1f} s")
    wait_for(lambda: pings(a, b) and pings(b, a), "pings both ways")
    return took
