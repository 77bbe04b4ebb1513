# SPDX-License-Identifier: Apache-2.0
"""What daemons say of their sessions with each other."""
from lab import OK


def node_id(daemon):
    return daemon.json("node", "id")["node_id"]


def transport_of(daemon, peer):
    row = daemon.json("peer", "show", node_id(peer))["peer"]
    return row["connected"] and row["transport"]


def pings(a, b):
    return a.weft("peer", "ping", node_id(b), "--count", "1").returncode == OK
