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
from lab import OK, check, check_eq, run, wait_for

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
	struct weft_service_find find = {.schema = "housing,fapp", .asks_mesh = true, .timeout_ms = 5000, .fn = count,
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


ANSWERER = r"""
#include <stdio.h>
#include <string.h>
#include <weft/client.h>
/* Confirms the first reservation that comes, and refuses the next one. */
struct answered { struct weft_client *client; int cnt; };
static void asked(void *arg, const struct weft_service_reservation *reservation, const struct weft_error *error)
{
	struct answered *answered = arg;
	struct weft_service_reservation_answer answer = {.message = "At six.", .timeout_ms = 5000};

	(void)error;
	if (!reservation || !reservation->is_received || reservation->state != WEFT_SERVICE_RESERVATION_ASKED)
		return;
	answer.id = reservation->id;
	printf("%s %s\n", reservation->id, reservation->message);
	fflush(stdout);
	if ((answered->cnt++ ? weft_service_reservation_refuse : weft_service_reservation_confirm)(
		    answered->client, &answer, NULL) < 0)
		answered->cnt = 99;
}
int main(void)
{
	struct answered answered = {0};
	struct weft_service_reservations which = {.timeout_ms = 5000, .fn = asked, .arg = &answered};
	struct weft_service_reservations_watch *watch;

	if (weft_client_open(NULL, 5000, &answered.client, NULL) < 0 ||
	    weft_service_reservations_watch(answered.client, &which, &watch, NULL) < 0)
		return 1;
	printf("ready\n");
	fflush(stdout);
	while (answered.cnt < 2 && weft_client_dispatch(answered.client, -1) >= 0)
		;
	weft_client_close(answered.client);
	return answered.cnt == 2 ? 0 : 2;
}
"""
# The box is looked into after 2, 4, 8, 16, 32 s and each minute.
ANSWER_S = 70


def test_a_program_reserves_and_another_one_answers(lab):
    env = {**os.environ, **installed(lab)}
    a, b, c = lab.daemon("a").start(), lab.daemon("b").start(), lab.daemon("c").start()
    join(b, a)
    join(c, a)
    offer = b.call("PublishOffer", schema="housing", values=FLAT)["offer"]["offer_id"]
    wait_for(lambda: c.weft("offer", "show", offer).returncode == OK or
             not c.weft("offer", "find", "housing", "--mesh"), "the offer is at c")
    source = lab.dir / "answerer.c"
    source.write_text(ANSWERER)
    answerer = subprocess.Popen([built(lab, env, source)], env={**env, "WEFT_SOCKET": str(b.sock)},
                                stdout=subprocess.PIPE, text=True)
    lab.processes.append(answerer)
    check_eq(answerer.stdout.readline(), "ready\n", "it watches")
    example = ROOT / "docs/examples/reserve.c"
    check(len(example.read_text().splitlines()) < 60, "the example is short")
    reserve = built(lab, env, example)
    there = {**env, "WEFT_SOCKET": str(c.sock)}
    for message, status, said in (("On Friday?", 0, "confirmed At six."), ("Or on Monday?", 1, "refused At six.")):
        done = subprocess.run([reserve, offer, message], env=there, capture_output=True, text=True, check=False,
                              timeout=ANSWER_S)
        check_eq((done.returncode, done.stdout.splitlines()), (status, ["asked ", said]), done.stderr)
        check_eq(answerer.stdout.readline().split(" ", 1)[1], f"{message}\n", "as the provider has it")
    check_eq(answerer.wait(10), 0, "both were answered")
    done = subprocess.run([reserve, "yyyyyyyyyy"], env=there, capture_output=True, text=True, check=False)
    check_eq((done.returncode, "no such offer" in done.stderr), (1, True), done.stderr)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
