#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reservations at the gateway: by programs as JSON and as forms, and on pages for people.

        b (provider) --- a (keeps the answer) --- c (consumer)
"""
import html.parser
import json
import pathlib
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from gateway_pair import join
from lab import OK, check, check_eq, run, wait_for
from web import GATEWAY, QUICK, curl, error_of, token_of, url_of

CONFIG = GATEWAY + QUICK
HTML = ("-H", "Accept: text/html")
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
FLAT = {"room_type": "apartment", "size": "62", "rent": "900", "available_from": "2027-01-01", "postcode": "10115"}
SPREAD_S = 20
# The box is looked into after 2, 4, 8, 16, 32 s and each minute.
ANSWER_S = 70
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def start(lab, config=CONFIG):
    """a, b with an offer of three units, and c, which knows it; and the path of the offer."""
    a, b, c = (lab.daemon(name, config=config).start() for name in "abc")
    join(b, a)
    join(c, a)
    offer = b.call("PublishOffer", schema="housing", units=3,
                   values=[f"{key}={value}" for key, value in FLAT.items()])["offer"]["offer_id"]

    def is_there():
        if c.weft("offer", "show", offer).returncode == OK:
            return True
        c.weft("offer", "find", "housing", "--mesh")
        return False

    wait_for(is_there, "the offer is at c", timeout=SPREAD_S)
    return a, b, c, f"/offers/housing/{offer}"


def get(node, path, *words):
    return curl(*words, url_of(node) + path)


def page(node, path, status=200):
    answer, fields, body = get(node, path, *HTML)
    check_eq((answer, fields["content-type"]), (status, "text/html; charset=utf-8"), body)
    check("default-src 'none'" in fields["content-security-policy"], fields)
    return body.decode()


def shown(answer, status=200):
    check_eq((answer[0], answer[1]["content-type"]), (status, "application/json"), answer[2])
    return json.loads(answer[2])["reservation"]


def listed(node, path):
    return json.loads(get(node, path + "/reservations", *by_token(node))[2])["reservations"]


def post(node, path, body, kind=FORM, *words):
    data = json.dumps(body) if kind == JSON else urllib.parse.urlencode(body)
    return curl("-X", "POST", "-H", f"Content-Type: {kind}", *words, "--data-binary", "@-", url_of(node) + path,
                stdin=data.encode())


def by_token(node):
    return ("-H", f"X-Weft-Token: {token_of(node)}")


def by_form(node, path, **fields):
    return post(node, path, {**fields, ".token": token_of(node)}, FORM, *HTML, "-H", f"Origin: {url_of(node)}")


def unlocked(node, path):
    status, fields, body = by_form(node, path)
    check_eq((status, fields["content-type"]), (200, "text/html; charset=utf-8"), body)
    return body.decode()


class Forms(html.parser.HTMLParser):
    """The forms of a page: their addresses, and the names and attributes of what is in them."""

    def __init__(self, text):
        super().__init__()
        self.actions, self.names, self.tags = [], {}, set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.add(tag)
        self.actions += [attrs[name] for name in ("action", "formaction") if name in attrs]
        if "name" in attrs:
            self.names[attrs["name"]] = attrs


def test_a_program_reserves_by_json_and_hears_of_the_answer(lab):
    _, b, c, path = start(lab)
    events = lab.dir / "events"
    with open(events, "wb") as out:
        lab.processes.append(subprocess.Popen(["curl", "-sN", *by_token(c), url_of(c) + "/events"], stdout=out))
    mine = shown(post(c, path + "/reserve", {"units": 2, "message": "On Friday?", "hours": 24}, JSON, *by_token(c)), 201)
    check_eq((mine["state"], mine["units"], mine["message"], mine["side"]), ("asked", 2, "On Friday?", "made"), mine)
    at = f"{path}/reservations/{mine['reservation_id']}"
    check_eq(shown(get(c, at, *by_token(c))), mine, "its state")
    theirs = wait_for(lambda: listed(b, path), "b has it", timeout=SPREAD_S)
    check_eq([(row["message"], row["side"]) for row in theirs], [("On Friday?", "received")], "as b has it")
    there = f"{path}/reservations/{theirs[0]['reservation_id']}"
    check_eq(shown(post(b, there + "/confirm", {"message": "At six."}, JSON, *by_token(b)))["state"], "confirmed", "b")
    wait_for(lambda: b"reservation.confirmed" in events.read_bytes(), "c hears of it", timeout=ANSWER_S)
    check(mine["reservation_id"].encode() in events.read_bytes(), events.read_bytes())
    answered = shown(get(c, at, *by_token(c)))
    check_eq((answered["state"], answered["answer"]), ("confirmed", "At six."), "the answer")
    check_eq(shown(post(c, at + "/cancel", {}, JSON, *by_token(c)))["state"], "cancelled", "c gives it up")
    check_eq(error_of(post(c, at + "/cancel", {}, JSON, *by_token(c))), (409, "reservation_failed"), "once")


def test_people_reserve_and_answer_by_forms_alone(lab):
    _, b, c, path = start(lab)
    form = Forms(page(c, path))
    check(path + "/reserve" in form.actions, form.actions)
    check_eq(form.names["message"]["maxlength"], "2000", "the message")
    check_eq((form.names["hours"]["max"], form.names["units"]["min"]), ("168", "1"), "bounds")
    check_eq(form.names[".token"]["type"], "password", "the token")
    check_eq(Forms(page(b, path)).actions, [], "a provider does not reserve its own")
    status, fields, body = by_form(c, path + "/reserve", message="On Friday?\r\n" + EVIL, units="", hours="")
    check_eq(status, 303, body)
    at = fields["location"]
    text = page(c, at, status=401)
    check_eq((Forms(text).actions, "asked" in text), ([at], False), "it is shown to the token alone")
    text = unlocked(c, at)
    check("asked" in text and "On Friday?" in text and "<script" not in text and "<img" not in text, text)
    check_eq(Forms(text).actions, [at + "/cancel"], "it may be cancelled")
    check(path + "/reservations" in page(c, path), "the page of the offer leads to it")
    check(at in unlocked(c, path + "/reservations"), "by the list")
    wait_for(lambda: listed(b, path), "b has it", timeout=SPREAD_S)
    there = f"{path}/reservations/{listed(b, path)[0]['reservation_id']}"
    text = unlocked(b, path + "/reservations") + unlocked(b, there)
    check("<script" not in text and "<img" not in text and "alert(1)" in text, text)
    check_eq(Forms(text).actions, [there + "/confirm", there + "/refuse"], "b decides")
    status, _, body = by_form(b, there + "/refuse", message="It is taken.")
    check_eq((status, b"refused" in body, Forms(body.decode()).actions), (200, True, []), body)
    wait_for(lambda: "It is taken." in unlocked(c, at), "c has the answer", timeout=ANSWER_S)


def test_without_the_token_nothing_is_reserved_or_decided(lab):
    _, b, c, path = start(lab)
    for token in ("", "wrong", "0" * 64, token_of(c)[:-1]):
        answer = post(c, path + "/reserve", {"message": "x", ".token": token})
        check_eq(error_of(answer), (401, "token_required"), token)
        answer = post(c, path + "/reserve", {"message": "what was typed", ".token": token}, FORM, *HTML)
        check_eq((answer[0], b"token" in answer[2], b"what was typed" in answer[2]), (401, True, True), answer[2])
    check_eq(error_of(post(c, path + f"/reserve?.token={token_of(c)}", {"message": "x"})), (401, "token_required"),
             "an address is no place for it")
    for kind in (JSON, "text/plain", "multipart/form-data"):
        check_eq(error_of(post(c, path + "/reserve", {"message": "x", ".token": token_of(c)}, kind)),
                 (401, "token_required"), kind)
    for origin in ("http://evil.example", "null"):
        answer = post(c, path + "/reserve", {".token": token_of(c)}, FORM, "-H", f"Origin: {origin}")
        check_eq(error_of(answer), (403, "origin_not_allowed"), origin)
    check_eq(c.json("reservation", "list")["reservations"], [], "nothing was made")
    mine = shown(post(c, path + "/reserve", {"message": "x"}, FORM, *by_token(c)), 201)["reservation_id"]
    for at in ("", f"/{mine}", f"/{mine[:8]}", "/yyyyyyyy"):
        for own in ((), (*HTML,)):
            check_eq(get(c, f"{path}/reservations{at}", *own)[0], 401, f"nothing is shown: {at}")
            check_eq(get(c, f"{path}/reservations{at}?.token={token_of(c)}", *own)[0], 401, f"by an address: {at}")
            check_eq(post(c, f"{path}/reservations{at}", {".token": "x"}, FORM, *own)[0], 401, f"by a guess: {at}")
        check(mine not in page(c, f"{path}/reservations", status=401), "nor its name")
    for verb in ("cancel", "confirm", "refuse"):
        for at in (mine, "yyyyyyyy"):
            check_eq(error_of(post(c, f"{path}/reservations/{at}/{verb}", {})), (401, "token_required"), verb)
    status, _, body = post(c, f"{path}/reservations/{mine}/cancel", {"message": "typed", ".token": "x"}, FORM, *HTML)
    check_eq((status, b"typed" in body, Forms(body.decode()).actions),
             (401, True, [f"{path}/reservations/{mine}/cancel"]), body)
    check_eq(shown(get(c, f"{path}/reservations/{mine}", *by_token(c)))["state"], "asked", "as it was")
    check_eq(b.stop(), 0, "b ends")


def test_what_is_wrong_is_said_and_reserves_nothing(lab):
    _, b, c, path = start(lab)
    own = by_token(c)
    for wrong, name in (({"units": "0"}, "units"), ({"units": "4294967296"}, "units"), ({"units": "1.5"}, "units"),
                        ({"hours": "169"}, "hours"), ({"hours": "-1"}, "hours"), ({"unit": "2"}, "unit"),
                        ({"message": "x", "mesage": "y"}, "mesage"), ({"rent": "1"}, "rent")):
        answer = post(c, path + "/reserve", wrong, FORM, *own)
        check_eq((error_of(answer), json.loads(answer[2])["parameters"]["field"]), ((400, "invalid_field"), name), wrong)
    for wrong, name in (({"units": "2"}, "units"), ({"hours": 1.5}, "hours"), ({"message": 7}, "message"),
                        ({"offer": "x"}, "offer")):
        answer = post(c, path + "/reserve", wrong, JSON, *own)
        check_eq((error_of(answer), json.loads(answer[2])["parameters"]["field"]), ((400, "invalid_field"), name), wrong)
    for body in (b"", b"{", b"[]", b"7", b'{"units":1,"units":2}', b'{"message":"\xff"}', b"[" * 3000,
                 b'{"message":"x"} y'):
        answer = curl("-X", "POST", "-H", f"Content-Type: {JSON}", *own, "--data-binary", "@-",
                      url_of(c) + path + "/reserve", stdin=body)
        check_eq(error_of(answer), (400, "invalid_body"), body[:40])
    for wrong in ({"units": 4}, {"message": "x" * 2001}, {"hours": 169}, {"units": 0},
                  {"reply_at": b.json("node", "id")["node_id"]}):
        answer = post(c, path + "/reserve", wrong, JSON, *own)
        check_eq(error_of(answer), (409, "reservation_failed"), f"{wrong}: {answer[2]}")
        check("It is not reserved: " in json.loads(answer[2])["message"], answer[2])
    answer = post(c, path + "/reserve", {"message": "x" * 65536}, JSON, *own)
    check_eq(answer[0], 413, "a body that is too long")
    answer = post(c, path + "/reserve", {"units": "4", ".token": token_of(c)}, FORM, *HTML)
    check_eq((answer[0], b"It is not reserved" in answer[2], b'value="4"' in answer[2]), (409, True, True), answer[2])
    check_eq(error_of(post(b, path + "/reserve", {}, JSON, *by_token(b))), (409, "reservation_failed"), "its own")
    check_eq(c.json("reservation", "list")["reservations"], [], "nothing was made")
    mine = shown(post(c, path + "/reserve", {"units": 3, "message": "y" * 2000, "offer_id": "yyyyyyyy"}, JSON, *own),
                 201)
    check_eq(mine["offer_id"], path.rsplit("/", 1)[1], "the path says which offer")


def test_paths_and_methods_are_the_documented_ones(lab):
    _, _, c, path = start(lab)
    own = by_token(c)
    mine = shown(post(c, path + "/reserve", {}, JSON, *own), 201)["reservation_id"]
    one = f"{path}/reservations/{mine}"
    for at in (path.replace("housing", "repair") + "/reserve", "/offers/housing/yyyyyyyy/reserve",
               path + "x" * 30 + "/reserve"):
        check_eq(error_of(post(c, at, {}, JSON, *own))[1], "not_found", at)
    for at in (path + "/reservation", path + "/reservations/yyyyyyyy", f"{one}x", f"{one}/", f"{one}/confirm/more",
               f"{one}/own", one.replace("housing", "repair"), f"/offers/housing/yyyyyyyy/reservations/{mine}",
               path + "/reservations/"):
        check_eq(error_of(get(c, at, *own)), (404, "not_found"), at)
    for at in (path + "/reserve", one + "/cancel"):
        status, fields, _ = get(c, at)
        check_eq((status, "post" in fields["allow"], "get" in fields["allow"]), (405, True, False), at)
    at = f"{path[:-10]}/reservations/{mine[:8]}"
    check_eq(shown(get(c, at, *own))["reservation_id"], mine, "by first letters")
    check_eq(error_of(post(c, one + "/confirm", {}, JSON, *own)), (409, "reservation_failed"), "of the other side")
    check_eq(error_of(post(c, one + "/cancel", {"units": 1}, JSON, *own)), (400, "invalid_field"), "no such word")
    check_eq(listed(c, path.replace("housing", "repair")), [], "none")


ROOMS = """[service]
name = rooms
version = 1
title = Rooms
description = Rooms.
ttl_hours = 24
reserves_per_min = 100
[field rent]
type = number
required = yes
min = 0
max = 10000
label = Rent
[filter max_rent]
field = rent
match = at-most
label = Rent
"""


def test_a_list_has_the_newest_50(lab):
    a, b, c, _ = start(lab)
    schema = lab.dir / "rooms.ini"
    schema.write_text(ROOMS)
    for node in (a, b, c):
        check_eq(node.weft("schema", "add", str(schema)).returncode, OK, "the schema")
    offer = b.call("PublishOffer", schema="rooms", values=["rent=1"], units=60)["offer"]["offer_id"]
    wait_for(lambda: c.weft("offer", "find", "rooms", "--mesh") and c.weft("offer", "show", offer).returncode == OK,
             "the offer is at c", timeout=SPREAD_S)
    path = f"/offers/rooms/{offer}"
    first = shown(post(c, path + "/reserve", {}, JSON, *by_token(c)), 201)
    wait_for(lambda: int(time.time()) > first["made_s"], "a second went by")
    made = [shown(post(c, path + "/reserve", {}, JSON, *by_token(c)), 201)["reservation_id"] for _ in range(49)]
    check_eq({row["reservation_id"] for row in listed(c, path)}, {first["reservation_id"], *made}, "50 are all")
    check_eq(listed(c, path)[-1]["reservation_id"], first["reservation_id"], "the newest first")
    made.append(shown(post(c, path + "/reserve", {}, JSON, *by_token(c)), 201)["reservation_id"])
    check_eq({row["reservation_id"] for row in listed(c, path)}, set(made), "of 51 the oldest is left out")
    check_eq(unlocked(c, path + "/reservations").count("<li>"), 50, "on the page, too")


def test_a_gateway_that_may_only_look_reserves_nothing(lab):
    _, _, c, path = start(lab, CONFIG.replace("[gateway]", "[gateway]\nrole = view"))
    answer = post(c, path + "/reserve", {}, JSON, *by_token(c))
    check_eq((error_of(answer), "gateway.role" in json.loads(answer[2])["message"]),
             ((403, "permission_denied"), True), answer[2])
    status, _, body = by_form(c, path + "/reserve", message="x")
    check_eq((status, b"gateway.role" in body), (403, True), body)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
