#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rows, overlay values and counters of programs: declared, bounded, shared, and kept over kill -9."""
import base64
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from client_library import ROOT, installed
from endpoint import Line, node_id, pair
from lab import ASKING_S, DEADLINE_S, OK, check, check_eq, need_root, run, wait_for
from web import GATEWAY, curl, url_of

FULL, ABSENT, TOO_LARGE, REFUSED, BUSY = -1000, -1002, -1004, -1008, -1015
OPERATE_GID, OTHER_UID = 4003, 65534


def said(daemon, method, **parameters):
    return Line(daemon).ask(method, **parameters).reply()[0]


def code(told):
    return told["parameters"]["code"] if "error" in told else 0


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def listening(lab, name):
    """A socket on which a program would answer; nothing is asked of it here."""
    path = lab.dir / f"{name}.sock"
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock, str(path)


def published(lab, daemon, name, **capabilities):
    sock, path = listening(lab, f"{daemon.name}-{name}")
    told = said(daemon, "PublishService", name=name, socket=path, **capabilities)
    check_eq(code(told), 0, told)
    return sock, path


def put(daemon, name, **rows):
    changes = [{"key": b64(key), **({} if value is None else {"value": b64(value)})}
               for key, value in rows.items()]
    return said(daemon, "WriteServiceRows", name=name, changes=changes)


def rows_of(daemon, name, **more):
    told = said(daemon, "ReadServiceRows", name=name, **more)
    check_eq(code(told), 0, told)
    return {base64.b64decode(row["key"]).decode(): base64.b64decode(row["value"]).decode()
            for row in told["rows"]}


def limits(daemon):
    return {row["name"]: row for row in daemon.json("limits", "show")["limits"]}


def capabilities(daemon, name):
    return next(row for row in daemon.json("service", "list")["offers"]
                if row["name"] == name)["capabilities"]


def test_what_is_not_declared_is_refused_and_named(lab):
    a = lab.daemon("a").start()
    published(lab, a, "counts", counters=["seen"])
    published(lab, a, "plain")
    tries = {
        "rows": [("WriteServiceRows", {"changes": [{"key": b64("a"), "value": b64("1")}]}),
                 ("ReadServiceRow", {"key": b64("a")}), ("ReadServiceRows", {})],
        "tags": [("PutServiceValue", {"tag": "open", "key": b64("a"), "value": b64("1")}),
                 ("GetServiceValues", {"tag": "open", "key": b64("a")})],
        "counters": [("AddServiceCounts", {"counts": [{"counter": "other", "count": 1}]})],
    }
    cnt = 0
    for what, calls in tries.items():
        for method, parameters in calls:
            told = said(a, method, name="counts", **parameters)
            check_eq((code(told), told["parameters"]["what"]), (REFUSED, what), f"{method}: {told}")
            check(what in told["parameters"]["why"] and "counts" in told["parameters"]["why"], told)
            check_eq(code(said(a, method, name="plain", **parameters)), REFUSED, "none declared")
            check_eq(code(said(a, method, name="none", **parameters)), ABSENT, "not offered")
            cnt += 1
    check_eq(capabilities(a, "counts")["refused"], cnt, "each is counted")
    check_eq(code(said(a, "AddServiceCounts", name="counts", counts=[{"counter": "seen", "count": 2}])),
             0, "the declared one counts")
    check_eq(capabilities(a, "counts")["counters"], [{"counter": "seen", "count": 2}], "shown")
    check("seen" in a.weft("service", "show", "counts").stdout, "also to people")


def test_one_more_than_declared_is_refused(lab):
    a = lab.daemon("a").start()
    published(lab, a, "few", rows=3, row_bytes=30)
    for key in "abc":
        check_eq(put(a, "few", **{key: "1"}), {}, key)
    check_eq(code(put(a, "few", d="1")), FULL, "a fourth row")
    check_eq(code(put(a, "few", c="x" * 26)), FULL, "a byte more")
    check_eq(put(a, "few", c="x" * 25), {}, "as many as declared")
    check_eq(code(put(a, "few", a=None, b=None, d="xx", e="")), 0, "rows make room for others")
    check_eq(rows_of(a, "few"), {"c": "x" * 25, "d": "xx", "e": ""}, "what is there")
    fills = limits(a)
    check_eq((fills["few: rows"]["used"], fills["few: rows"]["limit"]), (3, 3), "rows in limits")
    check_eq((fills["few: bytes of rows"]["used"], fills["few: bytes of rows"]["limit"]),
             (30, 30), "bytes in limits")
    published(lab, a, "large", rows=10, row_bytes=1 << 20)
    value = "v" * (256 * 1024)
    check_eq(put(a, "large", a=value), {}, "the longest value")
    check_eq(code(put(a, "large", b=value + "v")), TOO_LARGE, "a byte more")
    check_eq(code(put(a, "large", **{"k" * 255: ""})), 0, "the longest key")
    check_eq(code(put(a, "large", **{"k" * 256: ""})), TOO_LARGE, "a byte more")
    told = said(a, "WriteServiceRows", name="large", changes=[])
    check("error" in told, "no change")
    told = said(a, "WriteServiceRows", name="large", changes=[{"key": "?", "value": ""}])
    check("error" in told, f"no base64: {told}")
    check_eq(len(base64.b64decode(said(a, "ReadServiceRow", name="large", key=b64("a"))["value"])),
             len(value), "read whole")
    check("value" not in said(a, "ReadServiceRow", name="large", key=b64("none")), "none")


def test_rows_come_in_order_and_in_parts(lab):
    a = lab.daemon("a").start()
    published(lab, a, "many", rows=1000, row_bytes=1 << 20)
    names = [f"k{number:03}" for number in range(250)]
    check_eq(put(a, "many", other="x", **{name: name for name in names}), {}, "at once")
    got, after = {}, None
    while True:
        told = said(a, "ReadServiceRows", name="many", prefix=b64("k"), count=100,
                    **({"after": after} if after else {}))
        got.update({base64.b64decode(row["key"]).decode(): 1 for row in told["rows"]})
        if not told["more"]:
            break
        check_eq(len(told["rows"]), 100, "a part")
        after = told["rows"][-1]["key"]
    check_eq(list(got), names, "all, in order")
    for wrong in ({"count": 0}, {"count": 1001}, {"prefix": b64("k"), "after": b64("a")}):
        check("error" in said(a, "ReadServiceRows", name="many", **wrong), wrong)


def test_acknowledged_rows_survive_kill_9_of_the_daemon(lab):
    a = lab.daemon("a").start()
    published(lab, a, "log", rows=100000, row_bytes=10 << 20)
    acknowledged = []

    def write():
        line = Line(a)
        try:
            for number in range(100000):
                changes = [{"key": b64(f"{half}{number:06}"), "value": b64(f"{number}")} for half in "xy"]
                if line.ask("WriteServiceRows", name="log", changes=changes).reply()[0] != {}:
                    return
                acknowledged.append(number)
        except Exception:  # pylint: disable=broad-except
            return  # the daemon is gone, at some byte

    writer = threading.Thread(target=write)
    writer.start()
    wait_for(lambda: len(acknowledged) > 50, "it writes")
    a.kill()
    writer.join(DEADLINE_S)
    a.start()
    kept, after = {}, None
    while True:
        told = said(a, "ReadServiceRows", name="log", count=1000, **({"after": after} if after else {}))
        for row in told["rows"]:
            kept[base64.b64decode(row["key"]).decode()] = base64.b64decode(row["value"]).decode()
        if not told["more"]:
            break
        after = told["rows"][-1]["key"]
    for number in acknowledged:
        for half in "xy":
            check_eq(kept.get(f"{half}{number:06}"), f"{number}", "acknowledged before the kill")
    check_eq({key[1:] for key in kept if key[0] == "x"}, {key[1:] for key in kept if key[0] == "y"},
             "each write is there whole, or not at all")
    check_eq(capabilities(a, "log")["rows"], len(kept), "counted again")
    print(f"# {len(acknowledged)} writes were acknowledged, {len(kept) // 2} are there")


def test_two_programs_share_the_pool(lab):
    a = lab.daemon("a", config="[service]\nrows = 60\n").start()
    for name in ("greedy", "modest"):
        published(lab, a, name, rows=1000, row_bytes=1 << 20)

    def filled(name):
        cnt = 0
        while (told := put(a, name, **{f"k{cnt}": "v"})) == {}:
            cnt += 1
        check_eq(code(told), BUSY, told)
        check("share" in told["parameters"]["why"], told)
        return cnt

    check_eq(filled("greedy"), 30, "alone, a program holds half")
    check_eq(filled("modest"), 15, "the other one still finds half of the rest")
    check_eq(limits(a)["service.rows"]["used"], 45, "of the pool")
    check_eq(put(a, "greedy", **{f"k{number}": None for number in range(10)}), {}, "it gives back")
    check_eq(code(put(a, "modest", more="v")), 0, "which the other one may have")
    # In turn, both get the same.
    b = lab.daemon("b", config="[service]\nrows = 60\n").start()
    for name in ("first", "second"):
        published(lab, b, name, rows=1000, row_bytes=1 << 20)
    cnts = {"first": 0, "second": 0}
    for number in range(60):
        for name in cnts:
            cnts[name] += put(b, name, **{f"k{number}": "v"}) == {}
    check_eq(cnts, {"first": 20, "second": 20}, "shares")


# One call as another user: parameters come as argument, the reply goes out.
CALLER = """
import os, socket, sys
os.setgroups([int(sys.argv[1])]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[2]))
client = socket.socket(socket.AF_UNIX); client.settimeout(20); client.connect(sys.argv[3])
client.sendall(sys.argv[4].encode() + b"\\0")
text = b""
while not text.endswith(b"\\0"):
    text += client.recv(65536)
sys.stdout.buffer.write(text[:-1])
"""


def as_other(daemon, method, **parameters):
    request = {"method": f"net.weft.Services.{method}", "parameters": parameters}
    text = subprocess.run([sys.executable, "-c", CALLER, str(OPERATE_GID), str(OTHER_UID),
                           str(daemon.sock), json.dumps(request)], capture_output=True, check=True).stdout
    reply = json.loads(text)
    return reply if "error" in reply else reply["parameters"]


def test_rows_belong_to_the_user_that_published(lab):
    need_root()
    lab.dir.chmod(0o755)
    a = lab.daemon("a", config=f"[control]\noperate_group = {OPERATE_GID}\n").start()
    _, path = published(lab, a, "diary", rows=10, row_bytes=1000)
    os.chmod(path, 0o777)
    check_eq(put(a, "diary", a="secret"), {}, "by root")
    change = [{"key": b64("b"), "value": b64("1")}]
    for method, more in (("WriteServiceRows", {"changes": change}), ("ReadServiceRow", {"key": b64("a")}),
                         ("ReadServiceRows", {})):
        told = as_other(a, method, name="diary", **more)
        check_eq(code(told), REFUSED, f"{method} of another user: {told}")
        check("another user" in told["parameters"]["why"], told)
    check_eq(code(as_other(a, "ForgetServiceRows", name="diary")), ABSENT, "nor are they there to forget")
    check_eq(a.weft("service", "withdraw", "diary").returncode, OK, "withdraw")
    told = as_other(a, "PublishService", name="diary", socket=path, rows=10, row_bytes=1000)
    check_eq(code(told), 0, told)
    check("value" not in as_other(a, "ReadServiceRow", name="diary", key=b64("a")), "its own rows alone")
    check_eq(as_other(a, "WriteServiceRows", name="diary", changes=change), {}, "which it has")
    check_eq(put(a, "diary", c="of root"), {}, "an administrator may use them, too")
    stored = {(row["name"], row["user"]): row for row in a.call("ListStoredRows")["stored"]}
    check_eq(sorted(stored), [("diary", 0), ("diary", OTHER_UID)], "both are kept")
    check_eq([stored["diary", user]["offered"] for user in (0, OTHER_UID)], [False, True], "offered")
    check_eq(code(as_other(a, "ForgetServiceRows", name="diary", user=0)), REFUSED, "of another user")
    check_eq(code(as_other(a, "ForgetServiceRows", name="diary")), REFUSED, "while it is offered")
    check_eq(as_other(a, "WithdrawService", name="diary"), {}, "withdraw")
    check_eq(as_other(a, "ForgetServiceRows", name="diary"), {"rows": 2}, "its own")
    done = a.weft("service", "forget", "diary", "--user", "0")
    check_eq((done.returncode, done.stdout.strip()), (OK, "1"), done.stderr)
    check_eq(a.call("ListStoredRows")["stored"], [], "nothing is left")


def test_many_rows_are_forgotten_in_parts(lab):
    a = lab.daemon("a").start()
    published(lab, a, "old", rows=5000, row_bytes=1 << 20)
    for part in range(3):
        check_eq(put(a, "old", **{f"k{part}-{number}": "v" for number in range(700)}), {}, "written")
    check_eq(a.weft("service", "withdraw", "old").returncode, OK, "withdraw")
    rows = a.weft("service", "rows")
    check("old" in rows.stdout and "2100" in rows.stdout, rows.stdout)
    check_eq(said(a, "ForgetServiceRows", name="old"), {"rows": 2100}, "all of them")
    check_eq(limits(a)["service.rows"]["used"], 0, "the room is free")


def test_of_several_versions_one_is_named_to_be_forgotten(lab):
    a = lab.daemon("a").start()
    _, path = listening(lab, "old")
    for version in ("1.0.0", "2.0.0"):
        done = said(a, "PublishService", name="old", socket=path, rows=10, row_bytes=1000, version=version)
        check_eq(code(done), 0, done)
        check_eq(said(a, "WriteServiceRows", name="old", version=version,
                      changes=[{"key": b64("k"), "value": b64("v")}]), {}, version)
    check_eq(a.weft("service", "withdraw", "old", "--version", "1.0.0").returncode, OK, "one is at rest")
    done = a.weft("service", "forget", "old")
    check(done.returncode != OK and "several versions" in done.stderr and "--version" in done.stderr,
          done.stderr)
    done = a.weft("service", "forget", "old", "--version", "2.0.0")
    check(done.returncode != OK and "withdraw it first" in done.stderr, done.stderr)
    done = a.weft("service", "forget", "old", "--version", "1.0.0")
    check_eq((done.returncode, done.stdout.strip()), (OK, "1"), done.stderr)
    check_eq([row["major"] for row in a.call("ListStoredRows")["stored"]], [2], "the other one is left")


def test_a_program_keeps_its_rows_over_kill_9_of_both(lab):
    env = {**os.environ, **installed(lab)}
    a = lab.daemon("a", config=GATEWAY).start()
    env["WEFT_SOCKET"] = str(a.sock)
    libs = subprocess.run(["pkg-config", "--cflags", "--libs", "weft"], env=env, check=True,
                          capture_output=True, text=True).stdout.split()
    tally = str(lab.dir / "tally")
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", str(ROOT / "docs/examples/tally.c"), *libs,
                    "-o", tally], env=env, check=True)

    def started():
        program = subprocess.Popen([tally, str(lab.dir / "tally.sock")], env=env)
        lab.processes.append(program)
        return program

    def added():
        return a.weft("service", "call", "tally", "Add", "").stdout.strip()

    program = started()
    wait_for(lambda: added() == "1", "it is offered")
    check_eq([added() for _ in range(3)], ["2", "3", "4"], "it counts by caller")
    check_eq(list(rows_of(a, "tally")), [node_id(a)], "the caller's key is the row's")
    program.kill()
    program.wait()
    program = started()
    wait_for(lambda: added() == "5", "a killed program goes on")
    check_eq({count["counter"]: count["count"] for count in capabilities(a, "tally")["counters"]},
             {"added": 5}, "the offer has counted on")
    check('weft_service_counter_total{service="tally",major="1",counter="added"} 5'
          in curl(f"{url_of(a)}/metrics")[2].decode(), "and in the metrics")
    a.kill()
    a.start()
    wait_for(lambda: added() == "6", "so does a killed daemon's")
    program.send_signal(signal.SIGTERM)
    check_eq(program.wait(DEADLINE_S), 0, "it ends by itself")
    check_eq(a.json("service", "rows")["stored"][0]["rows"], 1, "its rows outlive the offer")
    started()
    wait_for(lambda: added() == "7", "and are those of the next one")


def test_values_of_a_program_reach_other_nodes(lab):
    config = "[overlay]\nserve = on\n"
    a, b, node = pair(lab, config, second=config)
    wait_for(lambda: b.json("overlay", "status")["overlay"]["good"] == 1, "b knows a")
    for daemon in (a, b):
        published(lab, daemon, "chess", tags=["open"])
    put_told = said(a, "PutServiceValue", name="chess", tag="open", key=b64("42"), value=b64("e4"))
    check_eq(code(put_told), 0, put_told)
    check(put_told["nodes"] >= 1, put_told)

    def got(daemon):
        told = said(daemon, "GetServiceValues", name="chess", tag="open", key=b64("42"))
        check_eq(code(told), 0, told)
        return {row["node"]: base64.b64decode(row["value"]).decode() for row in told["values"]}

    wait_for(lambda: got(b) == {node: "e4"}, "b gets it", pause=ASKING_S)
    told = said(b, "PutServiceValue", name="chess", tag="open", key=b64("42"), value=b64("c5"), life_s=60)
    check_eq(code(told), 0, told)
    wait_for(lambda: got(a) == {node: "e4", node_id(b): "c5"}, "each node has one", pause=ASKING_S)
    said(a, "PutServiceValue", name="chess", tag="open", key=b64("42"), value=b64("d4"))
    wait_for(lambda: got(b)[node] == "d4", "the newest counts", pause=ASKING_S)
    for wrong, want in (({"value": b64("x" * 4096)}, 0), ({"value": b64("x" * 4097)}, TOO_LARGE),
                        ({"key": b64("k" * 128)}, 0), ({"key": b64("k" * 129)}, TOO_LARGE),
                        ({"key": ""}, TOO_LARGE), ({"tag": "closed"}, REFUSED)):
        asked = {"tag": "open", "key": b64("edge"), "value": b64("v"), **wrong}
        check_eq(code(said(a, "PutServiceValue", name="chess", **asked)), want, list(wrong))
    for life in (59, 604801):
        told = said(a, "PutServiceValue", name="chess", tag="open", key=b64("k"), value=b64("v"), life_s=life)
        check("error" in told, f"{life} s")


def test_a_get_ends_with_its_caller_and_with_its_service(lab):
    config = "[overlay]\nserve = on\n"
    a, b, _ = pair(lab, config, second=config)
    wait_for(lambda: a.json("overlay", "status")["overlay"]["good"] == 1, "a knows b")
    published(lab, a, "chess", tags=["open"])
    os.kill(b.pid(), signal.SIGSTOP)  # so that nothing answers for a while
    try:
        asked = {"name": "chess", "tag": "open", "key": b64("42")}
        line = Line(a).ask("GetServiceValues", **asked)
        wait_for(lambda: limits(a)["overlay runs of programs"]["used"] == 1, "it is under way")
        line.close()
        wait_for(lambda: limits(a)["overlay runs of programs"]["used"] == 0, "its caller left")
        line = Line(a).ask("GetServiceValues", **asked)
        wait_for(lambda: capabilities(a, "chess")["runs"] == 1, "another one")
        check_eq(a.weft("service", "withdraw", "chess").returncode, OK, "withdraw")
        told = line.reply()[0]
        check("withdrawn" in str(told), f"its service left: {told}")
        check_eq(limits(a)["overlay runs of programs"]["used"], 0, "nothing is left")
    finally:
        os.kill(b.pid(), signal.SIGCONT)


def test_a_node_alone_says_that_no_node_can_be_asked(lab):
    a = lab.daemon("a").start()
    published(lab, a, "chess", tags=["open"])
    told = said(a, "PutServiceValue", name="chess", tag="open", key=b64("k"), value=b64("v"))
    check("error" in told and "overlay" in str(told), told)


def test_a_program_of_exec_can_declare_nothing(lab):
    a = lab.daemon("a").start()
    told = said(a, "PublishService", name="once", exec=["/bin/cat"], rows=1, row_bytes=1)
    check("error" in told and "control socket" in told["parameters"]["why"], told)
    told = said(a, "PublishService", name="half", socket="/run/x", rows=1)
    check("error" in told and "bound" in told["parameters"]["why"], told)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
