# SPDX-License-Identifier: Apache-2.0
"""What leaves a network namespace, packet by packet, in a process of its own there.

  capture.py     prints "ready", then per IP packet that goes out: KIND SOURCE-PORT ADDRESS PORT BYTE
"""
import collections
import ipaddress
import pathlib
import socket
import struct
import subprocess
import sys
import threading

PACKET_OUTGOING = 4
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x800, 0x86DD
NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}

Packet = collections.namedtuple("Packet", "kind source_port address port first")


class Watcher:
    """A script in a namespace, whose lines say what it sees; close() ends it and returns all of that."""
    script = pathlib.Path(__file__)

    def __init__(self, lab, netns):
        self.seen = []
        self.process = subprocess.Popen(["ip", "netns", "exec", netns, sys.executable, str(self.script)],
                                        stdout=subprocess.PIPE, text=True)
        lab.processes.append(self.process)
        assert self.process.stdout.readline() == "ready\n"
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.seen.append(self.parse(line.rstrip("\n").split(" ")))

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.reader.join()
        return self.seen


class Capture(Watcher):
    """packets grows while it runs."""

    @property
    def packets(self):
        return self.seen

    @staticmethod
    def parse(words):
        kind, source_port, address, port, first = words
        return Packet(kind, int(source_port), address, int(port), int(first))


def describe(protocol, data):
    """Of what the IP packet data carries: kind, ports and the first byte in it (-1: none)."""
    if protocol == ETH_P_IP:
        header_len, number, address = (data[0] & 15) * 4, data[9], data[16:20]
    else:
        header_len, number, address = 40, data[6], data[24:40]
        if number == 0:  # hop-by-hop options, as multicast reports have
            number, header_len = data[40], 48 + data[41] * 8
    inner = data[header_len:]
    source_port = port = 0
    first = -1
    if number in (6, 17):
        source_port, port = struct.unpack("!HH", inner[:4])
        begin = 8 if number == 17 else (inner[12] >> 4) * 4
        first = inner[begin] if len(inner) > begin else -1
    return NAMES.get(number, f"ip-{number}"), source_port, ipaddress.ip_address(address), port, first


def main():
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as tap:
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        print("ready", flush=True)
        while True:
            data, (device, protocol, kind, _, _) = tap.recvfrom(65536)
            if device != "lo" and kind == PACKET_OUTGOING and protocol in (ETH_P_IP, ETH_P_IPV6):
                print(*describe(protocol, data), flush=True)


if __name__ == "__main__":
    main()
