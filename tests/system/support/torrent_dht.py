# SPDX-License-Identifier: Apache-2.0
"""A swarm of libtorrent DHT nodes at one address, for tests: sessions that know
only each other. Commands come as lines of JSON, answers go as such.

  torrent_dht.py ADDRESS PORT COUNT     ports PORT, PORT + 1, ...
"""
import json
import sys
import time

import libtorrent as lt

# Private addresses are as good as others here, and a test asks more often than a person.
SETTINGS = {
    "enable_dht": True, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "enable_incoming_utp": False, "enable_outgoing_utp": False, "dht_bootstrap_nodes": "",
    "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False,
    "dht_prefer_verified_node_ids": False, "dht_enforce_node_id": False,
    "dht_ignore_dark_internet": False, "dht_block_ratelimit": 100000,
    "dht_upload_rate_limit": 10000000,
    "alert_mask": lt.alert.category_t.dht_notification | lt.alert.category_t.status_notification
                  | lt.alert.category_t.dht_operation_notification,
}
ANSWER_S = 20


def text_of(value):
    """JSON has no bytes: they are written in hexadecimal."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    return value


def has_item(alert):
    """An item that was not found is of no type that Python knows."""
    try:
        return bool(alert.item)
    except RuntimeError:
        return False


class Swarm:
    def __init__(self, address, port, count):
        self.address, self.port = address, port
        self.sessions = [lt.session({**SETTINGS, "listen_interfaces": f"{address}:{port + i}"})
                         for i in range(count)]
        self.wait_open()
        for i, session in enumerate(self.sessions):
            for other in range(count):
                if other != i and (count <= 16 or (i - other) % count <= 8 or other == 0):
                    session.add_dht_node((address, port + other))

    def wait_open(self):
        """A session opens its sockets and begins its DHT some time after it was made."""
        end = time.monotonic() + ANSWER_S
        for i, session in enumerate(self.sessions):
            while not (session.listen_port() == self.port + i and session.is_dht_running()):
                if time.monotonic() > end:
                    sys.exit(f"torrent_dht: {self.address}:{self.port + i} does not open")
                time.sleep(0.01)

    def wait_alert(self, session, kind, matches=lambda alert: True):
        end = time.monotonic() + ANSWER_S
        while time.monotonic() < end:
            session.wait_for_alert(200)
            for alert in session.pop_alerts():
                if isinstance(alert, kind) and matches(alert):
                    return alert
        return None

    def add(self, node, address, port):
        self.sessions[node].add_dht_node((address, port))

    def live(self, node):
        """How many nodes it has in its routing table."""
        self.sessions[node].post_dht_stats()
        alert = self.wait_alert(self.sessions[node], lt.dht_stats_alert)
        return sum(bucket["num_nodes"] for bucket in alert.routing_table) if alert else 0

    def put_immutable(self, node, text):
        target = self.sessions[node].dht_put_immutable_item(text)
        alert = self.wait_alert(self.sessions[node], lt.dht_put_alert)
        return {"target": str(target), "stored": alert.num_success if alert else 0}

    def get_immutable(self, node, target):
        self.sessions[node].dht_get_immutable_item(lt.sha1_hash(bytes.fromhex(target)))
        alert = self.wait_alert(self.sessions[node], lt.dht_immutable_item_alert)
        return text_of(alert.item["value"]) if alert and has_item(alert) else None

    def put_mutable(self, node, secret, public, text, salt):
        self.sessions[node].dht_put_mutable_item(bytes.fromhex(secret), bytes.fromhex(public), text,
                                                 salt)
        alert = self.wait_alert(self.sessions[node], lt.dht_put_alert)
        return {"stored": alert.num_success if alert else 0, "seq": alert.seq if alert else None}

    def get_mutable(self, node, public, salt):
        self.sessions[node].dht_get_mutable_item(bytes.fromhex(public), salt)
        newest = None
        while True:
            alert = self.wait_alert(self.sessions[node], lt.dht_mutable_item_alert)
            if alert is None:
                return newest
            if alert.seq:  # without one the item is of no type that Python knows
                newest = {"value": text_of(alert.item["value"]), "seq": alert.seq}
            if alert.authoritative:
                return newest

    def start_and_get(self, target):
        """Seconds from a new session that knows three of the others to the item."""
        began = time.monotonic()
        session = lt.session({**SETTINGS, "listen_interfaces": f"{self.address}:0"})
        for i in range(3):
            session.add_dht_node((self.address, self.port + i))
        while time.monotonic() - began < ANSWER_S:
            session.dht_get_immutable_item(lt.sha1_hash(bytes.fromhex(target)))
            alert = self.wait_alert(session, lt.dht_immutable_item_alert)
            if alert and has_item(alert):
                return time.monotonic() - began
        raise TimeoutError("no item")

    def announce(self, node, info_hash, port):
        self.sessions[node].dht_announce(lt.sha1_hash(bytes.fromhex(info_hash)), port, 0)

    def get_peers(self, node, info_hash):
        self.sessions[node].dht_get_peers(lt.sha1_hash(bytes.fromhex(info_hash)))
        alert = self.wait_alert(self.sessions[node], lt.dht_get_peers_reply_alert,
                                lambda alert: alert.num_peers() > 0)
        return [list(peer) for peer in alert.peers()] if alert else []


def main():
    address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    swarm = Swarm(address, port, count)
    print(json.dumps({"ready": lt.__version__}), flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            answer = {"ok": getattr(swarm, name)(*arguments)}
        except Exception as why:  # told to the test, which fails by it
            answer = {"failed": f"{type(why).__name__}: {why}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
