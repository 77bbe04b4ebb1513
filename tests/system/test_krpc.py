#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same datagrams to weftd and to a DHT node of libtorrent's: both answer alike,
but where docs/wire/krpc.md says that they do not."""
import hashlib
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import check, check_eq, run
from swarm import Swarm

ID = b"abcdefghij0123456789"
PLACE = b"mnopqrstuvwxyz123456"
SEED = b"\x05" * 32


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


class Node:
    """One of the two, and a socket to ask it by."""

    def __init__(self, name, port):
        self.name = name
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.connect(("127.0.0.1", port))

    def receive(self, timeout):
        """An answer, its bytes beside it; None: silence. What it asks of us is not answered."""
        import libtorrent  # pylint: disable=import-outside-toplevel

        self.socket.settimeout(timeout)
        try:
            while True:
                raw = self.socket.recv(4096)
                message = libtorrent.bdecode(raw)
                if message[b"y"] != b"q":
                    return {**message, "raw": raw}
        except TimeoutError:
            return None

    def send(self, datagram):
        """The answer; None: there is none, though a ping that was sent after it is answered."""
        self.socket.send(datagram)
        answer = self.receive(0.5)
        if answer:
            return answer
        self.socket.send(bencode({"t": "zz", "y": "q", "q": "ping", "a": {"id": ID}}))
        answer = self.receive(20)
        check(answer, f"{self.name} answers nothing any more")
        if answer[b"t"] == b"zz":
            return None
        check_eq(self.receive(20)[b"t"], b"zz", f"{self.name}: the late answer's ping")
        return answer

    def ask(self, method, arguments=None, **top):
        return self.send(bencode({"t": "aa", "y": "q", "q": method,
                                  "a": {"id": ID, **(arguments or {})}, **top}))

    def token(self, target=PLACE):
        return self.ask("get", {"target": target})[b"r"][b"token"]

    def put(self, value, **arguments):
        if "k" in arguments:
            target = hashlib.sha1(arguments["k"] + arguments.get("salt", b"")).digest()
        else:
            target = hashlib.sha1(bencode(value)).digest()
        return self.ask("put", {"v": value, "token": self.token(target), **arguments})


def both(lab):
    swarm = Swarm(lab, count=1)
    daemon = lab.daemon("a", config="[dht]\nprivate = yes\n").start()
    address = daemon.json("status")["listen"][0]
    return Node("libtorrent", swarm.port), Node("weftd", int(address.rsplit(":", 1)[1]))


def code(answer):
    """0 for a reply, else the error's code; None: silence."""
    if answer is None:
        return None
    return answer[b"e"][0] if answer[b"y"] == b"e" else 0


def signed(value, seq, salt=b"", **more):
    from nacl.signing import SigningKey  # pylint: disable=import-outside-toplevel

    key = SigningKey(SEED)
    covered = (b"4:salt" + bencode(salt) if salt else b"") + b"3:seqi%de1:v" % seq + bencode(value)
    arguments = {"k": bytes(key.verify_key), "seq": seq, "sig": key.sign(covered).signature, **more}
    if salt:
        arguments["salt"] = salt
    return arguments


def test_replies_have_the_same_keys(lab):
    rows = [("ping", {}), ("find_node", {"target": PLACE}), ("get", {"target": PLACE}),
            ("get_peers", {"info_hash": PLACE}), ("sample_infohashes", {"target": PLACE}),
            ("novel", {"target": PLACE}), ("novel", {"info_hash": PLACE})]
    theirs, ours = both(lab)
    for method, arguments in rows:
        a, b = (node.ask(method, arguments) for node in (theirs, ours))
        check_eq(set(b[b"r"]), set(a[b"r"]) - {b"p"}, f"values of {method}")
        check_eq({key for key in b if key != "raw"}, {b"ip", b"r", b"t", b"y"}, f"keys of {method}")
        for node, answer in ((theirs, a), (ours, b)):
            port = node.socket.getsockname()[1]
            check_eq(answer[b"ip"], b"\x7f\0\0\1" + port.to_bytes(2, "big"), f"{node.name}: ip")
            check_eq(answer[b"t"], b"aa", f"{node.name}: t")
    check_eq(ours.ask("sample_infohashes", {"target": PLACE})[b"r"][b"interval"], 21600, "interval")


def test_refusals_have_the_same_codes(lab):
    """Rows as (what, what both say) or (what, what libtorrent says, what we say)."""
    short = {"id": ID[:19]}
    rows = [
        (lambda node: node.ask("ping"), 0),
        (lambda node: node.ask("ping", ro=1), 0),
        (lambda node: node.send(bencode({"t": "aa", "y": "q", "q": "ping", "a": {}})), 203),
        (lambda node: node.send(bencode({"t": "aa", "y": "q", "q": "ping", "a": short})), 203),
        (lambda node: node.ask("find_node"), 203),
        (lambda node: node.ask("find_node", {"target": PLACE[:19]}), 203),
        (lambda node: node.ask("get_peers"), 203),
        (lambda node: node.ask("novel"), 203, 204),
        (lambda node: node.ask("announce_peer", {"info_hash": PLACE, "port": 1, "token": "xxxx"}),
         203),
        (lambda node: node.ask("announce_peer", {"info_hash": PLACE, "token": node.token()}), 203),
        (lambda node: node.ask("put", {"v": "x", "token": "xxxx"}), 203),
        (lambda node: node.put(b"x" * 996), 0),
        (lambda node: node.put(b"x" * 997), 205),
        (lambda node: node.put("x", **signed("x", 1, b"s" * 64)), 0),
        (lambda node: node.put("x", **signed("x", 1, b"s" * 65)), 207),
        (lambda node: node.put("x", **signed("y", 1)), 206),
        (lambda node: node.put("x", **signed("x", -1)), 203),
        (lambda node: node.put("x", **signed("x", 5)), 0),
        (lambda node: node.put("x", **signed("x", 4)), 302),
        (lambda node: node.put("y", **signed("y", 5)), 0),
        (lambda node: node.put("x", **signed("x", 6, cas=4)), 301),
        (lambda node: node.put("x", **signed("x", 3, cas=2)), 301),
        (lambda node: node.put("x", **signed("x", 4, cas=5)), 302),
        (lambda node: node.put("x", **signed("x", 6, cas=5)), 0),
        (lambda node: node.send(bencode({"t": "aa", "y": "q", "q": "ping", "a": {"id": ID}}) + b"x"),
         None),
        (lambda node: node.send(b"d1:ad2:id20:" + ID + b"e1:y1:q1:q4:ping1:t2:aae"), 0, None),
    ]
    theirs, ours = both(lab)
    for i, (query, *want) in enumerate(rows):
        check_eq([code(query(theirs)), code(query(ours))], [want[0], want[-1]], f"row {i}")


def announce(node, **arguments):
    query = {"info_hash": PLACE, "token": node.ask("get_peers", {"info_hash": PLACE})[b"r"][b"token"]}
    return code(node.ask("announce_peer", {**query, **arguments}))


def test_announces_are_refused_alike_but_for_port_0(lab):
    theirs, ours = both(lab)
    for port, want in ((65535, 0), (65536, 203), (1, 0)):
        check_eq([announce(node, port=port) for node in (theirs, ours)], [want, want], f"port {port}")
    check_eq([announce(node, port=0) for node in (theirs, ours)], [0, 203], "port 0")
    check_eq([announce(node, port=0, implied_port=1) for node in (theirs, ours)], [0, 0], "implied")
    for node in (theirs, ours):
        values = node.ask("get_peers", {"info_hash": PLACE})[b"r"][b"values"]
        port = node.socket.getsockname()[1].to_bytes(2, "big")
        check(b"\x7f\0\0\1" + port in values, f"{node.name}: {values}")


def test_items_are_given_back_alike(lab):
    theirs, ours = both(lab)
    arguments = signed("hello", 7, b"salt")
    target = hashlib.sha1(arguments["k"] + b"salt").digest()
    want = {b"v": b"hello", b"seq": 7, b"k": arguments["k"], b"sig": arguments["sig"]}
    for node in (theirs, ours):
        check_eq(code(node.put("hello", **arguments)), 0, f"{node.name} takes it")
        for seq in (None, 6, 7, 8):
            asked = {"target": target} if seq is None else {"target": target, "seq": seq}
            values = node.ask("get", asked)[b"r"]
            told = want if seq is None or seq < 7 else {b"seq": 7}
            check_eq({key: values[key] for key in (b"v", b"seq", b"k", b"sig") if key in values},
                     told, f"{node.name}: get with seq {seq}")
        check_eq(code(node.put("hello")), 0, f"{node.name} takes one without key")
        values = node.ask("get", {"target": hashlib.sha1(bencode("hello")).digest()})[b"r"]
        check_eq(values[b"v"], b"hello", f"{node.name} gives it back")
        check(not {b"k", b"sig", b"seq"} & set(values), f"{node.name}: {values}")


def test_an_unvalidated_source_gets_five_times_its_query_and_no_more(lab):
    """libtorrent gives 1,000 bytes for 86: what we do not."""
    theirs, ours = both(lab)
    value = b"x" * 996
    target = hashlib.sha1(bencode(value)).digest()
    for node in (theirs, ours):
        check_eq(code(node.put(value)), 0, f"{node.name} takes it")
    # Another address of this machine, not validated by any node.
    for node, is_generous in ((theirs, True), (ours, False)):
        source = Node(node.name, node.socket.getpeername()[1])
        source.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        source.socket.bind(("127.0.0.9", 0))
        source.socket.connect(node.socket.getpeername())
        answer = source.ask("get", {"target": target})
        check_eq(b"v" in answer[b"r"], is_generous, f"{node.name} gives it to an unvalidated source")
        check(is_generous or len(answer["raw"]) <= 5 * 86, f"{len(answer['raw'])} bytes")
        answer = source.ask("get", {"pad": b"\0" * 180, "target": target})
        check_eq(answer[b"r"][b"v"], value, f"{node.name}: for a longer question")


def test_a_writer_refused_by_a_full_store_learns_which_pool(lab):
    """KRPC has no word for it, so the refused peer's operator asks: weft why."""
    a = lab.daemon("a", config="[dht]\nitem_cap = 16\npeer_subnet_max = 1\nprivate = yes\n").start()
    ours = Node("weftd", int(a.json("status")["listen"][0].rsplit(":", 1)[1]))
    refused = [code(ours.put(f"value {i}")) for i in range(60)].count(202)
    check(refused > 0, "a full store refuses")
    query = {"port": 6881, "token": ours.token()}
    check_eq([code(ours.ask("announce_peer", {**query, "info_hash": bytes([i]) * 20}))
              for i in range(2)], [0, 202], "the second peer of a subnet")
    told = {row["pool"]: row for row in a.json("why", "127.0.0.1")["refusals"]}
    check_eq({pool: row["times"] for pool, row in told.items()},
             {"dht.item_cap": refused, "dht.peer_subnet_max": 1}, "refusals by pool")
    check("refusal\tdht.item_cap\t127.0.0.1\t" in a.weft("why", "127.0.0.1").stdout, "in words")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
