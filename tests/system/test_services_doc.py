#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/services.md is typed as it stands, in a network of its own: every command of it works.

    namespace: both daemons, their programs and the gateway, on its loopback
"""
import os
import pathlib
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from client_library import installed
from lab import DEADLINE_S, WEFT, WEFTD, check, check_eq, run

ROOT = pathlib.Path(__file__).parents[2]


def blocks(kind):
    text = (ROOT / "docs" / "services.md").read_text()
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.M | re.S)


def script(lab):
    """The blocks in their order, with the files of the text where it says they are."""
    (lab.dir / "parrot.py").write_text("".join(blocks("python")))
    text = "".join(blocks("sh")).replace("/tmp/", f"{lab.dir}/")
    # A script's next line comes sooner than a person's: the daemons are waited for.
    ready = ("until weft -s A.sock node id && weft -s B.sock node id; do sleep 0.05; done "
             ">/dev/null 2>&1\nA=")
    text = text.replace("\nA=", "\n" + ready.replace("A.sock", f"{lab.dir}/a.sock").replace(
        "B.sock", f"{lab.dir}/b.sock"), 1)
    return f"weft() {{ {WEFT} \"$@\"; }}\nweftd() {{ {WEFTD} \"$@\"; }}\n{text}"


def test_what_services_md_says_is_done(lab):
    netns = lab.netns("doc")
    lab.ip(netns, "link", "set", "lo", "up")
    env = {**os.environ, **installed(lab)}
    told = lab.dir / "told"
    with open(told, "w") as out:
        done = subprocess.Popen(["ip", "netns", "exec", netns, "bash", "-e", "-o", "pipefail", "-c",
                                 script(lab)], cwd=ROOT, env=env, stdout=out, stderr=out,
                                start_new_session=True)
        try:
            code = done.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            code = "none in time"
        finally:
            os.killpg(done.pid, signal.SIGKILL)
    text = told.read_text(errors="replace")
    check_eq(code, 0, text[-3000:])
    for wanted in ("hello from the mesh", "HELLO FROM THE MESH", "hello, world", "polly",
                   "session_cnt", "one\ntwo\n", '"providers"'):
        check(wanted in text, f"{wanted} is missing in: {text[-3000:]}")
    check(text.count("hello from the mesh") >= 2, "by the command and by curl")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
