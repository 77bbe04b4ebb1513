/* SPDX-License-Identifier: Apache-2.0 */
/* Grants that a node holds, and the one that it shows to a relay. */
#include "relay/grants/held.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/node_key.h"
#include "support/check.h"

#define NOW_S 1800000000ull

static struct relay_held held;
static struct node_key *operator_key;
static const uint8_t user[32] = {1}, other[32] = {2}, relay[32] = {3}, far_relay[32] = {4};
static char text[RELAY_GRANT_TEXT_CAP];
static bool with_content, writes_only; /* what add does */

static void begin(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {9, 9};

	held.cnt = 0;
	if (!operator_key && node_key_from_seed(seed, &operator_key) < 0)
		abort();
}

/* Of serial, for only_relay or for all (NULL), valid from begins_s on for 100 s. */
static enum relay_grant_fault add(uint64_t serial, const uint8_t *only_relay, uint64_t begins_s,
				  const uint8_t *by)
{
	struct relay_grant_record grant = {.serial = serial,
					   .flow_max = 1,
					   .is_content = with_content,
					   .not_before_s = begins_s,
					   .expires_s = begins_s + 100};
	uint8_t bytes[RELAY_GRANT_RECORD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	memcpy(grant.holder, user, sizeof(user));
	if (only_relay) {
		memcpy(grant.relays[0], only_relay, 32);
		grant.relay_cnt = 1;
	}
	relay_grant_record_write(&w, operator_key, &grant);
	(void)relay_grant_text_write(bytes, writer_len(&w), text);
	return writes_only ? RELAY_GRANT_FINE : relay_held_add(&held, text, by);
}

static uint64_t chosen_at(const uint8_t *at, uint64_t wall_s)
{
	unsigned idx = relay_held_choose(&held, at, wall_s);

	return idx < RELAY_HELD_MAX ? held.grants[idx].shown.grant.serial : 0;
}

static void test_each_relay_is_shown_the_first_grant_that_is_valid_there(void)
{
	begin();
	CHECK_EQ(chosen_at(relay, NOW_S), 0);
	CHECK_EQ(add(1, far_relay, NOW_S, user), RELAY_GRANT_FINE);
	CHECK_EQ(add(2, NULL, NOW_S + 1000, user), RELAY_GRANT_FINE);
	CHECK_EQ(add(3, NULL, NOW_S, user), RELAY_GRANT_FINE);
	CHECK_EQ(chosen_at(relay, NOW_S), 3);
	CHECK_EQ(chosen_at(far_relay, NOW_S), 1);
	CHECK_EQ(chosen_at(relay, NOW_S + 1000), 2);
	CHECK_EQ(chosen_at(relay, NOW_S + 1100), 0);
}

static enum relay_grant_fault use(uint64_t serial, uint64_t begins_s, uint64_t wall_s)
{
	writes_only = true;
	(void)add(serial, NULL, begins_s, user);
	writes_only = false;
	return relay_held_use(&held, text, user, wall_s);
}

static void test_grants_given_at_run_time_make_room_and_are_written(void)
{
	char lines[RELAY_HELD_TEXT_CAP];
	size_t len;

	begin();
	CHECK_EQ(add(1, NULL, NOW_S, user), RELAY_GRANT_FINE); /* of the file */
	for (uint64_t serial = 2; serial <= RELAY_HELD_MAX; serial++)
		CHECK_EQ(use(serial, NOW_S + serial, NOW_S), RELAY_GRANT_FINE);
	CHECK_EQ(use(2, NOW_S + 2, NOW_S), RELAY_GRANT_FINE); /* held already */
	CHECK_EQ(held.cnt, RELAY_HELD_MAX);
	CHECK_EQ(use(9, NOW_S, NOW_S), RELAY_GRANT_FULL);
	/* That of the file and the first two others have expired. */
	CHECK_EQ(use(9, NOW_S + 100, NOW_S + 103), RELAY_GRANT_FINE);
	CHECK_EQ(held.cnt, RELAY_HELD_MAX - 2);
	CHECK_EQ(chosen_at(relay, NOW_S + 103), 4);
	CHECK_EQ(chosen_at(relay, NOW_S + 150), 9);
	len = relay_held_write(&held, lines);
	CHECK_EQ(lines[len - 1], '\n');
	lines[len] = '\0';
	CHECK(strstr(lines, text));
	CHECK_EQ(relay_held_use(&held, "mesh-relay-grant:yy", user, NOW_S), RELAY_GRANT_MALFORMED);
}

/* A year ahead, it takes all for expired. They are held, and shown once it is right again. */
static void test_a_wrong_clock_drops_no_grant_while_there_is_room(void)
{
	begin();
	CHECK_EQ(add(1, NULL, NOW_S, user), RELAY_GRANT_FINE);
	CHECK_EQ(chosen_at(relay, NOW_S + 366 * 86400), 0);
	CHECK_EQ(use(2, NOW_S + 5, NOW_S + 366 * 86400), RELAY_GRANT_FINE);
	CHECK_EQ(held.cnt, 2);
	CHECK_EQ(chosen_at(relay, NOW_S), 1);
}

static void test_a_grant_of_content_is_shown_before_others(void)
{
	begin();
	CHECK_EQ(add(1, NULL, NOW_S, user), RELAY_GRANT_FINE);
	with_content = true;
	CHECK_EQ(add(2, far_relay, NOW_S, user), RELAY_GRANT_FINE);
	CHECK_EQ(add(3, NULL, NOW_S, user), RELAY_GRANT_FINE);
	with_content = false;
	CHECK_EQ(chosen_at(relay, NOW_S), 3);
	CHECK_EQ(chosen_at(far_relay, NOW_S), 2);
}

static void test_a_grant_of_no_use_is_refused(void)
{
	begin();
	CHECK_EQ(add(1, NULL, NOW_S, other), RELAY_GRANT_HOLDER);
	CHECK_EQ(relay_held_add(&held, "mesh-relay-grant:yyyy", user), RELAY_GRANT_MALFORMED);
	(void)add(1, NULL, NOW_S, user);
	held.cnt = 0;
	/* A letter of the signature. */
	text[strlen(text) - 20] = text[strlen(text) - 20] == 'y' ? 'b' : 'y';
	CHECK_EQ(relay_held_add(&held, text, user), RELAY_GRANT_FORGED);
	CHECK_EQ(held.cnt, 0);
}

static void test_eight_are_held_and_one_more_is_not(void)
{
	begin();
	for (unsigned i = 0; i < RELAY_HELD_MAX; i++)
		CHECK_EQ(add(i + 1, NULL, NOW_S, user), RELAY_GRANT_FINE);
	CHECK_EQ(add(99, NULL, NOW_S, user), RELAY_GRANT_FULL);
	CHECK_EQ(chosen_at(relay, NOW_S), 1);
}

int main(void)
{
	RUN(test_each_relay_is_shown_the_first_grant_that_is_valid_there);
	RUN(test_grants_given_at_run_time_make_room_and_are_written);
	RUN(test_a_wrong_clock_drops_no_grant_while_there_is_room);
	RUN(test_a_grant_of_content_is_shown_before_others);
	RUN(test_a_grant_of_no_use_is_refused);
	RUN(test_eight_are_held_and_one_more_is_not);
	return check_done();
}
