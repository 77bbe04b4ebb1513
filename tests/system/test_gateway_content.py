#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files over HTTP: by hash, by path, in parts, as directories."""
import json
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import ASKING_S, OK, check, check_eq, run, wait_for
from web import GATEWAY, QUICK, connect, curl, error_of, url_of

PRIVATE = "[dht]\nenabled = no\n"
FILM_LEN = 5 * 262144 + 4321
FILM = random.Random(3).randbytes(FILM_LEN)
NAMES = {"a note.txt": b"hello\n", "film.mp4": FILM, "sub/<b>&\"q\".html": b"<script>1</script>",
         "sub/deep/empty": b""}


def b3(data):
    return subprocess.run(["b3sum", "--no-names"], input=data, capture_output=True,
                          check=True).stdout.decode().strip()


def host(lab, name="a"):
    return lab.daemon(name, config=PRIVATE + GATEWAY + QUICK).start()


def tree(lab):
    root = lab.dir / "root"
    for path, data in NAMES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def shared(lab):
    a = host(lab)
    a.share(tree(lab))
    collection, = (share["collection_id"] for share in a.json("share", "list")["shares"])
    return a, f"{url_of(a)}/share/{collection}"


def test_a_file_by_its_path(lab):
    a, url = shared(lab)
    status, fields, body = curl(f"{url}/film.mp4")
    check_eq((status, fields["content-type"], body == FILM), (200, "video/mp4", True), fields)
    check_eq((fields["etag"], fields["accept-ranges"]), (f'"{b3(FILM)}"', "bytes"), fields)
    check("sandbox" in fields["content-security-policy"], fields)
    check_eq(curl(f"{url}/a%20note.txt")[2], b"hello\n", "a blank in the name")
    status, fields, body = curl(f"{url}/sub/deep/empty")
    check_eq((status, fields["content-length"], body), (200, "0", b""), "an empty file")
    check_eq(curl(f"{url}/sub/%3Cb%3E%26%22q%22.html")[2], b"<script>1</script>", "an odd name")
    for path in ("nothing", "film.mp4/", "film.mp4/x", "sub/deep/empty/"):
        check_eq(error_of(curl(f"{url}/{path}")), (404, "no_such_path"), path)
    for path in ("%00", "a%2", "x" * 5000, "..%2f..%2fetc", "%2e%2e/x"):
        status = curl("--path-as-is", f"{url}/{path}")[0]
        check(status in (400, 414), f"{path[:20]}: {status}")


def test_parts_of_a_file(lab):
    a, url = shared(lab)
    film = f"{url}/film.mp4"
    etag = f'"{b3(FILM)}"'
    rows = [("0-0", FILM[:1]), ("262143-262144", FILM[262143:262145]), ("-5", FILM[-5:]),
            ("1000000-", FILM[1000000:]), ("0-99999999", FILM)]
    for text, want in rows:
        status, fields, body = curl("-H", f"Range: bytes={text}", film)
        check_eq((status, body == want), (206, True), text)
        check(fields["content-range"].endswith(f"/{FILM_LEN}"), fields)
    status, fields, _ = curl("-H", f"Range: bytes={FILM_LEN}-", film)
    check_eq((status, fields["content-range"]), (416, f"bytes */{FILM_LEN}"), "beyond the end")
    for ignored in ("bytes=1-2,4-5", "lines=1-2", "bytes=5-4"):
        check_eq(curl("-H", f"Range: {ignored}", film)[0], 200, ignored)
    check_eq(curl("-H", "Range: bytes=0-1", "-H", f"If-Range: {etag}", film)[0], 206, "the same version")
    check_eq(curl("-H", "Range: bytes=0-1", "-H", 'If-Range: "x"', film)[0], 200, "another version")
    status, fields, body = curl("-H", f'If-None-Match: "x", {etag}', film)
    check_eq((status, fields["etag"], body), (304, etag, b""), "what the client has")
    status, fields, body = curl("-I", film)
    check_eq((status, fields["content-length"], body), (200, str(FILM_LEN), b""), "HEAD")
    status, fields, body = curl("-I", "-H", "Range: bytes=7-9", film)
    check_eq((status, fields["content-length"]), (206, "3"), "HEAD of a part")


def test_a_file_by_its_hash(lab):
    a, _ = shared(lab)
    blob = f"{url_of(a)}/blob"
    status, fields, body = curl(f"{blob}/{b3(FILM)}")
    check_eq((status, body == FILM), (200, True), fields)
    check("immutable" in fields["cache-control"], fields)
    check_eq(curl("-H", "Range: bytes=5-6", f"{blob}/{b3(FILM)}")[2], FILM[5:7], "a part")
    check_eq(curl(f"{blob}/{b3(b'')}")[:3:2], (200, b""), "nothing")
    for bad in ("", "00", "g" * 64, b3(FILM) + "0", b3(FILM) + "/x"):
        check_eq(error_of(curl(f"{blob}/{bad}")), (400, "invalid_id"), bad)
    check_eq(curl(f"{blob}/{'0' * 64}")[0] // 100, 4, "a hash of nothing")


def test_directories(lab):
    a, url = shared(lab)
    status, fields, body = curl(f"{url}/")
    check_eq((status, fields["content-type"]), (200, "text/html; charset=utf-8"), body)
    check(b'href="./a%20note.txt"' in body and b'href="./sub/"' in body, body)
    status, _, body = curl(f"{url}/sub/")
    check(b"<script>" not in body and b"&lt;b&gt;&amp;&quot;q&quot;.html" in body, body)
    listed = json.loads(curl("-H", "Accept: application/json", f"{url}/sub/")[2])
    check_eq(listed, {"path": "sub", "is_cut": False, "entries": [
        {"name": '<b>&"q".html', "kind": "file", "size": 18},
        {"name": "deep", "kind": "directory"}]}, "as JSON")
    status, fields, _ = curl(f"{url}/sub/deep")
    check_eq((status, fields["location"]), (301, "%64%65%65%70/"), "without its slash")
    done = subprocess.run(["curl", "-sSL", "-o", "/dev/null", "-w", "%{http_code}", f"{url}/sub/deep"],
                          capture_output=True, check=True)
    check_eq(done.stdout, b"200", "and the way with it")


def test_what_is_not_shared_any_more_is_not_read(lab):
    a, url = shared(lab)
    check_eq(curl(f"{url}/film.mp4")[0], 200, "it is")
    collection = url.rsplit("/", 1)[1]
    check_eq(a.weft("share", "remove", collection).returncode, 0, "removed")
    check_eq(error_of(curl(f"{url}/film.mp4")), (404, "not_found"), "by path")
    check_eq(curl(f"{url_of(a)}/blob/{b3(FILM)}")[0] // 100, 4, "by hash")


def test_a_file_that_changed_is_not_handed_out(lab):
    a, url = shared(lab)
    path = lab.dir / "root" / "film.mp4"
    changed = bytearray(FILM)
    changed[0] ^= 1
    path.write_bytes(changed)
    check(curl(f"{url}/film.mp4")[0] >= 400, "another file")


def test_clients_that_leave_or_do_not_read_delay_no_other(lab):
    a, url = shared(lab)
    path = "/" + url.split("/", 3)[3] + "/film.mp4"
    clients = [connect(a) for _ in range(40)]
    for client in clients:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: {url.split('/')[2]}\r\n\r\n".encode())
    for client in clients[:35]:
        client.close()
    wait_for(lambda: curl(f"{url}/a%20note.txt")[0] == 200, "others are served")
    for client in clients[35:]:
        client.close()
    wait_for(lambda: curl(f"{url}/film.mp4")[2] == FILM, "and the file, too")


def followed(lab):
    """A publishes a share that B follows and has nothing of."""
    a, b = host(lab), host(lab, "b")
    a.json("share", "new", "demo", "--public")
    a.json("share", "publish", "demo", tree(lab))
    link = a.weft("share", "link", "demo").stdout.split()[-1]
    check_eq(b.weft("sub", "add", link).returncode, OK, "followed")
    wait_for(lambda: [share["state"] for share in b.json("sub", "list")["follows"]] == ["current"],
             "the revision came")
    return a, b, a.json("share", "show", "demo")["share"]["share_id"]


def test_a_player_seeks_in_a_film_that_is_not_here(lab):
    a, b, share = followed(lab)
    url = f"{url_of(b)}/share/{share}"
    for first, last in ((FILM_LEN - 100, FILM_LEN - 1), (0, 99), (700000, 1000000)):
        got = curl("-H", f"Range: bytes={first}-{last}", f"{url}/film.mp4")
        check_eq((got[0], got[2] == FILM[first:last + 1]), (206, True), (first, last))
    check_eq(curl(f"{url}/film.mp4")[2] == FILM, True, "the whole of it")
    check_eq(curl(f"{url}/sub/deep/empty")[2], b"", "nothing")
    check_eq(list((lab.dir / "b.state").rglob("film*")), [], "nothing is kept")
    a.kill()
    check(curl(f"{url}/film.mp4")[0] in (404, 503, 504), "nobody has it any more")
    check_eq(curl(f"{url}/")[0], 200, "but what there was")


def test_a_file_by_its_hash_comes_from_any_holder(lab):
    _, b, _ = followed(lab)
    blob = f"{url_of(b)}/blob/{b3(FILM)}"
    wait_for(lambda: curl("-H", "Range: bytes=300000-300004", blob)[2] == FILM[300000:300005],
             "it is announced and found", pause=ASKING_S)
    status, fields, body = curl(blob)
    check_eq((status, int(fields["content-length"]), body == FILM), (200, FILM_LEN, True), fields)
    told = b.json("status")
    check(told["streamed_bytes"] >= FILM_LEN, f"streamed, in the status: {told['streamed_bytes']}")
    check(told["received_bytes"] >= told["streamed_bytes"], f"got from peers: {told}")
    check_eq(error_of(curl(f"{url_of(b)}/blob/{b3(b'nobody has this')}"))[0] in (404, 503, 504), True,
             "what nobody has")


def test_the_publisher_reads_its_own_share(lab):
    a, _, share = followed(lab)
    check_eq(curl(f"{url_of(a)}/share/{share}/a%20note.txt")[2], b"hello\n", "by its path")
    check_eq(a.weft("share", "revoke", "demo", "--yes").returncode, OK, "given up")
    check_eq(error_of(curl(f"{url_of(a)}/share/{share}/a%20note.txt")), (403, "blocked"), "revoked")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
