#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes without a common DHT that find each other by a signaling endpoint, and
nodes that are told not to."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import FAILED, OK, check, check_eq, run, wait_for
from signaling import Endpoint
from swarm import Swarm, zbase32_decode


def config(endpoint, dht="yes", bootstrap=""):
    return (f"[dht]\nenabled = {dht}\nbootstrap = {bootstrap}\nprivate = yes\npublish = direct\n"
            f"[signaling]\nurl = {endpoint.url if endpoint else ''}\n")


def node_id(daemon):
    return daemon.weft("node", "id").stdout.strip()


def steps_of(done):
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_an_endpoint_is_enough(lab):
    for dht in ("no", "yes"):  # a DHT of nobody else is as good as none
        endpoint = Endpoint()
        a, b = (lab.daemon(f"{name}-{dht}", config=config(endpoint, dht)).start()
                for name in ("a", "b"))
        wait_for(lambda e=endpoint, d=a: zbase32_decode(node_id(d)) in e.records, "a published")
        done = b.weft("check", node_id(a))
        check_eq(done.returncode, OK, f"{done.stdout}{done.stderr}")
        found = next(step for step in steps_of(done) if step[0] == "signaling")
        check_eq((found[2], found[3].strip()), ("found", a.json("status")["listen"][0]), "found")
        check_eq(b.weft("peer", "connect", node_id(a)).returncode, OK, "by its key alone")
        endpoint.close()


def test_a_record_nobody_signed_is_not_believed(lab):
    endpoint = Endpoint()
    a, b = (lab.daemon(name, config=config(endpoint)).start() for name in ("a", "b"))
    wait_for(lambda: zbase32_decode(node_id(a)) in endpoint.records, "a published")
    endpoint.spoils = True
    done = b.weft("check", node_id(a))
    check_eq(done.returncode, FAILED, done.stdout)
    found = next(step for step in steps_of(done) if step[0] == "signaling")
    check("damaged" in found[2] and not found[3].strip(), found)


def test_a_silent_endpoint_costs_its_time_and_nothing_else(lab):
    endpoint = Endpoint()
    endpoint.close()
    b = lab.daemon("b", config=config(endpoint)).start()
    done = b.weft("check", "y" * 51 + "o")
    check_eq(done.returncode, FAILED, done.stdout)
    found = next(step for step in steps_of(done) if step[0] == "signaling")
    check("none of them answers" in found[2] and int(found[1]) < 60000000, found)
    wait_for(lambda: "signaling endpoint" in b.log_text(), "it is said that publishing failed")


def test_dht_only_opens_no_other_way(lab):
    endpoint, swarm = Endpoint(), Swarm(lab)
    at = f"127.0.0.1:{swarm.port}"
    a = lab.daemon("a", config=config(endpoint, bootstrap=at)).start("--dht-only")
    b = lab.daemon("b", config=config(endpoint, bootstrap=at)).start("--dht-only")
    wait_for(lambda: a.json("route", "publish", "--dry-run")["record"].get("nodes"), "it is out")
    wait_for(lambda: sum(network["good"] for network in
                         b.json("dht", "status")["dht"]["networks"]) >= 2, "b knows whom to ask")
    done = b.weft("check", node_id(a))
    check_eq(done.returncode, OK, f"{done.stdout}{done.stderr}")
    check_eq([step[0] for step in steps_of(done)], ["mainline", "dial"], "steps")
    check_eq(endpoint.accepted, 0, "connections to the endpoint")


def test_without_any_way_it_is_said(lab):
    b = lab.daemon("b", config=config(None, "no")).start()
    done = b.weft("check", "y" * 51 + "o")
    check_eq(done.returncode, FAILED, done.stdout)
    check("nobody may be asked" in done.stderr, done.stderr)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
