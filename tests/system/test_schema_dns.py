#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Schemas that the TXT record of a name points to: a name server and a web server in Python.

    n1 (10.77.0.1) -- switch -- n2 (10.77.0.2)     both servers are in n1's namespace
"""
import http.server
import os
import pathlib
import shutil
import socket
import struct
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from boats import BOATS
from lab import OK, REFUSED, check, check_eq, need_root, run, run_plain, wait_for

NOT_FOUND, NOT_VERIFIED, USAGE = 4, 7, 2
SERVERS = "10.77.0.1"
CONFIG = "[dht]\nenabled = no\n[overlay]\nserve = on\n"


class Names(threading.Thread):
    """A name server that knows TXT records alone; each is a list of strings of 255 bytes at most."""

    def __init__(self, netns):
        super().__init__(daemon=True)
        self.records, self.netns, self.ready = {}, netns, threading.Event()
        self.start()
        check(self.ready.wait(5), "the name server is there")

    def run(self):
        enter(self.netns)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((SERVERS, 53))
        self.ready.set()
        while True:
            query, sender = self.socket.recvfrom(4096)
            answer = self.answer(query)
            if answer:
                self.socket.sendto(answer, sender)

    def answer(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind, = struct.unpack(">H", query[at + 1:at + 3])
        texts = self.records.get(".".join(labels).lower(), []) if kind == 16 else []
        rcode = 0 if texts else 3
        body = b""
        for text in texts:
            parts = [text[i:i + 255] for i in range(0, len(text), 255)]
            data = b"".join(bytes([len(part)]) + part for part in parts)
            body += b"\xc0\x0c" + struct.pack(">HHIH", 16, 1, 60, len(data)) + data
        return (query[:2] + struct.pack(">HHHHH", 0x8580 | rcode, 1, len(texts), 0, 0)
                + query[12:at + 5] + body)


class Pages(http.server.BaseHTTPRequestHandler):
    texts = {}

    def do_GET(self):
        text = self.texts.get(self.path)
        self.send_response(200 if text is not None else 404)
        self.send_header("Content-Length", str(len(text or b"")))
        self.end_headers()
        self.wfile.write(text or b"")

    def log_message(self, *_):
        pass


def enter(netns):
    """This thread is in the network namespace from now on."""
    with open(f"/run/netns/{netns}", "rb") as file:
        os.setns(file.fileno(), os.CLONE_NEWNET)


def serve_pages(netns, place, ready):
    enter(netns)
    server = http.server.ThreadingHTTPServer(place, Pages)
    ready.set()
    server.serve_forever()


def record(text, number, url=None, digest=None):
    digest = digest or run_plain("b3sum", "--no-names", input=text).stdout.strip()
    return (f"v=mesh-schema1 id={number} b3={digest}" + (f" u={url}" if url else "")).encode(), digest


def start(lab):
    """Two nodes that ask the name server, which is there with the web server."""
    need_root()
    spaces = lab.bridge(2)
    names = pathlib.Path("/etc/netns") / spaces[1]
    names.mkdir(parents=True)
    (names / "resolv.conf").write_text(f"nameserver {SERVERS}\noptions timeout:2 attempts:1\n")
    lab.names = names
    nodes = [lab.daemon(f"n{i}", netns=space, listen=["0.0.0.0:7000"], config=CONFIG).start()
             for i, space in enumerate(spaces, 1)]
    fabric.connect(nodes[1], nodes[0])
    server = Names(spaces[0])
    # n2 has one for itself, too, which no record leads to.
    for space, place in ((spaces[0], (SERVERS, 8080)), (spaces[1], ("127.0.0.1", 8081))):
        ready = threading.Event()
        threading.Thread(target=serve_pages, args=(space, place, ready), daemon=True).start()
        check(ready.wait(5), "the web server is there")
    return (*nodes, server)


def boats_id(node, lab):
    path = lab.dir / "boats.ini"
    path.write_text(BOATS)
    return node.json("schema", "test", path)["id"]


def test_a_name_points_to_a_schema_which_is_added_by_its_hash(lab):
    n1, n2, server = start(lab)
    try:
        number = boats_id(n1, lab)
        Pages.texts = {"/boats.ini": BOATS.encode(), "/long.ini": b"#" * 65537, "/other.ini": b"[service]\n"}
        url = f"http://{SERVERS}:8080"
        text, digest = record(BOATS, hex(number), f"{url}/boats.ini")
        server.records["boats.example"] = [b"v=spf1 -all", text]
        done = n2.weft("schema", "add", "dns:boats.example")
        check_eq(done.returncode, REFUSED, done.stderr)
        check("not authenticated" in done.stderr and f"--hash {digest}" in done.stderr, done.stderr)
        check("boats" not in [row["name"] for row in n2.json("schema", "list")["schemas"]], "not yet")
        done = n2.weft("schema", "add", "dns:boats.example", "--hash", "0" * 64)
        check_eq(done.returncode, NOT_VERIFIED, done.stderr)
        done = n2.weft("schema", "add", "dns:boats.example", "--hash", digest)
        check_eq(done.returncode, OK, done.stderr)
        check_eq(n2.json("schema", "show", "boats")["schema"]["origin"], "own", "it is there")
        wrong = {
            "none.example": ([], NOT_FOUND, "no TXT record"),
            "spf.example": ([b"v=spf1 -all"], NOT_FOUND, "no TXT record"),
            "two.example": ([text, text], None, "several records"),
            "bad.example": ([b"v=mesh-schema1 id=4"], None, "malformed"),
            "lie.example": ([record(BOATS + "#", hex(number), f"{url}/boats.ini")[0]], None, "another BLAKE3"),
            "id.example": ([record(BOATS, 4, f"{url}/boats.ini")[0]], None, "another service"),
            "own.example": ([record(BOATS, hex(number), "http://127.0.0.1:8081/boats.ini")[0]], None, "does not give its text"),
            "gone.example": ([record(BOATS, 4, f"{url}/gone.ini")[0]], None, "answers 404"),
            "long.example": ([record("#" * 65537, 4, f"{url}/long.ini")[0]], None, "does not give its text"),
            "broken.example": ([record("[service]\n", 4, f"{url}/other.ini")[0]], None, "line"),
        }
        for name, (texts, status, why) in wrong.items():
            server.records[name] = texts
            done = n2.weft("schema", "add", f"dns:{name}", "--hash", digest)
            check(done.returncode not in (OK, USAGE) and status in (None, done.returncode), f"{name}: {done}")
            check(why in done.stderr, f"{name}: {done.stderr}")
        done = n2.weft("schema", "add", "dns:not a name")
        check("no name of DNS" in done.stderr, done.stderr)
    finally:
        shutil.rmtree(lab.names)


def test_a_record_without_a_place_is_found_in_the_mesh(lab):
    n1, n2, server = start(lab)
    try:
        number = boats_id(n1, lab)
        for words in (("new", "boats", "--public"), ("publish", "boats", lab.dir / "boats.ini")):
            check_eq(n1.weft("share", *words).returncode, OK, words)
        text, digest = record(BOATS, number)
        server.records["boats.example"] = [text]

        def is_added():
            done = n2.weft("schema", "add", "dns:boats.example", "--hash", digest, timeout=40)
            return done.returncode == OK or check("no node" in done.stderr, done.stderr)
        wait_for(is_added, "n2 has it from n1", timeout=60)
        check_eq(n2.json("schema", "show", "boats")["text"], BOATS, "as it was")
    finally:
        shutil.rmtree(lab.names)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
