#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Offers at the gateway: as JSON for programs, and as pages for people that are made from the schemas."""
import html.parser
import json
import pathlib
import random
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from gateway_pair import join
from lab import OK, check, check_eq, run, wait_for
from web import GATEWAY, QUICK, curl, error_of, token_of, url_of

CONFIG = GATEWAY + QUICK
HTML = ("-H", "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
FORM = "application/x-www-form-urlencoded"
FLAT = {"room_type": "apartment", "size": "62", "rent": "900", "available_from": "2027-01-01",
        "postcode": "10115"}
SPREAD_S = 5


def start(lab, name="a", config=CONFIG):
    return lab.daemon(name, config=config).start()


def get(node, path, *words):
    return curl(*words, url_of(node) + path)


def listed(node, path, *words):
    status, fields, body = get(node, path, *words)
    check_eq((status, fields["content-type"]), (200, "application/json"), body)
    return json.loads(body)


def page(node, path, status=200):
    answer, fields, body = get(node, path, *HTML)
    check_eq((answer, fields["content-type"]), (status, "text/html; charset=utf-8"), body)
    check("default-src 'none'" in fields["content-security-policy"], fields)
    return body.decode()


def send(node, path, fields, *words):
    body = urllib.parse.urlencode(fields, doseq=True)
    return curl("-X", "POST", *HTML, "-H", f"Origin: {url_of(node)}", "-H", f"Content-Type: {FORM}",
                *words, "--data-binary", "@-", url_of(node) + path, stdin=body.encode())


def publish(node, **values):
    done = node.weft("--json", "offer", "publish", "housing",
                     *(f"{key}={value}" for key, value in {**FLAT, **values}.items()))
    check_eq(done.returncode, OK, done.stderr)
    return json.loads(done.stdout)["offer"]["offer_id"]


def ids(answer):
    return [offer["offer_id"] for offer in answer["offers"]]


class Tags(html.parser.HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def named(self, name):
        return [attrs for _, attrs in self.tags if attrs.get("name") == name]


def test_offers_are_listed_by_their_filters_as_json(lab):
    node = start(lab)
    schemas = listed(node, "/offers")["schemas"]
    check_eq([schema["name"] for schema in schemas], ["fapp", "housing", "repair"], schemas)
    offer = publish(node)
    publish(node, rent=901)
    check_eq(ids(listed(node, "/offers/housing?max_rent=900&min_size=40&plz_prefix=101")), [offer],
             "all fit")
    check_eq(ids(listed(node, "/offers/housing?max_rent=900&min_size=&room_type=apartment")), [offer],
             "what is empty asks for nothing")
    check_eq(listed(node, "/offers/housing?max_rent=899")["offers"], [], "none")
    shown = listed(node, f"/offers/housing/{offer}")["offer"]
    check_eq({value["field"]: value["value"] for value in shown["values"]}, FLAT, "its values")
    check_eq(listed(node, f"/offers/housing/{offer[:8]}")["offer"], shown, "by its first letters")


def test_pages_of_a_list_are_bounded_and_have_each_offer_once(lab):
    node = start(lab)
    offers = {publish(node, rent=500 + i) for i in range(7)}
    found, path = [], "/offers/housing?limit=3"
    while True:
        answer = listed(node, path)
        found += ids(answer)
        if not answer.get("cursor"):
            break
        check_eq(len(answer["offers"]), 3, "a page")
        path = f"/offers/housing?limit=3&cursor={answer['cursor']}"
    check_eq((len(found), set(found)), (7, offers), "each once")
    check_eq(len(ids(listed(node, "/offers/housing?limit=200"))), 7, "200 may be asked for")
    for wrong, name in (("limit=201", "invalid_limit"), ("limit=0", "invalid_limit"),
                        ("limit=x", "invalid_limit"), ("cursor=0", "invalid_cursor"),
                        ("cursor=-1", "invalid_cursor"), ("cursor=1x", "invalid_cursor"),
                        ("cursor=18446744073709551616", "invalid_cursor"),
                        ("level=4", "invalid_level"), ("level=-1", "invalid_level"), ("level=10", "invalid_level"),
                        ("max_price=3", "invalid_filter"), ("max_rent=cheap", "invalid_filter"),
                        ("room_type=castle", "invalid_filter"), ("%zz=1", "invalid_parameters"),
                        ("max_rent=%ff", "invalid_parameters"), ("a%00=1", "invalid_parameters"),
                        ("&".join(["x"] * 513), "invalid_parameters")):
        check_eq(error_of(get(node, f"/offers/housing?{wrong}")), (400, name), wrong)
    check_eq(listed(node, "/offers/housing?" + "&".join(["max_rent="] * 200))["offers"][0]["schema"],
             "housing", "many that are empty")


def test_what_is_not_there_is_said(lab):
    node = start(lab)
    offer = publish(node)
    for path in ("/offers/castles", "/offers/" + "x" * 40, "/offers/housing/yyyyyyyy", "/offers/housing/y",
                 f"/offers/fapp/{offer}", f"/offers/housing/{offer}/more", "/offers/..%2fhousing"):
        check_eq(error_of(get(node, path)), (404, "not_found"), path)
    check("No schema" in page(node, "/offers/castles", status=404), "a page, for people")
    for path in ("/offers", "/offers/housing", f"/offers/housing/{offer}"):
        status, fields, _ = send(node, path, {".token": token_of(node)})
        check_eq((status, "get" in fields["allow"], "post" in fields["allow"]), (405, True, False), path)
    check_eq(get(node, "/offers/housing/ask")[0], 405, "a query is sent by POST")
    off = start(lab, "b", CONFIG + "[offers]\nenabled = no\n")
    check_eq(error_of(get(off, "/offers")), (404, "not_found"), "switched off")


def random_home(dice):
    return {"room_type": dice.choice(["shared-flat", "apartment", "house"]), "size": dice.randint(10, 40),
            "rent": dice.choice([0, 65535, *range(300, 900, 25)]),
            "available_from": f"2027-01-{dice.randint(1, 28):02}",
            "postcode": dice.choice(["10115", "10117", "10999", "101", "SW1A 1AA", "SW1", "80331"])}


FILTERS = {
    "room_type": (lambda dice: dice.choice(["shared-flat", "apartment", "house"]),
                  lambda home, asked: home["room_type"] == asked),
    "max_rent": (lambda dice: dice.choice([0, 300, 450, 600, 65535]), lambda home, asked: home["rent"] <= asked),
    "min_size": (lambda dice: dice.randint(5, 45), lambda home, asked: home["size"] >= asked),
    "plz_prefix": (lambda dice: dice.choice(["1", "101", "10115", "SW1", "SW1A 1A", "9"]),
                   lambda home, asked: home["postcode"].startswith(asked)),
    "available_before": (lambda dice: f"2027-01-{dice.randint(1, 28):02}",
                         lambda home, asked: home["available_from"] <= asked),
}


def all_pages(node, query):
    found, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor else {}
        answer = listed(node, "/offers/housing?" + urllib.parse.urlencode({**query, "limit": 200, **more}))
        check(len(answer["offers"]) <= 200, "a page")
        found += ids(answer)
        cursor = answer.get("cursor")
        if not cursor:
            return found


def test_all_32_subsets_of_filters_over_1000_homes_equal_brute_force(lab):
    dice = random.Random(17)
    node = start(lab)
    homes = {}
    for _ in range(1000):
        home = random_home(dice)
        offer = node.call("PublishOffer", schema="housing",
                          values=[f"{key}={value}" for key, value in home.items()])["offer"]
        homes[offer["offer_id"]] = home
    names, fitting = list(FILTERS), 0
    for subset in range(32):
        query = {name: FILTERS[name][0](dice) for at, name in enumerate(names) if subset >> at & 1}
        wanted = {offer for offer, home in homes.items()
                  if all(FILTERS[name][1](home, asked) for name, asked in query.items())}
        found = all_pages(node, query)
        check_eq(len(found), len(set(found)), f"each once: {query}")
        check_eq(set(found), wanted, f"{query}")
        fitting += len(wanted)
    check(fitting > 2000, f"the filters let {fitting} pass in all")


def test_pages_are_made_from_the_schema(lab):
    node = start(lab)
    offer = publish(node, title="Light & quiet")
    text = page(node, "/offers")
    check('href="/offers/housing"' in text and "Homes to let" in text, text)
    tags = Tags(page(node, "/offers/housing?max_rent=950&room_type=apartment"))
    check_eq(tags.named("max_rent")[0]["value"], "950", "the form keeps what was asked")
    check_eq([attrs["value"] for tag, attrs in tags.tags if tag == "option" and "selected" in attrs],
             ["apartment"], "a choice, too")
    check("Light & quiet" in tags.text and "Flat" in tags.text, "the list, with labels of choices")
    check("Rent a month (EUR)" in tags.text, "labels and units")
    check(any(attrs.get("href") == f"/offers/housing/{offer}" for _, attrs in tags.tags), "a link")
    shown = Tags(page(node, f"/offers/housing/{offer}"))
    check("10115" in shown.text and "900 EUR" in shown.text, shown.text)
    check("No offer fits" in page(node, "/offers/housing?max_rent=1"), "none")
    wrong = page(node, "/offers/housing?max_rent=cheap", status=400)
    check("max_rent is no number" in wrong, "the filter's error is beside it")
    for number in range(25):
        publish(node, rent=100 + number)
    tags = Tags(page(node, "/offers/housing?max_rent=500"))
    more = [attrs["href"] for _, attrs in tags.tags if attrs.get("rel") == "next"]
    check_eq(len(more), 1, "older offers")
    rest = Tags(page(node, more[0]))
    check_eq(len([1 for tag, _ in rest.tags if tag == "tr"]), 1 + 5, "the other five")
    status, fields, body = get(node, "/offers/style.css")
    check_eq((status, fields["content-type"]), (200, "text/css; charset=utf-8"), body)
    check("script" not in page(node, "/offers/housing"), "no page runs scripts")


def test_every_shipped_schema_has_its_forms(lab):
    node = start(lab)
    for schema in listed(node, "/offers")["schemas"]:
        shown = node.json("schema", "show", schema["name"])
        form = Tags(page(node, f"/offers/{schema['name']}/publish"))
        for field in shown["fields"]:
            check(form.named(field["name"]), f"{schema['name']}: {field['name']}")
            check(field["label"] in form.text, f"{schema['name']}: {field['label']}")
        form = Tags(page(node, f"/offers/{schema['name']}"))
        for row in shown["filters"]:
            ends = ["", ".from"]
            check(any(form.named(row["name"] + end) for end in ends), f"{schema['name']}: {row['name']}")


def test_an_offer_is_published_by_the_form_and_errors_stand_beside_fields(lab):
    node = start(lab)
    form = Tags(page(node, "/offers/housing/publish"))
    check_eq(form.named("rent")[0]["type"], "number", "a number")
    check("required" in form.named("rent")[0], "what is needed")
    check_eq((form.named("rooms")[0]["min"], form.named("rooms")[0]["step"]), ("0.5", "0.1"), "bounds")
    check_eq(form.named(".token")[0]["type"], "password", "the token")
    check_eq(form.named(".token")[0]["autocomplete"], "off", "no browser is asked to keep it")
    status, fields, body = send(node, "/offers/housing/publish", {**FLAT, ".token": token_of(node)})
    check_eq(status, 303, body)
    check("housing/" in fields["location"], fields)
    offer = listed(node, "/offers/housing")["offers"][0]
    check_eq(fields["location"], f"/offers/housing/{offer['offer_id']}", "it leads to the offer")
    status, _, body = send(node, "/offers/housing/publish",
                           {**FLAT, "rent": "cheap", "size": "", "title": "<b>\r\n", ".token": token_of(node)})
    text = body.decode()
    check_eq(status, 400, text)
    check("rent is no number" in text and "it is needed" in text, "both are marked")
    again = Tags(text)
    check_eq(again.named("rent")[0]["value"], "cheap", "what was typed stays")
    check_eq(again.named("title")[0]["value"], "<b>\n", "as it was")
    check(token_of(node) not in text, "but the token")
    for name, most in ((".units", 4294967295), (".hours", 8760)):
        for wrong in ("x", "12abc", "0", "-1", "+1", " 1", "1.5", f"{most + 1}", "18446744073709551617"):
            status, _, body = send(node, "/offers/housing/publish", {**FLAT, name: wrong, ".token": token_of(node)})
            text = body.decode()
            check_eq((status, f"no number in 1 to {most}" in text), (400, True), f"{name}={wrong}: {text}")
            check_eq(Tags(text).named(name)[0]["value"], wrong, "what was typed stays")
    status, _, body = send(node, "/offers/fapp/publish", {**FLAT, ".token": token_of(node)})
    check_eq(status, 400, "fields of another schema")
    check_eq(len(listed(node, "/offers/housing")["offers"]), 1, "nothing else was published")
    several = {"title": "Beds", ".units": "5", ".hours": "2", ".token": token_of(node)}
    check_eq(send(node, "/offers/housing/publish", {**FLAT, **several})[0], 303, "several of it")
    beds = listed(node, "/offers/housing")["offers"][0]
    check_eq((beds["units"], beds["expires_s"] - beds["published_s"]), (5, 7200), "units and hours")


def send_json(node, path, fields, *words):
    return curl("-X", "POST", "-H", f"Content-Type: {FORM}", *words, "--data-binary",
                urllib.parse.urlencode(fields), url_of(node) + path)


def test_a_program_publishes_and_gets_errors_as_json(lab):
    node = start(lab)
    path, shown = "/offers/housing/publish", ("-H", f"X-Weft-Token: {token_of(node)}")
    check_eq(error_of(get(node, path)), (406, "not_acceptable"), "the form is a page")
    check_eq(error_of(send_json(node, path, {**FLAT, ".token": "wrong"})), (401, "token_required"), "no token")
    for wrong, name, says in (({"rent": "cheap"}, "rent", "rent is no number"), ({"size": ""}, "size", "is needed"),
                              ({".units": "12abc"}, ".units", "1 to 4294967295"),
                              ({".hours": "9000", "rent": "x"}, "rent", "rent is no number")):
        answer = send_json(node, path, {**FLAT, **wrong}, *shown)
        check_eq(error_of(answer), (400, "invalid_field"), wrong)
        said = json.loads(answer[2])
        check_eq((said["parameters"]["field"], says in said["message"]), (name, True), said)
    check_eq(send_json(node, path, FLAT, *shown)[0], 303, "it leads to the offer")
    viewer = start(lab, "b", CONFIG.replace("[gateway]", "[gateway]\nrole = view"))
    answer = send_json(viewer, path, {**FLAT, ".token": token_of(viewer)})
    check_eq(error_of(answer), (409, "publish_failed"), "a role that may not")


def test_errors_say_what_to_do_next(lab):
    node = start(lab)
    for path, says in (("/offers/housing?limit=201", "none for 20"), ("/offers/housing?level=4", "none for"),
                       ("/offers/housing?cursor=x", "give none"),
                       ("/offers/housing/yyyyyyyy", "the list of its schema"), ("/offers/castles", "/offers lists"),
                       ("/offers/housing/ask", "has a form for it")):
        said = json.loads(get(node, path)[2])
        check(says in said["message"], said)
    said = json.loads(send_json(node, "/offers/housing", {".token": token_of(node)})[2])
    check("/offers/SCHEMA/publish" in said["message"], said)


def test_lists_of_choices_and_ranges_come_from_boxes_and_two_ends(lab):
    node = start(lab)
    values = {"specialities": ["depression", "trauma"], "modalities": ["online"], "cost_bearers": ["self-pay"],
              "slot_type": "intake", "slots": "2027-03-01T10:00", "postcode": "10115"}
    shown = {row["name"]: row for row in node.json("schema", "show", "fapp")["fields"]}
    for name in list(values):
        if name in shown and shown[name]["choices"]:
            take = shown[name]["choices"][:2] if isinstance(values[name], list) else shown[name]["choices"][0]
            values[name] = take
    for name, row in shown.items():
        if row["required"] and name not in values:
            values[name] = row["choices"][:1] or "x"
    values = {name: value for name, value in values.items() if name in shown}
    status, fields, body = send(node, "/offers/fapp/publish", {**values, ".token": token_of(node)})
    check_eq(status, 303, body.decode()[:3000])
    offer = fields["location"].rsplit("/", 1)[1]
    said = {row["field"]: row["value"] for row in listed(node, f"/offers/fapp/{offer}")["offer"]["values"]}
    for name, value in values.items():
        if isinstance(value, list):
            check_eq(said[name], ",".join(value), name)
    ranges = [row["name"] for row in node.json("schema", "show", "fapp")["filters"]
              if row["comparison"] == "between"]
    check_eq(len(ranges), 1, ranges)
    for ends, count in (({".from": "2027-02-01", ".to": "2027-04-01"}, 1), ({".from": "2027-04-01"}, 0),
                        ({".to": "2027-02-01"}, 0), ({".to": "2027-04-01"}, 1)):
        query = urllib.parse.urlencode({ranges[0] + end: value for end, value in ends.items()})
        check_eq(len(listed(node, f"/offers/fapp?{query}")["offers"]), count, f"{ends}")


def test_a_form_without_the_token_or_of_another_site_changes_nothing(lab):
    node = start(lab)
    path = "/offers/housing/publish"
    for token in ("", "wrong", "0" * 64, token_of(node)[:-1]):
        status, _, body = send(node, path, {**FLAT, ".token": token})
        check_eq((status, b"token" in body), (401, True), token)
    check_eq(send(node, path, FLAT)[0], 401, "no token at all")
    good = {**FLAT, ".token": token_of(node)}
    check_eq(error_of(send(node, path, good, "-H", "Origin: http://evil.example")),
             (403, "origin_not_allowed"), "two origins")
    body = urllib.parse.urlencode(good)
    for origin in ("http://evil.example", "null"):
        answer = curl("-X", "POST", "-H", f"Origin: {origin}", "-H", f"Content-Type: {FORM}",
                      "--data-binary", body, url_of(node) + path)
        check_eq(error_of(answer), (403, "origin_not_allowed"), origin)
    for words in (("-H", "Content-Type: text/plain"), ("-H", "Content-Type: application/json")):
        answer = curl("-X", "POST", *words, "--data-binary", body, url_of(node) + path)
        check_eq(error_of(answer), (401, "token_required"), words)
    answer = curl("-X", "POST", "-H", f"Content-Type: {FORM}", "--data-binary", body,
                  url_of(node) + "/api/v1/PublishOffer")
    check_eq(error_of(answer), (401, "token_required"), "other paths look for no token in a form")
    check_eq(listed(node, "/offers/housing")["offers"], [], "nothing was published")
    check_eq(send(node, path, FLAT, "-H", f"X-Weft-Token: {token_of(node)}")[0], 303, "or in the head")
    viewer = start(lab, "b", CONFIG.replace("[gateway]", "[gateway]\nrole = view"))
    status, _, body = send(viewer, path, {**FLAT, ".token": token_of(viewer)})
    check_eq((status, b"gateway.role" in body), (409, True), body)
    long = {**good, "description": "x" * 65536}
    check_eq(send(node, path, long)[0], 413, "a form that is too long")


def test_offers_of_a_lower_level_are_counted_and_shown_on_demand(lab):
    a, b = start(lab), start(lab, "b")
    join(b, a)
    for node in (a, b):
        node.call("AddSchema", name="medical")
    needed = [row for row in b.json("schema", "show", "medical")["fields"] if row["required"]]
    samples = {"number": "1", "time": "2027-01-01", "times": "2027-01-01T10:00", "text": "x", "words": "x",
               "postcode": "10115", "geohash": "u33d", "flag": "yes", "url": "https://example.org", "hash": "00" * 32}
    given = [f"{row['name']}={row['choices'][0] if row['choices'] else samples[row['type']]}" for row in needed]
    offer = b.call("PublishOffer", schema="medical", values=given)["offer"]["offer_id"]
    wait_for(lambda: listed(a, "/offers/medical")["left_out"] == 1, "it is counted", timeout=SPREAD_S)
    check_eq(ids(listed(a, "/offers/medical")), [], "and left out")
    check_eq(ids(listed(a, "/offers/medical?level=0")), [offer], "unless it is asked for")
    text = page(a, "/offers/medical")
    check("verified less" in text and "/offers/medical?level=0" in text, text)
    check(f"/offers/medical/{offer}" in page(a, "/offers/medical?level=0"), "the page, too")


EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def test_words_of_other_nodes_are_escaped_wherever_they_stand(lab):
    n1, n2 = start(lab), start(lab, "b")
    join(n2, n1)
    offer = publish(n2, title=EVIL, description=EVIL + "\n\u202eevil", amenities="<script>alert(3)</script>",
                    url="https://example.org/\"onmouseover=alert(1)//<script>")
    wait_for(lambda: ids(listed(n1, "/offers/housing")) == [offer], "at n1", timeout=SPREAD_S)
    for path in ("/offers/housing", f"/offers/housing/{offer}", f"/offers/housing?max_rent={EVIL_QUERY}"):
        status, _, body = get(n1, path, *HTML)
        text = body.decode()
        check("<script" not in text and "<img" not in text, f"{path} {status}: {text}")
        for tag, attrs in Tags(text).tags:
            check(tag in PLAIN_TAGS, f"{path}: {tag}")
            check(not any(name.startswith("on") for name in attrs), f"{path}: {tag} {attrs}")
            link = attrs.get("href", "/")
            check(link.startswith(("/offers", "https://example.org/")) or link == "/", link)
    check_eq(json.loads(get(n1, f"/offers/housing/{offer}")[2])["offer"]["values"][-1]["value"] != "", True,
             "JSON has it as it is")
    done = n2.weft("offer", "publish", "housing", *(f"{k}={v}" for k, v in FLAT.items()),
                   "url=javascript:alert(1)")
    check(done.returncode != OK, "a link that is none of http")


EVIL_QUERY = urllib.parse.quote(EVIL)
PLAIN_TAGS = {"html", "meta", "link", "title", "h1", "h2", "p", "a", "form", "label", "input", "select", "option",
              "small", "span", "button", "details", "summary", "table", "tr", "th", "td", "bdi", "dl", "dt", "dd",
              "code", "fieldset", "legend", "textarea", "ul", "li"}


def test_a_query_of_the_mesh_needs_the_token(lab):
    n1, n2, n3 = start(lab), start(lab, "b"), start(lab, "c")
    join(n2, n1)
    join(n3, n1)
    offers = {publish(n2, rent=300 + i) for i in range(30)}
    wait_for(lambda: len(listed(n3, "/offers/housing")["offers"]) >= 5, "some are here", timeout=SPREAD_S)
    path = "/offers/housing?max_rent=400&limit=200"
    check(len(listed(n3, path)["offers"]) < 30, "not all: announces have rates")
    check_eq(error_of(get(n3, path + "&ask=1")), (401, "token_required"), "no token")
    check_eq(error_of(get(n3, path + f"&ask=1&.token={token_of(n3)}")), (401, "token_required"),
             "an address is no place for it")
    found = listed(n3, path + "&ask=1", "-H", f"X-Weft-Token: {token_of(n3)}")
    check_eq(set(ids(found)), offers, "all of them")
    status, fields, _ = send(n3, "/offers/housing/ask", {"max_rent": "400", "min_size": "", ".token": token_of(n3)})
    check_eq((status, fields["location"]), (303, "/offers/housing?max_rent=400"), "by the form")
    page(n3, fields["location"])
    check_eq(send(n3, "/offers/housing/ask", {"max_rent": "400", ".token": "x"})[0], 401, "a wrong one")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
