#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The control socket, and the life of the daemon behind it, as people and other programs use them."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import (DEADLINE_S, FAILED, NOT_FOUND, NOT_VERIFIED, OK, REFUSED, USAGE, WEFT, WEFTD, Skip,
                 check, check_eq, full_name, run, wait_for)
from terminal import on_terminal

NODE = "net.weft.Node"


def varlinkctl(*words):
    if not shutil.which("varlinkctl"):
        raise Skip("varlinkctl is not installed")
    done = subprocess.run(["varlinkctl", *map(str, words)], capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False)
    check_eq(done.returncode, 0, f"varlinkctl {words}: {done.stderr}")
    return done.stdout


class Client:
    """Varlink by hand, for what varlinkctl would not send."""

    def __init__(self, daemon):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect(str(daemon.sock))
        self.buffer = b""

    def send(self, method, parameters=None, **flags):
        call = {"method": method, "parameters": parameters or {}, **flags}
        self.socket.sendall(json.dumps(call).encode() + b"\0")

    def reply(self):
        while b"\0" not in self.buffer:
            data = self.socket.recv(65536)
            check(data, "the daemon closed the connection")
            self.buffer += data
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, parameters=None):
        self.send(method, parameters)
        return self.reply()


def test_varlinkctl_introspects_and_calls(lab):
    a = lab.daemon("a").start()
    check("weftd" in varlinkctl("info", a.sock), "info")
    interfaces = varlinkctl("list-interfaces", a.sock).split()
    check_eq(sorted(interfaces), ["net.weft.Content", "net.weft.Network", NODE, "net.weft.Services",
                                  "net.weft.Social", "org.varlink.service"], "interfaces")
    for interface in interfaces:
        text = varlinkctl("introspect", a.sock, interface)
        (lab.dir / "idl").write_text(text)
        varlinkctl("validate-idl", lab.dir / "idl")
        methods = re.findall(r"^method (\w+)", text, re.M)
        check_eq(sorted(f"{interface}.{name}" for name in methods),
                 sorted(varlinkctl("list-methods", a.sock, interface).split()), "list-methods")
    check("method AddShare(" in varlinkctl("introspect", a.sock, "net.weft.Content"), "AddShare")
    reply = json.loads(varlinkctl("call", a.sock, f"{NODE}.GetNodeId", "{}"))
    check_eq(reply["node_id"], a.weft("node", "id").stdout.strip(), "node id")


def test_varlinkctl_hears_more_than_one_reply(lab):
    a = lab.daemon("a").start()
    root = lab.folder("root", {f"{i}": 5 for i in range(20)})
    out = varlinkctl("call", "--more", "--json=short", a.sock, "net.weft.Content.AddShare",
                     json.dumps({"path": str(root)}))
    replies = [json.loads(line) for line in out.replace("\x1e", "").splitlines()]
    check(len(replies) >= 2, out)
    check(replies[-1]["link"].startswith("mesh:"), out)


def test_every_method_answers_as_described(lab):
    """The daemon checks each reply against the description and logs a difference."""
    a = lab.daemon("a").start()
    client = Client(a)
    path = str(lab.folder("root", {"x": 1}))
    share = client.call("net.weft.Content.AddShare", {"path": path})["parameters"]["share"]
    me = client.call(f"{NODE}.GetNodeId")["parameters"]["node_id"]
    calls = [("Status", {}), ("ListPeers", {}), ("ShowPeer", {"node_id": me}),
             ("ConnectPeer", {"node_id": me, "addresses": [], "timeout_ms": 100}),
             ("PingPeer", {"node_id": me}), ("ListShares", {}), ("CancelImport", {"import_id": 99}),
             ("Get", {"link": "mesh:x", "target": "/tmp/x"}), ("WatchGet", {"get_id": 99}),
             ("ListGets", {}), ("CancelGet", {"get_id": 99}), ("ResumeGet", {"get_id": 99}),
             ("WatchEvents", {}), ("ShowLimits", {}), ("ShowConfig", {}), ("ShowMemory", {}),
             ("PlanGc", {}), ("RunGc", {}), ("CheckStore", {"repair": False}),
             ("CheckFiles", {}), ("Reload", {}),
             ("RemoveShare", {"share": share["collection_id"]})]
    for method, parameters in calls:
        reply = client.call(full_name(method), parameters)
        check(isinstance(reply.get("parameters"), dict), f"{method}: {reply}")
    client.call(f"{NODE}.Shutdown")
    check_eq(a.process.wait(DEADLINE_S), 0, "exit of the daemon")
    check("does not follow the interface" not in a.log_text(), a.log_text())


def test_one_connection_answers_in_order(lab):
    a = lab.daemon("a").start()
    client = Client(a)
    for _ in range(50):
        client.send(f"{NODE}.GetNodeId")
        client.send(f"{NODE}.Status", oneway=True)
        client.send("org.varlink.service.GetInfo")
    for _ in range(50):
        check("node_id" in client.reply()["parameters"], "GetNodeId first")
        check_eq(client.reply()["parameters"]["product"], "weftd", "GetInfo second")


def branches_break(path):
    """Makes each branch page of a database file say that it has one key, in place. How many."""
    page, cnt = 4096, 0
    data = bytearray(path.read_bytes())
    for at in range(2 * page, len(data), page):
        flags, end = struct.unpack_from("<HH", data, at + 10)
        if flags == 1 and end > 18:
            struct.pack_into("<H", data, at + 12, 18)
            cnt += 1
    with open(path, "r+b") as file:
        file.write(data)
    return cnt


def test_a_damaged_database_is_a_finding_and_kills_no_process(lab):
    a = lab.daemon("a").start()
    a.share(lab.folder("root", {f"{i}": i for i in range(200)}))
    check_eq(a.weft("store", "check").returncode, OK, "check of a sound store")
    if os.sysconf("SC_PAGESIZE") != 4096:
        raise Skip("the pages of the database have another size")
    check(branches_break(a.state / "db" / "data.mdb") > 0, "no branch page")
    done = a.weft("store", "check")
    check_eq(done.returncode, NOT_VERIFIED, f"check of a damaged one: {done.stderr}")
    check("database objects" in done.stderr and "weft store salvage" in done.stderr, done.stderr)
    check_eq(a.weft("status").returncode, OK, "the daemon lives")


def test_a_start_on_a_damaged_database_is_refused_with_the_way_out(lab):
    a = lab.daemon("a").start()
    for number in range(60):
        a.share(lab.folder(f"root{number}", {"x": number}))
    a.stop()
    if os.sysconf("SC_PAGESIZE") != 4096:
        raise Skip("the pages of the database have another size")
    check(branches_break(a.state / "db" / "data.mdb") > 0, "no branch page")
    done = subprocess.run(a.command(), capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    check_eq(done.returncode, NOT_VERIFIED, f"start: {done.stderr}")
    check("weft store salvage" in done.stderr, done.stderr)


def test_a_peer_counts_as_many_in_fair_shares_also_after_a_restart(lab):
    a, b = lab.daemon("a", config="[node]\nworkers = 2\n").start(), lab.daemon("b").start()
    b_id = b.json("node", "id")["node_id"]
    done = a.weft("peer", "set", b_id, "share=8")
    check_eq(done.returncode, NOT_FOUND, "a peer that was not met")
    check("has not met" in done.stderr and "weft peer connect" in done.stderr, done.stderr)
    where = b.json("status")["listen"][0]
    check_eq(a.weft("conns").stdout, "", "connections before")
    check_eq(a.weft("peer", "connect", b_id, where).returncode, OK, "connect")
    lines = [line.split("\t") for line in a.weft("conns").stdout.splitlines()]
    check_eq([line[:2] for line in lines], [[b_id, where]], "peer and path of its connection")
    check(all(number.isdigit() for number in lines[0][2:]) and len(lines[0]) == 7, str(lines))
    check_eq(len(a.json("conns")["peers"]), 1, "connections as JSON")
    check_eq(a.json("peer", "show", b_id)["peer"]["share"], 1, "before")
    for word in ("share=0", "share=65", "share=", "share=x", "weight=2"):
        done = a.weft("peer", "set", b_id, word)
        check(done.returncode == USAGE and "1 to 64" in done.stderr,
              f"{word}: {done.returncode} {done.stderr}")
    check_eq(a.json("peer", "set", b_id[:8], "share=8")["peer"]["share"], 8, "set")
    a.kill()
    a.start()
    check_eq(a.json("peer", "show", b_id)["peer"]["share"], 8, "after kill -9")
    check_eq(a.json("peer", "list")["peers"][0]["share"], 8, "in the list")
    done = a.weft("peer", "set", b_id, "share=1")
    check(done.returncode == OK and "share\t1\n" in done.stdout, done.stdout)


def test_events_are_numbered(lab):
    a = lab.daemon("a").start()
    a.share(lab.folder("root", {"x": 10}))
    watch = a.weft_popen("event", "watch", "--since", "1")
    first = watch.stdout.readline().rstrip("\n").split("\t")
    check_eq((first[0], len(first)), ("1", 4), f"first event {first}")
    json.loads(first[3])
    watch.send_signal(signal.SIGINT)
    watch.communicate(timeout=DEADLINE_S)
    a.share(lab.folder("other", {"x": 11}))
    watch = a.weft_popen("event", "watch", "--since", "1", "--json")
    events = [json.loads(watch.stdout.readline())["event"] for _ in range(2)]
    check_eq([event["seq"] for event in events], [1, 2], "without holes")
    watch.kill()
    watch.communicate()


def test_sighup_applies_what_is_live(lab):
    a = lab.daemon("a", config="[log]\nlevel = info\n").start()
    a.share(lab.folder("one", {"x": 1}))
    a.conf.write_text("[log]\nlevel = debug\n[quic]\nconn_cap = 99\n[content]\nshare_cap = 1\n")
    os.kill(a.pid(), signal.SIGHUP)
    wait_for(lambda: "content.share_cap = 1 applied, was 1024" in a.log_text(), "the reload")
    check("log.level = debug applied, was info" in a.log_text(), a.log_text())
    check("quic.conn_cap = 99 waits for a restart, 1024 stays in force" in a.log_text(),
          a.log_text())
    done = a.weft("share", "add", lab.folder("two", {"x": 2}))
    check_eq(done.returncode, REFUSED, f"a share over the new limit: {done.stderr}")
    shown = a.weft("config", "show").stdout
    check(f"log\tlevel\tdebug\t{a.conf}:2\tyes\t-\n" in shown, shown)
    check("quic\tconn_cap\t1024\tdefault\tno\t99\n" in shown, shown)
    limit = next(l for l in a.json("limits", "show")["limits"] if l["name"] == "content.share_cap")
    check_eq((limit["limit"], limit["unit"]), (1, "count"), "the limit that is shown")
    done = a.weft("daemon", "reload")
    check_eq(done.stdout, "quic.conn_cap\twaits for a restart\n", "what still waits")
    a.conf.write_text("[log]\nlevle = info\n")
    done = a.weft("daemon", "reload")
    check(done.returncode == FAILED and "levle" in done.stderr, done.stderr)
    check("log\tlevel\tdebug" in a.weft("config", "show").stdout, "after a bad reload")


def test_every_limit_has_the_name_of_its_setting(lab):
    a = lab.daemon("a").start()
    known = {f"{s['section']}.{s['key']}" for s in a.json("config", "show")["settings"]}
    # A name with spaces says what follows from settings and is none itself.
    names = {l["name"] for l in a.json("limits", "show")["limits"] if " " not in l["name"]}
    check_eq(names - known, set(), "limits that no setting has the name of")
    shown = on_terminal("-s", a.sock, "limits", "show")
    check("128.0 MiB" in shown and "64.0 GiB" in shown, shown)


def test_every_pool_that_unknown_peers_take_from_is_shown(lab):
    shown = lab.daemon("a").start().json("limits", "show")
    pools = {pool["name"]: [row["class"] for row in pool["classes"]] for pool in shown["pools"]}
    for name in ("quic.conn_cap", "handshakes with a token", "mesh.incoming_cap",
                 "mesh.medium_buffers", "mesh.large_buffers", "calls with chunk buffers",
                 "calls with manifest buffers", "calls waiting for chunk buffers",
                 "calls waiting for manifest buffers", "questions which contents are here",
                 "range proofs in work", "overlay nodes that did not answer", "service offers",
                 "tokens of queries", "endorsements", "service capabilities"):
        check_eq(pools.get(name), ["unknown", "known", "useful", "chosen"], name)
    check("control.client_cap" in pools, pools)
    check_eq(pools.get("service.processes"), ["peers", "programs"], pools)
    limits = {row["name"]: row for row in shown["limits"]}
    check_eq(limits["manifest buffers"]["limit"], 8, "manifest buffers")
    check_eq(limits["service.processes"]["limit"], 32, "programs")
    check_eq(limits["endorsers that are trusted"]["limit"], 256, "endorsers")
    check_eq(limits["offers: messages on their way to neighbours"]["limit"], 1024, "messages of offers")
    check_eq({row["reason"] for row in shown["drops"]},
             {"initial-limit", "replayed-id", "krpc-limit", "krpc-flood", "krpc-budget",
              "stun-limit", "stun-flood", "stun-budget", "probe-limit", "answer-limit"}, "limits of the driver")
    check_eq((shown["networks"], shown["refusals"]), ([], []), "nobody came")


def test_sigterm_ends_it_and_takes_the_socket_away(lab):
    a = lab.daemon("a").start()
    check_eq(a.stop(), 0, "exit")
    check(not a.sock.exists(), "the socket file stays")


def test_the_service_manager_is_notified(lab):
    a = lab.daemon("a")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.settimeout(DEADLINE_S)
    manager.bind(str(lab.dir / "notify"))
    a.start(wrap=["env", f"NOTIFY_SOCKET={lab.dir}/notify", "WATCHDOG_USEC=200000"])
    heard = []
    while not (any("READY=1" in text for text in heard) and "WATCHDOG=1" in heard):
        heard.append(manager.recv(4096).decode())
    os.kill(a.pid(), signal.SIGHUP)
    while not heard[-1].startswith("RELOADING=1\nMONOTONIC_USEC="):
        heard.append(manager.recv(4096).decode())
    a.stop()
    while not heard[-1].startswith("STOPPING=1"):
        heard.append(manager.recv(4096).decode())


def test_the_configuration_prints_and_reads_back(lab):
    conf = lab.dir / "weft.conf"
    conf.write_text("[quic]\nconn_cap = 77\n[node]\nlisten = 127.0.0.1:7123\n")

    def printed(file):
        done = subprocess.run([WEFTD, "--config", str(file), "--print-config"], check=True,
                              capture_output=True, text=True)
        return done.stdout

    first = printed(conf)
    (lab.dir / "again.conf").write_text(first)
    values = [line for line in first.splitlines() if not line.startswith("# From:")]
    again = [line for line in printed(lab.dir / "again.conf").splitlines()
             if not line.startswith("# From:")]
    check_eq(again, values, "printed again")
    check("conn_cap = 77" in values, first)
    check(f"# A change takes a restart.\n# From: {conf}:2\nconn_cap = 77" in first, first)
    check("# A change takes a reload.\n# From: default\nretry_above = " in first, first)


def test_weftd_says_what_its_options_lack(lab):
    for words, said in ((["--sate", "x"], "did you mean --state?"), (["--state"], "takes a value"),
                        (["--listen", "nowhere"], "ADDRESS:PORT"), (["x"], "no arguments"),
                        (["--set", "quic.conn_kap=1"], "conn_cap"),
                        (["--set", "conn_cap"], "SECTION.KEY=VALUE")):
        done = subprocess.run([WEFTD, "--check-config", *words], capture_output=True, text=True,
                              check=False)
        check_eq(done.returncode, 2, f"{words}: {done.stderr}")
        check(said in done.stderr, f"{words}: {done.stderr}")
    done = subprocess.run([WEFTD, "--plan"], capture_output=True, text=True, check=True)
    check("in all, at worst" in done.stdout, done.stdout)


def test_a_read_only_caller_sees_no_addresses(lab):
    if os.geteuid() != 0:
        raise Skip("becoming another user needs root")
    groups = "[control]\nview_group = 4002\noperate_group = 4003\n"
    a, b = lab.daemon("a", config=groups).start(), lab.daemon("b").start()
    node = b.weft("node", "id").stdout.strip()
    where = b.json("status")["listen"][0]
    a.weft("peer", "connect", node, where)
    os.chmod(lab.dir, 0o755)
    shutil.copy(WEFT, lab.dir / "weft")

    def addresses(gid):
        for words in (["peer", "list"], ["peer", "show", node]):
            done = subprocess.run([str(lab.dir / "weft"), "-s", str(a.sock), *words, "--json"],
                                  user=65534, group=gid, extra_groups=[], capture_output=True,
                                  text=True, check=True)
            reply = json.loads(done.stdout)
            for peer in reply.get("peers") or [reply["peer"]]:
                yield peer["address"]

    for address in addresses(4002):
        check(re.fullmatch("[0-9a-f]{16}", address), f"a viewer sees {address}")
    for address in addresses(4003):
        check_eq(address, where, "who operates")


def test_the_key_is_shown_to_no_caller(lab):
    a = lab.daemon("a", config="[log]\nlevel = debug\n").start()
    a.share(lab.folder("root", {"x": 10}))
    seed = (a.state / "node.key").read_bytes()[9:41]
    told = a.log_text().encode()
    for words in (("status",), ("config", "show"), ("memory", "show"), ("peer", "list")):
        told += a.weft(*words, "--json").stdout.encode()
    check(seed not in told and seed.hex().encode() not in told.lower(), "the seed is in there")
    # Its own address is told once, where it listens.
    elsewhere = [line for line in a.log_text().splitlines() if "listening on" not in line]
    check(not any("127.0.0.1" in line for line in elsewhere), "an address is in the log")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
