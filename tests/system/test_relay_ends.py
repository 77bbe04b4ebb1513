#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two nodes whose datagrams do not reach each other speak through a relay, also after kill -9 of it.

    namespaces n1 (10.77.0.1) relay, n2 (10.77.0.2) a, n3 (10.77.0.3) b on one switch;
    nftables in n2 and n3 drop what goes between them
"""
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from apart import node_id, part
from lab import OK, WEFT, check, check_eq, run, wait_for

LISTEN = ["0.0.0.0:7000"]
END = "[dht]\nenabled = no\n[relay]\nuse = always\n"
RELAY = "[dht]\nenabled = no\n[relay]\nenabled = yes\nflow_cap = 1024\n"


def place(lab, extra=""):
    """The relay, and the ends a and b, each of which has a session with it."""
    namespaces = lab.bridge(3)
    part(namespaces[1], "10.77.0.3")
    part(namespaces[2], "10.77.0.2")
    relay, a, b = [lab.daemon(name, netns=netns, listen=LISTEN, config=config).start()
                   for name, netns, config in zip(("relay", "a", "b"), namespaces,
                                                  (RELAY, END, END + extra))]
    for end in (a, b):
        done = end.weft("peer", "connect", node_id(relay), "10.77.0.1:7000")
        check_eq(done.returncode, OK, f"{end.name} connects to the relay: {done.stderr}")
    # An end's handshake is over half a round trip before the relay's.
    wait_for(lambda: sum(row["connected"] for row in relay.json("peer", "list")["peers"]) == 2,
             "the relay knows both sessions")
    return relay, a, b


def peer_of(daemon, name):
    return daemon.json("peer", "show", name)["peer"]


def ping(a, b):
    return a.weft("peer", "ping", node_id(b), "--count", "1").returncode == OK


def test_ends_reach_each_other_through_the_relay_alone(lab):
    relay, a, b = place(lab)
    done = a.weft("peer", "connect", node_id(b))
    check_eq(done.returncode, OK, f"a reaches b: {done.stderr}")
    for end, other in ((a, b), (b, a)):
        row = peer_of(end, node_id(other))
        check_eq((row["connected"], row["transport"], row.get("relayed_by")),
                 (True, "relay", node_id(relay)), f"{other.name} at {end.name}")
        check("address" not in row or row["address"] is None, f"a label is shown: {row}")
    check(ping(a, b) and ping(b, a), "pings through the relay")
    flow, = relay.call("ShowRelay")["relay"]["flows"]
    check_eq((flow["opener"], flow["peer"], flow["class"]), (node_id(a), node_id(b), "control"),
             "the relay's flow")
    check(flow["sent"] > 1200 and flow["received"] > 1200, f"its bytes: {flow}")


def test_a_relay_and_its_user_see_what_each_contributed(lab):
    relay, a, b = place(lab)
    check_eq(a.weft("peer", "connect", node_id(b)).returncode, OK, "a reaches b")
    # What came is counted each ten seconds, at the end, and each four, at the relay.
    wait_for(lambda: ping(a, b) and a.json("peer", "show", node_id(relay))["contribution"]["relayed"],
             "a counts what came through the relay", timeout=30, pause=0.5)
    row, = [row for row in a.json("relay", "top")["peers"] if row["node_id"] == node_id(relay)]
    check_eq(row["relays"], 1, f"flows that the relay carried for a: {row}")
    check(row["given"] >= row["relayed"] > 0 and row["score_thousandths"] > 1000, f"its score: {row}")
    wait_for(lambda: relay.json("peer", "show", node_id(a))["contribution"]["taken"] > 1200,
             "the relay counts what a took")
    shown = relay.weft("peer", "show", node_id(a)).stdout
    check("score\t0\n" in shown and "taken\t" in shown, shown)


def test_a_relay_by_contribution_has_to_earn_the_role(lab):
    namespaces = lab.bridge(2)
    auto, relay = (lab.daemon(name, netns=netns, listen=LISTEN, config=RELAY + more).start()
                   for name, netns, more in zip(("auto", "relay"), namespaces, ("auto = yes\n", "")))
    check_eq(auto.weft("peer", "connect", node_id(relay), "10.77.0.2:7000").returncode, OK, "connected")
    role = auto.json("relay", "status")["role"]
    check_eq((role["relay"], role["by_contribution"], role["score"], role["taken"]), (False, True, 0, 0),
             "it did nothing yet")
    check("cannot dial" in role["why"], role["why"])
    role = relay.json("relay", "status")["role"]
    check_eq((role["relay"], role["by_contribution"]), (True, False), "a relay by its configuration")
    wait_for(lambda: "relay" in peer_of(auto, node_id(relay))["can"].split(), "HELLO says relay")
    check("relay" not in peer_of(relay, node_id(auto))["can"].split(), "and not of the other")
    name = node_id(relay)
    relay.kill()
    check_eq(auto.stop(), 0, "it stops")
    auto.start()
    row = peer_of(auto, name)
    check_eq(("relay" in row["can"].split(), row["connected"]), (True, False),
             "after a restart, without a session")


def test_they_answer_again_soon_after_kill_9_of_the_relay(lab):
    relay, a, b = place(lab)
    check_eq(a.weft("peer", "connect", node_id(b)).returncode, OK, "a reaches b")
    since = peer_of(a, node_id(b))["connected_since_s"]
    check(ping(a, b), "a ping before")
    relay.kill()
    time.sleep(0.3)
    relay.start()
    up = time.monotonic()
    wait_for(lambda: ping(a, b), "a ping after the restart")
    took = time.monotonic() - up
    print(f"# answered {took:.2f} s after the relay was ready")
    check(took < 2, f"{took:.2f} s")
    check_eq(peer_of(a, node_id(b))["connected_since_s"], since, "it is the same session")


def test_an_end_that_accepts_none_is_not_reached(lab):
    _, a, b = place(lab, "accept = none\n")
    done = a.weft("peer", "connect", node_id(b))
    check(done.returncode != OK, "a is refused")
    check_eq(b.weft("peer", "connect", node_id(a)).returncode, OK, "b reaches a")


def grant_of(relay):
    flows = relay.call("ShowRelay")["relay"]["flows"]
    return [flow["grant"] for flow in flows]


def operator_words(lab, *args):
    """What the operator types, on a machine where no daemon runs."""
    done = subprocess.run([WEFT, "relay", *map(str, args)], cwd=lab.dir, text=True, capture_output=True)
    check_eq(done.returncode, OK, f"{args}: {done.stderr}")
    return done.stdout.strip()


def configure(daemon, config):
    daemon.stop()
    daemon.conf.write_text(config)
    daemon.start()


def test_a_grant_is_honoured_until_it_is_revoked(lab):
    """The operator's key is on no machine of the three."""
    operator = operator_words(lab, "operator", "new", "operator.key")
    grants = lab.dir / "a.grants"
    namespaces = lab.bridge(3)
    part(namespaces[1], "10.77.0.3")
    part(namespaces[2], "10.77.0.2")
    relay = lab.daemon("relay", netns=namespaces[0], listen=LISTEN,
                       config=RELAY + f"operator = {operator}\n").start()
    a = lab.daemon("a", netns=namespaces[1], listen=LISTEN, config=END).start()
    b = lab.daemon("b", netns=namespaces[2], listen=LISTEN, config=END).start()
    grants.write_text("# of the operator\n"
                      + operator_words(lab, "grant", "new", "operator.key", node_id(a), "--rate", "1M") + "\n")
    configure(a, END + f"grants = {grants}\n")
    for end in (a, b):
        check_eq(end.weft("peer", "connect", node_id(relay), "10.77.0.1:7000").returncode, OK, "connect")
    check_eq(a.weft("peer", "connect", node_id(b)).returncode, OK, "a reaches b")
    row, = grant_of(relay)
    check(row > 0, "the flow has the grant")
    operator_words(lab, "grant", "revoke", "operator.key", 1)
    done = relay.weft("relay", "revoke", lab.dir / "operator.key.revoked")
    check_eq(done.returncode, OK, done.stderr)
    begun = time.monotonic()
    wait_for(lambda: grant_of(relay) == [0] and ping(a, b), "a flow without the grant")
    print(f"# {time.monotonic() - begun:.2f} s until pings pass without it")
    done = relay.weft("relay", "revoke", lab.dir / "operator.key.revoked")
    check("higher one is in force" in done.stderr, f"again: {done.stderr}")
    relay.kill()
    relay.start()
    done = relay.weft("relay", "revoke", lab.dir / "operator.key.revoked")
    check("higher one is in force" in done.stderr, f"after kill -9: {done.stderr}")
    done = a.weft("relay", "revoke", lab.dir / "operator.key.revoked")
    check("honours no grants" in done.stderr, f"at no relay: {done.stderr}")


def test_a_day_that_is_used_up_stays_so_after_a_kill_and_bars_no_grant(lab):
    operator = operator_words(lab, "operator", "new", "operator.key")
    namespaces = lab.bridge(4)
    for netns in namespaces[2:]:
        part(netns, "10.77.0.2")
    relay = lab.daemon("relay", netns=namespaces[0], listen=LISTEN,
                       config=RELAY + f"operator = {operator}\nfree_opens = 1\n").start()
    a, b, c = [lab.daemon(name, netns=netns, listen=LISTEN, config=END).start()
               for name, netns in zip("abc", namespaces[1:])]
    for end in (a, b, c):
        check_eq(end.weft("peer", "connect", node_id(relay), "10.77.0.1:7000").returncode, OK, "connect")
    check_eq(a.weft("peer", "connect", node_id(b)).returncode, OK, "a reaches b")
    time.sleep(1.5)  # what a day has used is stored each second
    relay.kill()
    relay.start()
    wait_for(lambda: sum(row["connected"] for row in relay.json("peer", "list")["peers"]) == 3, "all are back")
    check(a.weft("peer", "connect", node_id(c)).returncode != OK, "a second flow of the day")
    check(relay.json("status")["counters"]["relay_broker.refused_cnt"] > 0, "refused")
    grant = operator_words(lab, "grant", "new", "operator.key", node_id(a), "--rate", "1M")
    check_eq(a.weft("relay", "grant-use", grant).returncode, OK, "grant-use")
    begun = time.monotonic()
    done = a.weft("peer", "connect", node_id(c))
    check_eq(done.returncode, OK, f"a reaches c by its grant: {done.stderr}")
    print(f"# {time.monotonic() - begun:.2f} s until c is reached by the grant")
    check(max(grant_of(relay)) > 0, "the flow has the grant")


def revocations_of(relay):
    return relay.call("ShowRelay")["relay"]["revocations"]


def test_a_list_given_to_one_relay_is_in_force_at_the_others(lab):
    operator = operator_words(lab, "operator", "new", "operator.key")
    namespaces = lab.bridge(4)
    part(namespaces[1], "10.77.0.3")
    part(namespaces[2], "10.77.0.2")
    relay, a, b, other = [lab.daemon(name, netns=netns, listen=LISTEN, config=config).start()
                          for name, netns, config in zip(("relay", "a", "b", "other"), namespaces,
                                                         (RELAY, END, END, RELAY))]
    pool = (f"operator = {operator}\n"
            f"pool = {node_id(relay)}@10.77.0.1:7000, {node_id(other)}@10.77.0.4:7000\n")
    grants = lab.dir / "a.grants"
    grants.write_text(operator_words(lab, "grant", "new", "operator.key", node_id(a)) + "\n")
    configure(a, END + f"grants = {grants}\n")
    for at in (relay, other):
        configure(at, RELAY + pool)
    for end in (a, b):
        check_eq(end.weft("peer", "connect", node_id(relay), "10.77.0.1:7000").returncode, OK, "connect")
    check_eq(a.weft("peer", "connect", node_id(b)).returncode, OK, "a reaches b")
    check(grant_of(relay)[0] > 0, "the flow has the grant")
    wait_for(lambda: [row["state"] for row in other.call("ShowRelay")["relay"]["pool"]] == ["current"],
             "the relays to hear of each other")
    operator_words(lab, "grant", "revoke", "operator.key", 1)
    check_eq(other.weft("relay", "revoke", lab.dir / "operator.key.revoked").returncode, OK, "revoke")
    begun = time.monotonic()
    wait_for(lambda: revocations_of(relay) == 1 and grant_of(relay) in ([], [0]), "the other relay to have it")
    took = time.monotonic() - begun
    print(f"# {took:.2f} s until the other relay's flow lost the grant")
    check(took < 10, f"{took:.2f} s")
    relay.kill()
    operator_words(lab, "grant", "revoke", "operator.key", 2)
    check_eq(other.weft("relay", "revoke", lab.dir / "operator.key.revoked").returncode, OK, "revoke again")
    relay.start()
    wait_for(lambda: revocations_of(relay) == 2, "the list after a restart")


def test_a_daemon_with_relay_only_is_a_relay_and_no_more(lab):
    namespaces = lab.bridge(3)
    part(namespaces[1], "10.77.0.3")
    part(namespaces[2], "10.77.0.2")
    relay = lab.daemon("relay", netns=namespaces[0], listen=LISTEN, config="[dht]\nenabled = no\n")
    relay.start("--relay-only")
    a, b = [lab.daemon(name, netns=netns, listen=LISTEN, config=END).start()
            for name, netns in zip("ab", namespaces[1:])]
    for end in (a, b):
        check_eq(end.weft("peer", "connect", node_id(relay), "10.77.0.1:7000").returncode, OK, "connect")
    check_eq(a.weft("peer", "connect", node_id(b)).returncode, OK, "a reaches b")
    check_eq(len(grant_of(relay)), 1, "flows")
    check(relay.weft("share", "new", "x").returncode != OK, "it publishes no share")
    check_eq(relay.json("service", "list")["offers"], [], "it offers nothing")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="nftables keeps the ends apart")
