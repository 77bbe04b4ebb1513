# SPDX-License-Identifier: Apache-2.0
"""Talks to lab-wire (wire.c), which carries the frames of a lab's links."""
import os
import pathlib
import signal
import socket
import subprocess

from .namespace import Namespace, Refused

TOP = pathlib.Path(__file__).resolve().parents[2]
ANSWER_LEN_MAX = 1024
ANSWER_TIMEOUT_S = 10


def program():
    """lab-wire of the build that is being tested, else of the last release build."""
    build = os.environ.get("BUILD")
    path = pathlib.Path(build) / "lab-wire" if build else TOP / "build" / "lab-wire"
    if not path.exists():
        raise Refused(f"{path} is not built: make lab")
    return str(path)


class Wires:
    """The namespace of a lab in which all its wires lie, and the process that moves their frames."""

    def __init__(self, namespace, socket_path, pid=None):
        self.namespace, self.socket_path, self.pid = namespace, str(socket_path), pid

    @classmethod
    def start(cls, name, socket_path, log_path, outlives_us):
        """outlives_us: lab-wire goes on when this process ends."""
        wire_program = program()
        wires = cls(Namespace(name).add(), socket_path)
        # Nothing but the nodes' own frames is to be on a wire.
        wires.namespace.sysctl("ipv6/conf/default/disable_ipv6", 1)
        pathlib.Path(wires.socket_path).unlink(missing_ok=True)
        end = [] if outlives_us else ["setpriv", "--pdeathsig", "KILL"]
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, \
                open(log_path, "ab") as log:
            listener.bind(wires.socket_path)
            listener.listen()
            process = subprocess.Popen(wires.namespace.command(*end, wire_program), stdin=listener,
                                       stdout=log, stderr=log, start_new_session=outlives_us)
        wires.pid = process.pid
        wires.log_path = log_path
        return wires

    def ask(self, message):
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
                client.settimeout(ANSWER_TIMEOUT_S)
                client.connect(self.socket_path)
                client.send(message.encode())
                answer = client.recv(ANSWER_LEN_MAX).decode()
        except OSError as error:
            raise Refused(f"lab-wire, which carries this lab's links, does not answer ({error})"
                          ) from None
        if answer.startswith("error: ") or not answer:
            raise Refused("lab-wire: " + (answer.removeprefix("error: ") or "no answer"))
        return answer

    def join(self, end_a, end_b):
        self.ask(f"join {end_a} {end_b}")

    def set(self, end, settings):
        """settings: {name of a field of struct wire_settings, or seed: integer}."""
        words = " ".join(f"{key}={value}" for key, value in settings.items())
        self.ask(f"set {end} {words}".strip())

    def show(self, end):
        return {key: int(value) for key, value in
                (word.split("=") for word in self.ask(f"show {end}").split())}

    def stop(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        self.namespace.delete()
        pathlib.Path(self.socket_path).unlink(missing_ok=True)
