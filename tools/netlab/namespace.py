# SPDX-License-Identifier: Apache-2.0
"""One network namespace, under the name that `ip netns` knows."""
import array
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import threading

CLONE_NEWNET = 0x40000000
SIOCETHTOOL = 0x8946
# linux/ethtool.h
OFFLOADS = {"tx": 0x17, "gro": 0x2C}


class Refused(Exception):
    """The system refused something; the text says what and why."""


def run(*command, text=None):
    """Runs command; returns what it printed."""
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Refused(f"{command[0]} is missing; tools/setup --check tells its package") from None
    if done.returncode != 0:
        raise Refused(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Namespace:
    def __init__(self, name):
        self.name = name

    def add(self):
        if os.geteuid() != 0:
            raise Refused("network namespaces need root")
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")
        return self

    def delete(self):
        """With every device in it and in the end with every veth's other end."""
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)

    def exists(self):
        return os.path.exists(self.path)

    def pids(self):
        """The processes in it."""
        return run("ip", "netns", "pids", self.name).split() if self.exists() else []

    @property
    def path(self):
        return f"/run/netns/{self.name}"

    def ip(self, *words):
        return run("ip", "-n", self.name, *words)

    def command(self, *words):
        """The command line that runs words inside."""
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, *words, text=None):
        return run(*self.command(*words), text=text)

    def inside(self, function):
        """function's result, called by a thread that is in the namespace."""
        outcome = {}

        def enter_and_call():
            libc = ctypes.CDLL(None, use_errno=True)
            fd = os.open(self.path, os.O_RDONLY)
            try:
                if libc.setns(fd, CLONE_NEWNET) < 0:
                    raise Refused(f"entering {self.name}: {os.strerror(ctypes.get_errno())}")
                outcome["result"] = function()
            except Exception as error:
                outcome["error"] = error
            finally:
                os.close(fd)

        thread = threading.Thread(target=enter_and_call)
        thread.start()
        thread.join()
        if "error" in outcome:
            raise outcome["error"]
        return outcome["result"]

    def sysctl(self, key, value):
        def write():
            with open("/proc/sys/net/" + key, "w", encoding="ascii") as file:
                file.write(str(value))
        self.inside(write)

    def offload(self, device, which, on):
        """As ethtool -K device which on|off."""
        value = array.array("B", struct.pack("II", OFFLOADS[which], int(on)))
        request = struct.pack("16sP", device.encode(), value.buffer_info()[0])

        def set_value():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
                fcntl.ioctl(any_socket, SIOCETHTOOL, request)
        self.inside(set_value)

    def attach_xdp(self, device, program):
        """Attaches the program in an object file natively to a device."""
        self.ip("link", "set", "dev", device, "xdpdrv", "obj", str(program), "sec", "xdp")
