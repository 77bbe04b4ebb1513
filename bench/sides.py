# SPDX-License-Identifier: Apache-2.0
"""Two sides that benches of gets run on: A serves, B fetches."""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "system"))

import report
from support import lab

MIB = 1 << 20


def share_nice(pid):
    """Under automatic grouping nice counts within a session only, and a daemon has its own. So
    the whole session gets the bench's nice value, so that `nice -n -10 make bench` means all."""
    group = pathlib.Path(f"/proc/{pid}/autogroup")
    if group.exists() and os.geteuid() == 0:
        group.write_text(str(os.nice(0)))


class Bench:
    """Two sides, a and b, and what runs there; all gone after close()."""

    DEADLINE_S = 3600
    weft = lab.WEFT

    def __init__(self):
        self.lab = lab.Lab()
        self.dir = self.lab.dir
        self.processes = []
        self.folder_cnt = 0
        self.netns = {"a": None, "b": None}
        self.address = {"a": "127.0.0.1", "b": "127.0.0.1"}
        self.link = "loopback, as not root: no namespaces, no XDP; sockets look faster than they are"

    def join_by_veth(self):
        self.netns["a"], self.netns["b"] = self.lab.veth_pair()
        self.address = {"a": "10.77.0.1", "b": "10.77.0.2"}
        for side, node in self.lab.network.nodes.items():
            self.pass_all(side)
            # Every network card's driver has it on; a veth has it off, with XDP too.
            node.offload("veth0", "gro", True)
        self.link = "veth pair, MTU 1500, GRO on, XDP_PASS attached natively to both ends"

    def clear(self, side):
        self.lab.network.nodes[side].ip("link", "set", "dev", "veth0", "xdp", "off")

    def pass_all(self, side):
        self.clear(side)
        self.lab.network.nodes[side].attach_xdp("veth0", report.BUILD / "bench" / "pass.bpf.o")

    def at(self, side):
        return ["ip", "netns", "exec", self.netns[side]] if self.netns[side] else []

    def port(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    def daemon(self, name, config=""):
        """On the side that is the name's first letter."""
        side = name[0]
        daemon = self.lab.daemon(name, netns=self.netns[side], config=config,
                                 listen=[f"{self.address[side]}:0"]).start()
        share_nice(daemon.pid())
        return daemon

    def discard(self, daemon):
        daemon.stop()
        self.lab.daemons.remove(daemon)
        shutil.rmtree(daemon.state)

    def serve(self, side, command, port):
        """A foreign daemon, until close(); returns its process id."""
        process = subprocess.Popen([*self.at(side), *map(str, command)],
                                   stdout=subprocess.DEVNULL)
        self.processes.append(process)
        self.wait_bound(process, port)
        return process.pid

    def wait_bound(self, process, port):
        needle = f":{port:04X} "
        end = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < end:
            net = pathlib.Path(f"/proc/{process.pid}/net")
            if any(needle in (net / proto).read_text() for proto in ("tcp", "udp")):
                return
            time.sleep(0.01)
        raise RuntimeError(f"{process.args} does not listen")

    def new_folder(self):
        self.folder_cnt += 1
        folder = self.dir / f"out{self.folder_cnt}"
        folder.mkdir()
        return folder

    def warm_memory(self, byte_cnt):
        """Makes as much of the free memory as byte_cnt takes ready to be written. A
        hypervisor takes free pages back after a second or two. The first write to such a
        page costs ten times as much, so the first contender after a pause would pay for
        it."""
        scratch = self.dir / "warm"
        block = bytes(MIB)
        with scratch.open("wb") as out:
            for _ in range(byte_cnt * 5 // 4 // MIB):
                out.write(block)
        scratch.unlink()

    def check_same(self, source, out):
        """Many files are left: ext4 makes new ones slowly for minutes after it deleted others."""
        inner = out / source.name
        lab.same_tree(source, inner if inner.is_dir() else out)
        if len(list(source.iterdir())) == 1:
            shutil.rmtree(out)

    def close(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        self.lab.close()
