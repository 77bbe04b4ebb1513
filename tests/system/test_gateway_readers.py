#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A player and a browser read through the gateway as it ships: at its default rates, without the token."""
import html.parser
import pathlib
import random
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, check, check_eq, run
from web import GATEWAY, authority_of, connect, curl, url_of

PRIVATE = "[dht]\nenabled = no\n"
FILM_LEN = 40 * 262144 + 4321
FILM = random.Random(3).randbytes(FILM_LEN)
SEEKS = 60
HEAD_LEN = 65536
PICTURES = 100
BROWSER_CONNECTIONS = 6  # of one page to one host


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.found.append(dict(attrs)["href"])


def read_from(daemon, path, begin):
    """What ffmpeg does at a seek: asks for all from begin on, reads a part, and hangs up."""
    with connect(daemon, timeout=DEADLINE_S) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: {authority_of(daemon)}\r\n"
                       f"Range: bytes={begin}-\r\nUser-Agent: Lavf/61\r\n\r\n".encode())
        data = b""
        want = None
        while want is None or len(data) < want:
            part = client.recv(65536)
            if not part:
                break
            data += part
            if want is None and b"\r\n\r\n" in data:
                want = data.index(b"\r\n\r\n") + 4 + min(HEAD_LEN, FILM_LEN - begin)
    head, body = data.split(b"\r\n\r\n", 1)
    return head.decode(), body


def test_a_player_seeks_at_the_default_rates(lab):
    a, b = (lab.daemon(name, config=PRIVATE + GATEWAY).start() for name in ("a", "b"))
    root = lab.dir / "root"
    root.mkdir()
    (root / "film.mp4").write_bytes(FILM)
    a.json("share", "new", "films", "--public")
    a.json("share", "publish", "films", root)
    link = a.weft("share", "link", "films").stdout.split()[-1]
    check_eq(b.weft("sub", "add", link).returncode, OK, "followed")
    path = f"/share/{a.json('share', 'show', 'films')['share']['share_id']}/film.mp4"
    dice = random.Random(5)
    # Head, tail (where many films keep their index), then here and there as a hand drags the slider.
    places = [0, FILM_LEN - 1000] + [dice.randrange(FILM_LEN) for _ in range(SEEKS - 2)]
    took = []
    for place in places:
        began = time.monotonic()
        head, body = read_from(b, path, place)
        took.append(time.monotonic() - began)
        check(" 206 " in head.split("\r\n")[0], f"seek {len(took)} to {place}: {head}")
        check(body[:HEAD_LEN] == FILM[place:place + HEAD_LEN][:len(body)] and
              len(body) >= min(HEAD_LEN, FILM_LEN - place), f"seek {len(took)}: other bytes")
    took.sort()
    print(f"# {SEEKS} seeks: median {took[SEEKS // 2] * 1000:.0f} ms, slowest {took[-1] * 1000:.0f} ms")
    status, _, body = curl(url_of(b) + path)
    check((status, body) == (200, FILM), "and then plays it to its end")


def test_a_folder_page_loads_its_hundred_pictures(lab):
    a = lab.daemon("a", config=PRIVATE + GATEWAY).start()
    root = lab.folder("root", {f"picture {n:03}.jpg": 150_000 + n for n in range(PICTURES)})
    a.share(root)
    collection, = (share["collection_id"] for share in a.json("share", "list")["shares"])
    page = f"{url_of(a)}/share/{collection}/"
    status, fields, body = curl("-H", "Accept: text/html", page)
    check_eq((status, fields["content-type"].split(";")[0]), (200, "text/html"), "the page")
    parser = Links()
    parser.feed(body.decode())
    pictures = [link for link in parser.found if link.endswith(".jpg")]
    check_eq(len(pictures), PICTURES, "pictures on the page")
    out = lab.dir / "out"
    out.mkdir()
    words = []
    for link in pictures:
        name = urllib.parse.unquote(link.rsplit("/", 1)[-1])
        words += ["-o", str(out / name), urllib.parse.urljoin(page, link)]
    began = time.monotonic()
    done = subprocess.run(["curl", "-sS", "--fail", "--parallel", "--parallel-max",
                           str(BROWSER_CONNECTIONS), "--max-time", str(DEADLINE_S), *words],
                          capture_output=True, text=True, check=False)
    print(f"# {PICTURES} pictures in {time.monotonic() - began:.2f} s")
    check_eq(done.returncode, OK, f"curl: {done.stderr[:500]}")
    for path in root.iterdir():
        check(path.read_bytes() == (out / path.name).read_bytes(), f"{path.name} is whole")


run([test_a_player_seeks_at_the_default_rates, test_a_folder_page_loads_its_hundred_pictures])
