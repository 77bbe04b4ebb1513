#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page of people: its token, what it may load, and posts between two nodes in a real browser."""
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, check, check_eq, run
from web import GATEWAY, QUICK, curl, token_of, url_of


def start(lab, name="a"):
    return lab.daemon(name, config=GATEWAY + QUICK).start()


def address_of(node):
    """Where the page is, and its code."""
    done = node.weft("social", "open")
    check_eq(done.returncode, OK, done.stderr)
    found = re.fullmatch(r"(http://127\.0\.0\.1:\d+)/people/#t=([0-9a-f]{64})\n", done.stdout)
    check(found, done.stdout)
    check_eq(found.group(1), url_of(node), "the gateway's own address")
    return found.group(1), found.group(2)


def ask(url, *words):
    """The status, and what was answered."""
    status, _, body = curl(*words, url)
    return status, body


def redeem(url, code):
    return ask(f"{url}/page/token", "--data", f"t={code}")


def show(url, token):
    return ask(f"{url}/api/v1/ShowSocial", "-X", "POST", "-H", f"X-Weft-Token: {token}")


def test_a_code_is_good_once_and_its_token_until_it_is_ended(lab):
    node = start(lab)
    url, code = address_of(node)
    status, body = redeem(url, code)
    check_eq(status, 200, body)
    token = json.loads(body)["token"]
    check(token not in (code, token_of(node)), "a token of its own")
    check_eq(show(url, token)[0], 200, "as the gateway's own")
    status, body = redeem(url, code)
    check_eq((status, json.loads(body)["error"]), (401, "code_unknown"), body)
    check_eq(show(url, code)[0], 401, "the code is no token")
    check_eq(ask(f"{url}/page/token", "-X", "DELETE", "-H", f"X-Weft-Token: {token}")[0], 204, "ended")
    check_eq(show(url, token)[0], 401, "it is over")
    status, body = ask(f"{url}/page/token", "-X", "DELETE", "-H", f"X-Weft-Token: {token_of(node)}")
    check_eq((status, json.loads(body)["error"]), (404, "no_page_token"), "the file's token stays")


def test_all_pages_are_ended_by_a_command_and_a_restart(lab):
    node = start(lab)
    tokens = []
    for _ in range(2):
        url, code = address_of(node)
        tokens.append(json.loads(redeem(url, code)[1])["token"])
    check_eq([show(url, token)[0] for token in tokens], [200, 200], "two tabs")
    check_eq(node.weft("social", "close").returncode, OK, "close")
    check_eq([show(url, token)[0] for token in tokens], [401, 401], "both are over")
    url, code = address_of(node)
    token = json.loads(redeem(url, code)[1])["token"]
    node.stop()
    node.start()
    url = re.findall(r"gateway: (http://\S+)/", node.log_text())[-1]
    check_eq(show(url, token)[0], 401, "tokens end with the daemon")
    check_eq(show(url, token_of(node))[0], 200, "the gateway's own does not")


def test_pages_of_other_sites_get_no_token(lab):
    node = start(lab)
    url, code = address_of(node)
    for words in (("-H", "Origin: http://evil.example"), ("-H", "Host: evil.example")):
        check_eq(ask(f"{url}/page/token", *words, "--data", f"t={code}")[0], 403, words)
    check_eq(redeem(url, code)[0], 200, "the code is still good")
    for bad in ("", "t=", "t=" + "0" * 64, "t=" + "0" * 254, "x=" + code):
        check_eq(ask(f"{url}/page/token", "--data", bad)[0], 401, bad)
    check_eq(ask(f"{url}/page/token", "--data", "t=" + "0" * 255)[0], 413, "one byte too many")


def test_the_page_loads_its_own_files_alone(lab):
    node = start(lab)
    url = url_of(node)
    for name, kind in (("", "text/html"), ("people.css", "text/css"), ("people.js", "text/javascript")):
        status, fields, _ = curl(f"{url}/people/{name}")
        check_eq((status, fields["content-type"]), (200, f"{kind}; charset=utf-8"), name)
        policy = fields["content-security-policy"]
        check("script-src 'self'" in policy and "require-trusted-types-for 'script'" in policy, policy)
        check("default-src 'none'" in policy and "unsafe" not in policy, policy)
    _, page = ask(f"{url}/people/")
    for name in re.findall(r'(?:src|href)="([^"]+)"', page.decode()):
        check(name in ("people.css", "people.js", "data:,"), name)
    check_eq(ask(f"{url}/people/passwd")[0], 404, "others are not there")
    check("gateway.enabled" in lab.daemon("b").start().weft("social", "open").stderr, "what to do")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
