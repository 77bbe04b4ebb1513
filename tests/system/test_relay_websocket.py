#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes whose network drops all UDP meet others through relays over WebSocket: weft's own, and one of another
implementation (support/websocket_relay.py).

    namespaces n1 (10.77.0.1) relay, n2 (10.77.0.2) a, n3 (10.77.0.3) b on one switch

nftables drop UDP in n2, and all that goes between a and b. a dials by QUIC and WebSocket alone.
"""
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import relay_client as rc
from lab import OK, Skip, check, check_eq, run, wait_for
from sessions import meets, node_id, pings, transport_of

LISTEN = ["0.0.0.0:7000"]
PLAIN = "[dht]\nenabled = no\n"
RELAY = PLAIN + "[relay]\nenabled = yes\nflow_cap = 1024\n"
WAYS = "[transport]\ninternet = quic, websocket\nlan = quic\n"
DROPS = ("table inet apart {{\n"
         "chain input {{ type filter hook input priority 0; {0} }}\n"
         "chain output {{ type filter hook output priority 0; {1} }}\n}}\n")
NO_UDP = "meta l4proto udp drop;"
SOON_S, BACK_S = 5, 2
CAP_RELAY = 1


def zbase32(key):
    number = int.from_bytes(key, "big") << 4
    return "".join("ybndrfg8ejkmcpqxot1uwisza345h769"[number >> 5 * (51 - i) & 31] for i in range(52))


def drop(netns, other):
    rules = DROPS.format(NO_UDP + f"ip saddr {other} drop;", NO_UDP + f"ip daddr {other} drop;")
    done = subprocess.run(["ip", "netns", "exec", netns, "nft", "-f", "-"], input=rules, text=True,
                          capture_output=True)
    if done.returncode:
        raise Skip(f"no nftables here: {done.stderr}")


def uses(relay, more=""):
    return PLAIN + WAYS + f"[relay]\nwebsocket = {relay}\n{more}"


class Independent:
    """The relay of another implementation, in a namespace."""

    def __init__(self, lab, netns, *words, address="10.77.0.1", port=443):
        self.lab, self.netns, self.words, self.address, self.port = lab, netns, words, address, port
        self.log = lab.dir / "relay.log"
        self.log.write_text("")
        self.start()

    def start(self):
        script = pathlib.Path(__file__).parent / "support" / "websocket_relay.py"
        ready = self.text().count("ready")
        with self.log.open("a", encoding="utf-8") as out:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.netns, sys.executable, str(script), self.address, str(self.port),
                 *self.words], stdout=out, stderr=subprocess.STDOUT,
                # It is killed, so its files are the lab's.
                env={**os.environ, "TMPDIR": str(self.lab.dir)})
        self.lab.processes.append(self.process)
        wait_for(lambda: self.text().count("ready") > ready, "the relay listens")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def text(self):
        return self.log.read_text()

    def place(self, name=None):
        key = zbase32(rc.public(rc.new_key(77)))
        return f"{name or key}@{self.address}:{self.port}"


def apart(lab):
    namespaces = lab.bridge(3)
    drop(namespaces[1], "10.77.0.3")
    return namespaces


def node(lab, name, netns, config):
    return lab.daemon(name, netns=netns, listen=LISTEN, config=config).start()


def rows(daemon):
    return daemon.call("ShowRelayRole")["websocket"]


def is_open(daemon):
    return [row["state"] for row in rows(daemon)] == ["open"]


def wait_open(daemon, timeout=SOON_S):
    wait_for(lambda: is_open(daemon), f"{daemon.name} has a connection: {rows(daemon)}", timeout=timeout)


def counters(daemon):
    status = daemon.json("status")
    return {name.removeprefix("relay_web_end."): value for name, value in (status["counters"] | status["fills"]).items()
            if name.startswith("relay_web_end.")}


def own_relay(lab):
    """The relay, and a with its UDP dropped, which uses it over WebSocket."""
    namespaces = apart(lab)
    relay = node(lab, "relay", namespaces[0], RELAY)
    a = node(lab, "a", namespaces[1], uses(f"{node_id(relay)}@10.77.0.1:7001"))
    wait_open(a)
    return namespaces, relay, a


def test_a_node_without_udp_meets_one_that_has_a_session(lab):
    namespaces, relay, a = own_relay(lab)
    b = node(lab, "b", namespaces[2], PLAIN)
    done = b.weft("peer", "connect", node_id(relay), "10.77.0.1:7000")
    check_eq(done.returncode, OK, done.stderr)
    print(f"# met after {meets(a, b, SOON_S):.2f} s")
    check_eq((transport_of(a, b), transport_of(b, a)), ("websocket", "relay"), "ways")
    row, = rows(a)
    check_eq((row["relay"], row["state"], row["protocol"]), (node_id(relay), "open", "mesh-relay-v1"), "shown")
    check("10.77.0.1:7001" in a.weft("relay", "status").stdout, "weft relay status")
    paths = [path for path in a.call("ListPeerPaths", node_id=node_id(b))["paths"] if path["used"]]
    check_eq([(path["transport"], path["relay"]) for path in paths], [("websocket", node_id(relay))], "paths")
    check(node_id(relay) in a.weft("why", node_id(b), "--json").stdout, "weft why names the relay")
    check(counters(a)["sent_cnt"] > 3 and counters(a)["received_cnt"] > 3, f"counted: {counters(a)}")
    check_eq(relay.json("status")["counters"]["relay_web.proved_tls_cnt"], 1, "proved by TLS")


def test_a_node_with_a_session_meets_one_without_udp(lab):
    """It is b that dials."""
    namespaces, relay, a = own_relay(lab)
    b = node(lab, "b", namespaces[2], PLAIN)
    done = b.weft("peer", "connect", node_id(relay), "10.77.0.1:7000")
    check_eq(done.returncode, OK, done.stderr)
    # The relay says in HELLO that it is one, half a round trip after the session.
    wait_for(lambda: b.json("peer", "show", node_id(relay))["peer"]["capabilities"] & CAP_RELAY, "b knows a relay")
    print(f"# met after {meets(b, a, SOON_S):.2f} s")
    check_eq((transport_of(a, b), transport_of(b, a)), ("websocket", "relay"), "ways")
    check(pings(a, b) and pings(b, a), "pings")
    flow, = relay.call("ShowRelay")["relay"]["flows"]
    check_eq((flow["opener"], flow["peer"]), (node_id(b), node_id(a)), "the flow")


def test_a_node_without_udp_is_reached_by_its_two_kept_relays(lab):
    """Nothing names a relay over WebSocket: they are the two that a keeps."""
    namespaces = lab.bridge(4)
    relays = [node(lab, f"relay{i}", namespaces[i], RELAY) for i in range(2)]
    own = ", ".join(f"{node_id(relay)}@10.77.0.{i + 1}:7000" for i, relay in enumerate(relays))
    drop(namespaces[2], "10.77.0.4")
    a = node(lab, "a", namespaces[2], PLAIN + WAYS + f"[relay]\nuse = always\nown = {own}\n")
    b = node(lab, "b", namespaces[3], PLAIN + f"[relay]\nown = {own}\n")
    begin = time.monotonic()
    wait_for(lambda: [row["state"] for row in rows(a)] == ["open", "open"], f"both: {rows(a)}", timeout=40)
    print(f"# both kept relays over WebSocket after {time.monotonic() - begin:.1f} s")
    kept = a.call("ShowRelayRole")["role"]["kept"]
    check_eq([row["state"] for row in kept], ["websocket", "websocket"], "kept")
    for i, relay in enumerate(relays):
        check_eq(b.weft("peer", "connect", node_id(relay), f"10.77.0.{i + 1}:7000").returncode, OK, "connect")
        wait_for(lambda: b.json("peer", "show", node_id(relay))["peer"]["capabilities"] & CAP_RELAY, "b knows a relay")
    print(f"# met after {meets(b, a, SOON_S):.2f} s")
    check_eq((transport_of(a, b), transport_of(b, a)), ("websocket", "relay"), "ways")
    # One of them is enough.
    used = b.json("peer", "show", node_id(a))["peer"]["relayed_by"]
    next(relay for relay in relays if node_id(relay) == used).kill()
    wait_for(lambda: pings(b, a), "by the other one", timeout=40)
    # UDP is back: the sessions take over.
    subprocess.run(["ip", "netns", "exec", namespaces[2], "nft", "flush", "ruleset"], check=True)
    wait_for(lambda: "up" in [row["state"] for row in a.call("ShowRelayRole")["role"]["kept"]], "a session", timeout=40)
    wait_for(lambda: not is_open(a), f"no WebSocket to that one: {rows(a)}", timeout=20)


def test_two_without_udp_meet(lab):
    namespaces, relay, a = own_relay(lab)
    drop(namespaces[2], "10.77.0.2")
    b = node(lab, "b", namespaces[2], uses(f"{node_id(relay)}@10.77.0.1:7001"))
    wait_open(b)
    meets(a, b, SOON_S)
    check_eq((transport_of(a, b), transport_of(b, a)), ("websocket", "websocket"), "ways")
    return relay, a, b


def test_they_are_back_after_a_kill_of_the_relay(lab):
    relay, a, b = test_two_without_udp_meet(lab)
    relay.kill()
    wait_for(lambda: not is_open(a) and not is_open(b), "both miss it")
    time.sleep(0.5)
    relay.start()
    begin = time.monotonic()
    wait_for(lambda: is_open(a) and is_open(b), "both are connected", timeout=10)
    connected = time.monotonic() - begin
    wait_for(lambda: pings(a, b), "the session goes on", timeout=10)
    took = time.monotonic() - begin
    print(f"# connected after {connected * 1000:.0f} ms, a ping after {took * 1000:.0f} ms")
    check(took < BACK_S, f"after {took:.2f} s")
    check_eq((transport_of(a, b), transport_of(b, a)), ("websocket", "websocket"), "ways")


def test_a_ban_of_the_relay_ends_the_connection_in_use(lab):
    namespaces, relay, a = own_relay(lab)
    check_eq(a.weft("ban", "add", node_id(relay)).returncode, OK, "ban add")
    wait_for(lambda: rows(a)[0].get("why") == "a ban keeps it out", f"why: {rows(a)}")
    check_eq((is_open(a), counters(a)["banned_cnt"]), (False, 1), "the connection")
    check_eq(a.weft("ban", "remove", node_id(relay)).returncode, OK, "ban remove")
    wait_open(a, timeout=35)


def test_a_relay_with_another_key_is_not_used(lab):
    namespaces = apart(lab)
    node(lab, "relay", namespaces[0], RELAY)
    a = node(lab, "a", namespaces[1], uses(f"{zbase32(rc.public(rc.new_key(5)))}@10.77.0.1:7001"))
    wait_for(lambda: "another key" in rows(a)[0].get("why", ""), f"why: {rows(a)}")
    check_eq(counters(a)["opened_cnt"], 0, "opened")


def by_independent(lab, *words, name=None, more="", known=True):
    """A relay of another implementation that a and b use, both without UDP."""
    namespaces = apart(lab)
    drop(namespaces[2], "10.77.0.2")
    relay = Independent(lab, namespaces[0], *words)
    ends = [node(lab, end, netns, uses(relay.place(name), more)) for end, netns in zip("ab", namespaces[1:])]
    if known:
        for end in ends:
            wait_open(end)
    return relay, *ends


def meet_by(lab, protocol):
    relay, a, b = by_independent(lab, "--protocols", protocol)
    print(f"# {protocol}: met after {meets(a, b, SOON_S):.2f} s")
    check_eq((transport_of(a, b), transport_of(b, a)), ("websocket", "websocket"), "ways")
    check_eq(relay.text().count("proved by TLS"), 2, "proofs")
    check_eq(rows(a)[0]["protocol"], protocol, "protocol")


def test_two_meet_through_a_relay_of_another_implementation(lab):
    meet_by(lab, "iroh-relay-v2")


def test_two_meet_through_an_older_relay_of_another_implementation(lab):
    meet_by(lab, "iroh-relay-v1")


def test_a_relay_is_known_by_the_name_in_its_certificate(lab):
    path = lab.dir / "relay.pem"
    relay, a, b = by_independent(lab, "--name", "relay.example", "--certificate", str(path), name="relay.example",
                                 more=f"websocket_ca_file = {path}\n")
    meets(a, b, SOON_S)
    check_eq(rows(a)[0]["name"], "relay.example", "shown")
    check("no TLS" not in relay.text(), relay.text())


def test_a_relay_with_another_name_is_not_used(lab):
    path = lab.dir / "relay.pem"
    namespaces = apart(lab)
    relay = Independent(lab, namespaces[0], "--name", "other.example", "--certificate", str(path))
    a = node(lab, "a", namespaces[1], uses(relay.place("relay.example"), f"websocket_ca_file = {path}\n"))
    wait_for(lambda: "authority" in rows(a)[0].get("why", ""), f"why: {rows(a)}")
    check("proved" not in relay.text(), relay.text())


def test_a_challenge_is_answered_where_the_configuration_says_so(lab):
    relay, a, b = by_independent(lab, "--proof", "challenge", more="websocket_challenge = yes\n")
    meets(a, b, SOON_S)
    check_eq(relay.text().count("proved by challenge"), 2, "proofs")


def passes_on(lab, protocol):
    """A relay that passes on the challenge of a relay of weft, and the answer back to it."""
    namespaces = apart(lab)
    victim = node(lab, "victim", namespaces[0], RELAY)
    relay = Independent(lab, namespaces[0], "--proof", "challenge", "--hostile", "other", "--victim", "10.77.0.1:7001",
                        "--protocols", protocol)
    return relay, victim, node(lab, "a", namespaces[1], uses(relay.place()))


def test_a_relay_gets_no_answer_for_use_at_another_relay(lab):
    relay, victim, a = passes_on(lab, "iroh-relay-v2")
    wait_for(lambda: "challenge" in rows(a)[0].get("why", ""), f"why: {rows(a)}")
    check("challenged" in relay.text() and "answered" not in relay.text(), relay.text())
    check_eq(counters(a)["unanswered_cnt"], 1, "counted")
    check_eq(victim.json("status")["counters"]["relay_web.proved_cnt"], 0, "proofs")


def test_an_answer_that_names_its_relay_is_refused_by_another(lab):
    relay, victim, _ = passes_on(lab, "mesh-relay-v1")
    wait_for(lambda: "the victim said" in relay.text(), "the answer went on")
    check("the victim said 3" in relay.text(), relay.text())
    figures = victim.json("status")["counters"]
    check_eq((figures["relay_web.proved_cnt"], figures["relay_web.denied_cnt"] > 0), (0, True), "proofs")


def test_a_relay_that_is_killed_is_missed_and_used_again(lab):
    relay, a, b = by_independent(lab)
    meets(a, b, SOON_S)
    relay.kill()
    wait_for(lambda: not is_open(a) and not is_open(b), "both miss it")
    relay.start()
    begin = time.monotonic()
    wait_for(lambda: is_open(a) and is_open(b) and pings(a, b), "the session goes on", timeout=10)
    took = time.monotonic() - begin
    print(f"# a ping {took * 1000:.0f} ms after it listens")
    check(took < BACK_S, f"after {took:.2f} s")


def hostile(lab, how):
    namespaces = apart(lab)
    relay = Independent(lab, namespaces[0], "--hostile", how)
    return relay, node(lab, "a", namespaces[1], uses(relay.place()))


def test_forged_datagrams_make_no_sessions_and_few_paths(lab):
    relay, a = hostile(lab, "forged")
    wait_for(lambda: "misbehaved" in relay.text(), "it sent them", timeout=20)
    wait_for(lambda: counters(a)["received_cnt"] >= 400, f"they came: {counters(a)}")
    check(is_open(a), rows(a))
    status = a.json("status")
    check(status["fills"]["relay_end.accepted_now"] <= 64, "paths")
    check_eq([row for row in a.json("peer", "list")["peers"] if row["connected"]], [], "sessions")


def test_frames_beyond_the_bounds_are_dropped_and_then_end_it(lab):
    relay, a = hostile(lab, "oversize")
    wait_for(lambda: "misbehaved" in relay.text(), "it sent them", timeout=20)
    wait_for(lambda: counters(a)["malformed_cnt"] > 0, f"cut: {counters(a)}")
    check_eq(counters(a)["received_cnt"], 0, "taken")
    check(counters(a)["too_large_cnt"] >= 400, f"{counters(a)}")


def test_a_relay_that_never_reads_is_left(lab):
    """What the node writes meanwhile waits in a bounded queue; the relay is dialled again later."""
    relay, a = hostile(lab, "deaf")
    wait_open(a)
    wait_for(lambda: counters(a)["silent_cnt"] + counters(a)["slow_cnt"] > 0, "it is left", timeout=45)
    check(counters(a)["queue_cnt"] <= 512, "queue")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
