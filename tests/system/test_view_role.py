#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A member of control.view_group sees nothing that opens content. No method, event or gateway of
the role view shows a link, or a whole id or key of a share, collection, file or community.

All methods of the interface are called as a viewer, so a new one is covered as it comes."""
import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, Skip, check, check_eq, full_name, run, wait_for
from web import GATEWAY, url_of

INTERFACE = pathlib.Path(__file__).parents[2] / "include" / "varlink"
VIEW_GID, NOBODY = 4002, 65534
# One call as another user: parameters come as argument, replies go out as they come.
CALLER = """
import json, os, socket, sys, time
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[2]))
client = socket.socket(socket.AF_UNIX); client.settimeout(5); client.connect(sys.argv[3])
client.sendall(sys.argv[4].encode() + b"\\0")
text = b""
try:
    end = time.monotonic() + 5  # of what goes on for ever
    while time.monotonic() < end:
        piece = client.recv(65536)
        text += piece
        if not piece or text.endswith(b"\\0") and b'"continues":true' not in text:
            break
except TimeoutError:
    pass
sys.stdout.buffer.write(text)
"""
# An id of 52 letters in one of these fields is a node's.
NODES = re.compile(rb'"(?:node_id|node|peer)":"[a-z0-9]{52}"')
WHOLE_ID = re.compile(rb"(?<![a-z0-9])[ybndrfg8ejkmcpqxot1uwisza345h769]{52}(?![a-z0-9])")


def done(daemon, *words):
    said = daemon.weft(*words)
    check_eq(said.returncode, OK, f"{' '.join(map(str, words))}: {said.stderr}")
    return said.stdout.strip()


def as_viewer(daemon, method, parameters, more=False):
    request = {"method": full_name(method), "parameters": parameters, "more": more}
    return subprocess.run([sys.executable, "-c", CALLER, str(VIEW_GID), str(NOBODY),
                           str(daemon.sock), json.dumps(request)], capture_output=True,
                          check=True).stdout


def methods():
    """(name, names of parameters that are needed) of each method, from the interface."""
    text = re.sub(r"#.*", "", "\n".join(file.read_text() for file in INTERFACE.glob("*.varlink")))
    for match in re.finditer(r"\bmethod (\w+)\(([^)]*)\)", text):
        yield match[1], [field.split(":")[0].strip() for field in match[2].split(",")
                         if ":" in field and "?" not in field]


def filled(lab, config=""):
    """A node with every kind of object: shares of each kind, a follow, a get, communities."""
    if os.geteuid() != 0:
        raise Skip("becoming another user needs root")
    a = lab.daemon("a", config=f"[control]\nview_group = {VIEW_GID}\n{config}").start()
    b = lab.daemon("b").start()
    os.chmod(lab.dir, 0o755)
    tree = lab.folder("tree", {"one.txt": 1000, "two.txt": 10})
    done(b, "share", "new", "theirs", "--public")
    done(b, "share", "publish", "theirs", tree)
    theirs = b.json("share", "show", "theirs")["share"]
    done(a, "sub", "add", theirs["link"])
    wait_for(lambda: a.json("sub", "list")["follows"][0]["revision"] == 1, "a follows")
    done(a, "get", theirs["link"], "--to", lab.dir / "out")
    a.share(tree)
    done(a, "share", "new", "secret")
    done(a, "share", "publish", "secret", tree)
    done(a, "community", "create", "club", "--strict")
    done(a, "community", "create", "open")
    return a


def parameters_of(needed, share):
    known = {"share": share, "name": "secret", "get_id": 1, "query": "one", "device": "lo",
             "changes": {}, "node_id": "y" * 52}
    if needed == ["name"]:
        return [{"name": name} for name in ("secret", "club", "open")]
    return [{field: known.get(field, "x") for field in needed}]


def leaks(text):
    text = NODES.sub(b"", text)
    return [match.decode() for match in WHOLE_ID.findall(text)] + \
        [text[at.start():at.start() + 60].decode() for at in re.finditer(rb"mesh:[a-z0-9]", text)]


def capabilities(daemon):
    """That a search below finds something where it is shown: as admin it is."""
    text = json.dumps([daemon.json("share", "list"), daemon.json("sub", "list"),
                       daemon.json("community", "list"), daemon.json("get", "list")])
    return leaks(text.replace('": "', '":"').encode())


def test_no_method_shows_a_viewer_a_capability(lab):
    a = filled(lab)
    check(len(capabilities(a)) > 10, "an operator sees them")
    answered = []
    listed = json.loads(as_viewer(a, "ListShares", {})[:-1])["parameters"]["shares"]
    share = listed[0]["collection_id"]
    check_eq((len(share), listed[0]["link"]), (8, ""), "8 letters name it, and to this node alone")
    for name, needed in methods():
        for parameters in parameters_of(needed, share):
            # A parameter that comes back in an error is the caller's own.
            given = {**parameters, "node_id": "x"} if "node_id" in parameters else parameters
            told = as_viewer(a, name, given, more=name.startswith("Watch"))
            check_eq(leaks(told), [], f"{name} {given}")
            answered += [name] if b'"error"' not in told else []
    for name in ("ListShares", "ShowShare", "ListShareItems", "ListFollows", "ListGets", "ListCommunities",
                 "WatchEvents", "Search"):
        check(name in answered, f"{name} told nothing: {answered}")
    members = as_viewer(a, "ListCommunityMembers", {"name": "open"})
    check(b'"addresses":[]' in members, f"a viewer sees where members are: {members}")
    refused = as_viewer(a, "LinkCommunity", {"name": "club"})
    check(b"PermissionDenied" in refused, f"LinkCommunity: {refused}")


def test_events_since_the_start_show_a_viewer_no_capability(lab):
    a = filled(lab)
    told = as_viewer(a, "WatchEvents", {"since": 1}, more=True)
    check(b"share.added" in told and b"get.done" in told, f"events: {told[:2000]}")
    check_eq(leaks(told), [], "events")


def test_the_gateway_with_the_role_view_shows_no_capability(lab):
    a = filled(lab, GATEWAY + "role = view\n")
    url, token = url_of(a), (a.state / "gateway.token").read_text().strip()

    def ask(path, body=None):
        request = urllib.request.Request(url + path, data=body, headers={"X-Weft-Token": token})
        with urllib.request.urlopen(request, timeout=20) as answer:
            if path != "/events":
                return answer.read()
            text = b""
            while b"get.done" not in text:
                text += answer.readline()
            return text

    for path, body in (("/api/v1/ListShares", b""), ("/api/v1/ListFollows", b""),
                       ("/api/v1/ListGets", b""), ("/api/v1/ListCommunities", b""),
                       ("/api/v1/ShowShare", b'{"name": "secret"}'), ("/metrics", None)):
        check_eq(leaks(ask(path, body)), [], path)
    request = urllib.request.Request(url + "/events", headers={"X-Weft-Token": token,
                                                               "Last-Event-ID": "0"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        text = b""
        while b"get.done" not in text:
            text += answer.readline()
    check_eq(leaks(text), [], "/events")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
