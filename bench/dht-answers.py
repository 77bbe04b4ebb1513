#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""DHT answers per second of one core: by XDP_TX, by weft's node behind a UDP socket, by libtorrent.
An equal number of pings, find_nodes and get_peers for keys without holders, from a million
addresses.

    send, first CPU: pktgen; a sink counts the answers -- veth -- receive, last CPU: NAPI thread, node
"""
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

import veth
import report

SECONDS = os.environ.get("SECONDS", "1")
# Questions a second that leave no CPU idle and none to packets that are lost.
RATES = {"udp": os.environ.get("UDP_RATE", "150000"), "torrent": os.environ.get("TORRENT_RATE", "20000")}
PORT = 7000
KINDS = ("krpc", "find-node", "get-peers")
PKTGEN = str(report.BUILD / "pktgen")
NODE = str(report.BUILD / "bench" / "dht-answers_node")
TORRENT = str(pathlib.Path(__file__).with_name("dht-answers_torrent.py"))
WHERE = f"{veth.RECEIVER}:{PORT}"
UNITS = 1_000_000
SETTLE_S = 0.3


def threads_s(pid):
    """CPU seconds of a process so far, all threads of it."""
    return sum(int(path.read_text().split()[0])
               for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


class Answers:
    def __init__(self, net):
        self.net, self.napi = net, veth.NapiThread(net)
        self.sender, self.receiver = net.nodes["send"], net.nodes["receive"]
        self.macs = {side: node.run("cat", "/sys/class/net/veth0/address").strip()
                     for side, node in net.nodes.items()}
        # All sources are behind the sender, and its sink answers no ARP.
        self.receiver.ip("neigh", "replace", veth.SENDERS[0], "lladdr", self.macs["send"], "dev",
                         "veth0", "nud", "permanent")
        self.receiver.ip("route", "add", "198.0.0.0/8", "via", veth.SENDERS[0])
        net.clear("send")

    @contextlib.contextmanager
    def served(self, command, by_xdp):
        self.net.clear("receive")
        if not by_xdp:
            self.net.pass_all("receive")
        server = self.net.start_on_device("receive", *command)
        self.napi.pin()
        try:
            yield server
        finally:
            server.stop()

    @contextlib.contextmanager
    def counted(self, answers):
        """answers gets how many frames came back."""
        sink = subprocess.Popen(self.sender.command(PKTGEN, "sink", "veth0", "--quiet"),
                                stdout=subprocess.PIPE, text=True)
        time.sleep(SETTLE_S)
        try:
            yield
        finally:
            time.sleep(SETTLE_S)
            sink.terminate()
            answers.append(json.loads(sink.communicate()[0])["frames"])

    def ask(self, server, kind, rate):
        """Seconds of wall and of CPU for one answer to a question of kind."""
        answers = []
        limit = ("--rate", rate) if rate else ()
        with self.counted(answers):
            before_s = self.napi.cpu_s() + threads_s(server.process.pid)
            sent = json.loads(self.net.start(
                "send", PKTGEN, "send", "veth0", "--mac", self.macs["receive"], "--to",
                veth.RECEIVER, "--port", str(PORT), "--kind", kind, "--sources", "1000000",
                "--seconds", SECONDS, *limit).wait()[0])
            time.sleep(SETTLE_S)
            cpu_s = self.napi.cpu_s() + threads_s(server.process.pid) - before_s
        if answers[0] < 0.5 * sent["frames"]:
            print(f"  {kind}: {answers[0]} answers to {sent['frames']} questions", file=sys.stderr)
        return sent["ns"] / 1e9 / answers[0], cpu_s / answers[0]

    def measure(self, command, rate=None, by_xdp=False):
        with self.served(command, by_xdp) as server:
            each = [self.ask(server, kind, rate) for kind in KINDS]
        wall_s, cpu_s = (sum(column) * UNITS / len(KINDS) for column in zip(*each))
        return report.Sample(UNITS, cpu_s, cpu_s) if cpu_s else report.Sample(UNITS, wall_s, wall_s)


def main():
    veth.come_first()
    try:
        subprocess.run([sys.executable, "-c", "import libtorrent"], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        veth.skip("python3-libtorrent is missing")
    with veth.Lab() as net:
        bench = Answers(net)
        samples = report.measure({
            "XDP": lambda: bench.measure((NODE, "veth0", WHERE), by_xdp=True),
            "UDP": lambda: bench.measure((NODE, "-", WHERE), RATES["udp"]),
            "libtorrent": lambda: bench.measure(
                (sys.executable, TORRENT, veth.RECEIVER, str(PORT)), RATES["torrent"]),
        })
        report.report("dht-answers", samples, "XDP", "answers per core-second", 1, [
            "an equal number of pings, find_nodes and get_peers-misses from a million addresses; CPU of the"
            " NAPI thread and of all threads of the process",
            f"questions a second: to XDP as many as the generator makes, to UDP {RATES['udp']}, to"
            f" libtorrent {RATES['torrent']}",
            "libtorrent's limits are lifted, and it knows no other node, which spares it the lists",
            "targets: XDP >= 8x libtorrent, aim 20x; UDP >= 2x"])


main()
