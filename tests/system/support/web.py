# SPDX-License-Identifier: Apache-2.0
"""The gateway of a daemon as its clients see it: curl, raw sockets, metrics."""
import json
import re
import socket
import subprocess

from lab import check, check_eq

GATEWAY = "[gateway]\nenabled = yes\nlisten = 127.0.0.1:0\n"
# As many requests as a test likes.
QUICK = "rate = 0\nmesh_rate = 0\n"


def url_of(daemon):
    found = re.search(r"gateway: (http://\S+)/", daemon.log_text())
    check(found, f"{daemon.name} says where its gateway is")
    return found.group(1)


def authority_of(daemon):
    return url_of(daemon).removeprefix("http://")


def token_of(daemon):
    return (daemon.state / "gateway.token").read_text().strip()


def curl(*words, stdin=None):
    """(status, fields in lower case, body)"""
    done = subprocess.run(["curl", "-sS", "-i", "--max-time", "60", *map(str, words)], input=stdin,
                          capture_output=True, check=False)
    check_eq(done.returncode, 0, f"curl {words}: {done.stderr}")
    head, body = done.stdout.split(b"\r\n\r\n", 1)
    while head.startswith(b"HTTP/1.1 100"):
        head, body = body.split(b"\r\n\r\n", 1)
    status, *lines = head.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    return int(status.split()[1]), fields, body


def error_of(answer):
    """(status, name) of an answer that says why not."""
    status, fields, body = answer
    check_eq(fields["content-type"], "application/json", body)
    said = json.loads(body)
    check(said["message"], said)
    return status, said["error"]


def connect(daemon, timeout=60):
    host, port = authority_of(daemon).split(":")
    return socket.create_connection((host, int(port)), timeout=timeout)


def read_all(client):
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def raw(daemon, request, at_once=True):
    """What the gateway says to these bytes until it closes."""
    with connect(daemon) as client:
        client.sendall(request)
        if at_once:
            client.shutdown(socket.SHUT_WR)
        return read_all(client)


def metrics_parse(text):
    """{(name, labels): value}, and no line that is not of the format."""
    samples, typed = {}, {}
    helped = set()
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            check(name not in helped, f"one HELP for {name}")
            helped.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            check(kind in ("counter", "gauge", "histogram"), line)
            check(name in helped and name not in typed, f"TYPE once, behind HELP: {line}")
            typed[name] = kind
        else:
            found = re.fullmatch(
                r'([a-z_][a-z0-9_]*)(?:\{((?:,?[a-z_]+="[^"\\\n]*")+)\})? (\d+(?:\.\d+)?)', line)
            check(found, f"a sample: {line!r}")
            name, labels, value = found.groups()
            family = re.sub("_(bucket|sum|count)$", "", name)
            kind = typed.get(family) if typed.get(family) == "histogram" else typed.get(name)
            check(kind, f"{name} has a type")
            check_eq(name.endswith("_total"), kind == "counter", line)
            check_eq(name.endswith("_bucket"), "le=" in (labels or ""), line)
            check((name, labels) not in samples, f"once: {line}")
            samples[name, labels] = float(value) if "." in value else int(value)
    check(text.endswith("\n"), "the last line ends")
    check_eq(helped, set(typed), "HELP and TYPE")
    return samples
