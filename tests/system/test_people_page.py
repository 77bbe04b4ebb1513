#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page of people: its token, what it may load, and posts between two nodes in a real browser."""
import base64
import contextlib
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from browser import Browser
from gateway_pair import join
from lab import OK, check, check_eq, run, wait_for
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



EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)><svg onload=alert(3)>\u202egnp.exe\u0007"


class Page(Browser):
    """The page of one node, opened as its person does."""

    def __init__(self, node, name):
        super().__init__()
        self.node = node
        url, code = address_of(node)
        self.open(f"{url}/people/#t={code}")
        self.until("!document.getElementById('app').hidden", "the page opens")
        check_eq(self.value("location.hash"), "", "the code leaves the address")
        self.until("document.getElementById('first').open", "it asks for a name at first")
        self.write("first-name", name)
        self.press("#first-form button")
        self.until(f"document.getElementById('me').textContent === {json.dumps(name)}", "the name is kept")

    def until(self, expression, what):
        wait_for(lambda: self.value(expression) is True, what, pause=0.2)

    def write(self, field, text):
        self.value(f"document.getElementById({json.dumps(field)}).value = {json.dumps(text)}")

    def press(self, selector):
        self.value(f"document.querySelector({json.dumps(selector)}).click()")

    def press_word(self, selector, word):
        self.value(f"[...document.querySelectorAll({json.dumps(selector)})]"
                   f".find((one) => one.textContent === {json.dumps(word)}).click()")

    def shows(self, panel, text, what):
        self.until(f"document.getElementById({json.dumps(panel)}).innerText.includes({json.dumps(text)})", what)

    def toasts(self):
        return self.value("document.getElementById('toasts').innerText")


def key_of(node):
    return node.json("social", "status")["social"]["person"]


@contextlib.contextmanager
def two_people(lab):
    a, b = start(lab), start(lab, "b")
    join(b, a)
    pages = []
    try:
        pages += [Page(a, "Ada"), Page(b, "Ben")]
        for page, other in zip(pages, (b, a)):
            page.press("#tab-people")
            page.write("follow-key", key_of(other))
            page.press("#follow button")
            page.until("document.querySelectorAll('#follows li').length === 1", "the other one is followed")
        yield pages
        for page in pages:
            check_eq(page.dialogs, [], "no page runs a script of a text")
    finally:
        for page in pages:
            page.close()


def post(page, text, audience="friends"):
    page.press("#tab-feed")
    page.until(f"[...document.getElementById('compose-audience').options].some((one) => one.value === '{audience}')",
               "the readers to choose from")
    page.value(f"document.getElementById('compose-audience').value = '{audience}'")
    page.write("compose-text", text)
    page.press("#compose button")
    page.shows("feed", text.split("\u202e")[0], "the own post")


def test_two_people_read_answer_and_take_back(lab):
    with two_people(lab) as (ada, ben):
        post(ada, EVIL)
        ben.press("#tab-feed")
        ben.shows("feed", "<script>alert(1)</script>", "the post as it was typed")
        ben.shows("feed", "Ada", "by its author's name")
        alien = "#feed script, #feed svg, #feed img:not(.face)"
        check_eq(ben.value(f"document.querySelectorAll('{alien}').length"), 0, "it is text alone")
        ben.press("#feed li button")
        ben.until("!!document.querySelector('#feed li form')", "a field for the reply")
        ben.value("document.querySelector('#feed li form textarea').value = 'A reply'")
        ben.press("#feed li form button")
        ada.shows("feed", "A reply", "the reply comes back")
        ada.press("#tab-mine")
        ada.shows("mine", "<script>", "the own post")
        ada.press_word("#mine button", "Delete")
        ada.press_word("#mine .asked button", "Yes")
        # Readers of a private post that is gone are not known any more, so the next sync says it.
        check_eq(ben.node.weft("social", "sync", key_of(ada.node)).returncode, OK, "sync")
        ben.until("!document.getElementById('feed').innerText.includes('<script>')", "it is gone there, too")


# A picture of one point, and a drawing that would run a script.
PNG = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
SVG = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


def test_a_picture_is_shown_and_a_drawing_with_a_script_is_saved(lab):
    with two_people(lab) as (ada, ben):
        (lab.dir / "dot.png").write_bytes(base64.b64decode(PNG))
        (lab.dir / "dot.svg").write_text(SVG)
        done = ada.node.weft("--json", "post", "write", "Two files", "--attach", lab.dir / "dot.png",
                             "--attach", lab.dir / "dot.svg")
        check_eq(done.returncode, OK, done.stderr)
        post_id = json.loads(done.stdout)["post"]["post_id"]
        ben.press("#tab-feed")
        ben.shows("feed", "Two files", "the post")
        wait_for(lambda: all(row.get("here") for row in ben.node.json("post", "show", post_id)["post"]["attachments"]),
                 "both files")
        opens = "[...document.querySelectorAll('#feed button')].filter((one) => one.textContent === 'Open')"
        check_eq(ben.value(f"{opens}.length"), 2, "two attachments")
        ben.value(f"{opens}[1].click()")
        ben.value(f"{opens}[0].click()")
        ben.until("document.querySelector('#feed img.attached')?.naturalWidth === 1", "the picture")
        check_eq(ben.value("document.querySelectorAll('#feed img.attached, #feed svg').length"), 1, "and it alone")


def test_a_message_arrives_with_a_badge(lab):
    with two_people(lab) as (ada, ben):
        ada.press("#tab-people")
        ada.until("!!document.querySelector('#follows button')", "people")
        ada.press_word("#follows button", "Message")
        ada.until("!document.getElementById('thread').hidden", "an empty thread")
        ada.write("reply-text", "Are you there?")
        ada.press("#reply button")
        ben.until("!document.querySelector('#tab-messages .badge').hidden", "the badge of messages")
        ben.press("#tab-messages")
        ben.shows("threads", "Are you there?", "the thread")
        ben.press("#threads button")
        ben.shows("thread-posts", "Are you there?", "the message")
        ben.until("document.querySelector('#tab-messages .badge').hidden", "it was read")


def test_a_text_for_others_is_not_shown(lab):
    with two_people(lab) as (ada, ben):
        ada.press("#tab-people")
        ada.write("circle-name", "family")
        ada.press("#circle-new button")
        ada.shows("circles", "family", "the circle")
        post(ada, "For the family alone", "circle:family")
        post(ada, "For all friends")
        ben.press("#tab-feed")
        ben.shows("feed", "For all friends", "what is for friends")
        check("For the family" not in ben.value("document.getElementById('feed').innerText"), "and no more")


def test_a_page_whose_right_has_ended_says_how_to_go_on(lab):
    node = start(lab)
    page = Page(node, "Ada")
    try:
        check_eq(node.weft("social", "close").returncode, OK, "close")
        page.press("#tab-settings")
        page.until("!document.getElementById('locked').hidden", "it is locked")
        check("weft social open" in page.text(), page.text())
    finally:
        page.close()


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
