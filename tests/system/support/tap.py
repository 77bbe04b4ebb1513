# SPDX-License-Identifier: Apache-2.0
"""Every datagram of UDP that enters or leaves a network namespace, in a process of its own there.

  tap.py         prints "ready", then per datagram: TIME SOURCE PORT ADDRESS PORT HEX
"""
import collections
import ipaddress
import pathlib
import socket
import struct
import sys
import time

from capture import Watcher

ETH_P_ALL, ETH_P_IP, ETH_P_IPV6, IPPROTO_UDP = 3, 0x800, 0x86DD, 17
SOL_PACKET, PACKET_VNET_HDR = 263, 15
# struct virtio_net_hdr of the kernel: flags, kind, length of heads, of a segment, two of checksums.
VNET_HEAD = struct.Struct("<BBHHHH")
GSO_NONE, GSO_UDP = 0, 5
ETH_LEN, UDP_LEN = 14, 8

Datagram = collections.namedtuple("Datagram", "time source source_port address port data")


class Tap(Watcher):
    script = pathlib.Path(__file__)

    @staticmethod
    def parse(words):
        when, source, source_port, address, port, data = words
        return Datagram(float(when), source, int(source_port), address, int(port), bytes.fromhex(data))


def udp_of(frame):
    """(source, address, what follows) of a frame that carries UDP, else None."""
    kind, ip = struct.unpack("!H", frame[12:ETH_LEN])[0], frame[ETH_LEN:]
    if kind == ETH_P_IP and ip[9] == IPPROTO_UDP:
        return ip[12:16], ip[16:20], ip[(ip[0] & 15) * 4:]
    if kind == ETH_P_IPV6 and ip[6] == IPPROTO_UDP:
        return ip[8:24], ip[24:40], ip[40:]
    return None


def segments(kind, segment_len, payload):
    """The kernel hands on what was sent in one call, or received in a row, as one packet."""
    if kind & 0x7f == GSO_NONE:
        return [payload]
    assert kind & 0x7f == GSO_UDP and segment_len
    return [payload[at:at + segment_len] for at in range(0, len(payload), segment_len)]


def main():
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap:
        tap.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        print("ready", flush=True)
        while True:
            data, (device, *_) = tap.recvfrom(1 << 17)
            _, kind, _, segment_len, _, _ = VNET_HEAD.unpack(data[:VNET_HEAD.size])
            found = device != "lo" and udp_of(data[VNET_HEAD.size:])
            if not found:
                continue
            source, address, udp = found
            source_port, port = struct.unpack("!HH", udp[:4])
            for payload in segments(kind, segment_len, udp[UDP_LEN:]):
                print(time.time(), ipaddress.ip_address(source), source_port, ipaddress.ip_address(address), port,
                      payload.hex(), flush=True)


if __name__ == "__main__":
    main()
