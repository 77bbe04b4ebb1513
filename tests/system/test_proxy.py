#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node whose network lets out nothing but connections to an HTTP proxy (tcp.proxy).

    a (10.9.0.2) -- (10.9.0.1) proxy (198.51.100.9) -- switch -- relay (.1), b (.3), c (.4)

The proxy's namespace forwards no packet. The proxy is node's HTTP server. c lets no UDP in or out.
"""
import base64
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, Skip, WEFTD, check, check_eq, need_root, run, wait_for
from sessions import meets, node_id, pings, transport_of

LISTEN = ["0.0.0.0:7000"]
PLAIN = "[dht]\nenabled = no\n"
RELAY = PLAIN + "[relay]\nenabled = yes\nflow_cap = 1024\n[tcp]\nport = 443\n"
PROXY = "[tcp]\nproxy = http://10.9.0.1:3128\n"
PUBLISHES = "[dht]\nprivate = yes\nbootstrap = 198.51.100.1:7000\npublish = relay-only\n"
PLACES = ["198.51.100.1:7000", "tcp:198.51.100.1:443"]
USER, PASSWORD = "mole", "s3cret of hills"
SOON_S = 5
NO_UDP = ("table inet apart {\n"
          "chain input { type filter hook input priority 0; meta l4proto udp drop; }\n"
          "chain output { type filter hook output priority 0; meta l4proto udp drop; }\n}\n")


def network(lab):
    need_root()
    net = lab.network
    for name in ("a", "proxy", "relay", "b", "c", "switch"):
        net.add(name)
    net.bridge("switch")
    for name, address in (("proxy", 9), ("relay", 1), ("b", 3), ("c", 4)):
        device, port = net.join(name, "switch", 1500)
        net.plug("switch", port)
        net.address(name, device, f"198.51.100.{address}/24")
    inside, outside = net.join("a", "proxy", 1500)
    net.address("a", inside, "10.9.0.2/24")
    net.address("proxy", outside, "10.9.0.1/24")
    net.route("a", "default", "via", "10.9.0.1")
    return {name: node.name for name, node in net.nodes.items()}


class Proxy:
    def __init__(self, lab, netns, *words):
        script = pathlib.Path(__file__).parent / "support" / "connect_proxy.js"
        self.log = lab.dir / "proxy.log"
        with self.log.open("w", encoding="utf-8") as out:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", netns, "node", str(script), "10.9.0.1", "3128", *words],
                stdout=out, stderr=subprocess.STDOUT)
        lab.processes.append(self.process)
        wait_for(lambda: "ready" in self.log.read_text(), "the proxy listens")

    def requests(self):
        return self.log.read_text().split("\n")[1:-1]


def place(lab, *words, config=PROXY + PLAIN):
    namespaces = network(lab)
    proxy = Proxy(lab, namespaces["proxy"], *words)
    relay = lab.daemon("relay", netns=namespaces["relay"], listen=LISTEN, config=RELAY).start()
    a = lab.daemon("a", netns=namespaces["a"], listen=LISTEN, config=config).start()
    return namespaces, proxy, relay, a


def connects(end, relay):
    done = end.weft("peer", "connect", node_id(relay), *PLACES)
    check_eq(done.returncode, OK, f"{end.name} connects to the relay: {done.stderr}")


def with_b(lab, namespaces, relay, a, name="b"):
    b = lab.daemon(name, netns=namespaces[name], listen=LISTEN, config=PLAIN).start()
    for end in (a, b):
        connects(end, relay)
    wait_for(lambda: sum(row["connected"] for row in relay.json("peer", "list")["peers"]) == 2,
             "the relay knows both sessions")
    return b


def test_a_node_behind_a_proxy_is_reached_by_its_key(lab):
    namespaces, proxy, relay, a = place(lab, "ports=443")
    b = with_b(lab, namespaces, relay, a)
    took = meets(b, a, SOON_S)
    print(f"# met after {took:.2f} s")
    check_eq((transport_of(a, relay), transport_of(b, a)), ("tcp4", "relay"), "ways")
    check("200 198.51.100.1:443" in proxy.requests(), f"by CONNECT: {proxy.requests()}")
    check_eq(a.json("status")["health"]["proxy"], "on, it opens connections", "shown")
    check(a.json("status")["counters"]["tcp.proxied_cnt"] > 0, "counted")


def test_it_reaches_others_by_their_keys(lab):
    namespaces, _, relay, a = place(lab, "ports=443")
    meets(a, with_b(lab, namespaces, relay, a), SOON_S)


def test_it_keeps_relays_and_publishes_them(lab):
    _, _, relay, a = place(lab, config=PROXY + PUBLISHES)
    connects(a, relay)

    def vias():
        rows = a.call("ShowReachability")["reachability"]["published_relays"]
        return [(row["relay"], row["address"]) for row in rows]
    wait_for(lambda: vias() == [(node_id(relay), PLACES[0])], "a names its relay", timeout=SOON_S)


def test_a_relay_is_used_over_websocket_through_the_proxy(lab):
    """The node dials by nothing else."""
    namespaces = network(lab)
    proxy = Proxy(lab, namespaces["proxy"], "ports=443")
    relay = lab.daemon("relay", netns=namespaces["relay"], listen=LISTEN, config=RELAY).start()
    b = lab.daemon("b", netns=namespaces["b"], listen=LISTEN, config=PLAIN).start()
    connects(b, relay)
    config = f"[relay]\nwebsocket = {node_id(relay)}@198.51.100.1:443\n[transport]\ninternet = websocket\n"
    a = lab.daemon("a", netns=namespaces["a"], listen=LISTEN, config=PROXY + PLAIN + config).start()
    wait_for(lambda: a.call("ShowRelayRole")["websocket"][0]["state"] == "open", "a has a connection")
    meets(a, b, SOON_S)
    check_eq((transport_of(a, b), transport_of(b, a)), ("websocket", "relay"), "ways")
    check("200 198.51.100.1:443" in proxy.requests(), f"by CONNECT: {proxy.requests()}")


def test_two_that_have_no_udp_meet(lab):
    """Directly, by CONNECT to the other's TCP port: it needs no relay."""
    namespaces, proxy, relay, a = place(lab)
    done = subprocess.run(["ip", "netns", "exec", namespaces["c"], "nft", "-f", "-"], input=NO_UDP,
                          text=True, capture_output=True)
    if done.returncode:
        raise Skip(f"no nftables here: {done.stderr}")
    c = with_b(lab, namespaces, relay, a, "c")
    done = a.weft("peer", "connect", node_id(c), "198.51.100.4:7000", "tcp:198.51.100.4:7001")
    check_eq(done.returncode, OK, f"a reaches c: {done.stderr}")
    wait_for(lambda: pings(a, c) and pings(c, a), "pings both ways")
    check("200 198.51.100.4:7001" in proxy.requests(), f"by CONNECT: {proxy.requests()}")


def refused(lab, words, config, why, next_step):
    """A node that its proxy refuses says so everywhere, and nowhere its password."""
    _, proxy, relay, a = place(lab, *words, config=config)
    done = a.weft("peer", "connect", node_id(relay), *PLACES)
    check(done.returncode != OK, "it does not connect")
    check(why in done.stderr and next_step in done.stderr, f"connect: {done.stderr}")
    done = a.weft("check", node_id(relay))
    texts = [a.weft("why", node_id(relay)).stdout, a.weft("status").stdout, done.stdout + done.stderr]
    check(why in texts[0] and next_step in texts[0], f"why: {texts[0]}")
    check(why in texts[1] and next_step in texts[1], f"status: {texts[1]}")
    secrets = [PASSWORD, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()]
    texts += [a.log_text(), a.weft("config", "show").stdout, a.weft("why", node_id(relay), "--json").stdout,
              a.weft("status", "--json").stdout]
    for secret in secrets:
        check(all(secret not in text for text in texts), f"it is said nowhere: {secret}")
    return proxy, a


def user_file(lab, text):
    path = lab.dir / "proxy.user"
    path.write_text(text, encoding="utf-8")
    return PROXY + f"proxy_user_file = {path}\n" + PLAIN


def test_a_user_opens_it(lab):
    config = user_file(lab, f"{USER}:{PASSWORD}\n")
    _, proxy, relay, a = place(lab, f"user={USER}:{PASSWORD}", config=config)
    connects(a, relay)
    check_eq(transport_of(a, relay), "tcp4", "by TCP")
    check("200 198.51.100.1:443" in proxy.requests(), f"by CONNECT: {proxy.requests()}")


def test_a_wrong_password_is_said_and_not_shown(lab):
    proxy, a = refused(lab, [f"user={USER}:other"], user_file(lab, f"{USER}:{PASSWORD}\n"),
                       "wants another user or password (407)", "tcp.proxy_user_file")
    check("407 198.51.100.1:443" in proxy.requests(), f"it was asked: {proxy.requests()}")
    check(a.json("status")["counters"]["tcp.proxy_refused_cnt"] > 0, "counted")
    check_eq(len(blames(a)), 1, "a problem of this node")


def test_a_wrong_password_is_said_as_tinyproxy_says_it(lab):
    refused(lab, [f"user={USER}:other", "wrong=401"], user_file(lab, f"{USER}:{PASSWORD}\n"),
            "wants another user or password (401)", "tcp.proxy_user_file")


def blames(daemon):
    return [row["what"] for row in daemon.json("status")["health"]["problems"] if "proxy" in row["what"]]


def test_a_port_that_it_forbids_is_said_and_not_the_proxys_fault(lab):
    _, a = refused(lab, ["ports=80"], PROXY + PLAIN, "forbids that address or port (403)", "port 443")
    check_eq(blames(a), [], "problems of this node")


def test_a_peer_that_it_cannot_reach_is_said(lab):
    namespaces, _, _, a = place(lab)
    other = lab.daemon("other", netns=namespaces["b"], listen=LISTEN, config=PLAIN + "[tcp]\nlisten = no\n").start()
    done = a.weft("peer", "connect", node_id(other), "tcp:198.51.100.3:7001")
    check("could not connect there (502)" in done.stderr, done.stderr)
    shown = a.json("status")["health"]["proxy"]
    check("not to the newest destination" in shown and "(502)" in shown, shown)
    check_eq(blames(a), [], "problems of this node")


def test_a_proxy_that_is_not_there_is_said(lab):
    config = PROXY.replace("3128", "3129") + PLAIN
    refused(lab, [], config, "takes no connection", "tcp.proxy is its address")


def test_a_proxy_that_is_mute_is_said(lab):
    proxy, a = refused(lab, ["mute=yes"], PROXY + PLAIN, "did not answer in time", "tcp.proxy is an HTTP proxy")
    check_eq(proxy.requests(), [], "it said nothing")
    check(a.json("status")["counters"]["tcp.proxy_failed_cnt"] > 0, "counted")


def refuses_to_start(lab, text, why):
    path = lab.dir / "weft.conf"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([WEFTD, "--check-config", "--config", str(path)], capture_output=True, text=True,
                          check=False)
    check(done.returncode != 0 and why in done.stderr, done.stderr)
    check(PASSWORD not in done.stderr + done.stdout, "it is not repeated")


def test_a_password_in_the_configuration_is_refused_and_not_repeated(lab):
    refuses_to_start(lab, f"[tcp]\nproxy = http://{USER}:{PASSWORD}@10.9.0.1:3128\n", "tcp.proxy_user_file")
    refuses_to_start(lab, "[tcp]\nproxy = http://proxy.example:3128\n", "give the address")
    refuses_to_start(lab, "[tcp]\nproxy = socks5://10.9.0.1:3128\n", "http://ADDRESS:PORT")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
