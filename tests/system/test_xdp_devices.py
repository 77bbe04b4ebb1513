#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""XDP on devices of every kind, and on frames with VLAN tags.

    namespace a: 10.77.0.1 -- veth0 == veth0 -- namespace b: 10.77.0.2

What a kernel has no driver for is left out of the rows it would be in.
"""
import json
import pathlib
import socket
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, REFUSED, Skip, check, check_eq, run, run_plain, wait_for

CHUNK = 256 * 1024
PORT = 7000
ETH_P_ALL, SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING = 3, 263, 8, 4
QINQ, VLAN, IPV4 = 0x88A8, 0x8100, 0x0800

# How the device is made (None: it is there), whether it can be attached, how, and a word of what is said of it.
KINDS = {
    "lo": (None, True, "generic", "only this machine's own packets"),
    "veth0": (None, True, "native", "segmentation offload"),
    "down0": (("type", "veth", "peer", "name", "down1"), True, "native", "down0 is down"),
    "br0": (("type", "bridge"), True, "generic", "what it hands up to this host"),
    "vlan7": (("link", "veth0", "type", "vlan", "id", "7"), True, "generic", "attach that one"),
    "bond0": (("type", "bond"), False, None, "attach each port"),
    "dummy0": (("type", "dummy"), True, "generic", "saves little"),
    "wg0": (("type", "wireguard"), False, None, "no Ethernet header"),
    "tap0": ("tap", True, "native", ""),
    "tun0": ("tun", False, None, "no Ethernet header"),
}


def make(netns, name, how):
    """False: this kernel has no such devices."""
    if how in ("tap", "tun"):
        words = ("tuntap", "add", name, "mode", how)
    elif how[0] == "link":
        words = ("link", "add", "link", how[1], "name", name, *how[2:])
    else:
        words = ("link", "add", name, *how)
    made = subprocess.run(("ip", "-n", netns, *words), capture_output=True, text=True)
    return made.returncode == 0


def test_each_kind_of_device_says_what_attaching_does_and_does_it(lab):
    netns, _ = lab.veth_pair()
    daemon = lab.daemon("a", netns=netns).start()
    for name, (how, is_possible, mode, words) in KINDS.items():
        if how and not make(netns, name, how):
            continue
        if how and name != "down0":
            lab.ip(netns, "link", "set", name, "up")
        plan = daemon.json("xdp", "plan", name)["plan"]
        said = f"{plan['why']} {plan['warnings']}"
        check_eq((plan["possible"], words in said), (is_possible, True), f"plan of {name}: {said}")
        done = daemon.weft("xdp", "attach", name)
        if "kernel refuses the XDP program" in done.stderr or "needs CAP_BPF" in done.stderr:
            raise Skip(done.stderr.strip())
        check_eq(done.returncode, OK if is_possible else REFUSED, f"attach {name}: {done.stderr}")
        if not is_possible:
            check(words in done.stderr, f"attach {name}: {done.stderr}")
            continue
        check_eq(plan["mode"], mode, f"mode of {name}")
        devices = daemon.json("xdp", "status")["devices"]
        check_eq([(row["device"], row["mode"]) for row in devices], [(name, mode)], "attached")
        check_eq(daemon.weft("xdp", "detach", name).returncode, OK, f"detach {name}")


def test_a_bridge_and_its_port_carry_a_get(lab):
    ns_a, ns_b = lab.veth_pair()
    lab.ip(ns_a, "addr", "flush", "dev", "veth0")
    lab.ip(ns_a, "link", "add", "br0", "type", "bridge")
    lab.ip(ns_a, "link", "set", "veth0", "master", "br0")
    lab.ip(ns_a, "link", "set", "br0", "up")
    lab.ip(ns_a, "addr", "add", "10.77.0.1/24", "dev", "br0")
    a = lab.daemon("a", netns=ns_a, listen=[f"10.77.0.1:{PORT}"]).start()
    b = lab.daemon("b", netns=ns_b, listen=[f"10.77.0.2:{PORT}"]).start()
    link = a.share(lab.folder("root", {"x": 20 * CHUNK}))
    for device in ("br0", "veth0"):
        done = a.weft("xdp", "attach", device)
        check_eq(done.returncode, OK, f"attach {device}: {done.stderr}")
        done = b.weft("get", link, "--to", lab.dir / f"by-{device}")
        check_eq(done.returncode, OK, f"get: {done.stderr}")
        seen = {row["device"]: sum(side["datagrams"] for side in row["receive"])
                for row in a.json("xdp", "status")["devices"]}
        check(seen[device] > 0, f"nothing came by AF_XDP on {device}: {seen}")
        check_eq(a.weft("xdp", "detach", device).returncode, OK, f"detach {device}")


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def initial_of_another_version(tags, macs):
    """A client's Initial of QUIC version 0x1a2a3a4a, below tags."""
    quic = (b"\xc0" + struct.pack("!I", 0x1A2A3A4A) + b"\x08" + b"\x11" * 8 + b"\x08" + b"\x22" * 8).ljust(1200, b"\0")
    udp = struct.pack("!4H", 4433, PORT, 8 + len(quic), 0) + quic
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                       socket.inet_aton("10.77.0.2"), socket.inet_aton("10.77.0.1"))
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return macs + b"".join(struct.pack("!HH", *tag) for tag in tags) + struct.pack("!H", IPV4) + head + udp


def mac_of(netns):
    shown = run_plain("ip", "-n", netns, "-j", "link", "show", "dev", "veth0").stdout
    return bytes.fromhex(json.loads(shown)[0]["address"].replace(":", ""))


def hear_answer(sock):
    """The tags of the next datagram from the node's port, and what is in it."""
    while True:
        frame, ancillary, _, origin = sock.recvmsg(2000, 100)
        if origin[2] == PACKET_OUTGOING:
            continue
        _, _, _, _, _, flags_tci, tpid = struct.unpack("IIIHHHH", ancillary[0][2][:20])
        tags, at = [(tpid, flags_tci)] if tpid else [], 12
        while struct.unpack("!H", frame[at:at + 2])[0] in (QINQ, VLAN):
            tags.append(struct.unpack("!HH", frame[at:at + 4]))
            at += 4
        if struct.unpack("!H", frame[at:at + 2])[0] == IPV4 and frame[at + 22:at + 24] == struct.pack("!H", PORT):
            return tags, frame[at + 30:]


def vlan_devices(netns):
    """The tags of VLAN devices above veth0: one, and one above another. None: the kernel has none."""
    for lower, name, words in (("veth0", "vlan7", "id 7"), ("veth0", "outer", "proto 802.1ad id 20"),
                               ("outer", "inner", "id 30")):
        done = subprocess.run(["ip", "-n", netns, "link", "add", "link", lower, "name", name, "up",
                               "type", "vlan", *words.split()], capture_output=True, text=True,
                              check=False)
        if done.returncode:
            print(f"# no VLAN devices here: {done.stderr.strip()}")
            return []
    return [[(VLAN, 7)], [(QINQ, 0x2014), (VLAN, 0xA01E)]]


def test_a_question_is_answered_below_the_tags_of_vlans_that_are_configured(lab):
    ns_a, ns_b = lab.veth_pair()
    configured = vlan_devices(ns_a)
    daemon = lab.daemon("a", netns=ns_a, listen=[f"10.77.0.1:{PORT}"]).start()
    # Native, it would also need a program at b to take what XDP sends.
    done = daemon.weft("xdp", "attach", "veth0", "--mode", "generic")
    if "kernel refuses the XDP program" in done.stderr or "needs CAP_BPF" in done.stderr:
        raise Skip(done.stderr.strip())
    check_eq(done.returncode, OK, f"attach: {done.stderr}")

    def packet_socket():
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        made.bind(("veth0", ETH_P_ALL))
        made.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        made.settimeout(DEADLINE_S)
        return made

    sock = lab.network.nodes["b"].inside(packet_socket)
    macs = mac_of(ns_a) + mac_of(ns_b)
    for tags in ([], [(VLAN, 0x6000)], *configured):
        sock.send(initial_of_another_version(tags, macs))
        heard, answer = hear_answer(sock)
        # A priority alone may be taken off on the way.
        check(heard == tags or tags == [(VLAN, 0x6000)] and not heard,
              f"tags of the answer: {heard}, of the question: {tags}")
        check_eq(answer[1:5], bytes(4), "version negotiation")
    answered_cnt = 2 + len(configured)
    check_eq(daemon.judged()["version-sent"], answered_cnt, "by the driver")
    # Other VLANs are other hosts', as is whatever is for another address of the link.
    before = daemon.judged().get("other-host", 0)
    sock.send(initial_of_another_version([(VLAN, 9)], macs))
    sock.send(initial_of_another_version([], b"\x02\0\0\0\0\x09" + macs[6:]))
    wait_for(lambda: daemon.judged().get("other-host", 0) == before + 2, "they are the stack's")
    check_eq(daemon.judged()["version-sent"], answered_cnt, "by the driver")
    # The stack takes broadcasts, and then it is the daemon that answers.
    sock.send(initial_of_another_version([], b"\xff" * 6 + macs[6:]))
    wait_for(lambda: daemon.judged().get("other-host", 0) == before + 3, "for everybody")
    # Below three it is the kernel's to look at.
    before = daemon.judged().get("not-ip", 0)
    sock.send(initial_of_another_version([(QINQ, 1), (VLAN, 2), (VLAN, 3)], macs))
    sock.send(initial_of_another_version([], macs))
    check_eq(hear_answer(sock)[0], [], "the next one")
    check(daemon.judged()["not-ip"] > before, "it was not passed on")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
