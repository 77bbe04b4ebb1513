#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two daemons under traffic both ways while the fast path comes and goes.

    namespace a: 10.77.0.1 -- veth0 == veth0 -- namespace b: 10.77.0.2 or 10.77.0.3

Folders of fresh noise are fetched both ways without a pause and compared byte by
byte, and both ping each other. Meanwhile devices are attached, detached, left
unconfirmed, modes forced, and the link goes down and up. b moves to another
address, the MTU changes and configurations are read again. Ends with 1 when a byte
differed, a get failed, a frame of a UMEM was unaccounted for or memory grew.
MINUTES=10 make bench B=soak, or bench/soak.py --minutes 10 --seed 1.
"""
import argparse
import collections
import json
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "system"))

import report
from support import lab

MIB = 1 << 20
MEMORY = "/dev/shm"
PASS_OBJECT = str(report.BUILD.resolve() / "bench" / "pass.bpf.o")
FILES = {"big": 24 * MIB, "some/odd": 3 * MIB + 17, "some/small": 1, "some/none": 0}
FRAMES = 4096  # xdp.frames
B_ADDRESSES = ("10.77.0.2", "10.77.0.3")
PAUSE_S = (0.3, 3)  # between two changes
MOVED_S = 1  # for addresses and links to be noticed
GROWTH_CAP = 4 * MIB  # of the least that a daemon had for itself, last third of the run over the second
GETS_REMEMBERED = 1024  # node/'s
RESUMES = 5  # of one get, when a session was lost
ATTACH_TRIES = 50
PATIENCE_S = 60


class Side:
    """One daemon, its device, and what befell both."""

    def __init__(self, place, name, netns, address):
        self.name, self.netns, self.address = name, netns, address
        self.daemon = place.daemon(name, netns=netns, listen=["0.0.0.0:7000", "[::]:7000"]).start()
        self.node = self.daemon.json("node", "id")["node_id"]
        self.memory = []

    def own_memory(self):
        text = pathlib.Path(f"/proc/{self.daemon.pid()}/status").read_text(encoding="ascii")
        return int(text.split("RssAnon:")[1].split()[0]) * 1024

    def device(self):
        devices = self.daemon.json("xdp", "status")["devices"]
        return devices[0] if devices else None

    def connections(self):
        counters = self.daemon.json("status")["counters"]
        return counters["quic.accepted_cnt"] + counters["quic.dialled_cnt"]


class Soak:
    def __init__(self, place, seed):
        self.lab, self.dice = place, random.Random(seed)
        self.failures, self.done = [], collections.Counter()
        self.is_over = threading.Event()
        ns_a, ns_b = place.veth_pair()
        self.nodes = dict(zip("ab", place.network.nodes.values()))
        self.a = Side(place, "a", ns_a, "10.77.0.1")
        self.b = Side(place, "b", ns_b, B_ADDRESSES[0])
        for node in self.nodes.values():
            node.attach_xdp("veth0", PASS_OBJECT)
        # Else the second address goes with the first.
        self.nodes["b"].sysctl("ipv4/conf/veth0/promote_secondaries", 1)

    def fail(self, text):
        self.failures.append(text)
        print(f"FAILED after {time.monotonic() - self.begin:.1f} s: {text}", flush=True)

    # Traffic

    def fetch_forever(self, side, other, seed):
        for number in range(1 << 30):
            if self.is_over.is_set():
                return
            self.fetch(side, other, f"{side.name}{number}", seed + number)

    def fetch(self, side, other, name, seed):
        source = self.lab.folder(f"source-{name}", FILES, seed=seed)
        target = self.lab.dir / f"target-{name}"
        link = other.daemon.share(source)
        self.meet(side, other)
        got = side.daemon.weft("get", link, "--to", target, timeout=3 * PATIENCE_S)
        for _ in range(RESUMES):
            if not re.search("connection is gone|no answer in time", got.stderr):
                break
            number = re.search(r"get resume (\d+)", got.stderr).group(1)
            self.done[f"{side.name} resumed"] += 1
            self.meet(side, other)
            got = side.daemon.weft("get", "resume", number, timeout=3 * PATIENCE_S)
        if got.returncode != lab.OK:
            self.fail(f"{side.name} gets: exit {got.returncode}: {got.stderr.strip()}")
        else:
            try:
                lab.same_tree(source, target)
                self.done[f"{side.name} fetched, MiB"] += sum(FILES.values()) // MIB
            except lab.Mismatch as why:
                self.fail(str(why))
        other.daemon.weft("share", "remove", link)
        for folder in (source, target):
            shutil.rmtree(folder, ignore_errors=True)

    def meet(self, side, other):
        """A session to the moved node; the last one goes on where there is one."""
        if side.daemon.weft("peer", "connect", other.node, f"{other.address}:7000").returncode:
            self.done["dials that were in vain"] += 1

    def ping_forever(self, side, other):
        while not self.is_over.wait(0.2):
            done = side.daemon.weft("peer", "ping", other.node, "--count", "5", "--json")
            answered = done.returncode == lab.OK
            self.done[f"{side.name} pinged" if answered else f"{side.name} pinged in vain"] += 1

    def fill_lists(self):
        """A daemon remembers its last gets; what that takes is there before memory is watched."""
        for side, other in ((self.a, self.b), (self.b, self.a)):
            link = other.daemon.share(self.lab.folder(f"small-{side.name}", {"x": 1}))
            for _ in range(GETS_REMEMBERED):
                got = side.daemon.weft("get", link, "--to", self.lab.dir / f"small-of-{side.name}")
                if got.returncode != lab.OK:
                    raise lab.Mismatch(got.stderr)

    # What happens meanwhile

    def attach(self, side):
        words = self.dice.choice(((), (), ("--send", "af_xdp"), ("--mode", "generic"),
                                  ("--confirm", "1s")))
        if side.device():
            return
        node = self.nodes[side.name]
        node.ip("link", "set", "dev", "veth0", "xdp", "off")
        for _ in range(ATTACH_TRIES):  # the kernel lets go of the last sockets some time later
            done = side.daemon.weft("xdp", "attach", "veth0", *words)
            if done.returncode == lab.OK:
                return
            time.sleep(0.1)
        self.fail(f"{side.name} attaches {' '.join(words)}: {done.stderr.strip()}")

    def detach(self, side):
        self.look(side)
        side.daemon.weft("xdp", "detach", "veth0")
        if not side.device():
            self.pass_all(side)

    def pass_all(self, side):
        """A veth hands over what the other end's program answers only while it has one itself."""
        if "xdp" not in self.nodes[side.name].ip("link", "show", "veth0"):
            self.nodes[side.name].attach_xdp("veth0", PASS_OBJECT)

    def mode(self, side):
        side.daemon.weft("xdp", "mode", self.dice.choice(("normal", "pressured", "flood", "auto")))

    def link(self, side):
        ip = self.nodes[side.name].ip
        ip("link", "set", "veth0", "down")
        time.sleep(self.dice.uniform(0, MOVED_S))
        ip("link", "set", "veth0", "up")
        ip("addr", "replace", f"fd77::{'ab'.index(side.name) + 1}/64", "dev", "veth0", "nodad")

    def move(self, _):
        old = self.b.address
        new = B_ADDRESSES[1 - B_ADDRESSES.index(old)]
        self.nodes["b"].ip("addr", "add", f"{new}/24", "dev", "veth0")
        self.b.address = new
        time.sleep(self.dice.uniform(0, MOVED_S))
        self.nodes["b"].ip("addr", "del", f"{old}/24", "dev", "veth0")

    def mtu(self, _):
        mtu = self.dice.choice(("1400", "1500", "2500"))
        for node in self.nodes.values():
            node.ip("link", "set", "veth0", "mtu", mtu)

    def reload(self, side):
        """Of values that count while it runs."""
        side.daemon.conf.write_text(f"[quic]\nretry_above = {self.dice.randint(1, 512)}\n"
                                    f"[xdp]\nflood_above = {self.dice.randint(1000, 90000)}\n")
        done = side.daemon.weft("daemon", "reload")
        if done.returncode != lab.OK:
            self.fail(f"{side.name} reloads: {done.stderr.strip()}")

    def look(self, side):
        """Frames: each has an owner, whatever goes on."""
        device = side.device()
        if not device:
            self.pass_all(side)
            return
        if sum(device["frames"].values()) not in (FRAMES, 2 * FRAMES):
            self.fail(f"{side.name} has frames without an owner: {device['frames']}")
        if device["faults"].get("descriptor-refused"):
            self.fail(f"{side.name}: the kernel refused a descriptor")
        self.done["looked at frames"] += 1

    def change(self):
        acts = (self.attach, self.attach, self.attach, self.detach, self.mode, self.link,
                self.move, self.mtu, self.reload)
        side, act = self.dice.choice((self.a, self.b)), self.dice.choice(acts)
        act(side)
        self.done[f"act: {act.__name__}"] += 1
        for each in (self.a, self.b):
            self.look(each)
            each.memory.append(each.own_memory())
            if each.daemon.process.poll() is not None:
                raise lab.Mismatch(f"{each.name} ended: {each.daemon.log_text()[-2000:]}")

    def run(self, minutes):
        self.fill_lists()
        self.begin = time.monotonic()
        threads = [threading.Thread(target=work, args=args, daemon=True) for work, args in (
            (self.fetch_forever, (self.a, self.b, 1 << 32)),
            (self.fetch_forever, (self.b, self.a, 2 << 32)),
            (self.ping_forever, (self.a, self.b)), (self.ping_forever, (self.b, self.a)))]
        self.meet(self.b, self.a)
        for thread in threads:
            thread.start()
        try:
            while time.monotonic() < self.begin + 60 * minutes:
                self.change()
                time.sleep(self.dice.uniform(*PAUSE_S))
        finally:
            self.is_over.set()
            for thread in threads:
                thread.join(4 * PATIENCE_S)
        self.check_rest()

    # The end

    def check_rest(self):
        for side in (self.a, self.b):
            self.detach(side)
            self.attach(side)
            side.daemon.weft("xdp", "keep", "veth0")
        self.fetch(self.b, self.a, "last", 3 << 32)
        time.sleep(MOVED_S)
        for side in (self.a, self.b):
            frames = side.device()["frames"]
            if frames["writing"] or frames["sending"]:
                self.fail(f"{side.name} is idle and has frames under way: {frames}")
            self.check_memory(side)

    def parted(self, side, other):
        """Why sessions ended, by times."""
        told = side.daemon.json("why", other.node)["incidents"]
        return collections.Counter(f"{row['kind'].replace('_', ' ')}, {row.get('why', 'to begin with')}"
                                   for row in told)

    def check_memory(self, side):
        third = len(side.memory) // 3
        before, after = (min(side.memory[i * third:(i + 1) * third], default=0) for i in (1, 2))
        side.growth = after - before
        if third and side.growth > GROWTH_CAP:
            self.fail(f"{side.name} grew by {side.growth / MIB:.1f} MiB")


def main():
    lab.need_root()
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("MINUTES", "10")))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", time.time())))
    words = parser.parse_args()
    tempfile.tempdir = MEMORY
    print(f"{words.minutes} minutes, seed {words.seed}", flush=True)
    place = lab.Lab()
    try:
        soak = Soak(place, words.seed)
        soak.run(words.minutes)
        tell(soak)
        if soak.failures:
            for side in (soak.a, soak.b):
                print(f"log of {side.name}:\n{side.daemon.log_text()[-4000:]}")
    finally:
        place.close()
    sys.exit(1 if soak.failures else 0)


def tell(soak):
    for what, cnt in sorted(soak.done.items()):
        print(f"  {what:28} {cnt}")
    for side, other in ((soak.a, soak.b), (soak.b, soak.a)):
        print(f"  {side.name}: {side.connections()} connections made or taken, frames"
              f" {json.dumps(side.device()['frames'])}, own memory {side.memory[-1] / MIB:.1f} MiB,"
              f" grown by {side.growth / MIB:.1f}")
        for why, times in soak.parted(side, other).items():
            print(f"    {times} times {why}")
    print(f"  {len(soak.failures)} failures", flush=True)


main()
