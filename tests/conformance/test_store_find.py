#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Puts and gets of BEP-44, judged without our code.

tests/vectors/store_find.json has a scenario, query by query, and what a node of weft answered
(tests/unit/conformance/test_store_find_vectors). Here a model of a storing node, of
dictionaries, hashlib and PyNaCl alone, is asked the same and has to answer as much.
"""
import hashlib
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "system" / "support"))
from lab import check, check_eq, run

try:
    import nacl.exceptions
    import nacl.signing
except ImportError as missing:
    print(f"python3-nacl is needed: {missing}")
    sys.exit(77)

STEPS = json.loads(pathlib.Path("tests/vectors/store_find.json").read_text())["steps"]
# BEP-5 and BEP-44.
PROTOCOL, TOO_BIG, BAD_SIGNATURE, SALT_TOO_BIG, CAS_MISMATCH, OLD_SEQ = 203, 205, 206, 207, 301, 302


def bdecode(data, at=0):
    """(value, where it ends)"""
    kind = data[at:at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if kind in (b"l", b"d"):
        at, values = at + 1, []
        while data[at:at + 1] != b"e":
            value, at = bdecode(data, at)
            values.append(value)
        if kind == b"l":
            return values, at + 1
        return dict(zip(values[::2], values[1::2])), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    check(end <= len(data), "a string past the end")
    return data[colon + 1:end], end


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


def message(text):
    """What bytes in hexadecimal say, if they are the only ones that say it."""
    data = bytes.fromhex(text)
    value, end = bdecode(data)
    check_eq((end, bencode(value)), (len(data), data), "canonical")
    return value


class Model:
    """One node that stores: answers a query with an error's code or with what a reply has in it."""

    def __init__(self):
        self.items, self.tokens = {}, {}

    def get(self, arguments):
        return self.items.get(arguments[b"target"], {})

    def put(self, source, arguments):
        value, salt = arguments[b"v"], arguments.get(b"salt", b"")
        if arguments[b"token"] != self.tokens.get(source):
            return PROTOCOL
        if len(bencode(value)) > 1000:
            return TOO_BIG
        if b"k" not in arguments:
            self.items[hashlib.sha1(bencode(value)).digest()] = {b"v": value}
            return {}
        if len(salt) > 64:
            return SALT_TOO_BIG
        target = hashlib.sha1(arguments[b"k"] + salt).digest()
        there = self.items.get(target)
        if not self.is_signed(arguments, value, salt):
            return BAD_SIGNATURE
        if there and b"cas" in arguments and arguments[b"cas"] != there[b"seq"]:
            return CAS_MISMATCH
        if there and arguments[b"seq"] < there[b"seq"]:
            return OLD_SEQ
        self.items[target] = {key: arguments[key] for key in (b"v", b"k", b"sig", b"seq")}
        return {}

    @staticmethod
    def is_signed(arguments, value, salt):
        covered = b"4:salt%d:%s" % (len(salt), salt) if salt else b""
        covered += b"3:seqi%de1:v%s" % (arguments[b"seq"], bencode(value))
        try:
            nacl.signing.VerifyKey(arguments[b"k"]).verify(covered, arguments[b"sig"])
        except nacl.exceptions.BadSignatureError:
            return False
        return True


def test_a_model_of_a_storing_node_answers_the_same(_):
    model, kinds = Model(), set()
    for step in STEPS:
        name, source = step["name"], step["from"]
        query, answer = message(step["query"]), message(step["answer"])
        check_eq((query[b"y"], answer[b"t"]), (b"q", query[b"t"]), name)
        arguments, method = query[b"a"], query[b"q"]
        want = model.get(arguments) if method == b"get" else model.put(source, arguments)
        if isinstance(want, int):
            kinds.add(want)
            check_eq((answer[b"y"], answer[b"e"][0]), (b"e", want), name)
            continue
        kinds.add(method)
        check_eq(answer[b"y"], b"r", name)
        reply = answer[b"r"]
        check_eq(len(reply[b"id"]), 20, name)
        check_eq({key: reply[key] for key in (b"v", b"k", b"sig", b"seq") if key in reply}, want, name)
        if method == b"get":
            model.tokens[source] = reply[b"token"]
    check_eq(kinds, {b"get", b"put", PROTOCOL, TOO_BIG, BAD_SIGNATURE, SALT_TOO_BIG, CAS_MISMATCH,
                     OLD_SEQ}, "what the scenario has in it")


run([test_a_model_of_a_storing_node_answers_the_same])
