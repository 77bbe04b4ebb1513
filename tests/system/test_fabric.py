#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Services between three nodes: found by name, called, limited, banned, and gone and back again
with their providers. Rows of docs/features.md are named in the claims."""
import base64
import collections
import hashlib
import json
import os
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from fabric import (DONE, FORBIDDEN, INVALID_PAYLOAD, RATE_LIMITED, TOO_LARGE, UNAUTHORIZED,
                    UNKNOWN_ERROR, ask, call, node_id, providers, wait_found)
from lab import ASKING_S, NOT_VERIFIED, OK, USAGE, check, check_eq, run, static, wait_for

MBID = "b10bbbfc-cf9e-42e0-be17-e2c3e1d2600d"
GENEROUS = ("builtin = echo mesh-stats pod-chat shadow-index\ncalls = 100000\n"
            "peer_calls = 100000\npeer_work = 100000\nlookups = 100000\nfetches = 100000")


# ---- finding ----

def test_a06_a10_many_provide_a_name_and_each_has_an_id(lab):
    a, b, c = fabric.start(lab, service=GENEROUS)
    wait_found(c, "echo", a, b, c)
    found = c.call("FindService", name="echo", fresh=True)["providers"]
    for row in found:
        wanted = hashlib.sha256(f"svc:echo:peer:{row['node_id']}".encode()).hexdigest()
        check_eq(row["service_id"], wanted, "the id of a name at its owner")
        by_id = c.call("FindService", service_id=wanted, fresh=True)["providers"]
        check_eq([each["node_id"] for each in by_id], [row["node_id"]], "found by its id")
    check_eq(len({row["service_id"] for row in found}), 3, "distinct ids")


def test_a08_a18_a_ban_hides_and_cuts_at_once(lab):
    a, b, c = fabric.start(lab, service=GENEROUS)
    wait_found(c, "mesh-stats", a, b, c)
    fabric.connect(c, b)
    ask(c, "mesh-stats", "GetMeshStatus", provider=b)
    check_eq(c.weft("ban", "add", node_id(b), "--for", "1h").returncode, OK, "ban")
    check(node_id(b) not in providers(c, "mesh-stats"), "the banned is not found")
    answer = call(c, "mesh-stats", "GetMeshStatus", {}, provider=b, timeout_ms=2000)
    check(answer["status"] != DONE, f"the banned is called: {answer}")
    wait_for(lambda: call(b, "mesh-stats", "GetMeshStatus", {}, provider=c,
                          timeout_ms=1000)["status"] != DONE, "the banned may not call")
    check_eq(c.weft("ban", "remove", node_id(b)).returncode, OK, "ban remove")
    wait_for(lambda: node_id(b) in providers(c, "mesh-stats"), "it is found again", pause=ASKING_S)


# ---- limits ----

def test_a_reputation_that_was_set_orders_providers(lab):
    a, b, c = fabric.start(lab, service="builtin = echo")
    fabric.connect(c, b)
    wait_found(c, "echo", a, b, c)

    def order():
        return [node for node in providers(c, "echo") if node != node_id(c)]

    watch = c.weft_popen("event", "watch", "--json")
    for better, worse in ((a, b), (b, a)):
        for daemon, reputation in ((better, 90), (worse, 21)):
            done = c.weft("peer", "set", node_id(daemon)[:8], f"reputation={reputation}")
            check_eq(done.returncode, OK, done.stderr)
        check_eq(order(), [node_id(better), node_id(worse)], "best first")
    c.kill()
    c.start()
    wait_found(c, "echo", a, b, c)
    check_eq(order(), [node_id(b), node_id(a)], "also after kill -9")
    answered = {call(c, "echo", "Say", b"x", prefer="mesh").get("provider")
                for _ in range(20)}
    check_eq(answered, {node_id(b)}, "calls go to the better one")
    told = [event["fields"] for event in map(lambda line: json.loads(line)["event"],
                                             watch.communicate()[0].splitlines())
            if event["kind"] == "peer.reputation-set"]
    check_eq([(row["peer"], row["former"], row["reputation"]) for row in told],
             [(node_id(a), 50, 90), (node_id(b), 50, 21), (node_id(b), 21, 90),
              (node_id(a), 90, 21)], "each is told as an event")
    for word in ("reputation=101", "reputation=-1", "reputation="):
        done = c.weft("peer", "set", node_id(a), word)
        check(done.returncode == USAGE and "0 to 100" in done.stderr, f"{word}: {done.stderr}")
    done = c.weft("peer", "set", node_id(c), "reputation=5")
    check(done.returncode != OK and "this node itself" in done.stderr, done.stderr)


def test_a13_of_130_calls_100_are_answered_and_a_second_peer_is_unaffected(lab):
    a, b, c = fabric.start(lab)
    statuses = collections.Counter(call(b, "echo", "Say", b"x", a)["status"] for _ in range(130))
    check_eq(statuses, {DONE: 100, RATE_LIMITED: 30}, "130 calls of b")
    refused = call(b, "echo", "Say", b"x", a)
    check(0 < refused["not_before_ms"], f"it is told when to come back: {refused}")
    check_eq(call(c, "echo", "Say", b"x", a)["status"], DONE, "a call of c")
    check_eq(call(b, "mesh-stats", "GetMeshStatus", {}, a)["status"], DONE, "another service")


def test_a14_a_service_has_a_rate_of_its_own(lab):
    a, b = fabric.start(lab, 2, service="builtin = echo mesh-stats\ncalls_of = mesh-stats:3")
    statuses = [call(b, "mesh-stats", "GetMeshStatus", {}, a)["status"] for _ in range(4)]
    check_eq(statuses, [DONE] * 3 + [RATE_LIMITED], "mesh-stats")
    check_eq(call(b, "echo", "Say", b"x", a)["status"], DONE, "echo")


def test_a19_50_calls_of_one_peer_use_one_session(lab):
    a, b = fabric.start(lab, 2, service=GENEROUS)
    for _ in range(50):
        check_eq(call(b, "echo", "Say", b"x", a)["status"], DONE, "a call")
    connected = [peer for peer in a.json("peer", "list")["peers"] if peer["connected"]]
    check_eq([peer["node_id"] for peer in connected], [node_id(b)], "sessions of a")


# ---- providers come and go ----

def test_a_killed_program_is_withdrawn_and_another_node_takes_over(lab):
    a, b, c = fabric.start(lab, service=GENEROUS)
    at_a = fabric.web_server(lab, a, 8080, "from-a")
    fabric.web_server(lab, b, 8080, "from-b")
    for daemon in (a, b):
        done = daemon.weft("service", "publish", "site", "--http", "127.0.0.1:8080")
        check_eq(done.returncode, OK, done.stderr)
    wait_found(c, "site", a, b)
    for daemon, text in ((a, "from-a"), (b, "from-b")):
        check_eq(fabric.get(c, "site", "/x?y=1", daemon), (OK, f"{text} /x?y=1"), "a page")
    at_a.kill()
    wait_for(lambda: fabric.get(c, "site", "/x")[1].startswith("from-b "), "b answers for both",
             pause=ASKING_S)
    wait_found(c, "site", b)
    fabric.web_server(lab, a, 8080, "from-a-again")
    wait_found(c, "site", a, b)


def test_a_service_moves_with_its_node_killed(lab):
    a, b, c = fabric.start(lab, service=GENEROUS)
    fabric.web_server(lab, b, 8080, "old")
    check_eq(b.weft("service", "publish", "site", "--http", "127.0.0.1:8080").returncode, OK, "b")
    wait_found(c, "site", b)
    check_eq(fabric.get(c, "site", "/")[0], OK, "b provides")
    b.kill()
    fabric.web_server(lab, a, 8080, "new")
    check_eq(a.weft("service", "publish", "site", "--http", "127.0.0.1:8080").returncode, OK, "a")
    wait_for(lambda: fabric.get(c, "site", "/")[1].startswith("new "), "a provides it now",
             pause=ASKING_S)
    b.start()
    wait_for(lambda: any(row["name"] == "site" for row in
                         b.call("ListServices")["offers"]), "b still offers what it offered")


def test_a11_what_is_withdrawn_is_not_found(lab):
    a, b = fabric.start(lab, 2, service=GENEROUS)
    fabric.web_server(lab, a, 8080, "page")
    check_eq(a.weft("service", "publish", "site", "--http", "127.0.0.1:8080").returncode, OK,
             "publish")
    wait_found(b, "site", a)
    check_eq(fabric.get(b, "site", "/", a)[0], OK, "it is called")
    check_eq(a.weft("service", "withdraw", "site").returncode, OK, "withdraw")
    check_eq(call(b, "site", "HttpInvoke", b"x", a)["status"], fabric.NOT_FOUND, "a call of it")
    wait_found(b, "site")


def test_a33_a_page_behind_another_node_is_fetched_by_name(lab):
    a, b, c = fabric.start(lab, service=GENEROUS, more=fabric.GATEWAY + "services = site\n")
    fabric.web_server(lab, b, 8080, "page")
    check_eq(b.weft("service", "publish", "site", "--http", "127.0.0.1:8080").returncode, OK, "b")
    for daemon in (c, a):
        wait_found(daemon, "site", b)
        check_eq(fabric.fetch(daemon, "/mesh/http/site/x/y.html?z=1"),
                 "page /x/y.html?z=1", f"by the gateway of {daemon.name}")


def test_a45_versions_stand_side_by_side(lab):
    a, b = fabric.start(lab, 2, service=GENEROUS)
    for major in (1, 2):
        fabric.web_server(lab, a, 8080 + major, f"version-{major}")
        done = a.weft("service", "publish", "site", "--version", f"{major}.0.0", "--http",
                      f"127.0.0.1:{8080 + major}")
        check_eq(done.returncode, OK, done.stderr)
    wait_for(lambda: len(providers(b, "site")) == 2, "both are found", pause=ASKING_S)
    for major in (1, 2):
        found = b.call("FindService", name="site", version=f"^{major}")["providers"]
        check_eq([row["version"] for row in found], [f"{major}.0.0"], f"of ^{major}")
        done = b.weft("service", "call", "site", "GET", "/", "--version", f"^{major}")
        check(done.stdout.startswith(f"version-{major} "), f"^{major}: {done.stdout}")


def test_a20_what_a_program_says_of_its_failure_stays_there(lab):
    a, b = fabric.start(lab, 2, service=GENEROUS)
    script = lab.dir / "fails"
    script.write_text("#!/bin/sh\necho at /etc/secret of 10.9.8.7 >&2\nexit 3\n")
    script.chmod(0o755)
    done = a.weft("service", "publish", "fails", "--unconfined", "--exec", str(script))
    check_eq(done.returncode, OK, done.stderr)
    answer = call(b, "fails", "Run", b"x", a)
    check_eq(answer["status"], UNKNOWN_ERROR, answer["text"])
    told = str(answer)
    for secret in ("/etc", "10.9.8.7", str(lab.dir), "exit"):
        check(secret not in told, f"{secret} is told: {told}")
    wait_for(lambda: "/etc/secret" in a.log_text(), "its own log has it")


# ---- built-in services ----

def test_a24_two_nodes_join_post_and_fetch_over_the_fabric_and_http(lab):
    a, b, c = fabric.start(lab, service=GENEROUS, more=fabric.GATEWAY + "services = pod-chat\n")
    pod = ask(a, "pod-chat", "Create", {"name": "tea"})["pod"]
    for who in (b, c):
        ask(who, "pod-chat", "Join", {"pod": pod}, a)
    for who, body in ((b, "first"), (c, "second"), (a, "third")):
        ask(who, "pod-chat", "PostMessage", {"pod": pod, "channel": "general", "body": body}, a)
    views = [[(row["sender"], row["body"]) for row in
              ask(who, "pod-chat", "FetchMessages", {"pod": pod}, a)["messages"]]
             for who in (a, b, c)]
    check_eq(views[0], [(node_id(b), "first"), (node_id(c), "second"), (node_id(a), "third")],
             "messages")
    check(views[0] == views[1] == views[2], f"all see the same: {views}")
    # The gateway of a has no other node to ask, for a is the only one whose pod it is.
    fetched = fabric.post(a, "/mesh/http/pod-chat/FetchMessages", {"pod": pod})
    check_eq([(row["sender"], row["body"]) for row in fetched["messages"]], views[0], "over HTTP")
    listed = json.loads(fabric.fetch(a, "/mesh/http/pod-chat/channels"))["pods"]
    check_eq([row["pod"] for row in listed], [pod], "channels")
    check_eq(call(b, "pod-chat", "Shout", {}, a)["status"], fabric.METHOD_NOT_FOUND, "no method")


def test_a24_a33_the_rooms_and_tracks_of_another_node_over_http(lab):
    a, b, c = fabric.start(lab, service=GENEROUS, more=fabric.GATEWAY + "services = pod-chat shadow-index\n")
    pod = ask(a, "pod-chat", "Create", {"name": "tea"})["pod"]
    ask(b, "pod-chat", "Create", {"name": "b's own"})
    rooms = f"/mesh/http/pod-chat@{node_id(a)}"
    for who, body in ((b, "first"), (c, "second"), (b, "third")):
        if body != "third":
            fabric.post(who, f"{rooms}/Join", {"pod": pod})
        fabric.post(who, f"{rooms}/PostMessage", {"pod": pod, "channel": "general", "body": body})
    fabric.post(a, "/mesh/http/pod-chat/PostMessage?prefer=local",
                {"pod": pod, "channel": "general", "body": "fourth"})
    wanted = [(node_id(b), "first"), (node_id(c), "second"), (node_id(b), "third"),
              (node_id(a), "fourth")]
    for who in (a, b, c):
        got = fabric.post(who, f"{rooms}/FetchMessages", {"pod": pod})["messages"]
        check_eq([(row["sender"], row["body"]) for row in got], wanted, f"what {who.name} reads")
    # The URLs of the requirement: a GET, without a token.
    listed = json.loads(fabric.fetch(b, f"{rooms}/channels"))["pods"]
    check_eq([row["pod"] for row in listed], [pod], "a's rooms, as b sees them")
    own = json.loads(fabric.fetch(b, "/mesh/http/pod-chat/channels"))["pods"]
    check_eq([row["name"] for row in own], ["b's own"], "without a node: b's own, as it offers rooms")
    register(a, a)
    tracks = f"/mesh/http/shadow-index@{node_id(a)}/lookup?mbid={MBID}"
    found = json.loads(fabric.fetch(b, tracks))
    check_eq(found["peer_cnt"], 1, found)


def test_a25_a_body_and_a_rate_too_many(lab):
    a, b = fabric.start(lab, 2, service=GENEROUS)
    pod = ask(a, "pod-chat", "Create", {"name": "tea"})["pod"]
    ask(b, "pod-chat", "Join", {"pod": pod}, a)

    def post(body):
        return call(b, "pod-chat", "PostMessage",
                    {"pod": pod, "channel": "general", "body": body}, a)["status"]

    check_eq(post("x" * 4097), TOO_LARGE, "4,097 bytes")
    check_eq([post("x" * 4096) for _ in range(11)], [DONE] * 10 + [RATE_LIMITED], "11 messages")


def test_a26_a_private_pod_is_visible_to_its_members_alone(lab):
    a, b = fabric.start(lab, 2)
    pod = ask(a, "pod-chat", "Create", {"name": "den", "visibility": "private"})["pod"]
    wanted = hashlib.sha256(fabric.key_of(node_id(a)) + b"den").hexdigest()[:32]
    check_eq(pod, f"pod:{wanted}", "its id")
    check_eq(ask(b, "pod-chat", "List", {}, a)["pods"], [], "what b sees")
    check_eq(call(b, "pod-chat", "Join", {"pod": pod}, a)["status"], INVALID_PAYLOAD, "join")
    ask(a, "pod-chat", "Admit", {"pod": pod, "peer": node_id(b)})
    check_eq([row["pod"] for row in ask(b, "pod-chat", "List", {}, a)["pods"]], [pod], "admitted")


def test_a27_nacl_signs_and_verifies_a_message(lab):
    signing = fabric.nacl()
    a, b, c = fabric.start(lab, service=GENEROUS)
    key, other = signing.SigningKey(bytes([1] * 32)), signing.SigningKey(bytes([2] * 32))
    pod = ask(a, "pod-chat", "Create", {"name": "tea"})["pod"]
    ask(b, "pod-chat", "Join", {"pod": pod, "key": fabric.text_of(bytes(key.verify_key))}, a)
    ask(c, "pod-chat", "Join", {"pod": pod}, a)

    def text(message):
        digest = base64.b64encode(hashlib.sha256(message["body"].encode()).digest()).decode()
        return "|".join(["1", pod, message["channel"], message["id"], message["sender"],
                         str(message["at_ms"]), digest]).encode()

    def post(by):
        message = {"channel": "general", "id": os.urandom(16).hex(), "sender": node_id(b),
                   "at_ms": int(time.time() * 1000), "body": "signed, süß"}
        signature = base64.b64encode(by.sign(text(message)).signature).decode()
        del (fields := dict(message))["sender"]
        return call(b, "pod-chat", "PostMessage", {"pod": pod, "signature": signature, **fields}, a)

    check_eq(post(other)["status"], UNAUTHORIZED, "by a key that is not the member's")
    check_eq(post(key)["status"], DONE, "by the member's")
    replaced = call(b, "pod-chat", "Join",
                    {"pod": pod, "key": fabric.text_of(bytes(other.verify_key))}, a)
    check_eq(replaced["status"], FORBIDDEN, "a key is not replaced")
    message, = ask(c, "pod-chat", "FetchMessages", {"pod": pod}, a)["messages"]
    members = ask(c, "pod-chat", "Get", {"pod": pod}, a)["members"]
    registered = next(row["key"] for row in members if row["peer"] == message["sender"])
    signing.VerifyKey(fabric.key_of(registered)).verify(
        text(message), base64.b64decode(message["signature"]))


def test_a28_messages_survive_a_crash_unless_their_pod_keeps_none(lab):
    a, = fabric.start(lab, 1)
    pods = {days: ask(a, "pod-chat", "Create", {"name": f"{days} days", "days": days})["pod"]
            for days in (0, 7)}
    for pod in pods.values():
        ask(a, "pod-chat", "PostMessage", {"pod": pod, "channel": "general", "body": "kept?"})
    a.kill()
    a.start()
    cnts = {days: len(ask(a, "pod-chat", "FetchMessages", {"pod": pod})["messages"])
            for days, pod in pods.items()}
    check_eq(cnts, {0: 0, 7: 1}, "messages after kill -9")


def register(daemon, at, mbid=MBID, **more):
    track = {"mbid": mbid, "codec": "flac", "kbps": 900, "size": 30_000_000, "sha256": "ab" * 16}
    return call(daemon, "shadow-index", "RegisterTrack", {**track, **more}, at)


def test_a29_a_track_is_registered_here_and_found_there(lab):
    a, b, c = fabric.start(lab, service=GENEROUS)
    check_eq(register(a, a)["status"], DONE, "register at a")
    shard = ask(b, "shadow-index", "LookupByMbId", {"mbid": MBID}, a)
    check_eq([row["codec"] for row in shard["variants"]], ["flac"], "looked up at a by b")
    hint = hashlib.sha256(fabric.key_of(node_id(a))).hexdigest()[:16]
    check_eq(shard["peers"], [hint], "who has it")
    # Soon after a node starts, what it has is in the overlay, and any node finds it.
    check_eq(a.stop(), 0, "a stops")
    fabric.connect(c, a.start())
    fabric.connect(b, c)
    wait_for(lambda: ask(b, "shadow-index", "LookupByMbId", {"mbid": MBID}, c)["variants"],
             "c tells b of it", pause=ASKING_S)


def test_a30_what_is_no_mbid_is_not_written(lab):
    a, b = fabric.start(lab, 2, service=GENEROUS)
    check_eq(register(b, a, "not-a-uuid")["status"], INVALID_PAYLOAD, "not-a-uuid")
    statuses = collections.Counter(
        register(b, a, f"{number:08x}-0000-0000-0000-000000000000")["status"]
        for number in range(101))
    check_eq(statuses, {DONE: 100, RATE_LIMITED: 1}, "101 registrations")


def test_a31_keys_are_those_of_sha1sum(lab):
    a, = fabric.start(lab, 1)
    for kind in ("recording", "release", "artist"):
        key = hashlib.sha1(f"slskdn-vsf-mbid-{kind}-v1:{MBID}".encode()).hexdigest()
        check_eq(register(a, a, kind=kind)["json"]["key"], key, kind)
        shard = ask(a, "shadow-index", "QueryShard", {"key": key})
        check_eq((shard["version"], len(shard["variants"])), ("1.0", 1), kind)


def test_a32_mesh_stats_name_no_peer_and_count_as_weft_does(lab):
    a, b, c = fabric.start(lab)
    fabric.connect(c, b)

    def counted_alike():
        """Sessions come and go by themselves: of three looks between which none did."""
        status = ask(b, "mesh-stats", "GetMeshStatus", {}, a)
        summary = ask(b, "mesh-stats", "GetPeersSummary", {}, a)
        cnt = sum(peer["connected"] for peer in a.json("peer", "list")["peers"])
        return (status["session_cnt"], summary["connected_cnt"]) == (cnt, cnt) and (status, summary)

    status, summary = wait_for(counted_alike, "they count as weft does", pause=ASKING_S)
    for value in [*status.values(), *summary.values()]:
        check(isinstance(value, int), f"{value!r} is no number")
    text = str([status, summary])
    for name in (socket.gethostname(), "10.77", "fd77", "root", node_id(a), node_id(c)):
        check(name not in text, f"{name} is told: {text}")


# ---- what must not happen ----

def test_a41_logs_have_neither_payloads_nor_addresses_of_peers(lab):
    a, b = fabric.start(lab, 2, service=GENEROUS)
    marker = "marker-5ac7ee"
    pod = ask(a, "pod-chat", "Create", {"name": "tea"})["pod"]
    call(b, "pod-chat", "Join", {"pod": pod}, a)
    call(b, "pod-chat", "PostMessage", {"pod": pod, "channel": "general", "body": marker}, a)
    for payload in (marker.encode(), marker.encode() * 1000):
        call(b, "echo", "Say", payload, a)
    call(b, "echo", "Say", marker.encode(), a, version="9.9.9")
    call(b, "mesh-stats", marker, {"odd": marker}, a)
    call(b, marker, "Say", marker.encode(), a)
    for daemon, other in ((a, "10.77.0.2"), (b, "10.77.0.1")):
        for secret in (marker, other):
            check(secret not in daemon.log_text(), f"{daemon.name} logs {secret}")


@static("it dials the address of another node")
def test_a49_a_party_in_the_middle_is_no_peer(lab):
    a, c = fabric.start(lab, 2)
    elsewhere = node_id(lab.daemon("elsewhere").start())  # no node here has heard of it
    done = c.weft("peer", "connect", elsewhere, "10.77.0.1:7000")
    check_eq(done.returncode, NOT_VERIFIED, f"a answers where another was expected: {done.stderr}")
    check_eq(call(c, "echo", "Say", b"x", a)["status"], DONE, "a by its own name")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
