#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Service offers by libweft, as installed: the example of docs/, and a program that publishes."""
import os
import pathlib
import shlex
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from client_library import ROOT, installed
from gateway_pair import join
from lab import check, check_eq, run

FLAT = ["room_type=apartment", "size=62", "rent=900", "available_from=2027-01-01", "postcode=10115"]
PUBLISHER = r"""
#include <stdio.h>
#include <weft/client.h>
static void count(void *arg, const struct weft_service_offer *offer, const struct weft_error *error)
{
	(void)error;
	*(unsigned *)arg += (unsigned)offer->units;
}
int main(int argc, char **argv)
{
	struct weft_service_offer_params params = {.schema = "housing", .values = (const char *const *)argv + 1,
		.value_cnt = (size_t)argc - 1, .units = 3, .hours = 2, .timeout_ms = 5000};
	char id[WEFT_SERVICE_OFFER_ID_CAP];
	unsigned units = 0;
	struct weft_service_find find = {.schema = "housing", .asks_mesh = true, .timeout_ms = 5000, .fn = count,
		.arg = &units};
	struct weft_client *client = NULL;
	struct weft_error error;
	int found;

	if (weft_client_open(NULL, 5000, &client, &error) < 0 ||
	    weft_service_offer_publish(client, &params, id, &error) < 0 ||
	    (found = weft_service_offer_find(client, &find, &error)) < 0) {
		printf("%s: %s; %s\n", error.what, error.why, error.next);
		return 1;
	}
	printf("%s %d %u\n", id, found, units);
	if (weft_service_offer_revoke(client, id, 5000, &error) < 0)
		return 2;
	return weft_service_offer_revoke(client, id, 5000, &error) == WEFT_EABSENT ? 0 : 3;
}
"""


def built(lab, env, source):
    program = lab.dir / source.stem
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "weft"], env=env, check=True, capture_output=True,
                           text=True).stdout
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", str(source), *shlex.split(flags), "-o", str(program)],
                   env=env, check=True)
    return program


def test_programs_publish_find_watch_and_withdraw(lab):
    env = {**os.environ, **installed(lab)}
    a, b = lab.daemon("a").start(), lab.daemon("b").start()
    join(b, a)
    example = ROOT / "docs/examples/homes.c"
    check(len(example.read_text().splitlines()) < 60, "the example is short")
    there = a.call("PublishOffer", schema="housing", values=FLAT)["offer"]["offer_id"]
    homes = subprocess.Popen([built(lab, env, example), "900"], env={**env, "WEFT_SOCKET": str(a.sock)},
                             stdout=subprocess.PIPE, text=True)
    lab.processes.append(homes)
    check(homes.stdout.readline().startswith(f"{there} room_type=apartment size=62m² rent=900EUR"), "what is known")
    a.call("PublishOffer", schema="housing", values=[word.replace("rent=900", "rent=901") for word in FLAT])
    new = b.call("PublishOffer", schema="housing", values=FLAT)["offer"]["offer_id"]
    check_eq(homes.stdout.readline().split()[0], new, "and what is new, of another node")
    source = lab.dir / "publisher.c"
    source.write_text(PUBLISHER)
    publisher = built(lab, env, source)
    done = subprocess.run([publisher, *FLAT], env={**env, "WEFT_SOCKET": str(b.sock)}, capture_output=True, text=True,
                          check=False)
    check_eq(done.returncode, 0, done.stdout)
    offer, found, units = done.stdout.split()
    check_eq((int(found), int(units)), (4, 6), "its own three units, and those of others")
    check_eq(homes.stdout.readline().split()[0], offer, "heard, too")
    done = subprocess.run([publisher, "rent=cheap"], env={**env, "WEFT_SOCKET": str(b.sock)}, capture_output=True,
                          text=True, check=False)
    check_eq((done.returncode, "rent" in done.stdout), (1, True), done.stdout)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
