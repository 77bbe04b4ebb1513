# SPDX-License-Identifier: Apache-2.0
"""A third party on the LAN: says in JSON lines what it hears.

    lan_listener.py beacon             datagrams of port 46123, decoded by cbor2
    lan_listener.py send V             sends beacons of SCP2P's version V, once a second
    lan_listener.py send-alone-then-all ADDRESS
                                       each second one instance's to ADDRESS, then another's to all
    lan_listener.py browse ADDRESS [TYPE]
                                       instances of _mesh._udp.local or TYPE, found by zeroconf
    lan_listener.py ask ADDRESS NAME   asks for PTRs of NAME, and says the answers
    lan_listener.py offer ADDRESS KEY  offers one itself
    lan_listener.py other ADDRESS COUNT [TYPE]
                                       offers COUNT instances of quicproquo, or of TYPE
"""
import json
import socket
import struct
import sys
import time

import cbor2
import zeroconf

PORT = 46123
SERVICE = "_mesh._udp.local."


def say(**words):
    print(json.dumps(words), flush=True)


def beacon_socket():
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    listener.bind(("", PORT))
    return listener


def beacon():
    listener = beacon_socket()
    say(ready=True)
    while True:
        packet, (source, _) = listener.recvfrom(2048)
        told = cbor2.loads(packet)
        say(source=source, version=told["version"], instance=bytes(told["instance_id"]).hex(),
            tcp_port=told["tcp_port"], quic_port=told["quic_port"],
            capabilities=told["capabilities"])


def send(version):
    told = {"version": version, "instance_id": list(range(16)), "tcp_port": 7001}
    if version > 1:
        told |= {"capabilities": {"dht": True, "store": False, "relay": False,
                                  "content_seed": True, "mobile_light": False}}
    sender = beacon_socket()
    while True:
        sender.sendto(cbor2.dumps(told), ("10.77.0.255", PORT))
        time.sleep(1)


def send_alone_then_all(address):
    sender = beacon_socket()
    while True:
        for first, to in ((0, address), (1, "10.77.0.255")):
            instance = list(range(first, first + 16))
            sender.sendto(cbor2.dumps({"version": 1, "instance_id": instance, "tcp_port": 7001}),
                          (to, PORT))
        time.sleep(1)


class Listener(zeroconf.ServiceListener):
    def add_service(self, zc, type_, name):
        info = zc.get_service_info(type_, name, timeout=60_000)
        if info:
            say(name=name, port=info.port, addresses=info.parsed_addresses(),
                properties={key.decode(): (value or b"").decode()
                            for key, value in info.properties.items()})

    def update_service(self, zc, type_, name):
        pass

    def remove_service(self, zc, type_, name):
        say(gone=name)


def browse(address, type_=SERVICE):
    zc = zeroconf.Zeroconf(interfaces=[address])
    zeroconf.ServiceBrowser(zc, type_, Listener())
    time.sleep(3600)


def ask(address, name):
    """Once a second, as any program may ask. The names of zeroconf's own questions have to be legal."""
    asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    asker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    asker.bind(("", 5353))
    asker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
    asker.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     socket.inet_aton("224.0.0.251") + socket.inet_aton(address))
    asker.settimeout(1)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.strip(".").split("."))
    question = struct.pack(">6H", 0, 0, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, 12, 1)
    while True:
        asker.sendto(question, ("224.0.0.251", 5353))
        until = time.monotonic() + 1
        while time.monotonic() < until:
            try:
                packet, (source, _) = asker.recvfrom(9001)
            except TimeoutError:
                break
            for answer in zeroconf.DNSIncoming(packet).answers():
                if isinstance(answer, zeroconf.DNSPointer) and answer.name == name:
                    say(source=source, alias=answer.alias, ttl=answer.ttl)


def offer(address, key):
    zc = zeroconf.Zeroconf(interfaces=[address])
    zc.register_service(zeroconf.ServiceInfo(
        SERVICE, f"third-party.{SERVICE}", parsed_addresses=[address], port=4242,
        properties={"id": key, "v": "1", "caps": "8"}, server="third-party.local."))
    say(ready=True)
    time.sleep(3600)


def other(address, count, type_="_quicproquo._udp.local."):
    zc = zeroconf.Zeroconf(interfaces=[address])
    for number in range(int(count)):
        zc.register_service(zeroconf.ServiceInfo(
            type_, f"office {number}.{type_}", parsed_addresses=[address], port=5001,
            properties={"ver": "1", "server": f"{address}:5001", "domain": f"d{number}\x1b.example"},
            server="office.local."), cooperating_responders=True)
    say(ready=True)
    time.sleep(3600)


if __name__ == "__main__":
    what, words = sys.argv[1], sys.argv[2:]
    {"beacon": beacon, "send": lambda v: send(int(v)), "send-alone-then-all": send_alone_then_all,
     "browse": browse, "ask": ask, "offer": offer, "other": other}[what](*words)
