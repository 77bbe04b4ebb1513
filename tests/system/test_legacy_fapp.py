#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The older wire of FAPP: a program in Python (cbor2, nacl) speaks it, and nodes of weft answer."""
import json
import os
import pathlib
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import cbor2
import nacl.exceptions
import nacl.signing
from gateway_pair import join
from lab import NOT_FOUND, OK, check, check_eq, run, wait_for
from web import GATEWAY, QUICK, curl, token_of, url_of

CONFIG = GATEWAY + QUICK
LEGACY = "[offers]\nlegacy_fapp = yes\n"
ANNOUNCE, QUERY, RESPONSE, RESERVE, CONFIRM = range(1, 6)
# What the older wire has of an offer, and the same as payload of a service message (weft-schema(5)).
FIELDS = {"specialities": ["trauma", "anxiety"], "modalities": ["video"],
          "cost_bearers": ["statutory"], "postcode": "10115", "slot_type": "first-talk"}
PAYLOAD = {1: [10, 13], 2: [1], 3: [0], 4: "10115", 6: 0}


def dumps(value):
    return cbor2.dumps(value, canonical=True)


def announce(key, **changed):
    """The map of an announce, signed as its service message of the seed form has to be."""
    words = {"id": os.urandom(16), "sequence": 1, "timestamp": int(time.time()), "ttl_hours": 72,
             "slots": [int(time.time()) + 86400], **changed}
    public = bytes(key.verify_key)
    payload = dumps({0: public, **PAYLOAD, 5: words["slots"], 240: words["sequence"],
                     241: words["id"]})
    return {"key": public, **FIELDS, **words,
            "signature": key.sign(struct.pack("<IBB", 1, 1, 1) + payload).signature}


def is_signed(found):
    """The signature of an announce in a response is its provider's."""
    payload = dumps({0: found["key"], **PAYLOAD, 5: found["slots"], 240: found["sequence"],
                     241: found["id"]})
    try:
        nacl.signing.VerifyKey(found["key"]).verify(struct.pack("<IBB", 1, 1, 1) + payload,
                                                    found["signature"])
    except nacl.exceptions.BadSignatureError:
        return False
    return True


def say(node, tag, value, *words):
    """Sends a message with the token; gives the status and the body of the answer."""
    token = ("-H", f"X-Weft-Token: {token_of(node)}")
    status, _, body = curl("-X", "POST", *token, *words, "--data-binary", "@-",
                           url_of(node) + "/legacy/fapp", stdin=bytes([tag]) + dumps(value))
    return status, body


def ask(node, **filters):
    status, body = say(node, QUERY, filters)
    check_eq(status, 200, body)
    check_eq(body[0], RESPONSE, "tag of the answer")
    return cbor2.loads(body[1:])


def start(lab, name="a", config=CONFIG + LEGACY):
    return lab.daemon(name, config=config).start()


def found_by(node, *words):
    done = node.weft("--json", "offer", "find", "fapp", *words)
    check(done.returncode in (OK, NOT_FOUND), done.stderr)
    return json.loads(done.stdout)["offers"] if done.returncode == OK else []


def figures(node):
    _, _, text = curl("-H", f"X-Weft-Token: {token_of(node)}", url_of(node) + "/metrics")
    rows = (row.rsplit(" ", 1) for row in text.decode().splitlines() if "legacy" in row
            and not row.startswith("#"))
    return {name: int(float(value)) for name, value in rows}


def test_c27_an_announce_is_translated_kept_and_found(lab):
    a, b = start(lab), start(lab, "b", CONFIG)
    join(a, b)
    key = nacl.signing.SigningKey.generate()
    sent = announce(key)
    check_eq(say(a, ANNOUNCE, sent), (204, b""), "taken")
    offer = found_by(a, "speciality=trauma")[0]
    check_eq(offer["level"], 0, "no level")
    # It goes on as a service message, so a node that has the older wire off finds it.
    wait_for(lambda: found_by(b, "plz_prefix=101"), "b has it")
    check_eq(found_by(b, "plz_prefix=101")[0]["offer_id"], offer["offer_id"], "the same offer")
    answer = ask(a, speciality=["trauma", "eating"], plz_prefix="101",
                 time=[sent["slots"][0] - 1, sent["slots"][0] + 1], max_results=5)
    check_eq(answer, [sent], "the answer has it, byte for byte")
    check(is_signed(answer[0]), "signed by its provider")
    check_eq(ask(a, speciality=["eating"]), [], "what does not fit")
    pool = next(pool for pool in a.json("limits", "show")["pools"] if pool["name"] == "service offers")
    check_eq({row["class"] for row in pool["classes"] if row["used"]}, {"unknown"},
             "it is charged as one of an unknown peer")
    names = figures(a)
    check_eq([value for name, value in names.items() if "peer" in name], [1], f"one peer: {names}")
    check_eq(say(a, ANNOUNCE, announce(key, sequence=2))[0], 204, "another offer of it")
    say(a, ANNOUNCE, announce(nacl.signing.SigningKey.generate()))
    check_eq([value for name, value in figures(a).items() if "peer" in name], [2], "two peers")


def test_c27_offers_of_the_newer_wire_are_in_the_answers_of_the_older(lab):
    a = start(lab)
    done = a.weft("offer", "publish", "fapp", "specialities=emdr", "modalities=practice",
                  "cost_bearers=free", "postcode=20095", "slot_type=group", "title=Weekly")
    check_eq(done.returncode, OK, done.stderr)
    answer = ask(a, modality="practice")
    check_eq(len(answer), 1, "one fits")
    check_eq({key: answer[0][key] for key in ("specialities", "cost_bearers", "title", "slot_type")},
             {"specialities": ["emdr"], "cost_bearers": ["free"], "title": "Weekly",
              "slot_type": "group"}, "its words")
    check("signature" not in answer[0], "an older program cannot check it")
    check_eq((len(answer[0]["key"]), len(answer[0]["id"])), (32, 16), "key and id")
    check(answer[0]["ttl_hours"] > 0, "life")


def test_c27_a_response_of_an_older_program_is_kept_too(lab):
    a = start(lab)
    offers = [announce(nacl.signing.SigningKey.generate()) for _ in range(3)]
    check_eq(say(a, RESPONSE, offers)[0], 204, "taken")
    check_eq(len(found_by(a)), 3, "each is an offer")
    check_eq({offer["id"] for offer in ask(a)}, {offer["id"] for offer in offers}, "and is answered")
    check_eq(len(ask(a, max_results=2)), 2, "as many as are asked for")
    check_eq(say(a, RESPONSE, offers * 17)[0], 403, "51 are too many")


def test_what_is_wrong_is_refused_and_says_why(lab):
    a = start(lab)
    key, other = nacl.signing.SigningKey.generate(), nacl.signing.SigningKey.generate()
    now = int(time.time())
    good = announce(key)
    for why, status, tag, value in (
            ("another signature", 403, ANNOUNCE, good | {"signature": announce(other)["signature"]}),
            ("another postcode", 403, ANNOUNCE, good | {"postcode": "20095"}),
            ("a time that is over", 403, ANNOUNCE, announce(key, timestamp=now - 73 * 3600)),
            ("a time ahead", 403, ANNOUNCE, announce(key, timestamp=now + 3600)),
            ("a street in the postcode", 400, ANNOUNCE, good | {"postcode": "Am Markt 12, Hof"}),
            ("no key", 400, ANNOUNCE, {name: good[name] for name in good if name != "key"}),
            ("no filter", 400, QUERY, {"colour": "red"}),
            ("a list for a map", 400, QUERY, []),
            ("no tag", 400, 9, {}),
            ("a reservation", 403, RESERVE, {"id": good["id"], "sealed": bytes(40)}),
            ("a confirmation", 403, CONFIRM, {"id": good["id"]})):
        answer, body = say(a, tag, value)
        check_eq(answer, status, f"{why}: {body}")
        check(json.loads(body)["message"], why)
    check_eq(found_by(a), [], "nothing is kept")
    status, _, body = curl("-X", "POST", "--data-binary", "@-", url_of(a) + "/legacy/fapp",
                           stdin=b"\x02\xa0")
    check_eq(status, 401, body)
    off = start(lab, "off", CONFIG)
    check_eq(say(off, ANNOUNCE, good)[0], 404, "off unless it is switched on")
    check_eq(found_by(off), [], "nothing is kept")


def test_one_more_than_the_numbers_of_a_minute_is_refused(lab):
    a = start(lab, config=CONFIG + LEGACY + "announces_per_minute = 3\nrelayed_per_minute = 8\n"
              "queries_per_minute = 5\n")
    first = nacl.signing.SigningKey.generate()
    check_eq([say(a, ANNOUNCE, announce(first))[0] for _ in range(4)], [204] * 3 + [429],
             "of one provider")
    check_eq(say(a, ANNOUNCE, announce(nacl.signing.SigningKey.generate()))[0], 204,
             "another provider has numbers of its own")
    check_eq([say(a, ANNOUNCE, announce(nacl.signing.SigningKey.generate()))[0] for _ in range(5)],
             [204] * 4 + [429], "of all")
    check_eq([say(a, QUERY, {})[0] for _ in range(6)], [200] * 5 + [429], "queries")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
