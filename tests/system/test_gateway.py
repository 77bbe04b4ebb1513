#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gateway of weftd: its pkarr relay under curl and npm's pkarr, with a DHT
of three nodes behind it. weftd is also the client of a pkarr relay over
HTTPS.

    curl, pkarr -> r (relay) -- DHT -- a, z       no DHT: b, c -> TLS proxy -> r
"""
import http.server
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import ASKING_S, DEADLINE_S, OK, Skip, check, check_eq, free_port, run, run_plain, same_tree, wait_for
from links import bare_link, zbase32_decode, zbase32_encode
from web import GATEWAY as CLOSED
from web import QUICK, curl, url_of

HERE = pathlib.Path(__file__).parent
GATEWAY = CLOSED + "pkarr = public\n"
TYPE = "application/pkarr.org/relays#payload"
SECTION = "[dht]\nbootstrap = {}\nprivate = yes\npublish = direct\n"


def signed(byte, seq, dns):
    """(z-base-32 of the key, a relay's body), signed by PyNaCl."""
    from nacl.signing import SigningKey  # pylint: disable=import-outside-toplevel

    key = SigningKey(bytes([byte]) * 32)
    covered = b"3:seqi%de1:v%d:%s" % (seq, len(dns), dns)
    return (zbase32_encode(bytes(key.verify_key)),
            key.sign(covered).signature + struct.pack(">Q", seq) + dns)


def dns_of(z32, *texts):
    name = b"\5_mesh" + bytes([len(z32)]) + z32.encode() + b"\0"
    head = struct.pack(">6H", 0, 0x8000, 0, len(texts), 0, 0)
    rows = [struct.pack(">HHIHB", 16, 1, 30, len(text) + 1, len(text)) + text.encode()
            for text in texts]
    return head + b"".join((name if i == 0 else b"\xc0\x0c") + row for i, row in enumerate(rows))


def packet(byte, seq, *texts):
    z32, _ = signed(byte, seq, b"")
    return signed(byte, seq, dns_of(z32, *texts))


def good_nodes(daemon):
    return sum(network["good"] for network in daemon.json("dht", "status")["dht"]["networks"])


def relay_and_node(lab, extra=QUICK):
    r = lab.daemon("r", config=SECTION.format("") + GATEWAY + extra).start()
    config = SECTION.format(r.json("status")["listen"][0])
    a = lab.daemon("a", config=config).start()
    lab.daemon("z", config=config).start()
    wait_for(lambda: good_nodes(r) >= 2 and good_nodes(a), "they know each other")
    return r, a, url_of(r)


def wait_published(daemon):
    """At both others: the relay asks every node but itself."""
    def nodes():
        return daemon.json("route", "publish", "--dry-run")["record"].get("nodes", 0)

    if nodes() < 2:
        wait_for(lambda: good_nodes(daemon) >= 2, f"{daemon.name} knows both")
        check_eq(daemon.weft("route", "publish").returncode, OK, "publish")
    wait_for(lambda: nodes() >= 2, f"{daemon.name}'s record is out")


def put(lab, url, z32, body):
    path = lab.dir / "body"
    path.write_bytes(body)
    return curl("-X", "PUT", "--data-binary", f"@{path}", f"{url}/{z32}")


def test_curl_stores_a_packet_and_reads_it_back(lab):
    _, a, url = relay_and_node(lab)
    seq = 1700000000000000
    z32, body = packet(7, seq, "addr=127.0.0.1:4243")
    status, fields, _ = put(lab, url, z32, body)
    check_eq(status, 204, "PUT")
    wait_for(lambda: int(put(lab, url, z32, body)[1]["pkarr-dht-stored-nodes"]) >= 2,
             "both others have it: a asks everybody but itself", pause=ASKING_S)
    check_eq(fields["access-control-allow-origin"], "*", "CORS")
    route = wait_for(lambda: a.weft("route", "find", z32).returncode == OK and
                     a.json("route", "find", z32)["record"], "a finds it on the DHT",
                     pause=ASKING_S)
    check_eq(route["addresses"], ["127.0.0.1:4243"], "what it says")
    status, fields, got = curl(f"{url}/{z32}")
    check_eq((status, got), (200, body), "GET")
    check_eq(fields["content-type"], TYPE, "type")
    check_eq(fields["cache-control"], "public, max-age=30", "the least TTL")
    check_eq(fields["last-modified"], "tue, 14 nov 2023 22:13:20 gmt", "the packet's time")
    check(fields["memento-datetime"].endswith(" gmt"), fields)
    status, fields, got = curl("-H", "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT",
                               f"{url}/{z32}")
    check_eq((status, got), (304, b""), "not modified")
    check_eq(put(lab, url, z32, packet(7, seq - 1)[1])[0], 409, "an older one")
    check_eq(put(lab, url, z32, body)[0], 204, "the same again")


def test_a_relay_that_is_not_public_obeys_host_origin_and_token(lab):
    a = lab.daemon("a", config=CLOSED + QUICK).start()
    url = url_of(a)
    z32, body = packet(9, 1700000000000000, "addr=127.0.0.1:4243")
    (lab.dir / "body").write_bytes(body)
    asked = f"{url}/{z32}"
    store = ("-X", "PUT", "--data-binary", f"@{lab.dir / 'body'}", asked)
    token = f"X-Weft-Token: {(a.state / 'gateway.token').read_text().strip()}"
    for words, said in (((asked, "-H", "Host: evil.example"), "host_not_allowed"),
                        ((asked, "-H", "Origin: http://evil.example"), "origin_not_allowed"),
                        ((*store, "-H", "Host: evil.example", "-H", token), "host_not_allowed"),
                        ((*store, "-H", "Origin: null", "-H", token), "origin_not_allowed"),
                        ((asked, "-H", "Sec-Fetch-Site: cross-site"), "token_required"),
                        (store, "token_required")):
        status, fields, text = curl(*words)
        check_eq(status, 401 if said == "token_required" else 403, f"{words}: {text}")
        check(said.encode() in text, f"{words}: {text}")
        check("access-control-allow-origin" not in fields, f"{words}: scripts may read it")
    # No other node is in this DHT: it was looked for, and was to be stored.
    check(curl(asked)[0] in (404, 503), "GET of the gateway's own")
    check(curl(*store, "-H", token)[0] in (500, 503), "PUT with the token")


def test_what_is_on_the_dht_is_found(lab):
    _, a, url = relay_and_node(lab)
    wait_published(a)
    status, _, body = curl(f"{url}/{a.weft('node', 'id').stdout.strip()}")
    check_eq(status, 200, "GET")
    check(f"addr={a.json('status')['listen'][0]}".encode() in body, body)


def test_every_refusal_has_its_status(lab):
    _, _, url = relay_and_node(lab)
    z32, body = packet(8, 5, "addr=127.0.0.1:1")
    check_eq(curl(f"{url}/{z32}")[0], 404, "unknown")
    check_eq(curl(f"{url}/not-a-key")[0], 400, "no key")
    check_eq(put(lab, url, z32, body[:-1])[0], 400, "cut short")
    check_eq(put(lab, url, z32, bytes([body[0] ^ 1]) + body[1:])[0], 400, "not signed")
    check_eq(put(lab, url, packet(9, 5)[0], body)[0], 400, "signed by another key")
    # A record of type 1 at the root fills the message to 1,000 bytes.
    dns = struct.pack(">6HBHHIH", 0, 0x8000, 0, 1, 0, 0, 0, 1, 1, 60, 977) + bytes(977)
    check_eq(len(dns), 1000, "message")
    z32, body = signed(8, 6, dns)
    status, fields, _ = put(lab, url, z32, body)
    check_eq((status, fields["pkarr-dht-stored-nodes"]), (204, "0"), "1,072 bytes: kept here alone")
    check_eq(curl(f"{url}/{z32}")[2], body, "and served")
    check_eq(put(lab, url, z32, body + b"x")[0], 413, "1,073 bytes")
    check_eq(curl("-X", "DELETE", f"{url}/{z32}")[0], 405, "DELETE")
    status, fields, _ = curl("-X", "OPTIONS", f"{url}/{z32}")
    check_eq((status, fields["access-control-allow-methods"]), (204, "get, head, put, options"),
             "preflight")
    check_eq(curl(f"{url}/healthz")[::2], (200, b"ok\n"), "healthz")
    check("access-control-allow-origin" not in curl(f"{url}/healthz")[1], "healthz is not for scripts")


def test_without_a_dht_it_says_so(lab):
    r = lab.daemon("r", config="[dht]\nenabled = no\n" + GATEWAY + QUICK).start()
    z32, body = packet(8, 5, "addr=127.0.0.1:1")
    check_eq(put(lab, url_of(r), z32, body)[0], 503, "PUT")
    check_eq(curl(f"{url_of(r)}/{z32}")[0], 503, "GET")


def test_ten_requests_and_then_two_a_second(lab):
    r = lab.daemon("r", config=GATEWAY).start()
    began = time.monotonic()
    answers = [curl(f"{url_of(r)}/healthz") for _ in range(40)]
    earned = int(2 * (time.monotonic() - began)) + 1
    good = sum(status == 200 for status, _, _ in answers)
    check(10 <= good <= 10 + earned, f"{good} of 40 were answered, {earned} earned")
    late = [fields for status, fields, _ in answers if status == 429]
    check(late and late[0]["retry-after"] == "1", "when to come back")
    limits = {row["name"]: row for row in r.call("ShowLimits")["limits"]}
    check_eq(limits["gateway.rate"]["refused"], len(late), "counted")


def test_connections_above_the_limit_are_refused(lab):
    r = lab.daemon("r", config=GATEWAY + QUICK + "connections = 3\nconnections_per_address = 2\n"
                   ).start()
    host, port = url_of(r).removeprefix("http://").split(":")
    held = [socket.create_connection((host, int(port))) for _ in range(2)]
    for one in held:
        one.sendall(f"GET /healthz HTTP/1.1\r\nHost: {host}:{port}\r\n".encode())
    check_eq(curl(f"{url_of(r)}/healthz")[0], 503, "a third")
    for one in held:
        one.sendall(b"\r\n")
        check(one.recv(4096).startswith(b"HTTP/1.1 200 "), "those before are served")
        one.close()
    wait_for(lambda: curl(f"{url_of(r)}/healthz")[0] == 200, "there is room again")


def test_the_longest_idle_client_makes_room(lab):
    r = lab.daemon("r", config=GATEWAY + QUICK + "connections = 2\nconnections_per_address = 2\n"
                   ).start()
    host, port = url_of(r).removeprefix("http://").split(":")
    healthz = f"GET /healthz HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    held = [socket.create_connection((host, int(port)), source_address=("127.0.0.2", 0), timeout=DEADLINE_S)
            for _ in range(2)]
    for one in held:
        one.sendall(healthz)
        check(one.recv(4096).startswith(b"HTTP/1.1 200 "), "served, and kept")
    check_eq(curl(f"{url_of(r)}/healthz")[0], 200, "somebody else")
    check_eq(held[0].recv(1), b"", "the first had to go")
    held[1].sendall(healthz)
    check(held[1].recv(4096).startswith(b"HTTP/1.1 200 "), "the second did not")
    for one in held:
        one.close()


def test_a_client_that_leaves_in_the_middle_harms_no_other(lab):
    _, _, url = relay_and_node(lab)
    host, port = url.removeprefix("http://").split(":")
    z32 = packet(8, 5)[0]
    for cut in range(1, 60, 7):
        with socket.create_connection((host, int(port))) as client:
            client.sendall(f"GET /{z32} HTTP/1.1\r\nHost: x\r\n\r\n".encode()[:cut])
    for _ in range(20):
        with socket.create_connection((host, int(port))) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(f"GET /{z32} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    check_eq(curl(f"{url}/healthz")[0], 200, "it still serves")


def npm(url, *words):
    where = run_plain(str(HERE.parents[1] / "tools" / "setup"), "--where", "npm").stdout.strip()
    if not (pathlib.Path(where) / "node_modules" / "pkarr").is_dir():
        raise Skip("npm's packages are not installed: tools/setup --npm says why")
    script = HERE.parent / "npm" / "relay_client.mjs"
    return json.loads(run_plain("node", str(script), where, url, *map(str, words)).stdout)


def test_npm_pkarr_uses_it_as_a_relay(lab):
    _, a, url = relay_and_node(lab)
    theirs = npm(url, "put", 33, "addr=127.0.0.1:4244")
    check_eq(theirs["status"], 204, "relayPut")
    check_eq(npm(url, "get", theirs["key"])["texts"], ["addr=127.0.0.1:4244"], "relayGet")
    wait_for(lambda: a.weft("route", "find", theirs["key"]).returncode == OK, "it is on the DHT",
             pause=ASKING_S)
    wait_published(a)
    ours = npm(url, "get", a.weft("node", "id").stdout.strip())
    check(f"addr={a.json('status')['listen'][0]}" in ours["texts"], ours)


def tls_proxy(lab, url):
    """nginx in front of the relay; (https URL, certificate)."""
    if not shutil.which("nginx"):
        raise Skip("nginx is not installed")
    port = free_port()
    at = lab.dir / "nginx"
    at.mkdir()
    run_plain("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
              "-nodes", "-keyout", f"{at}/key.pem", "-out", f"{at}/cert.pem", "-days", "2",
              "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    (at / "nginx.conf").write_text(f"""
daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;
{'user root;' if os.geteuid() == 0 else ''}
events {{}}
http {{
  access_log off;
  client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;
  uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;
  server {{
    listen 127.0.0.1:{port} ssl;
    listen 127.0.0.2:{port} ssl;
    ssl_certificate {at}/cert.pem; ssl_certificate_key {at}/key.pem;
    location / {{ proxy_pass {url}; proxy_http_version 1.1; }}
    location /moved/ {{ return 302 https://localhost:{port}/; }}
  }}
}}
""")
    lab.processes.append(subprocess.Popen(["nginx", "-c", f"{at}/nginx.conf"]))
    wait_for(lambda: subprocess.run(["curl", "-sk", f"https://127.0.0.1:{port}/healthz"],
                                    capture_output=True, check=False).stdout == b"ok\n", "nginx")
    return f"https://localhost:{port}", at / "cert.pem"


def apart(lab, name, relay, ca_file):
    """A node without the DHT that knows a relay."""
    config = ("[dht]\nenabled = no\nprivate = yes\npublish = direct\n"
              f"[pkarr]\nrelays = {relay}\nca_file = {ca_file}\n")
    return lab.daemon(name, config=config).start()


def test_nodes_without_a_dht_find_each_other_by_a_relay(lab):
    _, _, url = relay_and_node(lab)
    secure, ca = tls_proxy(lab, url)
    b, c = apart(lab, "b", secure, ca), apart(lab, "c", secure + "/", ca)
    z32 = b.weft("node", "id").stdout.strip()
    wait_for(lambda: curl(f"{url}/{z32}")[0] == 200, "b is at the relay")
    tree = lab.folder("tree", {"one": 100000})
    link = bare_link(b.share(tree))
    done = c.weft("get", link, "--to", str(lab.dir / "got"))
    check_eq(done.returncode, OK, done.stderr)
    same_tree(tree, lab.dir / "got")


def test_a_relay_that_proves_nothing_is_not_believed(lab):
    r, _, url = relay_and_node(lab)
    secure, ca = tls_proxy(lab, url)
    other = lab.dir / "other.pem"
    run_plain("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
              "-nodes", "-keyout", "/dev/null", "-out", str(other), "-days", "2", "-subj", "/CN=x")
    b = apart(lab, "b", secure, other)
    wait_for(lambda: "its certificate is of another host" in b.log_text(), "another authority")
    c = apart(lab, "c", secure.replace("localhost", "127.0.0.2"), ca)
    wait_for(lambda: "its certificate is of another host" in c.log_text(), "another name")
    d = apart(lab, "d", secure + "/moved", ca)
    wait_for(lambda: "HTTP status 302" in d.log_text(), "redirects are not followed")
    for daemon in (b, c, d):
        check_eq(curl(f"{url}/{daemon.weft('node', 'id').stdout.strip()}")[0], 404, daemon.name)
    check_eq(len(zbase32_decode(r.weft("node", "id").stdout.strip())), 32, "r lives")


def test_dht_only_leaves_relays_alone(lab):
    _, a, _ = relay_and_node(lab)
    for extra in ((), ("--dht-only",)):
        with socket.create_server(("127.0.0.1", 0)) as relay:
            relay.settimeout(DEADLINE_S if not extra else 0)
            config = SECTION.format(a.json("status")["listen"][0])
            config += f"[pkarr]\nrelays = http://127.0.0.1:{relay.getsockname()[1]}\n"
            daemon = lab.daemon(f"d{len(extra)}", config=config).start(*extra)
            wait_for(lambda d=daemon: d.json("route", "publish", "--dry-run")["record"].get("nodes"),
                     "its record is on the DHT")
            try:
                relay.accept()[0].close()
                check(not extra, "a relay was asked")
            except BlockingIOError:
                check(extra, "no relay was asked")
            daemon.stop()


class Liar(http.server.BaseHTTPRequestHandler):
    """A relay that answers every GET with self.server.body."""

    def do_GET(self):  # pylint: disable=invalid-name
        self.server.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_):
        """It says nothing."""


def test_a_relay_that_lies_is_not_believed(lab):
    z32, honest = packet(41, 5, "addr=127.0.0.1:9")
    altered = honest[:-1] + bytes([honest[-1] ^ 1])
    other = packet(42, 5, "addr=127.0.0.1:9")[1]
    for number, body in enumerate((honest, altered, other, b"", b"x" * 1073, bytes(100000))):
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar) as server:
            server.body, server.asked = body, 0
            threading.Thread(target=server.serve_forever, daemon=True).start()
            c = apart(lab, f"c{number}", f"http://127.0.0.1:{server.server_port}", "")
            steps = c.weft("check", z32)
            check(server.asked, f"the relay was asked: {steps.stdout}{steps.stderr}")
            check_eq("127.0.0.1:9" in steps.stdout, body == honest, f"{number}: {steps.stdout}")
            c.stop()
            server.shutdown()


def test_an_invalid_configuration_is_reported(lab):
    for line, text in (("[gateway]\nenabled = yes\nlisten = nowhere\n", "gateway.listen nowhere"),
                       ("[pkarr]\nrelays = relay.example\n", "pkarr.relays: relay.example")):
        daemon = lab.daemon("x", config=line)
        done = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=DEADLINE_S,
                              check=False)
        check(done.returncode != 0 and text in done.stderr, done.stderr)
    r = lab.daemon("r", config=GATEWAY).start()
    taken = GATEWAY.replace("127.0.0.1:0", url_of(r).removeprefix("http://"))
    daemon = lab.daemon("y", config=taken)
    done = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    check(done.returncode != 0 and "gateway.listen" in done.stderr, done.stderr)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="nodes find each other by relays of records, or on a DHT of the test")
