/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole nodes over QUIC: Bob's node fetches a large set of posts, over a slow link, while Alice takes them
 * from Bob. One round trip after the answer to that, no byte of them goes to Bob's node any more. Each
 * datagram from Alice's node to Bob's is counted. Carol, that reads them too, gets all. SEED=n plays
 * another run.
 */
#include <stdlib.h>
#include <string.h>

#include "node/node_state.h"
#include "social/revoke/revoke.h"
#include "social/sync/sync.h"
#include "social/write/post_make.h"
#include "support/check.h"
#include "support/sim.h"
#include "support/sim_ask.h"
#include "support/sim_people.h"

enum { ALICE, BOB, CAROL, PEOPLE };
#define POSTS	 40u
#define TEXT_LEN 100000u
#define DELAY_NS (30 * NS_PER_MS)
#define RTT_NS	 (2 * DELAY_NS)

static const struct mem_link slow = {.delay_ns = DELAY_NS, .rate_bytes_per_s = 1000000};
static struct sim sim;
static uint8_t ids[POSTS][POST_ID_LEN];
static unsigned durable_cnt;
static unsigned dgram_cnt; /* from Alice's node to Bob's */

static struct social *social_of(unsigned person)
{
	return sim.nodes[person].node->social;
}

static const uint8_t *key_of(unsigned person)
{
	return node_key_public(sim.nodes[person].key);
}

static uint64_t on_fate(void *ctx, const struct addr *from, const struct addr *to, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	dgram_cnt +=
		addr_equal(from, &sim.nodes[ALICE].addr) && addr_equal(to, &sim.nodes[BOB].addr);
	return 0;
}

static void meet(unsigned from, unsigned to)
{
	if (!sim_dial(&sim.nodes[from], &sim.nodes[to]))
		abort();
}

/* --- posts --- */

static void on_taken(void *arg, enum intake_verdict verdict, const uint8_t *id)
{
	memcpy(arg, id, POST_ID_LEN);
	if (verdict != INTAKE_TAKEN)
		abort();
	durable_cnt++;
}

/* For Bob and Carol. */
static void write_post(unsigned number)
{
	static char text[TEXT_LEN];
	uint8_t readers[2][NODE_KEY_LEN];
	struct made_post *made;
	struct post_making making = {.author = sim.nodes[ALICE].key,
				     .audience = {VISIBILITY_RECIPIENTS,
						  (const uint8_t(*)[NODE_KEY_LEN])readers, 2, NULL,
						  0, NULL},
				     .time_ms = 1000 * SIM_WALL_S + number,
				     .text = text,
				     .text_len = sizeof(text)};

	memset(text, 'a', sizeof(text));
	memcpy(readers[0], key_of(BOB), NODE_KEY_LEN);
	memcpy(readers[1], key_of(CAROL), NODE_KEY_LEN);
	if (social_post_make(&making, &sim.dice, &made) < 0)
		abort();
	social_intake_post(social_intake_of(social_of(ALICE)),
			   &(struct intake_ask){.parts = {made->post, made->claim, made->visibility,
							  made->post_len, made->claim_len,
							  made->visibility_len},
						.source = INTAKE_OWN,
						.done = on_taken,
						.arg = ids[number]},
			   sim.now_ns);
	social_made_post_free(made);
	sim_wake(&sim.nodes[ALICE]);
}

static bool are_durable(void *arg)
{
	return durable_cnt == *(unsigned *)arg;
}

static unsigned held_cnt(unsigned person)
{
	unsigned held = 0;

	for (unsigned i = 0; i < POSTS; i++)
		held += social_posts_known(social_posts_of(social_of(person)), ids[i]) == POST_HELD;
	return held;
}

struct wanted {
	unsigned person, cnt;
};

static bool are_there(void *arg)
{
	const struct wanted *wanted = arg;

	return held_cnt(wanted->person) >= wanted->cnt;
}

static void begin(void)
{
	sim_init(&sim, sim_seed(1), &slow);
	durable_cnt = 0;
	for (unsigned i = 0; i < PEOPLE; i++) {
		struct sim_node *node = sim_person_add(&sim);

		node->config.social.replicas.target = 0;
		sim_start(node);
	}
	net_mem_net_set_fate(sim.net, on_fate, NULL);
	for (unsigned i = BOB; i < PEOPLE; i++) {
		sim_follow(social_of(i), key_of(ALICE), sim.now_ns);
		sim_wake(&sim.nodes[i]);
	}
	for (unsigned i = 0; i < POSTS; i++) {
		unsigned want = i + 1;

		write_post(i);
		if (!sim_run(&sim, 60 * NS_PER_S, are_durable, &want))
			abort();
	}
}

/* --- tests --- */

static bool is_revoked;

static void on_revoked(void *arg, const struct revoke_outcome *outcome)
{
	*(struct revoke_outcome *)arg = *outcome;
	is_revoked = true;
}

static bool revoke_is_done(void *arg)
{
	(void)arg;
	return is_revoked;
}

static void what_is_on_its_way_ends(enum revoke_way way)
{
	struct wanted some = {BOB, 6}, all = {CAROL, POSTS};
	struct revoke_outcome outcome = {0};
	struct revoke_ask ask = {
		.scope = {.person = NULL}, .way = way, .done = on_revoked, .arg = &outcome};
	uint64_t asked_ns;
	unsigned held, sent_cnt;
	struct sync_stats stats;

	begin();
	meet(BOB, ALICE);
	CHECK(sim_run(&sim, 60 * NS_PER_S, are_there, &some));
	CHECK(held_cnt(BOB) < POSTS);
	ask.scope.person = key_of(BOB);
	is_revoked = false;
	asked_ns = sim.now_ns;
	sim_wake(&sim.nodes[ALICE]);
	CHECK_EQ(social_revoke_start(social_revocations_of(social_of(ALICE)), &ask, sim.now_ns), 0);
	CHECK(sim_run(&sim, 60 * NS_PER_S, revoke_is_done, NULL));
	CHECK_EQ(outcome.err, 0);
	CHECK_EQ(outcome.wrapped_cnt + outcome.sealed_cnt, POSTS);
	printf("# taken from Bob in %llu ms, with %u of %u posts there\n",
	       (unsigned long long)((sim.now_ns - asked_ns) / NS_PER_MS), held_cnt(BOB), POSTS);
	(void)sim_run(&sim, RTT_NS, NULL, NULL);
	sent_cnt = dgram_cnt;
	(void)sim_run(&sim, 3 * NS_PER_S, NULL, NULL);
	printf("# %u datagrams to Bob in the 3 s behind a round trip\n", dgram_cnt - sent_cnt);
	/* A post is 70 datagrams. Where each is sealed anew, the old ones are deleted, one datagram each. */
	CHECK(dgram_cnt - sent_cnt < (way == REVOKE_WRAP ? 40 : 4 * POSTS));
	held = held_cnt(BOB);
	(void)sim_run(&sim, 900 * NS_PER_S, NULL, NULL);
	CHECK(held_cnt(BOB) <= held);
	social_sync_stats(social_sync_of(social_of(ALICE)), &stats);
	CHECK(stats.cut_cnt > 0);
	if (way == REVOKE_WRAP) {
		meet(CAROL, ALICE);
		CHECK(sim_run(&sim, 120 * NS_PER_S, are_there, &all));
	}
	sim_fini(&sim);
}

static void test_pages_on_their_way_end_when_a_reader_is_taken_off(void)
{
	what_is_on_its_way_ends(REVOKE_WRAP);
}

static void test_pages_on_their_way_end_when_posts_are_sealed_anew(void)
{
	what_is_on_its_way_ends(REVOKE_SEAL);
}

int main(void)
{
	RUN(test_pages_on_their_way_end_when_a_reader_is_taken_off);
	RUN(test_pages_on_their_way_end_when_posts_are_sealed_anew);
	return check_done();
}
