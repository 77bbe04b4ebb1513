#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is asked of other nodes for the people that are followed, on all datagrams of the follower.

    n1 (follower) -- switch -- n2: its neighbour, which serves the DHT and the overlay
"""
import hashlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import oracle
from lab import NOT_FOUND, OK, REFUSED, check, check_eq, need_root, run, wait_for
from sessions import node_id
from tap import Tap

try:
    import nacl.signing
except ImportError as missing:
    print(f"python3-nacl is needed: {missing}")
    sys.exit(77)

FOLLOWS = 100
SERVING = "[dht]\nbootstrap =\nprivate = yes\n[overlay]\nserve = yes\n"
# Without searches for relays: those are gets of the overlay as well, and go on beside all others.
FULL = "[dht]\nbootstrap = 10.77.0.2:7000\nprivate = yes\n[overlay]\nserve = yes\n[relay]\nfind = no\n"
ALONE = ("[dht]\nenabled = no\n[overlay]\nserve = no\nrendezvous = no\n[service]\nenabled = no\n"
         "[relay]\nfind = no\n")


def done(daemon, *words):
    result = daemon.weft(*words)
    check_eq(result.returncode, OK, f"{daemon.name} {words}: {result.stderr}")
    return result.stdout


def draw_keys(cnt):
    return [bytes(nacl.signing.SigningKey.generate().verify_key) for _ in range(cnt)]


def is_krpc(data):
    """A bencoded dictionary with the kind of a message; no QUIC packet ends so as well."""
    return data[:1] == b"d" and data[-1:] == b"e" and b"1:y1:" in data


def start(lab, config):
    """The follower, and what watches it from before its start."""
    need_root()
    first, second = lab.bridge(2)
    neighbour = lab.daemon("n2", netns=second, listen=["0.0.0.0:7000"], config=SERVING).start()
    tap = Tap(lab, first)
    follower = lab.daemon("n1", netns=first, listen=["0.0.0.0:7000"], config=config).start()
    done(follower, "peer", "connect", node_id(neighbour), "10.77.0.2:7000")
    return follower, tap


def follow_all(follower, keys):
    """Each is followed, and looked for by all stages, which find nothing."""
    for key in keys:
        done(follower, "follow", "add", oracle.z32(key))
    for key in keys:
        check_eq(follower.weft("social", "reach", oracle.z32(key)).returncode, NOT_FOUND, "none is there")


def sent_krpc(follower, tap):
    return [each.data for each in list(tap.seen) if each.source == "10.77.0.1" and is_krpc(each.data)]


def overlay(follower, what):
    return follower.json("status")["counters"].get(f"overlay.{what}_cnt", 0)


def test_a_social_node_alone_sends_no_krpc_and_no_overlay_request(lab):
    follower, tap = start(lab, ALONE)
    follow_all(follower, draw_keys(FOLLOWS))
    check_eq(len(follower.json("follow", "list")["people"]), FOLLOWS, "followed")
    requests = overlay(follower, "sent")
    seen = tap.close()
    check(any(each.source == "10.77.0.1" for each in seen), "its session is seen")
    check_eq([each.data for each in seen if is_krpc(each.data)], [], "KRPC, either way")
    check_eq(requests, 0, "requests of the overlay")


def test_on_a_full_node_no_question_to_a_dht_is_of_a_followed_key(lab):
    follower, tap = start(lab, FULL)
    wait_for(lambda: sent_krpc(follower, tap), "it speaks with the DHT")
    gets = overlay(follower, "get")
    keys, stranger = draw_keys(FOLLOWS), draw_keys(1)[0]
    follow_all(follower, keys)
    check_eq(overlay(follower, "get"), gets, "gets of the overlay for these people")
    # The same look at a key that is not followed sees its target.
    follower.weft("route", "find", oracle.z32(stranger))
    wait_for(lambda: any(hashlib.sha1(stranger).digest() in data for data in sent_krpc(follower, tap)),
             "a key that is not followed is looked for")
    seen = b"\n".join(each.data for each in tap.close() if is_krpc(each.data))
    for key in keys:
        forms = [key, key[:20], hashlib.sha1(key).digest(), hashlib.sha256(key).digest()[:20]]
        check_eq([form.hex() for form in forms if form in seen], [], "forms of a followed key")


def test_a_command_that_asks_a_dht_refuses_a_followed_key(lab):
    follower, tap = start(lab, FULL)
    key = draw_keys(1)[0]
    done(follower, "follow", "add", oracle.z32(key), "--private")
    for words in (("route", "find"), ("dht", "get")):
        result = follower.weft(*words, oracle.z32(key))
        check_eq(result.returncode, REFUSED, f"{words}: {result.stdout} {result.stderr}")
        check("no DHT is to hear that" in result.stderr, result.stderr)
    result = follower.weft("check", oracle.z32(key))
    check(result.returncode != OK, result.stdout)
    check("no locator is asked" in result.stdout + result.stderr, f"{result.stdout} {result.stderr}")
    seen = b"\n".join(each.data for each in tap.close() if is_krpc(each.data))
    check(key not in seen and hashlib.sha1(key).digest() not in seen, "and none was asked")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
