# SPDX-License-Identifier: Apache-2.0
"""A node whose gateway calls the services of another one."""
from lab import ASKING_S, OK, check_eq, wait_for
from web import GATEWAY, QUICK, curl, token_of, url_of

ALL = "echo pod-chat shadow-index mesh-stats"
OPEN_LIMITS = "peer_calls = 1000000\ncalls = 1000000\nlookups = 1000000\nfetches = 1000000\n"
MESH = "mesh = yes\nservices = echo, pod-chat, shadow-index, mesh-stats, web, absent\n"
PRIVATE = "[dht]\nenabled = no\n"


def provider(lab, name="a", builtin=ALL):
    return lab.daemon(name, config=PRIVATE + f"[service]\nbuiltin = {builtin}\n{OPEN_LIMITS}").start()


def asker(lab, extra="", name="b"):
    """A node that offers nothing, with a gateway."""
    return lab.daemon(name, config=PRIVATE + "[service]\nbuiltin =\n" + OPEN_LIMITS + GATEWAY + QUICK +
                      MESH + extra).start()


def join(b, a):
    done = b.weft("peer", "connect", a.json("node", "id")["node_id"], a.json("status")["listen"][0])
    check_eq(done.returncode, OK, done.stderr)


def pair(lab, extra=""):
    a, b = provider(lab), asker(lab, extra)
    join(b, a)
    wait_for(lambda: get(b, "mesh-stats/GetMeshStatus")[0] == 200, "b finds a's services",
             pause=ASKING_S)
    return a, b


def get(daemon, path, *words):
    return curl(*words, f"{url_of(daemon)}/mesh/http/{path}")


def post(daemon, path, body=b"", *words):
    return curl("-X", "POST", "-H", f"X-Weft-Token: {token_of(daemon)}", "--data-binary", "@-",
                *words, f"{url_of(daemon)}/mesh/http/{path}", stdin=body)
