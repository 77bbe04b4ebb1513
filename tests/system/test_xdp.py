#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The fast path of a running daemon, attached and detached under traffic.

    namespace a: 10.77.0.1 fd77::1 -- veth0 == veth0 -- namespace b: 10.77.0.2 fd77::2
"""
import json
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import (DEADLINE_S, FAILED, NOT_FOUND, OK, REFUSED, USAGE, Skip, check, check_eq, need_root, run,
                 run_plain, same_tree, wait_for)

CHUNK = 256 * 1024
FRAMES = 4096  # xdp.frames
LISTEN = ["0.0.0.0:7000", "[::]:7000"]


def two(lab, config_a="", config_b="", listen=LISTEN):
    ns_a, ns_b = lab.veth_pair()
    a = lab.daemon("a", netns=ns_a, listen=listen, config=config_a).start()
    b = lab.daemon("b", netns=ns_b, listen=listen, config=config_b).start()
    return a, b


def attach(daemon, *options, device="veth0"):
    done = daemon.weft("xdp", "attach", device, *options)
    if "kernel refuses the XDP program" in done.stderr or "needs CAP_BPF" in done.stderr:
        raise Skip(done.stderr.strip())
    check_eq(done.returncode, OK, f"attach: {done.stderr}")


def devices(daemon):
    return {row["device"]: row for row in daemon.json("xdp", "status")["devices"]}


def arrived(daemon, device="veth0"):
    """Datagrams that came by AF_XDP."""
    return sum(side["datagrams"] for side in devices(daemon)[device]["receive"])


def connect(client, server, timeout=30):
    node = server.json("node", "id")["node_id"]
    return client.weft("peer", "connect", node, "10.77.0.1:7000", "--timeout", timeout)


def program_on(netns, device="veth0"):
    """What ip says is attached: "" or a word of mode and id."""
    text = run_plain("ip", "-n", netns, "-d", "link", "show", "dev", device).stdout
    match = re.search(r"prog/xdp\w* id (\d+)", text)
    return match.group(1) if match else ""


def get_under_way(lab, server, client, files=30):
    """A get of 6 MiB a file, that takes its time until finish."""
    root = lab.folder("root", {f"{i}.bin": 24 * CHUNK for i in range(files)})
    server.limit_upload("160mbit")
    waiting = client.weft_popen("get", server.share(root), "--to", str(lab.dir / "out"))
    wait_for(lambda: (gets := client.json("get", "list")["gets"]) and
             gets[-1]["bytes_done"] > 20 * CHUNK, "some bytes are done")
    return root, waiting


def finish(lab, server, root, waiting):
    server.limit_upload("none")
    text, err = waiting.communicate(timeout=DEADLINE_S)
    check_eq(waiting.returncode, OK, f"get: {text}{err}")
    same_tree(root, lab.dir / "out")


def sessions(daemon):
    """Connections made so far; a session that broke would have been dialled again."""
    counters = daemon.json("status")["counters"]
    return counters["quic.accepted_cnt"] + counters["quic.dialled_cnt"]


def test_attached_and_detached_in_the_middle_of_a_get(lab):
    a, b = two(lab)
    root, waiting = get_under_way(lab, a, b)
    before = sessions(a), sessions(b)
    for daemon in (b, a):
        attach(daemon)
        wait_for(lambda: arrived(daemon) > 100, "datagrams come by AF_XDP")
    b.weft("xdp", "detach", "veth0")
    check_eq(devices(b), {}, "devices of b")
    check(waiting.poll() is None, "the get was over before the device was detached")
    attach(b)
    finish(lab, a, root, waiting)
    check_eq((sessions(a), sessions(b)), before, "connections")
    for daemon in (a, b):
        frames = devices(daemon)["veth0"]["frames"]
        check_eq(sum(frames.values()), FRAMES, f"frames: {frames}")


def test_generic_mode_carries_a_get(lab):
    a, b = two(lab)
    for daemon in (a, b):
        attach(daemon, "--mode", "generic")
        check_eq(devices(daemon)["veth0"]["mode"], "generic", "mode")
    root, waiting = get_under_way(lab, a, b, files=10)
    finish(lab, a, root, waiting)
    check(arrived(a) > 100, "nothing came by AF_XDP")


def test_generic_mode_keeps_the_order_of_ring_and_socket(lab):
    """What the sender's offload left whole comes by the socket, the rest by the ring."""
    a, b = two(lab)
    attach(b, "--mode", "generic")
    root, waiting = get_under_way(lab, a, b, files=20)
    finish(lab, a, root, waiting)
    check(arrived(b) > 0, "nothing came by AF_XDP")
    check_eq((sessions(a), sessions(b)), (1, 1), "connections: a broken one is dialled again")


def test_sending_by_af_xdp_carries_a_get(lab):
    a, b = two(lab)
    for daemon in (a, b):
        attach(daemon, "--send", "af_xdp")
    root, waiting = get_under_way(lab, a, b, files=10)
    finish(lab, a, root, waiting)
    send = a.json("xdp", "status")["send"]
    check_eq(send["backend"], "af_xdp", "send side")
    check(send["datagrams"] > 10000, f"sent by AF_XDP: {send}")
    frames = devices(a)["veth0"]["frames"]
    check_eq(sum(frames.values()), 2 * FRAMES, f"frames: {frames}")
    a.weft("xdp", "detach", "veth0")
    check_eq(a.json("xdp", "status")["send"]["backend"], "udp/sendmmsg", "send side")


def test_named_in_the_configuration_it_attaches_at_start_and_drops_its_privilege(lab):
    a, b = two(lab, config_a="[xdp]\ninterfaces = veth0\n")
    wait_for(lambda: devices(a), "attached")
    status = a.json("xdp", "status")
    check_eq(status["privilege"], "dropped", "privilege")
    told = a.json("status")["health"]["xdp"]
    check(told in ("veth0 native", "veth0 generic"), f"status tells of the device: {told}")
    done = run_plain("cat", *[f"/proc/{a.pid()}/task/{t.name}/status"
                              for t in pathlib.Path(f"/proc/{a.pid()}/task").iterdir()]).stdout
    used = 1 << 39 | 1 << 38 | 1 << 12 | 1 << 13  # CAP_BPF, _PERFMON, _NET_ADMIN, _NET_RAW
    for line in re.findall(r"^Cap(?:Eff|Prm|Inh):\t([0-9a-f]+)$", done, re.M):
        check_eq(int(line, 16) & used, 0, f"capabilities of a thread: {line}")
    root = lab.folder("root", {"x": 20 * CHUNK})
    done = b.weft("get", a.share(root), "--to", lab.dir / "out")
    check_eq(done.returncode, OK, f"get: {done.stderr}")
    check(arrived(a) > 0, "nothing came by AF_XDP")
    check_eq(a.weft("xdp", "detach", "veth0").returncode, OK, "detach")
    done = a.weft("xdp", "attach", "veth0")
    check(done.returncode not in (OK,) and "CAP_BPF" in done.stderr, f"attach: {done.stderr}")


def test_killed_it_leaves_nothing_attached(lab):
    a, b = two(lab)
    attach(a)
    check(program_on(a.netns), "nothing is attached")
    a.kill()
    wait_for(lambda: not program_on(a.netns), "the program is gone")
    a.start()
    attach(a)


def test_unconfirmed_it_detaches_by_itself_and_kept_it_stays(lab):
    a, b = two(lab)
    attach(a, "--confirm", "4s")
    check(devices(a)["veth0"]["confirm_ms"] <= 4000, "time to confirm")
    wait_for(lambda: not devices(a), "detached")
    check_eq(program_on(a.netns), "", "program")
    attach(a, "--confirm", "4s")
    check_eq(a.weft("xdp", "keep", "veth0").returncode, OK, "keep")
    time.sleep(4.5)
    check("veth0" in devices(a), "a kept device was detached")
    check_eq(a.weft("xdp", "keep", "veth9").returncode, NOT_FOUND, "keep of nothing")
    check_eq(a.weft("xdp", "attach", "veth9").returncode, FAILED, "attach of nothing")


def test_a_second_daemon_on_the_device_learns_which_one_holds_it(lab):
    a, b = two(lab)
    other = lab.daemon("other", netns=a.netns, listen=["0.0.0.0:7001"]).start()
    attach(a)
    before = program_on(a.netns)
    plan = other.json("xdp", "plan", "veth0")["plan"]
    check_eq((plan["possible"], plan["attached"], plan["foreign_name"]),
             (False, False, "weft_xdp"), "plan")
    own = a.json("xdp", "plan", "veth0")["plan"]
    check_eq((own["possible"], own["attached"], own["foreign_program"]), (False, True, 0), "its own")
    check("by this daemon" in own["why"], f"plan of who attached: {own['why']}")
    done = other.weft("xdp", "attach", "veth0")
    check_eq(done.returncode, REFUSED, f"attach: {done.stderr}")
    check("weft_xdp" in done.stderr and before in done.stderr, f"who is there: {done.stderr}")
    check_eq(program_on(a.netns), before, "program")
    root = lab.folder("root", {"x": 20 * CHUNK})
    done = b.weft("get", other.share(root), "--to", lab.dir / "out")
    check_eq(done.returncode, OK, f"another port on the device: {done.stderr}")


def echo_in(netns, kind, port, text):
    """A line there and back between b and a's port, by programs that know nothing of weft."""
    script = ("import socket,sys\n"
              f"s=socket.socket(socket.AF_INET, socket.{kind})\n"
              f"s.settimeout({DEADLINE_S})\n"
              f"s.connect(('10.77.0.1', {port}))\n"
              f"s.send({text!r})\n"
              "sys.stdout.write(s.recv(100).decode())\n")
    return run_plain("ip", "netns", "exec", netns, sys.executable, "-c", script).stdout


def server_in(netns, kind, port):
    script = ("import socket\n"
              f"s=socket.socket(socket.AF_INET, socket.{kind})\n"
              f"s.bind(('10.77.0.1', {port}))\n"
              + ("s.listen()\nprint(flush=True)\nwhile True:\n c,_=s.accept()\n c.send(c.recv(100))\n"
                 if kind == "SOCK_STREAM" else
                 "print(flush=True)\nwhile True:\n d,p=s.recvfrom(100)\n s.sendto(d,p)\n"))
    server = subprocess.Popen(["ip", "netns", "exec", netns, sys.executable, "-c", script],
                              stdout=subprocess.PIPE)
    server.stdout.readline()
    return server


def test_other_ports_and_protocols_are_untouched(lab):
    a, b = two(lab)
    servers = [server_in(a.netns, "SOCK_STREAM", 22), server_in(a.netns, "SOCK_DGRAM", 53)]
    try:
        for options in ((), ("--mode", "generic")):
            attach(a, *options)
            check_eq(echo_in(b.netns, "SOCK_STREAM", 22, b"ssh"), "ssh", "TCP port 22")
            check_eq(echo_in(b.netns, "SOCK_DGRAM", 53, b"dns"), "dns", "UDP port 53")
            a.weft("xdp", "detach", "veth0")
    finally:
        for server in servers:
            server.kill()
            server.wait()


def test_link_down_and_up_is_survived_and_reported(lab):
    a, b = two(lab)
    attach(a)
    attach(b)
    root, waiting = get_under_way(lab, a, b)
    lab.ip(a.netns, "link", "set", "veth0", "down")
    wait_for(lambda: devices(a)["veth0"]["faults"]["link-down"] == 1, "told of the link")
    time.sleep(0.3)
    lab.ip(a.netns, "link", "set", "veth0", "up")
    lab.ip(a.netns, "addr", "replace", "fd77::1/64", "dev", "veth0", "nodad")
    finish(lab, a, root, waiting)
    check_eq(devices(a)["veth0"]["faults"]["link-up"], 1, "link-up")
    check("has no link" in a.log_text(), f"log: {a.log_text()}")


def test_another_mtu_is_survived_and_reported(lab):
    a, b = two(lab)
    attach(a)
    attach(b)
    root, waiting = get_under_way(lab, a, b)
    for mtu in ("1400", "2500"):
        lab.ip(a.netns, "link", "set", "veth0", "mtu", mtu)
        lab.ip(b.netns, "link", "set", "veth0", "mtu", mtu)
    finish(lab, a, root, waiting)
    device = devices(a)["veth0"]
    check_eq((device["mtu"], device["faults"]["mtu-changed"]), (2500, 2), "MTU and changes")


def test_a_device_removed_leaves_the_daemon_on_its_sockets(lab):
    a, b = two(lab)
    attach(a)
    lab.ip(a.netns, "link", "del", "veth0")
    wait_for(lambda: not devices(a), "let go")
    check("is gone" in a.log_text(), f"log: {a.log_text()}")
    lab.ip(a.netns, "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", b.netns)
    for netns, host in ((a.netns, 1), (b.netns, 2)):
        lab.ip(netns, "addr", "add", f"10.77.0.{host}/24", "dev", "veth0")
        lab.ip(netns, "link", "set", "veth0", "up")
    root = lab.folder("root", {"x": 20 * CHUNK})
    done = b.weft("get", a.share(root), "--to", lab.dir / "out")
    check_eq(done.returncode, OK, f"get: {done.stderr}")
    attach(a)
    root = lab.folder("root2", {"x": 20 * CHUNK}, seed=2)
    done = b.weft("get", a.share(root), "--to", lab.dir / "out2")
    check_eq(done.returncode, OK, f"get: {done.stderr}")
    check(arrived(a) > 0, "nothing came by AF_XDP")


def test_an_address_added_later_is_served_too(lab):
    a, b = two(lab)
    attach(a)
    lab.ip(a.netns, "addr", "add", "10.77.0.9/24", "dev", "veth0")
    node = a.json("node", "id")["node_id"]
    done = b.weft("peer", "connect", node, "10.77.0.9:7000")
    check_eq(done.returncode, OK, f"connect: {done.stderr}")
    check(arrived(a) > 0, "nothing came by AF_XDP")


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_idle_it_uses_less_than_a_hundredth_of_a_core(lab):
    a, b = two(lab)
    for daemon in (a, b):
        attach(daemon)
    node = a.json("node", "id")["node_id"]
    check_eq(b.weft("peer", "connect", node, "10.77.0.1:7000").returncode, OK, "connect")
    time.sleep(1)
    before = cpu_s(a.pid())
    time.sleep(5)
    used = cpu_s(a.pid()) - before
    check(used <= 0.05, f"{used} s of CPU in 5 s")


def test_pressured_unvalidated_sources_prove_their_address_to_the_driver(lab):
    # A veth takes what the other end's XDP sends only where it runs XDP, or GRO, itself.
    a, b = two(lab, config_b="[xdp]\ninterfaces = veth0\n")
    attach(a)
    a.weft("xdp", "mode", "pressured")
    wait_for(lambda: devices(b), "b is attached")
    done = connect(b, a)
    check_eq(done.returncode, OK, f"connect: {done.stderr}")
    # A client that had to wait for its turn says its first word twice.
    seen = a.judged()
    check(min(seen["retry-sent"], seen["retried"]) >= 1, f"counters: {seen}")
    status = a.json("status")["counters"]
    check_eq(status["quic.retry_sent_cnt"], 0, "Retries of userspace")
    check_eq(status["quic.bad_token_cnt"], 0, "bad tokens")


def meet(client, server):
    """A session that both ends have: the client's stands before the server has heard its last flight."""
    check_eq(connect(client, server).returncode, OK, "connect")
    wait_for(lambda: server.json("status")["sessions"] == 1, "the server's session")


def ban_and_part(server, client, target):
    """Bans what the session of both comes from, and waits until neither has it any more."""
    server.call("AddBan", target=target)
    for daemon in (server, client):
        wait_for(lambda: daemon.json("status")["sessions"] == 0, "the session is cut")


def unheard(client, server):
    """Dials in vain; at least one datagram of it is counted as banned."""
    before = server.judged()["banned"]
    check(connect(client, server, timeout=1).returncode != OK, "a banned address was heard")
    wait_for(lambda: server.judged()["banned"] > before, "it is counted")


def test_a_banned_network_is_not_heard_until_its_time_is_over(lab):
    # They exchange their addresses of IPv6, which are not banned here.
    a, b = two(lab, listen=LISTEN[:1])
    attach(a)
    ban = a.call("AddBan", target="10.77.0.0/25", duration_s=4, reason="test")["ban"]
    check_eq((ban["target"], ban["reason"]), ("10.77.0.0/25", "test"), "ban")
    unheard(b, a)
    wait_for(lambda: not a.call("ListBans")["bans"], "expired")
    meet(b, a)
    ban_and_part(a, b, "10.77.0.2")
    a.call("RemoveBan", target="10.77.0.2")
    a.weft("xdp", "detach", "veth0")
    a.call("AddBan", target="10.77.0.2")
    attach(a)
    unheard(b, a)


def test_a_ban_holds_without_a_device_attached(lab):
    a, b = two(lab, listen=LISTEN[:1])
    a.call("AddBan", target="10.77.0.2")
    unheard(b, a)
    a.call("RemoveBan", target="10.77.0.2")
    meet(b, a)
    # The datagram that proves b's path is still an unvalidated source's.
    seen = wait_for(lambda: (now := a.judged())["session"] > 0 and now, "a session's datagram")
    check(seen["initial"] > 0, f"counters: {seen}")
    check_eq((seen["bad-id"], seen["replayed-id"]), (0, 0), f"counters: {seen}")


def test_a_mode_set_by_hand_holds_and_is_reported(lab):
    a, b = two(lab)
    attach(a)
    watching = a.weft_popen("event", "watch", "--since", "1", "--json")
    check_eq(a.weft("xdp", "mode", "pressured").stdout, "pressured\n", "mode")
    status = a.json("xdp", "status")
    check_eq((status["mode"], status["forced"]), ("pressured", True), "mode")
    check_eq(a.weft("xdp", "mode", "auto").returncode, OK, "mode")
    check_eq(a.json("xdp", "status")["forced"], False, "forced")
    missing = {"xdp.mode", "xdp.attached"}
    while missing:
        line = watching.stdout.readline()
        check(line, f"the watch ended without {missing}")
        missing.discard(json.loads(line)["event"]["kind"])
    watching.kill()
    watching.wait()


try:
    need_root()
except Skip as why:
    print(f"1..0 # SKIP {why}")
    sys.exit(0)
def test_unknown_words_are_distinguished_from_known_ones(lab):
    a = lab.daemon("a").start()
    for words, known in ((("mode", "calm"), "auto, normal, pressured, flood"),
                         (("plan", "lo", "--mode", "fast"), "auto, native, generic"),
                         (("attach", "lo", "--send", "mail"), "auto, udp, af_xdp")):
        done = a.weft("xdp", *words)
        check_eq(done.returncode, USAGE, f"{words}: {done.stderr}")
        check(known in done.stderr, f"{words}: {done.stderr}")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
