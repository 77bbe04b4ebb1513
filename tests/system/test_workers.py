#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One node of several workers: everyone serves, and a connection finds its worker."""
import base64
import pathlib
import re
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from lab import (ASKING_S, DEADLINE_S, NOT_FOUND, OK, Skip, check, check_eq, need_root, run, run_plain,
                 same_tree, static, wait_for)

CHUNK = 256 * 1024
WORKERS = 3
CONFIG = f"[node]\nworkers = {WORKERS}\n"
CAP_DHT = 8  # in HELLO
FILES = {f"{i}.bin": 20 * CHUNK for i in range(4)} | {"small": 5}


def workers_of(daemon):
    return daemon.json("status")["workers"]


def fetch(lab, getter, link, name):
    done = getter.weft("get", link, "--to", lab.dir / name)
    check_eq(done.returncode, OK, f"get: {done.stderr}")


def serve_one(lab, getter, link, name):
    """As fetch, by a getter that goes then: those after it would take chunks from it, too."""
    fetch(lab, getter, link, name)
    getter.stop()


def until_all_work(daemon, least, work):
    """work(0), work(1), ... until every worker has a part of it, but least times.

    Chance says whose a client is, by the first id that it draws or by what its addresses hash to.
    Of 3 workers that all serve, 60 clients leave one idle once in ten billion runs.
    """
    def is_idle(worker):
        return not (worker["sessions"] or worker["served_bytes"])

    for cnt in range(60):
        if cnt >= least and not any(is_idle(worker) for worker in workers_of(daemon)):
            return cnt
        work(cnt)
    wait_for(lambda: not any(is_idle(worker) for worker in workers_of(daemon)), "no worker is idle")
    return 60


def test_every_worker_serves_some_of_many_getters(lab):
    a = lab.daemon("a", config=CONFIG).start()
    root = lab.folder("root", FILES)
    link = a.share(root)

    def get_one(i):
        serve_one(lab, lab.daemon(f"b{i}").start(), link, f"out{i}")
        same_tree(root, lab.dir / f"out{i}")

    total = until_all_work(a, 12, get_one) * sum(FILES.values())

    def reported():
        """One answer of it all: what a getter asked for twice may be reported still."""
        status = a.json("status")
        served = [worker["served_bytes"] for worker in status["workers"]]
        return sum(served) >= total and all(served) and status

    status = wait_for(reported, "all bytes reported, of every worker")
    served = [worker["served_bytes"] for worker in status["workers"]]
    check_eq(len(served), WORKERS, "workers")
    check_eq(sum(served), status["served_bytes"], "the sum")
    share = a.json("share", "list")["shares"][0]
    check(share["served_bytes"] >= total, f"the share's own count: {share}")


def connected(daemon):
    return [p for p in daemon.json("peer", "list")["peers"] if p["connected"]]


def test_sessions_of_all_workers_are_peers_of_the_node(lab):
    a = lab.daemon("a", config=CONFIG).start()
    link = a.share(lab.folder("root", {"x": 100}))
    getters = [lab.daemon(f"b{i}").start() for i in range(8)]
    for i, b in enumerate(getters):
        fetch(lab, b, link, f"out{i}")
    ids = {b.weft("node", "id").stdout.strip() for b in getters}
    wait_for(lambda: {p["node_id"] for p in connected(a)} == ids, "8 connected peers")
    wait_for(lambda: a.json("status")["sessions"] == 8, "8 sessions in all")
    row = next(row for row in a.call("ShowLimits")["limits"]
               if row["name"] == "reports of workers to home")
    check_eq(row["limit"], 1024 * (WORKERS - 1), f"reports that may wait: {row}")
    check_eq(row["refused"], 0, f"reports refused: {row}")
    for b in getters:
        b.stop()
    wait_for(lambda: not connected(a), "no connected peer")
    known = {p["node_id"] for p in a.json("peer", "list")["peers"]}
    check_eq(known, ids, "all are remembered")


def test_removed_share_is_served_by_no_worker(lab):
    a = lab.daemon("a", config=CONFIG).start()
    link = a.share(lab.folder("root", {"x": 3 * CHUNK}))
    check_eq(a.weft("share", "remove", link).returncode, OK, "share remove")
    for i in range(8):
        b = lab.daemon(f"b{i}").start()
        done = b.weft("get", link, "--to", lab.dir / f"out{i}")
        check_eq(done.returncode, NOT_FOUND, f"get of a removed share: {done.stderr}")
        b.stop()


def fill_of(daemon, limit):
    return next(row["used"] for row in daemon.call("ShowLimits")["limits"] if row["name"] == limit)


def test_calls_and_streams_arrive_whichever_worker_has_the_session(lab):
    """Services are home's."""
    a = lab.daemon("a", config=CONFIG + "[service]\nbuiltin = echo\n").start()
    callers = []
    text = "".join(f"line {i} of many\n" for i in range(20000))

    def call(i):
        b = lab.daemon(f"b{i}").start()
        callers.append(b)
        done = b.weft("peer", "connect", fabric.node_id(a), a.json("status")["listen"][0])
        check_eq(done.returncode, OK, f"connect: {done.stderr}")
        for payload in (b"", b"short", bytes(range(256)) * 2048):
            answer = fabric.call(b, "echo", "Echo", payload, a)
            check_eq((answer["status"], answer["text"]), (fabric.DONE, ""), f"{len(payload)} bytes")
            check_eq(answer["base64"], base64.b64encode(payload).decode(), "what came back")
        answer = fabric.call(b, "absent", "Echo", b"", a)
        check_eq(answer["status"], fabric.NOT_FOUND, "a service that is not there")
        done = b.weft("service", "stream", "echo", "--provider", fabric.node_id(a), input=text)
        check_eq((done.returncode, done.stdout == text), (OK, True), f"stream: {done.stderr}")

    until_all_work(a, 8, call)
    # A client that leaves in the middle leaves nothing behind.
    left = callers[0].weft_popen("service", "stream", "echo", "--provider", fabric.node_id(a))
    left.kill()
    left.wait()
    for b in callers:
        b.stop()
    wait_for(lambda: fill_of(a, "mesh.stream_cap") == 0, "no stream is left")


def test_services_are_found_whichever_worker_has_the_session(lab):
    """The overlay is home's: what askers want of it comes by sessions of all workers, and shows it that they came."""
    a = lab.daemon("a", config=CONFIG + "[service]\nbuiltin = echo\n").start()
    node = fabric.node_id(a)

    def find(i):
        b = lab.daemon(f"b{i}", config="[service]\nbuiltin =\n").start()
        check_eq(b.weft("peer", "connect", node, a.json("status")["listen"][0]).returncode, OK, "connect")
        wait_for(lambda: node in fabric.providers(b, "echo"), f"b{i} finds it", pause=ASKING_S)
        peer, = [peer for peer in b.json("peer", "list")["peers"] if peer["node_id"] == node]
        check(i == 0 or peer["capabilities"] & CAP_DHT, f"what its HELLO said since it serves: {peer}")

    until_all_work(a, 6, find)


def test_changed_file_is_noticed_by_every_worker_that_serves_it(lab):
    a = lab.daemon("a", config=CONFIG).start()
    root = lab.folder("root", {"x": 3 * CHUNK})
    link = a.share(root)
    (root / "x").write_bytes(bytes(3 * CHUNK))
    for i in range(6):
        b = lab.daemon(f"b{i}").start()
        done = b.weft("get", link, "--to", lab.dir / f"out{i}")
        check(done.returncode != OK, "a changed file was served")
        check(not (lab.dir / f"out{i}" / "x").exists(), "wrong bytes arrived")
        b.stop()
    wait_for(lambda: a.json("share", "list")["shares"][0]["changed_files"] >= 1,
             "home counts the change")


def test_connection_keeps_its_worker_when_the_address_changes(lab):
    ns_a, ns_b = lab.veth_pair()
    a = lab.daemon("a", netns=ns_a, listen=["10.77.0.1:7000"], config=CONFIG).start()
    root = lab.folder("root", {f"{i}.bin": 40 * CHUNK for i in range(4)})
    link = a.share(root)
    for i in range(4):
        b = lab.daemon(f"b{i}", netns=ns_b, listen=["0.0.0.0:7000"]).start()
        a.limit_upload("80mbit")
        get = b.weft_popen("get", link, "--to", lab.dir / f"out{i}")
        wait_for(lambda: b.json("status")["received_bytes"] > 20 * CHUNK, "under way")
        old, new = (f"10.77.0.{2 + i}/24", f"10.77.0.{3 + i}/24")
        lab.ip(ns_b, "addr", "add", new, "dev", "veth0")
        lab.ip(ns_b, "addr", "del", old, "dev", "veth0")
        lab.ip(ns_b, "addr", "replace", new, "dev", "veth0")
        a.limit_upload("none")
        out, err = get.communicate(timeout=DEADLINE_S)
        check_eq(get.returncode, OK, f"get: {err}")
        same_tree(root, lab.dir / f"out{i}")
        b.stop()
    check(a.json("status")["counters"]["quic.migrated_cnt"] >= 1, "nothing migrated")


def test_restart_ends_and_begins_all_workers(lab):
    a = lab.daemon("a", listen=["127.0.0.1:0"], config=CONFIG).start()
    link = a.share(lab.folder("root", {"x": 100}))
    b = lab.daemon("b").start()
    fetch(lab, b, link, "out")
    check_eq(a.stop(), 0, "exit code of SIGTERM")
    a.start()
    check_eq(len(workers_of(a)), WORKERS, "workers")
    a.kill()
    a.start()
    check_eq(len(workers_of(a)), WORKERS, "workers after kill -9")


def waiting_at(port):
    """Bytes in the sockets of port that no worker has taken yet."""
    rows = (line.split() for line in pathlib.Path("/proc/net/udp").read_text().splitlines()[1:])
    return sum(int(row[4].partition(":")[2], 16) for row in rows
               if row[1].endswith(f":{int(port):04X}"))


def unvalidated_sources(daemon, packets):
    """Sends packets to daemon's first address, and returns when it has judged as many more."""
    host, _, port = daemon.json("status")["listen"][0].rpartition(":")
    before = sum(daemon.judged().values())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for i, packet in enumerate(packets):
            if i % 50 == 0:
                wait_for(lambda: not waiting_at(port), "room in the sockets")
            client.sendto(packet, (host, int(port)))
    wait_for(lambda: sum(daemon.judged().values()) >= before + len(packets), "all judged")


def long_header(kind, worker):
    """Of 1200 bytes, with an id that leads to worker: 0 is an Initial, 1 early data."""
    return bytes([0xc3 | kind << 4, 0, 0, 0, 1, 8, 0x80 | worker]).ljust(1200, b"\1")


def test_all_workers_together_admit_no_more_of_an_unvalidated_source_than_the_limit(lab):
    # So slow that no machine is as slow.
    limits = "[limits]\ninitial_rate = 10\ninitial_burst = 200\n"
    a = lab.daemon("a", config="[node]\nworkers = 2\n" + limits).start()
    began = time.monotonic()
    unvalidated_sources(a, [long_header(0, i % 2) for i in range(2000)])
    limit = 200 + 10 * (time.monotonic() - began)
    seen = a.judged()
    check(seen["initial"] <= limit, f"{seen['initial']} of a limit of {limit}")
    check(seen["initial"] >= 200, f"less than the burst: {seen['initial']}")
    # The others are asked to prove their address: none is dropped.
    check_eq(seen["initial"] + seen["retry-sent"], 2000, "Initials")


def test_a_mode_holds_at_every_worker(lab):
    a = lab.daemon("a", config=CONFIG).start()
    early = [long_header(1, worker) for worker in range(WORKERS)]
    unvalidated_sources(a, early)
    check_eq(a.judged()["early-data"], 0, "early data dropped in mode normal")
    check_eq(a.weft("xdp", "mode", "pressured").returncode, OK, "mode")
    wait_for(lambda: unvalidated_sources(a, early) or a.judged()["early-data"] >= WORKERS, "dropped")
    before = a.judged()["early-data"]
    unvalidated_sources(a, early)
    check_eq(a.judged()["early-data"], before + WORKERS, "early data dropped by every worker")


QUEUES = 4
FRAMES = 4096  # xdp.frames


def wide_pair(lab):
    """As veth_pair, and what comes to an end spreads over QUEUES queues by addresses and ports."""
    ns_a, ns_b = lab.netns("a"), lab.netns("b")
    wide = ["numrxqueues", QUEUES, "numtxqueues", QUEUES]
    run_plain(*map(str, ["ip", "link", "add", "veth0", "netns", ns_a, *wide, "type", "veth",
                         "peer", "name", "veth0", "netns", ns_b, *wide]))
    for netns, host in ((ns_a, 1), (ns_b, 2)):
        lab.ip(netns, "addr", "add", f"10.77.0.{host}/24", "dev", "veth0")
        lab.ip(netns, "link", "set", "lo", "up")
        lab.ip(netns, "link", "set", "veth0", "up")
    return ns_a, ns_b


def attach(daemon, *options):
    done = daemon.weft("xdp", "attach", "veth0", *options)
    if done.returncode != OK:
        raise Skip(f"XDP does not attach here: {done.stderr.strip()}")


def device(daemon):
    return next(iter(daemon.json("xdp", "status")["devices"]), None)


def all_frames_told(daemon):
    """Frames are counted by their workers, which report some times a second."""
    wait_for(lambda: sum(device(daemon)["frames"].values()) == QUEUES * FRAMES, "every frame has an owner")


def wide_node(lab, netns):
    """Of two workers, that dials no node: its dials are home's, whichever queue gets the answers."""
    return lab.daemon("a", netns=netns, listen=["10.77.0.1:7000"],
                      config="[node]\nworkers = 2\n[service]\nenabled = no\n").start()


def client(lab, netns, i):
    """On a port of its own, so that its datagrams come by another queue than those of others."""
    return lab.daemon(f"b{i}", netns=netns, listen=[f"0.0.0.0:{7001 + i}"]).start()


@static("addresses and ports decide the queue of a connection")
def test_each_worker_receives_from_its_own_queues(lab):
    ns_a, ns_b = wide_pair(lab)
    a = wide_node(lab, ns_a)
    attach(a)
    check_eq([(q["queue"], q["worker"]) for q in device(a)["receive"]],
             [(q, q % 2) for q in range(QUEUES)], "queues and workers")
    wait_for(lambda: [w["queues"] for w in workers_of(a)] ==
             [["veth0:0", "veth0:2"], ["veth0:1", "veth0:3"]], "queues of the workers")
    told = a.weft("status").stdout
    check("worker 0\tveth0:0 veth0:2\nworker 1\tveth0:1 veth0:3\n" in told, f"status: {told}")
    link = a.share(lab.folder("root", {"x": 8 * CHUNK}))
    cnt = until_all_work(a, 12, lambda i: serve_one(lab, client(lab, ns_b, i), link, f"out{i}"))
    received = wait_for(lambda: (q := device(a)["receive"]) and
                        all(q[w]["datagrams"] + q[w + 2]["datagrams"] > 0 for w in range(2)) and q,
                        "both workers received by AF_XDP")
    wait_for(lambda: sum(w["served_bytes"] for w in workers_of(a)) >= cnt * 8 * CHUNK, "all is served")
    for worker in workers_of(a):
        check(worker["served_bytes"] > 0, f"an idle worker: {received}")
        check_eq(worker["handed_in"], 0, "a queue's connections live with the queue's worker")
    all_frames_told(a)


def test_each_worker_sends_by_a_queue_of_its_own(lab):
    ns_a, ns_b = wide_pair(lab)
    a = wide_node(lab, ns_a)
    plan = a.json("xdp", "plan", "veth0")["plan"]["frames_bytes"]
    attach(a, "--send", "af_xdp")
    link = a.share(lab.folder("root", {"x": 40 * CHUNK}))

    def get_one(i):
        serve_one(lab, client(lab, ns_b, i), link, f"out{i}")
        same_tree(lab.dir / "root", lab.dir / f"out{i}")

    cnt = until_all_work(a, 12, get_one)
    wait_for(lambda: sum(w["served_bytes"] for w in workers_of(a)) >= cnt * 40 * CHUNK, "all is served")
    for worker in workers_of(a):
        check(worker["served_bytes"] > 0, f"an idle worker: {worker}")
        # Their sockets sent what went before the way to the clients was known, by whatever queue.
        check(worker["sent_datagrams"] < 200, f"sent by its sockets: {worker}")
    check_eq(a.json("xdp", "status")["send"]["backend"], "af_xdp", "send side")
    # What is served has yet to be sent, and is told by a later report of its worker.
    wait_for(lambda: a.json("xdp", "status")["send"]["bytes"] > cnt * 40 * CHUNK, "sent by AF_XDP")
    wait_for(lambda: sum(device(a)["frames"].values()) == (QUEUES + 2) * FRAMES, "every frame has an owner")
    check_eq(plan, QUEUES * FRAMES * 2048, "planned without sending")


@static("addresses and ports decide the queue of a connection")
def test_connection_whose_datagrams_come_by_another_workers_queue_goes_on(lab):
    ns_a, ns_b = wide_pair(lab)
    a = wide_node(lab, ns_a)
    attach(a)
    root = lab.folder("root", {f"{i}.bin": 100 * CHUNK for i in range(8)})
    b = lab.daemon("b", netns=ns_b, listen=["0.0.0.0:7001"]).start()
    a.limit_upload("160mbit")
    get = b.weft_popen("get", a.share(root), "--to", lab.dir / "out")
    host = 2
    while not sum(w["handed_in"] for w in workers_of(a)) and host < 40 and get.poll() is None:
        got = b.json("status")["received_bytes"]
        lab.ip(ns_b, "addr", "add", f"10.77.0.{host + 1}/24", "dev", "veth0")
        lab.ip(ns_b, "addr", "del", f"10.77.0.{host}/24", "dev", "veth0")
        lab.ip(ns_b, "addr", "replace", f"10.77.0.{host + 1}/24", "dev", "veth0")
        host += 1
        wait_for(lambda: b.json("status")["received_bytes"] > got + 2 * CHUNK or get.poll() is not None,
                 "the get goes on from the new address")
    a.limit_upload("none")
    out, err = get.communicate(timeout=DEADLINE_S)
    check_eq(get.returncode, OK, f"get: {err}")
    same_tree(root, lab.dir / "out")
    wait_for(lambda: sum(w["handed_in"] for w in workers_of(a)), "datagrams were handed over")
    check(a.json("status")["counters"]["quic.migrated_cnt"] >= 1, "nothing migrated")


def test_devices_come_and_go_under_the_gets_of_all_workers(lab):
    ns_a, ns_b = wide_pair(lab)
    a = wide_node(lab, ns_a)
    root = lab.folder("root", {f"{i}.bin": 100 * CHUNK for i in range(8)})
    link = a.share(root)
    a.limit_upload("320mbit")
    gets = [b.weft_popen("get", link, "--to", lab.dir / f"out{i}")
            for i, b in enumerate(client(lab, ns_b, i) for i in range(4))]
    wait_for(lambda: a.json("status")["sessions"] == 4, "4 sessions")
    changes = 0
    while any(get.poll() is None for get in gets) and changes < 8:
        attach(a)
        wait_for(lambda: sum(q["datagrams"] for q in device(a)["receive"]) > 1000 or
                 all(get.poll() is not None for get in gets), "datagrams come by AF_XDP")
        a.weft("xdp", "mode", ("pressured", "flood", "auto")[changes % 3])
        all_frames_told(a)
        check_eq(a.weft("xdp", "detach", "veth0").returncode, OK, "detach")
        check_eq(device(a), None, "devices")
        changes += 1
    a.limit_upload("none")
    for i, get in enumerate(gets):
        out, err = get.communicate(timeout=DEADLINE_S)
        check_eq(get.returncode, OK, f"get: {err}")
        same_tree(root, lab.dir / f"out{i}")
    check(changes >= 1, "the gets were over before the device was detached")
    status = a.json("status")
    check_eq(status["counters"]["quic.accepted_cnt"], 4, "connections")
    check_eq([w["queues"] for w in status["workers"]], [[], []], "queues after the last detach")


def test_killed_with_queues_at_all_workers_it_leaves_nothing(lab):
    ns_a, _ = wide_pair(lab)
    a = wide_node(lab, ns_a)
    attach(a)
    a.kill()
    wait_for(lambda: "prog/xdp" not in lab.ip(ns_a, "-d", "link", "show", "dev", "veth0").stdout,
             "the program is gone")
    a.start()
    attach(a)
    check_eq(a.stop(), 0, "exit code of SIGTERM")
    check("prog/xdp" not in lab.ip(ns_a, "-d", "link", "show", "dev", "veth0").stdout, "the program is gone")


def test_unvalidated_sources_prove_their_address_to_every_worker_when_pressured(lab):
    a = lab.daemon("a", config="[node]\nworkers = 2\n[service]\nenabled = no\n").start()
    link = a.share(lab.folder("root", {"x": 100}))
    check_eq(a.weft("xdp", "mode", "pressured").returncode, OK, "mode")
    early = [long_header(1, 1)]
    wait_for(lambda: unvalidated_sources(a, early) or a.judged()["early-data"], "worker 1 knows of the mode")
    cnt = until_all_work(a, 8, lambda i: fetch(lab, lab.daemon(f"b{i}").start(), link, f"out{i}"))
    wait_for(lambda: a.json("status")["sessions"] == cnt, f"{cnt} sessions")
    counters = a.json("status")["counters"]
    check_eq(counters["quic.bad_token_cnt"], 0, "bad tokens")
    # A client that had to wait for its turn says its first word twice.
    seen = a.judged()
    for name, each in (("Retries", counters["quic.retry_sent_cnt"]), ("sent", seen["retry-sent"]),
                       ("answered", seen["retried"])):
        check(each >= cnt, f"{name}: {each} for {cnt} sessions")


def test_only_home_keeps_what_attaching_takes(lab):
    """A thread has its maker's capabilities, and root's has all: only the main thread attaches."""
    need_root()
    a = lab.daemon("a", config=CONFIG).start()
    used = 1 << 39 | 1 << 38 | 1 << 12 | 1 << 13  # CAP_BPF, _PERFMON, _NET_ADMIN, _NET_RAW
    tasks = pathlib.Path(f"/proc/{a.pid()}/task")
    others = [task for task in tasks.iterdir() if task.name != str(a.pid())]
    check(len(others) >= WORKERS - 1, f"threads: {others}")
    for task in others:
        for line in re.findall(r"^Cap(?:Eff|Prm|Inh):\t([0-9a-f]+)$", (task / "status").read_text(), re.M):
            check_eq(int(line, 16) & used, 0, f"capabilities of a thread: {line}")


run([test_every_worker_serves_some_of_many_getters,
     test_sessions_of_all_workers_are_peers_of_the_node,
     test_removed_share_is_served_by_no_worker,
     test_calls_and_streams_arrive_whichever_worker_has_the_session,
     test_services_are_found_whichever_worker_has_the_session,
     test_changed_file_is_noticed_by_every_worker_that_serves_it,
     test_connection_keeps_its_worker_when_the_address_changes,
     test_restart_ends_and_begins_all_workers,
     test_all_workers_together_admit_no_more_of_an_unvalidated_source_than_the_limit,
     test_a_mode_holds_at_every_worker,
     test_unvalidated_sources_prove_their_address_to_every_worker_when_pressured,
     test_each_worker_receives_from_its_own_queues,
     test_each_worker_sends_by_a_queue_of_its_own,
     test_connection_whose_datagrams_come_by_another_workers_queue_goes_on,
     test_devices_come_and_go_under_the_gets_of_all_workers,
     test_killed_with_queues_at_all_workers_it_leaves_nothing,
     test_only_home_keeps_what_attaching_takes])
