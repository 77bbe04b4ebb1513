#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node has its router forward its ports: by PCP, NAT-PMP and UPnP, with miniupnpd as the router's
daemon. A third node reaches it through a NAT that drops what was not asked for.

    a (192.168.1.2) -- nat-a (198.18.0.1, miniupnpd) -- internet -- b 198.18.0.2
                                                        internet -- p 198.18.0.9
"""
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, Skip, check, check_eq, run, run_plain, wait_for

CONFIG = ("[limits]\nsite = 198.18.0.0/15:32\n[dht]\nenabled = no\nprivate = yes\n[service]\nenabled = no\n"
          "[port_mapping]\nmethod = {method}\nlifetime = {lifetime}\n")
GREETER = pathlib.Path(__file__).parent / "support" / "hello_client.py"
LISTEN = ["0.0.0.0:7000"]
# From the start of the daemon, on a machine that is not busy.
MAPPED_S = 5
# From the router's restart: it announces it, and is asked within four seconds.
MAPPED_AGAIN_S = 8
# Where miniupnpd puts its rules; the lab's own chains stay as they are.
CHAINS = """table inet filter {
    chain forward { type filter hook forward priority 0; policy accept; jump miniupnpd; }
    chain miniupnpd { }
    chain prerouting { type nat hook prerouting priority -101; policy accept; jump prerouting_miniupnpd; }
    chain prerouting_miniupnpd { }
    chain postrouting { type nat hook postrouting priority 99; policy accept; jump postrouting_miniupnpd; }
    chain postrouting_miniupnpd { }
}"""


class Router:
    """miniupnpd in the namespace of nat-a."""

    def __init__(self, lab, network, pcp, upnp, external="198.18.0.1"):
        if not shutil.which("miniupnpd"):
            raise Skip("miniupnpd is not installed")
        self.lab, self.netns, self.process = lab, network.nodes["nat-a"].name, None
        inside, outside = self.device("192.168.1.1"), self.device("198.18.0.1")
        # As routers have it: what it announces goes to the hosts inside.
        self.run("ip", "route", "add", "224.0.0.0/4", "dev", inside)
        # By UPnP miniupnpd tells no address of a test network: the router has one more outside.
        if external != "198.18.0.1":
            self.run("ip", "addr", "add", f"{external}/32", "dev", outside)
        self.conf = lab.dir / "miniupnpd.conf"
        self.conf.write_text(
            f"ext_ifname={outside}\nlistening_ip={inside}\nhttp_port=5000\n"
            f"{'ext_allow_private_ipv4=yes' if external == '198.18.0.1' else f'ext_ip={external}'}\n"
            f"enable_pcp_pmp={'yes' if pcp else 'no'}\nenable_upnp={'yes' if upnp else 'no'}\n"
            "min_lifetime=20\nmax_lifetime=86400\nupnp_table_name=filter\nupnp_nat_table_name=filter\n"
            "upnp_forward_chain=miniupnpd\nupnp_nat_chain=prerouting_miniupnpd\n"
            "upnp_nat_postrouting_chain=postrouting_miniupnpd\nsecure_mode=yes\nsystem_uptime=no\n"
            "uuid=6d0ee2f4-0a2a-4b42-9b1b-6a2f1f4f9c11\nallow 1024-65535 192.168.1.0/24 1024-65535\n"
            "deny 0-65535 0.0.0.0/0 0-65535\n")

    def run(self, *words):
        return run_plain("ip", "netns", "exec", self.netns, *words).stdout

    def device(self, address):
        for row in json.loads(self.run("ip", "-j", "addr")):
            if any(info.get("local") == address for info in row["addr_info"]):
                return row["ifname"]
        raise AssertionError(f"nat-a has no {address}")

    def start(self):
        self.run("nft", CHAINS)
        log = open(self.lab.dir / "miniupnpd.log", "ab")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.netns, "miniupnpd", "-d", "-f", str(self.conf),
             "-P", str(self.lab.dir / "miniupnpd.pid")], stdout=log, stderr=log)
        self.lab.processes.append(self.process)
        wait_for(lambda: "5351" in self.run("ss", "-lun") or "5000" in self.run("ss", "-ltn"),
                 f"miniupnpd listens: {self.log()}")
        return self

    def stop(self):
        """It ends, and all that it mapped is gone, as after a power cut."""
        self.process.kill()
        self.process.wait()
        self.run("nft", "delete", "table", "inet", "filter")

    def announce(self):
        """To the hosts inside, as by a boot."""
        self.process.send_signal(signal.SIGUSR1)

    def log(self):
        return (self.lab.dir / "miniupnpd.log").read_text(errors="replace")[-2000:]

    def rules(self):
        return self.run("nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd")

    def forwards(self, port):
        """By a rule of its own."""
        return any("192.168.1.2" in line and (f"{port}" in line or f"0x{port:x}" in line)
                   for line in self.rules().splitlines())


def mappings(daemon):
    return {row["transport"]: row for row in daemon.call("ShowReachability")["reachability"]["mappings"]}


def wait_mapped(daemon, router, what):
    def is_it():
        rows = mappings(daemon)
        return rows if len(rows) == 2 and all(row["state"] == "mapped" for row in rows.values()) else None
    try:
        return wait_for(is_it, what, pause=0.1)
    except AssertionError as wrong:
        raise AssertionError(f"{wrong}: {mappings(daemon)}: {router.log()}") from wrong


def check_mapped(lab, method, by, pcp, upnp, external="198.18.0.1"):
    """Mapped, shown, renewed after the router's restart, and given back."""
    network = lab.plain("nat", "port-restricted")
    router = Router(lab, network, pcp, upnp, external).start()
    a = lab.daemon("a", netns=network.nodes["a"].name, listen=LISTEN,
                   config=CONFIG.format(method=method, lifetime="20s")).start()
    begun = time.monotonic()
    rows = wait_mapped(a, router, "both ports are mapped")
    took_s = time.monotonic() - begun
    check(took_s < MAPPED_S, f"mapped after {took_s:.1f} s")
    for transport, port in (("udp", 7000), ("tcp", 7001)):
        row = rows[transport]
        check_eq(row["method"], by, f"how {transport} is mapped")
        check_eq(row["port"], port, f"the port of {transport}")
        check_eq(row["router"], "192.168.1.1", "whom it asked")
        check_eq(row["external"], f"{'tcp:' if transport == 'tcp' else ''}{external}:{port}", "outside")
        # miniupnpd grants two minutes by PCP at least.
        check(0 < row["lifetime_s"] <= (120 if by == "pcp" else 20), f"lifetime: {row}")
        check(router.forwards(port), f"the router forwards {transport}: {router.rules()}")
    said = a.weft("reachability", "show")
    check_eq(said.returncode, OK, said.stderr)
    check("mapped" in said.stdout and f"{external}:7000" in said.stdout, said.stdout)
    # A clock that differs by less than two seconds and a sixteenth is no restart (RFC 6887 8.5).
    wait_for(lambda: time.monotonic() - begun > 5, "the router has been up for a while", pause=0.5)
    router.stop()
    router.start()
    router.announce()
    begun = time.monotonic()
    wait_for(lambda: router.forwards(7000) and router.forwards(7001), "it is mapped again", pause=0.1)
    took_s = time.monotonic() - begun
    check(by == "upnp" or took_s < MAPPED_AGAIN_S, f"mapped again after {took_s:.1f} s")
    wait_mapped(a, router, "both are held")
    check_eq(a.stop(), 0, "the daemon's end")
    check(not router.forwards(7000) and not router.forwards(7001), f"given back: {router.rules()}")


def test_pcp_maps_both_ports(lab):
    check_mapped(lab, "auto", "pcp", pcp=True, upnp=True)


def test_nat_pmp_maps_both_ports(lab):
    check_mapped(lab, "nat-pmp", "nat-pmp", pcp=True, upnp=False)


def test_upnp_maps_both_ports(lab):
    check_mapped(lab, "auto", "upnp", pcp=False, upnp=True, external="45.0.0.1")


def test_a_mapped_node_is_reached_and_others_hear_of_it(lab):
    network = lab.plain("nat", "port-restricted")
    router = Router(lab, network, pcp=True, upnp=False).start()
    daemons = {name: lab.daemon(name, netns=network.nodes[name].name, listen=LISTEN,
                                config=("[node]\nworkers = 2\n" if name == "a" else "") + CONFIG.format(
                                    method="auto" if name == "a" else "off", lifetime="10m")).start() for name in ("a", "b", "p")}
    a, b, p = daemons["a"], daemons["b"], daemons["p"]
    wait_mapped(a, router, "both ports are mapped")
    for caller, called, address in ((p, b, "198.18.0.2:7000"), (a, p, "198.18.0.9:7000")):
        done = caller.weft("peer", "connect", called.json("node", "id")["node_id"], address)
        check_eq(done.returncode, OK, done.stderr)
    # b's probe comes through the mapping alone: a never wrote to b.
    shown = wait_for(lambda: (lambda now: now if now["state"] == "mapped" else None)(
        a.call("ShowReachability", again=True)["reachability"]), "a is mapped", timeout=DEADLINE_S, pause=0.5)
    check_eq(shown["address"], "198.18.0.1:7000", "where it is reached")
    key = a.json("node", "id")["node_id"]
    # HELLO to new sessions, dialled through the mapping: either worker may have them.
    for seed in ("41", "42", "43", "44"):
        done = run_plain("ip", "netns", "exec", b.netns, sys.executable, str(GREETER), "198.18.0.1", "7000", seed * 32)
        told = [json.dumps(row) for row in json.loads(done.stdout)["addresses"]]
        check('"c6120001"' in told[0] and "7000" in told[0], f"the first address of HELLO: {told}")
        check(any('"c6120001"' in row and "7001" in row for row in told), f"that of TCP: {told}")
    done = b.weft("peer", "connect", key, "198.18.0.1:7000")
    check_eq(done.returncode, OK, f"b dials a through its router: {done.stderr}")


def test_a_router_without_a_server_is_said(lab):
    network = lab.plain("nat", "port-restricted")
    a = lab.daemon("a", netns=network.nodes["a"].name, listen=LISTEN,
                   config=CONFIG.format(method="auto", lifetime="10m")).start()
    row = wait_for(lambda: (lambda row: row if row["state"] == "failed" else None)(mappings(a)["udp"]),
                   "no mapping", pause=0.2)
    for word in ("pcp", "nat-pmp", "upnp: no router answers"):
        check(word in row["why"], row["why"])
    check("external" not in row, f"no address: {row}")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
