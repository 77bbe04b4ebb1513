#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Offers of several services at once: "a therapist or a tutor".

    n2 (the provider) -- n1 (keeps and answers) -- n3 (looks for something)
"""
import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from fabric import connect
from lab import OK, check, check_eq, run, wait_for
from offer_watches import Events, Watch
from web import GATEWAY, QUICK, curl, error_of, token_of, url_of

CONFIG = GATEWAY + QUICK
NOT_FOUND = 4
SPREAD_S = 5
KINDS = {
    "fapp": {"specialities": "anxiety", "modalities": "video", "cost_bearers": "statutory",
             "postcode": "10115", "slot_type": "first-talk"},
    "tutor": {"subjects": "maths", "levels": "primary", "modes": "online", "languages": "de",
              "postcode": "10115", "price": "20"},
    "housing": {"room_type": "apartment", "size": "62", "rent": "900", "available_from": "2027-01-01",
                "postcode": "10115"},
    "medical": {"specialties": "dermatology", "visit": "first-visit", "modes": "practice",
                "cost_bearers": "statutory", "postcode": "10115", "slots": "2027-03-01T10:00"},
}


def switch_on(*nodes, names=("tutor",)):
    """Schemas that come with weft and are off at first."""
    for node in nodes:
        for name in names:
            node.call("AddSchema", name=name)
    return nodes[0]


def publish(node, schema, **changed):
    words = [f"{name}={value}" for name, value in {**KINDS[schema], **changed}.items()]
    return node.call("PublishOffer", schema=schema, values=words)["offer"]["offer_id"]


def find(node, schema, *words):
    done = node.weft("--json", "offer", "find", schema, *words)
    check(done.returncode in (OK, NOT_FOUND), done.stderr)
    return json.loads(done.stdout)


def ids(found):
    return [offer["offer_id"] for offer in found["offers"]]


def test_filters_ask_each_service_or_one_of_them(lab):
    node = switch_on(lab.daemon("a").start())
    talk = publish(node, "fapp")
    lesson = publish(node, "tutor")
    far = publish(node, "fapp", postcode="20095")
    dear = publish(node, "tutor", price="90")
    publish(node, "housing")
    check_eq(ids(find(node, "fapp,tutor")), [dear, far, lesson, talk], "of both, the newest first")
    check_eq(ids(find(node, "tutor,fapp")), [dear, far, lesson, talk], "in any order")
    check_eq(ids(find(node, "fapp,tutor", "plz_prefix=101")), [dear, lesson, talk], "a filter of both asks both")
    check_eq(ids(find(node, "fapp,tutor", "tutor.max_price=50")), [far, lesson, talk], "one of tutor alone")
    check_eq(ids(find(node, "fapp,tutor", "Tutor.max_price=50", "fapp.plz_prefix=2")), [far, lesson], "one each")
    check_eq(ids(find(node, "tutor", "tutor.max_price=50")), [lesson], "of one service, too")
    check_eq({offer["schema"] for offer in find(node, "fapp,tutor")["offers"]}, {"fapp", "tutor"}, "each says which")
    check_eq(node.weft("offer", "find", "fapp,tutor", "plz_prefix=9").returncode, NOT_FOUND, "nothing fits")


def test_what_is_wrong_is_said(lab):
    node = switch_on(lab.daemon("a", config=CONFIG).start(), names=("tutor", "legal"))
    for words, said in ((("fapp,tutor", "max_price=5"), ("fapp has no filter max_price", "tutor.max_price=VALUE")),
                        (("fapp,tutor", "fapp.max_price=5"), ("fapp has no filter max_price",)),
                        (("fapp,tutor", "housing.max_rent=5"), ("no filter housing.max_rent",)),
                        (("fapp,tutor", "plz_prefix=1", "fapp.plz_prefix=2"), ("plz_prefix is given twice",)),
                        (("fapp,fapp",), ("fapp is given twice",)),
                        (("fapp,castles",), ("no schema of that name is on", "castles")),
                        (("fapp,medical",), ("no schema of that name is on", "weft schema add turns one on")),
                        (("fapp,",), ("no schema of that name is on",)),
                        (("fapp,tutor,housing,repair,legal",), ("at most four",))):
        for more in ((), ("--mesh",), ("--watch",)):
            done = node.weft("offer", "find", *words, *more)
            check(done.returncode != OK, f"{words} {more}")
            for text in said:
                check(text in done.stderr, f"{words} {more}: {done.stderr}")
    publish(node, "fapp")
    check_eq(len(find(node, "fapp,tutor,housing,repair")["offers"]), 1, "four are not too many")
    # All filters that four schemas have are not too many, either.
    words = [f"{row['name']}.{name}=" for row in node.json("schema", "list")["schemas"] if row["on"]
             for name in (filter["name"] for filter in node.json("schema", "show", row["name"])["filters"])]
    check(len(words) > 40, "many")
    done = node.weft("offer", "find", "fapp,tutor,housing,repair", *words[:64])
    check("one argument too many" not in done.stderr, done.stderr)


def test_pages_of_all_services_hold_each_offer_once_and_the_newest_first(lab):
    node = switch_on(lab.daemon("a").start(), names=("tutor", "medical"))
    dice = random.Random(11)
    published = [publish(node, dice.choice(list(KINDS)), postcode=dice.choice(("10115", "20095"))) for _ in range(60)]
    names = ",".join(KINDS)
    near = [offer for offer in published[::-1] if dict((row["field"], row["value"]) for row in node.call(
        "ShowOffer", offer_id=offer)["offer"]["values"])["postcode"] == "10115"]
    for words, wanted in (((), published[::-1]), (("plz_prefix=101",), near)):
        for limit in (1, 7, 59, 200):
            seen, cursor = [], ()
            while True:
                page = find(node, names, *words, "--limit", str(limit), *cursor)
                check(len(page["offers"]) <= limit, "a page has so many")
                seen += ids(page)
                if page.get("cursor") is None:
                    break
                cursor = ("--cursor", page["cursor"])
            check_eq(seen, wanted, f"pages of {limit}")


def test_each_service_has_the_level_of_its_schema(lab):
    n1, n2, n3 = fabric.start(lab, 3)
    switch_on(n1, n2, n3, names=("tutor", "medical"))
    doctor, lesson = publish(n2, "medical"), publish(n2, "tutor")
    wait_for(lambda: ids(find(n3, "medical,tutor", "--level", "0")) == [lesson, doctor], "both at n3",
             timeout=SPREAD_S)
    found = find(n3, "medical,tutor")
    check_eq((ids(found), found["left_out"]), ([lesson], 1), "medical asks for level 2")
    found = find(n3, "medical,tutor", "--level", "1")
    check_eq((ids(found), found["left_out"]), ([], 2), "a level that is asked for counts for each")


def test_one_question_asks_the_nodes_around_for_all_services(lab):
    n1, n2, n3 = fabric.start(lab, 3)
    switch_on(n1, n2, n3)
    n3.stop()
    talk, lesson, home = (publish(n2, schema) for schema in ("fapp", "tutor", "housing"))
    wait_for(lambda: len(find(n1, "fapp,tutor,housing")["offers"]) == 3, "at n1", timeout=SPREAD_S)
    n2.kill()
    n3.start()
    connect(n3, n1)
    # As one, or as its parts: that is drawn at random.
    wait_for(lambda: set(ids(find(n3, "fapp,tutor,housing", "plz_prefix=101", "--mesh"))) == {talk, lesson, home},
             "n1 answers for n2", timeout=SPREAD_S)


def test_a_watch_gives_new_offers_of_all_its_services(lab):
    node = switch_on(lab.daemon("a", config=CONFIG).start())
    watch = Watch(node, "plz_prefix=101", "tutor.max_price=50", schema="fapp,tutor")
    events = Events(node, "plz_prefix=101&tutor.max_price=50", "/offers/fapp,tutor/events")
    shown = node.weft_popen("offer", "find", "fapp,tutor", "plz_prefix=101", "--watch")
    try:
        publish(node, "tutor", price="90")
        publish(node, "housing")
        for schema in ("fapp", "tutor"):
            offer = publish(node, schema)
            check_eq((watch.offer(), events.offer()), (offer, offer), schema)
        wait_for(lambda: offer in shown.stdout.readline(), "and by the command")
        # It ends with one of its schemas.
        node.call("AddSchema", text=pathlib.Path("userspace/offers/shipped/tutor.ini").read_text()
                  .replace("name = tutor", "name = coach").replace("id = 4\n", ""))
        other = Watch(node, schema="fapp,coach")
        node.call("RemoveSchema", name="coach")
        check("it was removed" in json.dumps(other.next()), "the end is said")
        offer = publish(node, "fapp")
        check_eq((watch.offer(), events.offer()), (offer, offer), "the others go on")
    finally:
        shown.kill()
        shown.communicate()


def test_the_gateway_has_offers_of_several_services_as_json(lab):
    node = switch_on(lab.daemon("a", config=CONFIG).start(), names=("tutor", "legal"))
    talk, lesson = publish(node, "fapp"), publish(node, "tutor")
    publish(node, "tutor", price="90")
    base = f"{url_of(node)}/offers/fapp,tutor"
    query = "?plz_prefix=101&tutor.max_price=50"

    def listed(words, *more):
        status, fields, body = curl(*more, base + words)
        check_eq((status, fields["content-type"]), (200, "application/json"), body)
        return json.loads(body)

    check_eq(ids(listed(query)), [lesson, talk], "what fits")
    check_eq(ids(listed(query, "-H", "Accept: text/html")), [lesson, talk], "JSON to a browser, too")
    page = listed(query + "&limit=1")
    check_eq(ids(page), [lesson], "a page")
    page = listed(query + f"&limit=1&cursor={page['cursor']}")
    check_eq((ids(page), page.get("cursor")), ([talk], None), "and the last one")
    asked = listed(query + "&ask=1", "-H", f"X-Weft-Token: {token_of(node)}")
    check_eq(ids(asked), [lesson, talk], "asked, with the token")
    check_eq(error_of(curl(base + query + "&ask=1"))[0], 401, "not without it")
    check_eq(error_of(curl(base + "?max_price=5")), (400, "invalid_filter"), "a filter of one alone")
    check_eq(error_of(curl(base + "?limit=0")), (400, "invalid_limit"), "a limit")
    check_eq(error_of(curl(base + "?level=9")), (400, "invalid_level"), "a level")
    for path, want in (("fapp,castles", (404, "not_found")), ("fapp,fapp", (400, "invalid_filter")),
                       ("a,b,c,d,e", (404, "not_found")), ("fapp,tutor,housing,repair,legal", (400, "invalid_filter")),
                       ("fapp,tutor/publish", (404, "not_found")), ("," * 300, (404, "not_found"))):
        check_eq(error_of(curl(f"{url_of(node)}/offers/{path}")), want, path)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
