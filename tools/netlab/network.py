# SPDX-License-Identifier: Apache-2.0
"""Nodes, each a network namespace, and links between them.

A link is one veth pair (plain), or two with a wire between them that can lose,
delay and reorder:

    node a             namespace NAME-wires               node b
    veth0 ------ w0a     lab-wire, wire.bpf.c    w0b ------ veth0
"""
import contextlib
import json
import pathlib

from . import nat
from .namespace import Namespace, Refused
from .wires import Wires

RUN_DIR = pathlib.Path("/run/weft-lab")


class Link:
    def __init__(self, nodes, devices, ends=None):
        self.nodes, self.devices, self.ends = list(nodes), list(devices), ends

    def joins(self, a, b):
        return {a, b} == set(self.nodes)


class Network:
    def __init__(self, name, plain=False, outlives_us=False):
        """plain: links are bare veth pairs. outlives_us: it stays when this process ends."""
        self.name, self.plain, self.outlives_us = name, plain, outlives_us
        self.nodes, self.addresses, self.links = {}, {}, []
        self.kinds, self.sides = {}, {}  # of NATs: what they are, and their devices in and out
        self.wires = None

    def add(self, node):
        self.nodes[node] = Namespace(f"{self.name}-{node}").add()
        self.addresses[node] = []
        return self.nodes[node]

    def address(self, node, device, *addresses):
        for address in addresses:
            quick = ["nodad"] if ":" in address else []
            self.nodes[node].ip("addr", "add", address, "dev", device, *quick)
            self.addresses[node].append(address.split("/")[0])

    def route(self, node, *words):
        self.nodes[node].ip("route", "add", *words)

    def forwards(self, node):
        """Makes a router of node."""
        self.nodes[node].sysctl("ipv4/ip_forward", 1)
        self.nodes[node].sysctl("ipv6/conf/all/forwarding", 1)

    def bridge(self, node):
        """Makes a switch of node; join(..., on_bridge) puts devices on it."""
        self.nodes[node].ip("link", "add", "bridge0", "type", "bridge")
        self.nodes[node].ip("link", "set", "bridge0", "up")

    def translates(self, node, kind, inside, outside, **options):
        """Makes a NAT of node between two of its devices, or another one of a NAT."""
        self.forwards(node)
        nat.apply(self.nodes[node], kind, inside, outside, **options)
        self.kinds[node], self.sides[node] = kind, (inside, outside)

    def rebinds(self, node, seed):
        """A NAT forgets its flows; the ports of the next ones are of seed, which is not 0."""
        nat.rebind(self.nodes[node], self.kinds[node], *self.sides[node], seed)

    def join(self, a, b, mtu=1500):
        """Joins two nodes and returns the names of the new devices, a's first."""
        devices = [f"veth{sum(link.nodes.count(node) for link in self.links)}" for node in (a, b)]
        link = Link((a, b), devices)
        if self.plain:
            self._join_plain(link, mtu)
        else:
            self._join_by_wire(link, mtu)
        for node, device in zip(link.nodes, devices):
            self.nodes[node].ip("link", "set", device, "up")
        self.links.append(link)
        return devices

    def _join_plain(self, link, mtu):
        (a, b), (a_device, b_device) = link.nodes, link.devices
        self.nodes[a].ip("link", "add", a_device, "mtu", str(mtu), "type", "veth", "peer", "name",
                         b_device, "mtu", str(mtu), "netns", self.nodes[b].name)

    def _join_by_wire(self, link, mtu):
        if not self.wires:
            RUN_DIR.mkdir(parents=True, exist_ok=True)
            self.wires = Wires.start(f"{self.name}-wires", RUN_DIR / f"{self.name}.sock",
                                     RUN_DIR / f"{self.name}.log", self.outlives_us)
        link.ends = [f"w{len(self.links)}a", f"w{len(self.links)}b"]
        for node, device, end in zip(link.nodes, link.devices, link.ends):
            self.wires.namespace.ip("link", "add", end, "mtu", str(mtu), "type", "veth", "peer",
                                    "name", device, "mtu", str(mtu), "netns",
                                    self.nodes[node].name)
            self.wires.namespace.ip("link", "set", end, "up")
            # Frames are copied on their way: the sender has to finish their checksums.
            self.nodes[node].offload(device, "tx", False)
        self.wires.join(*link.ends)

    def plug(self, switch, device):
        """Puts a device of a bridge node on its bridge."""
        self.nodes[switch].ip("link", "set", device, "master", "bridge0")

    def link(self, a, b):
        for node in (a, b):
            if node not in self.nodes:
                raise Refused(f"{self.name} has no node {node}; it has {' '.join(self.nodes)}")
        for link in self.links:
            if link.joins(a, b):
                return link
        pairs = ", ".join("-".join(link.nodes) for link in self.links)
        raise Refused(f"no link joins {a} and {b}; the links are {pairs}")

    def _ends(self, a, b):
        """Where frames from a to b enter their wire, and frames from b to a."""
        link = self.link(a, b)
        if not link.ends:
            raise Refused(f"{a} and {b} are joined by a plain veth, which cannot be impaired")
        return link.ends if link.nodes[0] == a else link.ends[::-1]

    def impair(self, a, b, settings, one_way=False):
        """settings as Wires.set takes them, for both directions or from a to b only. A setting
        that is not named becomes none: an empty dict makes the link perfect."""
        ends = self._ends(a, b)
        for end in ends[:1] if one_way else ends:
            self.wires.set(end, settings)

    def carried(self, a, b):
        """Settings and counters of what went from a to b."""
        return self.wires.show(self._ends(a, b)[0])

    def close(self):
        if self.wires:
            self.wires.stop()
        for node in self.nodes.values():
            node.delete()
        if self.wires and not self.outlives_us:
            with contextlib.suppress(FileNotFoundError):
                (RUN_DIR / f"{self.name}.log").unlink()

    def save(self, **more):
        """Remembers a network that outlives this process."""
        RUN_DIR.mkdir(parents=True, exist_ok=True)
        (RUN_DIR / f"{self.name}.json").write_text(json.dumps({
            **more, "plain": self.plain, "nodes": self.addresses,
            "links": [vars(link) for link in self.links],
            "wires_pid": self.wires.pid if self.wires else None}, indent=1))

    @classmethod
    def load(cls, name):
        """A network that was saved, and what else was saved with it."""
        try:
            saved = json.loads((RUN_DIR / f"{name}.json").read_text())
        except FileNotFoundError:
            raise Refused(f"there is no lab {name}; tools/lab list tells which there are") from None
        network = cls(name, saved["plain"], outlives_us=True)
        network.addresses = saved["nodes"]
        network.nodes = {node: Namespace(f"{name}-{node}") for node in saved["nodes"]}
        network.links = [Link(**link) for link in saved["links"]]
        if saved["wires_pid"]:
            network.wires = Wires(Namespace(f"{name}-wires"), RUN_DIR / f"{name}.sock",
                                  saved["wires_pid"])
        return network, saved

    def forget(self):
        for suffix in ("json", "log"):
            (RUN_DIR / f"{self.name}.{suffix}").unlink(missing_ok=True)

    @staticmethod
    def saved_names():
        return sorted(path.stem for path in RUN_DIR.glob("*.json"))
