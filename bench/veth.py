# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces joined by a veth with XDP_PASS on both ends.

Without XDP a veth hands super-packets across uncut and flatters sockets; with
it every peer pays for its packets. The sending side runs on the first CPU, the
receiving side on the last. The stack above XDP runs where its receiver does
(RPS), as a network card's interrupts would be steered.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import report

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from netlab.namespace import Refused  # noqa: E402
from netlab.network import Network  # noqa: E402

SENDERS = ("10.77.0.1", "fd77::1")
RECEIVERS = ("10.77.0.2", "fd77::2")
RECEIVER = RECEIVERS[0]
ROUND_TIMEOUT_S = 60
START_TRIES, START_S = 50, 0.3
NICE, FIRST_NICE = -15, -20
PASS_OBJECT = str(report.BUILD / "bench" / "pass.bpf.o")


def skip(reason):
    print("skipped: " + reason, file=sys.stderr)
    sys.exit(77)


def softirq_s():
    """What the kernel's softirq threads took so far: packets a process did not carry itself."""
    total_ns = 0
    for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text(errors="replace").startswith("ksoftirqd/"):
                total_ns += int((comm.parent / "schedstat").read_text().split()[0])
        except OSError:
            pass
    return total_ns / 1e9


class Process:
    """A program in one of the namespaces, on that side's CPU."""

    def __init__(self, net, side, command, alone):
        self.output = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            ["nsenter", "--net=" + net.nodes[side].path, "taskset", "-c", str(net.cpus[side]),
             *command], stdout=self.output, start_new_session=alone)
        if alone:
            share_cpu(self.process.pid, FIRST_NICE)

    def text(self):
        """What it printed so far."""
        return os.pread(self.output.fileno(), 1 << 16, 0).decode()

    def cpu_s(self):
        """CPU seconds so far, of the threads that live."""
        return sum(int(stat.read_text(encoding="ascii").split()[0]) for stat in
                   pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")) / 1e9

    def wait(self):
        """What it printed and the CPU seconds it took."""
        deadline = time.monotonic() + ROUND_TIMEOUT_S
        while True:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError(f"{self.process.args} does not end")
            time.sleep(0.01)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode > 0:
            raise RuntimeError(f"{self.process.args} ended with {self.process.returncode}")
        self.output.seek(0)
        return self.output.read(), usage.ru_utime + usage.ru_stime

    def stop(self, by=signal.SIGTERM):
        self.process.send_signal(by)
        return self.wait()


class Lab:
    def __init__(self, mtu=1500):
        self.mtu = mtu
        self.port = 7000
        self.cpus = {"send": 0, "receive": os.cpu_count() - 1}
        self.devices = {}
        self.network = Network(f"weft-bench-{os.getpid()}", plain=True)
        self.nodes = self.network.nodes

    def __enter__(self):
        if os.geteuid() != 0:
            skip("network namespaces and XDP need root")
        for tool in ("ip", "nsenter", "taskset"):
            if not shutil.which(tool):
                skip(tool + " is missing")
        try:
            self.build()
        except Refused as why:
            self.__exit__()
            skip(str(why))
        return self

    def build(self):
        for side in ("send", "receive"):
            self.network.add(side)
        self.devices = dict(zip(("send", "receive"),
                                self.network.join("send", "receive", self.mtu)))
        for (side, device), addrs in zip(self.devices.items(), (SENDERS, RECEIVERS)):
            self.network.address(side, device, f"{addrs[0]}/24", f"{addrs[1]}/64")
            self.nodes[side].attach_xdp(device, PASS_OBJECT)
            rps = f"/sys/class/net/{device}/queues/rx-0/rps_cpus"
            self.nodes[side].run("sh", "-c", f"echo {1 << self.cpus[side]:x} >{rps}")

    def set_gro(self, on):
        for side, device in self.devices.items():
            self.nodes[side].offload(device, "gro", on)

    def __exit__(self, *_):
        self.network.close()

    def next_port(self):
        """A port of its own for every run: a killed io_uring lets go of one only later."""
        self.port += 1
        return str(self.port)

    def start(self, side, *command, alone=False):
        """alone: before all others of its CPU, as what keeps a rate must be."""
        return Process(self, side, command, alone)

    def start_on_device(self, side, *command, alone=False):
        """The kernel lets go of the last one's AF_XDP sockets some time after its end."""
        for _ in range(START_TRIES):
            process = self.start(side, *command, alone=alone)
            time.sleep(START_S)
            if process.process.poll() is None:
                return process
        raise RuntimeError(f"{command} does not start")

    def pass_all(self, side):
        """XDP_PASS in front of side's device, or again."""
        self.clear(side)
        self.nodes[side].attach_xdp("veth0", PASS_OBJECT)

    def clear(self, side):
        self.nodes[side].ip("link", "set", "dev", "veth0", "xdp", "off")

    def wait_for_port(self, side, port):
        """Until a program on side has bound port."""
        tables = [f"/proc/net/{name}" for name in ("udp", "tcp", "udp6", "tcp6")]
        for _ in range(1000):
            text = self.nodes[side].run("cat", *tables)
            if f":{port:04X} " in text:
                return
            time.sleep(0.01)
        raise RuntimeError(f"nobody listens on port {port}")


class NapiThread:
    """The receiving device's packets on a thread of their own, whose CPU can be pinned and read."""

    def __init__(self, net):
        self.net = net
        net.nodes["receive"].run("sh", "-c", "echo 1 >/sys/class/net/veth0/threaded; "
                                 "echo 0 >/sys/class/net/veth0/queues/rx-0/rps_cpus")

    def pids(self):
        """They change when a program is attached or taken off."""
        for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
            with contextlib.suppress(OSError):
                if comm.read_text(errors="replace").startswith("napi/veth0-"):
                    yield int(comm.parent.name)

    def pin(self):
        for pid in self.pids():
            os.sched_setaffinity(pid, {self.net.cpus["receive"]})
            os.setpriority(os.PRIO_PROCESS, pid, NICE)

    def cpu_s(self):
        return sum(int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0])
                   for pid in self.pids()) / 1e9


def share_cpu(pid, nice=NICE):
    """Gives a process that leads a session of its own the weight come_first asked for."""
    try:
        pathlib.Path(f"/proc/{pid}/autogroup").write_text(str(nice), encoding="ascii")
    except OSError:
        pass


def come_first():
    """Asks for the CPU before other work of the machine, where that is allowed."""
    try:
        os.setsid()
        os.nice(NICE)
    except OSError:
        pass
    share_cpu(os.getpid())
