# SPDX-License-Identifier: Apache-2.0
"""How the nodes of a test find each other: DISCOVERY=static or dht.

static, the default: tests name addresses, and links carry them. dht: the same tests
on a Mainline DHT of their own. Each network of a test has one node of it, and that
node is all that a daemon is told. A daemon publishes its addresses there under its
key. Addresses that a test gives to a daemon are taken away: those in links, those
of `weft peer connect`, and those of ConnectPeer.

A daemon whose test configures dht.bootstrap is left alone: its DHT is the test's.
"""
import contextlib
import json
import os
import socket
import subprocess
import time

from links import bare_link

IS_DHT = os.environ.get("DISCOVERY", "static") == "dht"

PORT = 6881  # in a namespace of the test's own
# Of what a daemon does by itself after its start: joining, and putting its record.
PUBLISHED_S = 60
# Commands that look for a node.
FINDING = (("peer", "connect"), ("get",), ("sub", "add"), ("community", "join"))


class Static:
    """Tests name addresses, and no outside host is asked, unless a test names it."""

    def options(self, daemon):
        return [] if daemon.has_own_dht() else ["--set", "dht.bootstrap="]

    def begun_again(self, daemon):
        pass

    def words(self, _daemon, words):
        return words

    def parameters(self, _daemon, _method, parameters):
        return parameters

    def close(self):
        pass


class Dht:
    """Nodes are found on the Mainline DHT of their network alone."""

    def __init__(self, make):
        """make(name, **options): a Daemon that the test does not see."""
        self.make = make
        self.begun = {}  # by network: the DHT's first node, and where it listens
        self.first = {}  # by daemon: its process id and the addresses that it had first
        self.published = {}  # likewise: the addresses that are out
        self.daemons = []

    def options(self, daemon):
        if daemon.has_own_dht():
            return []
        if daemon not in self.daemons:
            self.daemons.append(daemon)
        return [word for setting in (f"bootstrap={self._first_node(daemon.netns)}", "enabled=yes",
                                     "private=yes", "publish=direct", "only=yes")
                for word in ("--set", f"dht.{setting}")]

    def begun_again(self, daemon):
        if daemon in self.daemons:
            self.first[daemon] = (daemon.process.pid, *daemon.call("ShowPublished")["record"]["addresses"])

    def words(self, daemon, words):
        if daemon.has_own_dht():
            return words
        words = [bare_link(word) if isinstance(word, str) else word for word in words]
        if words[:2] == ["peer", "connect"] and len(words) > 3 and not str(words[3]).startswith("-"):
            self._wait_moved(daemon, words[2], words.pop(3))
        if any(tuple(words[:len(finding)]) == finding for finding in FINDING):
            self._wait_published()
        return words

    def parameters(self, daemon, method, parameters):
        if daemon.has_own_dht():
            return parameters
        parameters = {name: bare_link(value) if name == "link" else value
                      for name, value in parameters.items()}
        if method == "ConnectPeer":
            for address in parameters.pop("addresses", None) or []:
                self._wait_moved(daemon, parameters["node_id"], address)
        if method == "ConnectPeer" or "link" in parameters:
            self._wait_published()
        return parameters

    def _first_node(self, netns):
        """Its addresses."""
        network = _network_of(netns)
        if network not in self.begun:
            at = [f"{address}:{PORT}" for address in _addresses(netns)] if netns else _loopback()
            config = ("[dht]\nbootstrap =\nprivate = yes\npublish = off\n[service]\nenabled = no\n"
                      "[sharing]\nenabled = no\n")
            self.begun[network] = (self.make(f"dht{len(self.begun)}", netns=netns, listen=at,
                                             config=config).start(), ", ".join(at))
        return self.begun[network][1]

    def _wait_moved(self, daemon, node_id, address):
        """Where a node has begun again at address: daemon has no session with its last life any more.

        By its address a node is dialled at once. By its key a session that is there is enough, until
        something is asked on it: then its silence is noticed."""
        listens = [other.json("status")["listen"] for other in self.daemons if _runs(other.process)]
        places = next((places for places in listens if address in places), None)
        end = time.monotonic() + PUBLISHED_S
        while places and any(peer["connected"] and peer["node_id"] == node_id and peer["address"] not in places
                             for peer in daemon.call("ListPeers")["peers"]):
            if time.monotonic() > end:
                raise TimeoutError(f"{daemon.name} keeps its session with {node_id}")
            for method, more in (("CallService", {"name": "echo", "method": "Echo", "provider": node_id}),
                                 ("PingPeer", {"node_id": node_id, "count": 1})):
                with contextlib.suppress(AssertionError):
                    daemon.call(method, **more)

    def _wait_published(self):
        for daemon in self.daemons:
            end = time.monotonic() + PUBLISHED_S
            while _runs(daemon.process) and not self._is_published(daemon):
                if time.monotonic() > end:
                    raise TimeoutError(f"{daemon.name} publishes no address: {daemon.log_text()}")
                time.sleep(0.01)

    def _is_published(self, daemon):
        """The addresses that daemon has now are on the DHT."""
        try:
            record = daemon.call("ShowPublished")["record"]
            now = (daemon.process.pid, *record["addresses"])
            if self.published.get(daemon) == now:
                return True
            if not record.get("nodes", 0):
                return False
            # What was put may be addresses of before: then the first node of the DHT is asked.
            if self.first.get(daemon) != now:
                first = self.begun[_network_of(daemon.netns)][0]
                if first.call("FindRoute", node_id=record["node_id"])["record"]["addresses"] != record["addresses"]:
                    return False
        except (AssertionError, OSError):  # it has not begun, or ends; or nothing is found yet
            return False
        self.published[daemon] = now
        return True

    def close(self):
        for daemon, _ in self.begun.values():
            daemon.kill()


def _network_of(netns):
    """Namespaces that a Lab joins have one name but for the last part."""
    return netns.rsplit("-", 1)[0] if netns else None


def _addresses(netns):
    shown = subprocess.run(["ip", "-n", netns, "-json", "address", "show", "scope", "global"],
                           check=True, capture_output=True, text=True).stdout
    found = [row for device in json.loads(shown) for row in device.get("addr_info", []) if row]
    return [row["local"] if row["family"] == "inet" else f"[{row['local']}]" for row in found]


def _loopback():
    """A free port of 127.0.0.1, and the same of ::1 where there is one."""
    with socket.socket(type=socket.SOCK_DGRAM) as four:
        four.bind(("127.0.0.1", 0))
        port = four.getsockname()[1]
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six:
            six.bind(("::1", port))
    except OSError:
        return [f"127.0.0.1:{port}"]
    return [f"127.0.0.1:{port}", f"[::1]:{port}"]


def _runs(process):
    """Not ended, and not stopped by a signal."""
    if not process or process.poll() is not None:
        return False
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[0] not in "TtZ"
