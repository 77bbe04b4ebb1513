# SPDX-License-Identifier: Apache-2.0
"""One libtorrent session, told by arguments what to do:

  get_torrent.py seed TORRENT FOLDER ADDRESS PORT
  get_torrent.py get TORRENT FOLDER ADDRESS PORT PEER_ADDRESS PEER_PORT...

Prints "ready"; get then waits for a line, fetches, prints "done". Both end
with their standard input.
"""
import sys

import libtorrent as lt

# Nothing that looks for peers, no limit that a link this fast would meet, no
# encryption, TCP only. There are as many hashing threads as cores.
SETTINGS = {
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "enable_incoming_utp": False, "enable_outgoing_utp": False,
    "out_enc_policy": 2, "in_enc_policy": 2,
    "upload_rate_limit": 0, "download_rate_limit": 0, "rate_limit_ip_overhead": False,
    "unchoke_slots_limit": -1, "allow_multiple_connections_per_ip": True,
    "connections_limit": 200, "connection_speed": 200, "tick_interval": 50,
    "aio_threads": 4, "hashing_threads": 2, "file_pool_size": 1000,
    "max_queued_disk_bytes": 64 << 20,
    "max_out_request_queue": 4000, "max_allowed_in_request_queue": 8000,
    "request_queue_time": 10, "whole_pieces_threshold": 60,
    "send_buffer_low_watermark": 1 << 20, "send_buffer_watermark": 16 << 20,
    "send_buffer_watermark_factor": 150,
    "send_socket_buffer_size": 4 << 20, "recv_socket_buffer_size": 4 << 20,
    "no_atime_storage": True, "alert_mask": lt.alert.category_t.status_notification,
}


def add(session, torrent, folder, flags):
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(torrent)
    params.save_path = folder
    params.flags = flags
    return session.add_torrent(params)


def wait_finished(session):
    while True:
        session.wait_for_alert(1000)
        for alert in session.pop_alerts():
            if isinstance(alert, lt.torrent_finished_alert):
                return
            if isinstance(alert, (lt.torrent_error_alert, lt.file_error_alert)):
                sys.exit(alert.message())


def main():
    role, torrent, folder, address, port, *peers = sys.argv[1:]
    session = lt.session({**SETTINGS, "listen_interfaces": f"{address}:{port}"})
    flags = lt.torrent_flags
    if role == "seed":
        add(session, torrent, folder, flags.seed_mode)
        print("ready", flush=True)
    else:
        handle = add(session, torrent, folder, flags.default_flags & ~flags.auto_managed &
                     ~flags.paused)
        print("ready", flush=True)
        sys.stdin.readline()
        for peer_address, peer_port in zip(peers[::2], peers[1::2]):
            handle.connect_peer((peer_address, int(peer_port)))
        wait_finished(session)
        print("done", flush=True)
    sys.stdin.read()


main()
