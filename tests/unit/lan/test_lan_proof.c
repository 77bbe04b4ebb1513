/* SPDX-License-Identifier: Apache-2.0 */
/* A node that is heard on the LAN proves its key before it is reported. */
#include "lan/lan_proof.h"

#include <stdlib.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "support/check.h"

#define NODE_CAP 16
#define DIAL_CAP 64

struct dial {
	uint8_t key;
	uint8_t place; /* last byte of the address */
	uint64_t at_ns;
	mesh_connect_fn done;
	void *arg;
};

static struct lan_proof *proof;
static struct random randomness;
static struct dial dials[DIAL_CAP];
static unsigned dial_cnt;
static int dial_err; /* what the next dials give at once */
static struct {
	unsigned cnt;
	uint8_t key, place; /* of the last */
} told;
static uint64_t now_ns;

static int dial(void *ctx, const struct mesh_peer *peer, uint64_t timeout_ns, mesh_connect_fn done,
		void *arg)
{
	(void)ctx;
	if (timeout_ns != LAN_PROOF_TIMEOUT_NS || peer->addr_cnt != 1 || dial_cnt == DIAL_CAP)
		abort();
	dials[dial_cnt++] = (struct dial){peer->key[0], peer->addrs[0].ip[3], now_ns, done, arg};
	return dial_err;
}

static void proven(void *ctx, const struct mesh_peer *peer, uint64_t at_ns)
{
	(void)ctx, (void)at_ns;
	told.cnt++;
	told.key = peer->key[0];
	told.place = peer->addrs[0].ip[3];
}

static void begin(void)
{
	const struct lan_proof_params params = {
		.node_cap = NODE_CAP, .random = &randomness, .dial = dial, .proven = proven};

	now_ns = 1000;
	dial_cnt = 0;
	dial_err = 0;
	memset(&told, 0, sizeof(told));
	random_init_seeded(&randomness, 5);
	if (lan_proof_new(&params, &proof) < 0)
		abort();
}

static bool hear(uint8_t key, uint8_t place)
{
	const struct addr addr = {.family = ADDR_IPV4, .ip = {192, 0, 2, place}, .port = 7000};
	const struct mesh_peer peer = {.key = {key}, .addrs = &addr, .addr_cnt = 1};

	return lan_proof_add(proof, &peer, now_ns);
}

static void turn(uint64_t after_ns)
{
	now_ns += after_ns;
	lan_proof_expire(proof, now_ns);
}

/* The dial of this number ends so. */
static void end(unsigned number, int err)
{
	dials[number].done(dials[number].arg, err, NULL);
	turn(0);
}

static void test_a_node_is_reported_once_and_only_after_it_proved_its_key(void)
{
	begin();
	CHECK(hear(7, 1));
	CHECK_EQ(lan_proof_next_ns(proof), 0);
	turn(0);
	CHECK_EQ(dial_cnt, 1);
	CHECK_EQ(dials[0].key, 7);
	turn(4 * NS_PER_S);
	CHECK_EQ(told.cnt, 0);
	end(0, 0);
	CHECK_EQ(told.cnt, 1);
	CHECK_EQ(told.key, 7);
	CHECK_EQ(told.place, 1);
	CHECK_EQ(lan_proof_next_ns(proof), UINT64_MAX);
	turn(3600 * NS_PER_S);
	CHECK_EQ(dial_cnt, 1);
	CHECK_EQ(told.cnt, 1);
	lan_proof_free(proof);
}

static void test_a_silent_node_is_dialled_six_times_later_each_time(void)
{
	uint64_t least_ns = LAN_PROOF_RETRY_NS;

	begin();
	CHECK(hear(7, 1));
	turn(0);
	for (unsigned i = 1; i < LAN_PROOF_TRIES_MAX; i++) {
		turn(5 * NS_PER_S);
		end(i - 1, WEFT_ETIMEOUT);
		CHECK_EQ(dial_cnt, i);
		turn(least_ns - 1);
		CHECK_EQ(dial_cnt, i);
		CHECK(lan_proof_next_ns(proof) >= now_ns);
		turn(least_ns / 2 + 1);
		CHECK_EQ(dial_cnt, i + 1);
		least_ns *= 2;
	}
	end(LAN_PROOF_TRIES_MAX - 1, WEFT_ETIMEOUT);
	turn(3600 * NS_PER_S);
	CHECK_EQ(dial_cnt, LAN_PROOF_TRIES_MAX);
	CHECK_EQ(told.cnt, 0);
	/* Until it is heard of anew. */
	CHECK(hear(7, 1));
	turn(0);
	end(LAN_PROOF_TRIES_MAX, 0);
	CHECK_EQ(told.cnt, 1);
	lan_proof_free(proof);
}

static void test_a_node_with_another_key_is_not_dialled_again(void)
{
	begin();
	CHECK(hear(7, 1));
	turn(0);
	end(0, WEFT_EWRONGKEY);
	turn(3600 * NS_PER_S);
	CHECK_EQ(dial_cnt, 1);
	CHECK_EQ(told.cnt, 0);
	CHECK_EQ(lan_proof_next_ns(proof), UINT64_MAX);
	lan_proof_free(proof);
}

static void test_eight_are_dialled_at_once_and_the_ninth_after_one_of_them(void)
{
	begin();
	for (uint8_t i = 1; i <= LAN_PROOF_DIALS_MAX + 1; i++)
		CHECK(hear(i, i));
	turn(0);
	CHECK_EQ(dial_cnt, LAN_PROOF_DIALS_MAX);
	turn(NS_PER_S);
	CHECK_EQ(dial_cnt, LAN_PROOF_DIALS_MAX);
	end(3, WEFT_EWRONGKEY);
	CHECK_EQ(dial_cnt, LAN_PROOF_DIALS_MAX + 1);
	CHECK_EQ(dials[LAN_PROOF_DIALS_MAX].key, LAN_PROOF_DIALS_MAX + 1);
	end(LAN_PROOF_DIALS_MAX, 0);
	CHECK_EQ(told.key, LAN_PROOF_DIALS_MAX + 1);
	lan_proof_free(proof);
}

static void test_one_more_than_there_is_room_for_is_refused(void)
{
	begin();
	for (uint8_t i = 1; i <= NODE_CAP; i++)
		CHECK(hear(i, i));
	CHECK(!hear(NODE_CAP + 1, 99));
	CHECK(hear(1, 98)); /* one that is there is no more */
	turn(0);
	end(0, 0);
	CHECK(hear(NODE_CAP + 1, 99));
	lan_proof_free(proof);
}

static void test_a_node_that_moves_is_dialled_there(void)
{
	begin();
	CHECK(hear(7, 1));
	turn(0);
	CHECK(hear(7, 2));
	turn(0);
	CHECK_EQ(dial_cnt, 1);
	end(0, WEFT_ETIMEOUT);
	CHECK_EQ(dial_cnt, 2);
	CHECK_EQ(dials[1].place, 2);
	CHECK(hear(7, 3)); /* another address of it; it proves its key at this one */
	end(1, 0);
	CHECK_EQ(told.cnt, 1);
	CHECK_EQ(told.place, 2);
	lan_proof_free(proof);
}

static void test_a_forgotten_node_is_not_reported(void)
{
	begin();
	CHECK(hear(7, 1));
	turn(0);
	lan_proof_clear(proof);
	CHECK(hear(8, 2));
	end(0, 0);
	CHECK_EQ(told.cnt, 0);
	end(1, 0);
	CHECK_EQ(told.cnt, 1);
	CHECK_EQ(told.key, 8);
	lan_proof_free(proof);
}

static void test_a_dial_that_cannot_begin_is_tried_again(void)
{
	begin();
	dial_err = WEFT_EFULL;
	CHECK(hear(7, 1));
	turn(0);
	CHECK_EQ(dial_cnt, 1);
	dial_err = 0;
	turn(2 * NS_PER_S);
	CHECK_EQ(dial_cnt, 2);
	end(1, 0);
	CHECK_EQ(told.cnt, 1);
	/* This node's own key is no neighbour's. */
	dial_err = WEFT_EMALFORMED;
	CHECK(hear(8, 1));
	turn(0);
	turn(3600 * NS_PER_S);
	CHECK_EQ(dial_cnt, 3);
	lan_proof_free(proof);
}

int main(void)
{
	RUN(test_a_node_is_reported_once_and_only_after_it_proved_its_key);
	RUN(test_a_silent_node_is_dialled_six_times_later_each_time);
	RUN(test_a_node_with_another_key_is_not_dialled_again);
	RUN(test_eight_are_dialled_at_once_and_the_ninth_after_one_of_them);
	RUN(test_one_more_than_there_is_room_for_is_refused);
	RUN(test_a_node_that_moves_is_dialled_there);
	RUN(test_a_forgotten_node_is_not_reported);
	RUN(test_a_dial_that_cannot_begin_is_tried_again);
	return check_done();
}
