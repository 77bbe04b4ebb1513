# SPDX-License-Identifier: Apache-2.0
"""A libtorrent DHT node that limits no asker, for bench/dht-answers:

  dht-answers_torrent.py ADDRESS PORT

Prints "ready" and answers until it is killed. It knows no other node, which
spares it the lists that ours sends.
"""
import signal
import sys

import libtorrent as lt

NO_LIMIT = (1 << 31) - 1
SETTINGS = {
    "enable_dht": True, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "enable_incoming_utp": False, "enable_outgoing_utp": False,
    "enable_incoming_tcp": False, "enable_outgoing_tcp": False,
    "dht_bootstrap_nodes": "", "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False, "dht_prefer_verified_node_ids": False,
    "dht_enforce_node_id": False, "dht_ignore_dark_internet": False,
    "dht_block_ratelimit": NO_LIMIT, "dht_block_timeout": 1,
    "dht_upload_rate_limit": NO_LIMIT,
    "recv_socket_buffer_size": 4 << 20, "send_socket_buffer_size": 4 << 20,
    "alert_mask": 0,
}


def main():
    address, port = sys.argv[1:]
    session = lt.session({**SETTINGS, "listen_interfaces": f"{address}:{port}"})
    print("ready", flush=True)
    signal.sigwait({signal.SIGTERM})
    del session


signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
main()
