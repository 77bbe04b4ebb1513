# SPDX-License-Identifier: Apache-2.0
"""Endpoints as any program may speak them: varlink, and descriptors by SCM_RIGHTS."""
import array
import json
import socket
import threading

from lab import DEADLINE_S, OK, check, check_eq


def pair(lab, config="", *, second=""):
    """a, b, and a's node id: b is connected to a."""
    a = lab.daemon("a", config=config).start()
    b = lab.daemon("b", config=second).start()
    node = node_id(a)
    done = b.weft("peer", "connect", node, a.json("status")["listen"][0])
    check_eq(done.returncode, OK, f"connect: {done.stderr}")
    return a, b, node


def node_id(daemon):
    return daemon.json("node", "id")["node_id"]


KEPT = []


class Line:
    """A connection of the control socket."""

    def __init__(self, daemon):
        self.conn = socket.socket(socket.AF_UNIX)
        self.conn.settimeout(DEADLINE_S)
        self.conn.connect(str(daemon.sock))
        self.bytes, self.fds = b"", []

    def ask(self, method, more=False, **parameters):
        call = {"method": f"net.weft.Services.{method}", "parameters": parameters, "more": more}
        self.conn.sendall(json.dumps(call).encode() + b"\0")
        return self

    def reply(self):
        """The parameters or error of the next reply, and the stream that came with it, or None."""
        while b"\0" not in self.bytes:
            data, control, _, _ = self.conn.recvmsg(65536, socket.CMSG_SPACE(4))
            check(data, "the daemon left")
            self.bytes += data
            for level, kind, body in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    self.fds += array.array("i", body)
        text, self.bytes = self.bytes.split(b"\0", 1)
        stream = socket.socket(fileno=self.fds.pop()) if self.fds else None
        if stream:
            stream.settimeout(DEADLINE_S)
        message = json.loads(text)
        if "error" in message:
            return message, stream
        return message["parameters"], stream

    def close(self):
        self.conn.close()


def opened(daemon, name, **more):
    """The connection that keeps an endpoint open, as long as the test runs or until it is closed."""
    line = Line(daemon).ask("OpenEndpoint", more=True, name=name, **more)
    told, _ = line.reply()
    check_eq(told.get("address"), f"{name}@{node_id(daemon)}", told)
    KEPT.append(line)
    return line


def accepted(daemon, name):
    told, stream = Line(daemon).ask("AcceptEndpoint", name=name).reply()
    check(stream, f"accept: {told}")
    return told["node"], stream


def asked(daemon, node, **target):
    """(stream or None, what was said)."""
    told, stream = Line(daemon).ask("ConnectEndpoint", node=node, **target).reply()
    return stream, told


def connected(daemon, node, name):
    stream, told = asked(daemon, node, name=name)
    check(stream, f"connect: {told}")
    return stream


def read_all(stream):
    """Bytes until the end; what it failed with instead is raised."""
    parts = []
    while part := stream.recv(65536):
        parts.append(part)
    return b"".join(parts)


class Writing(threading.Thread):
    """Writes data in the background, and ends that direction."""

    def __init__(self, stream, data, ends=True):
        super().__init__(daemon=True)
        self.stream, self.data, self.ends = stream, data, ends
        self.start()

    def run(self):
        self.stream.sendall(self.data)
        if self.ends:
            self.stream.shutdown(socket.SHUT_WR)
