# SPDX-License-Identifier: Apache-2.0
"""The relays of bench/relay. Each has FLOWS flows between two ends on the
sending side. Each wants its own head in front of the datagrams of an end.

Flow i joins ports FIRST_PORT + i and SECOND_PORT + i of the sending side. FAMILIES has the family
of each end, 0 for IPv4 and 1 for IPv6."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import struct
import time

import report
import veth

FLOWS = 1000
FAMILIES = {"IPv4": (0, 0), "IPv6": (1, 1), "IPv4 to IPv6": (0, 1)}
FIRST_PORT, SECOND_PORT = 1024, 32768  # the first is pktgen's
HEAD_LEN = 16  # of pktgen's heads; what a relay does not need of it is the datagram's
TRIES, TRY_S = 20, 0.5
BURST_CNT, BURST_S = 50, 0.005
NODE = str(report.BUILD / "bench" / "relay_node")
IP_LEN = (20, 40)
SOCKET_FAMILY = (socket.AF_INET, socket.AF_INET6)
REFLECT_OBJECT = str(report.BUILD / "bench" / "relay_reflect.bpf.o")


def inner(size):
    """A relayed datagram: the first byte is that of a QUIC short header."""
    return b"\x40" * size


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Relay:
    port = 7000
    process = None
    families = FAMILIES["IPv4"]
    sent_more, left_more = 0, 0  # bytes in front of a datagram that comes, and that leaves

    def __init__(self, net, folder):
        self.net, self.folder = net, folder
        self.receiver = net.nodes["receive"]

    def heads(self, size):
        """The first HEAD_LEN bytes that the first end of each flow sends."""
        raise NotImplementedError

    def heads_file(self, size, flow_cnt):
        path = self.folder / f"heads-{type(self).__name__}-{size}-{flow_cnt}"
        path.write_bytes(b"".join(self.heads(size)[:flow_cnt]))
        return str(path)

    def carries(self, name):
        """Whether flows of FAMILIES[name] are no matter to it."""
        return name in FAMILIES

    def cpu_s(self):
        return self.process.cpu_s() if self.process else 0

    def pids(self):
        return [self.process.process.pid] if self.process else []

    @contextlib.contextmanager
    def served(self, family="IPv4"):
        """Ready, with all flows open. Both devices let sockets through."""
        self.families = FAMILIES[family]
        self.net.pass_all("send")
        self.net.clear("receive")
        self.start()
        try:
            self.open_flows()
            yield self
        finally:
            self.stop()

    def start(self):
        raise NotImplementedError

    def open_flows(self):
        pass

    def stop(self):
        self.net.clear("receive")


class Reflect(Relay):
    """No relay: what the generator and the veth take."""
    sent_more = left_more = HEAD_LEN

    def start(self):
        self.receiver.attach_xdp("veth0", REFLECT_OBJECT)

    def carries(self, name):
        return name == "IPv4"

    def heads(self, _):
        return [bytes(HEAD_LEN)] * FLOWS


class Weft(Relay):
    """By the XDP program, or with device "-" by a UDP socket behind XDP_PASS."""
    sent_more = left_more = HEAD_LEN

    def __init__(self, net, folder, device, rate=0):
        """rate: bytes a second of each flow; 0: as much as comes."""
        super().__init__(net, folder)
        self.device, self.rate = device, rate
        self.labels = []

    def start(self):
        if self.device == "-":
            self.net.pass_all("receive")
        self.port = int(self.net.next_port())
        path = self.folder / "labels"
        self.process = self.net.start_on_device(
            "receive", NODE, self.device, *(endpoint(veth.RECEIVERS[family], self.port)
                                            for family in self.families), str(FLOWS),
            *(veth.SENDERS[family] for family in self.families), str(path), str(self.rate),
            alone=True)
        labels = path.read_bytes()
        self.labels = [labels[at:at + HEAD_LEN] for at in range(0, len(labels), HEAD_LEN)]

    def open_flows(self):
        """A leg's link is learned from its first datagram. A device's queue has 256 places."""
        def say():
            for i, label in enumerate(self.labels * 2):
                leg, flow = divmod(i % (2 * FLOWS), FLOWS)
                family = self.families[leg]
                with socket.socket(SOCKET_FAMILY[family], socket.SOCK_DGRAM) as end:
                    end.bind((veth.SENDERS[family], (FIRST_PORT, SECOND_PORT)[leg] + flow))
                    end.sendto(label + inner(100), (veth.RECEIVERS[family], self.port))
                if i % BURST_CNT == 0:
                    time.sleep(BURST_S)
        self.net.nodes["send"].inside(say)

    def heads(self, _):
        return self.labels[:FLOWS]

    def stop(self):
        counted = json.loads(self.process.stop()[0].splitlines()[-1])
        super().stop()
        ours, other = counted["by_driver"], counted["by_userspace"]
        if self.device == "-":
            ours, other = other, ours
        if other > 0.01 * ours + 2 * FLOWS:
            raise RuntimeError(f"not forwarded as meant: {counted}")


class Turn(Relay):
    """coturn, packaged. The first end has a channel to the second (RFC 8656 section 12). The second
    has no allocation: so coturn does the least that it can do for a datagram."""
    port = 3478
    sent_more = 4
    COOKIE = 0x2112a442
    ALLOCATE, CHANNEL_BIND = 0x003, 0x009
    CHANNEL_NUMBER, XOR_PEER_ADDRESS, REQUESTED_TRANSPORT = 0x000c, 0x0012, 0x0019
    REQUESTED_ADDRESS_FAMILY, STUN_FAMILY = 0x0017, (1, 2)
    CHANNEL = 0x4000
    # Every check that it can go without, no log, and the fewest threads: it has one CPU.
    FLAGS = ("-n", "--no-auth", "--no-tls", "--no-dtls", "--no-tcp", "--no-tcp-relay", "--no-cli",
             "--no-rfc5780", "--no-stun-backward-compatibility", "--no-software-attribute",
             "--no-dynamic-ip-list", "--no-dynamic-realms", "--no-stdout-log", "--simple-log",
             "--log-file=/dev/null", "--min-port=16000", "--max-port=32000",
             f"--relay-threads={os.environ.get('TURN_THREADS', '0')}")

    @staticmethod
    def is_there():
        return bool(shutil.which("turnserver"))

    def start(self):
        self.net.pass_all("receive")
        self.process = self.net.start_on_device(
            "receive", "turnserver", *self.FLAGS,
            *(f"--{use}-ip={address}" for address in veth.RECEIVERS
              for use in ("listening", "relay")), f"--listening-port={self.port}",
            f"--userdb={self.folder / 'turn.db'}", f"--pidfile={self.folder / 'turn.pid'}",
            alone=True)

    def request(self, end, kind, *attributes):
        """An attribute is a number and its value, which may be a function of the transaction's id."""
        identity = os.urandom(12)
        values = [(number, value(identity) if callable(value) else value)
                  for number, value in attributes]
        body = b"".join(struct.pack("!HH", number, len(value)) + value for number, value in values)
        message = struct.pack("!HHI", kind, len(body), self.COOKIE) + identity + body
        for _ in range(TRIES):
            end.sendto(message, (veth.RECEIVERS[self.families[0]], self.port))
            with contextlib.suppress(TimeoutError):
                answer = end.recv(2000)
                if struct.unpack("!H", answer[:2])[0] != kind | 0x100:
                    raise RuntimeError(f"coturn refuses {kind:#x}: {answer.hex()}")
                return
        raise RuntimeError("coturn does not answer")

    def xored_peer(self, i):
        """The second end of flow i, for an attribute (RFC 8489 14.2)."""
        family = self.families[1]
        address = socket.inet_pton(SOCKET_FAMILY[family], veth.SENDERS[family])

        def value(identity):
            mask = struct.pack("!I", self.COOKIE) + identity
            return struct.pack("!BBH", 0, self.STUN_FAMILY[family],
                               (SECOND_PORT + i) ^ self.COOKIE >> 16) + bytes(
                                   a ^ b for a, b in zip(address, mask))
        return value

    def open_flow(self, i):
        family = struct.pack("!BBH", self.STUN_FAMILY[self.families[1]], 0, 0)
        with socket.socket(SOCKET_FAMILY[self.families[0]], socket.SOCK_DGRAM) as end:
            end.bind((veth.SENDERS[self.families[0]], FIRST_PORT + i))
            end.settimeout(TRY_S)
            self.request(end, self.ALLOCATE,
                         (self.REQUESTED_TRANSPORT, struct.pack("!I", socket.IPPROTO_UDP << 24)),
                         (self.REQUESTED_ADDRESS_FAMILY, family))
            self.request(end, self.CHANNEL_BIND,
                         (self.CHANNEL_NUMBER, struct.pack("!HH", self.CHANNEL, 0)),
                         (self.XOR_PEER_ADDRESS, self.xored_peer(i)))

    def open_flows(self):
        def ask():
            for i in range(FLOWS):
                self.open_flow(i)
        self.net.nodes["send"].inside(ask)

    def heads(self, size):
        head = struct.pack("!HH", self.CHANNEL, size) + inner(HEAD_LEN - self.sent_more)
        return [head] * FLOWS

    def stop(self):
        self.process.stop()
        super().stop()
