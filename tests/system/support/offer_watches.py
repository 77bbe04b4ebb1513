# SPDX-License-Identifier: Apache-2.0
"""Programs that watch offers: by the control socket, and by the gateway."""
import json
import socket

from lab import DEADLINE_S, check, check_eq, full_name
from web import authority_of


class Watch:
    """A WatchOffers of the control socket. The first reply says that it has begun."""

    def __init__(self, node, *filters, schema="housing"):
        self.client, self.text = socket.socket(socket.AF_UNIX), b""
        self.client.settimeout(DEADLINE_S)
        self.client.connect(str(node.sock))
        request = {"method": full_name("WatchOffers"), "more": True,
                   "parameters": {"schema": schema, "filters": list(filters)}}
        self.client.sendall(json.dumps(request).encode() + b"\0")
        self.first = self.next()

    def next(self):
        while b"\0" not in self.text:
            part = self.client.recv(1 << 20)
            check(part, "the daemon keeps the connection")
            self.text += part
        reply, self.text = self.text.split(b"\0", 1)
        return json.loads(reply)

    def offer(self):
        return self.next()["parameters"]["offer"]["offer_id"]

    def close(self):
        self.client.close()


class Events:
    """GET /offers/housing/events"""

    def __init__(self, node, query="", path="/offers/housing/events"):
        host = authority_of(node)
        # What the kernel holds for a reader is little, so a slow one shows soon.
        self.client = socket.socket()
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.client.settimeout(DEADLINE_S)
        self.client.connect((host.split(":")[0], int(host.split(":")[1])))
        self.client.sendall(f"GET {path}?{query} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        self.file = self.client.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass

    def next(self):
        """(name, data) of the next event; None at the end."""
        name = "message"
        while line := self.file.readline().decode():
            if line.startswith("event: "):
                name = line[7:].strip()
            elif line.startswith("data: "):
                return name, json.loads(line[6:])
        return None

    def offer(self):
        name, data = self.next()
        check_eq(name, "message", data)
        return data["offer"]["offer_id"]

    def close(self):
        self.client.close()
