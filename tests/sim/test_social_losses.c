/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight people that follow each other, each with a node, and posts of each for three others. One node is
 * off while they are written. Then three machines are lost with their stores, and the one comes back.
 * What any reader may read it has then: each post had three copies elsewhere. SEED=n plays another run.
 */
#include <stdlib.h>
#include <string.h>

#include "node/node_state.h"
#include "social/replicas/replicas.h"
#include "social/sync/sync.h"
#include "social/write/post_make.h"
#include "support/check.h"
#include "support/sim.h"
#include "support/sim_ask.h"
#include "support/sim_people.h"

#define PEOPLE	8u
#define LOST	3u /* the first ones */
#define AWAY	(PEOPLE - 1)
#define POSTS	(4u * AWAY) /* of all but the one that is away */
#define READERS 3u

static const struct mem_link calm = {.delay_ns = 20 * NS_PER_MS};
static struct sim sim;
static struct {
	uint8_t id[POST_ID_LEN];
	unsigned author, readers; /* bits */
} posts[POSTS];
static unsigned durable_cnt;

static struct social *social_of(unsigned person)
{
	return sim.nodes[person].node->social;
}

static const uint8_t *key_of(unsigned person)
{
	return node_key_public(sim.nodes[person].key);
}

/* All pairs of nodes that are up. */
static void meet_all(void)
{
	for (unsigned from = 0; from < PEOPLE; from++)
		for (unsigned to = 0; to < from; to++) {
			if (!sim.nodes[from].node || !sim.nodes[to].node)
				continue;
			if (!sim_dial(&sim.nodes[from], &sim.nodes[to]))
				abort();
		}
}

static void follow_all(unsigned who)
{
	for (unsigned i = 0; i < PEOPLE; i++)
		if (i != who)
			sim_follow(social_of(who), key_of(i), sim.now_ns);
	sim_wake(&sim.nodes[who]);
}

static void on_taken(void *arg, enum intake_verdict verdict, const uint8_t *id)
{
	memcpy(arg, id, POST_ID_LEN);
	if (verdict != INTAKE_TAKEN)
		abort();
	durable_cnt++;
}

static bool are_durable(void *arg)
{
	return durable_cnt == *(unsigned *)arg;
}

/* For three people, of which the one that is away is the first. */
static void write_post(unsigned number)
{
	char text[64];
	uint8_t readers[READERS][NODE_KEY_LEN];
	struct made_post *made;
	unsigned author = number % AWAY, want = number + 1, cnt = 0;
	struct post_making making = {.author = sim.nodes[author].key,
				     .audience = {VISIBILITY_RECIPIENTS,
						  (const uint8_t(*)[NODE_KEY_LEN])readers, READERS,
						  NULL, 0, NULL},
				     .time_ms = 1000 * SIM_WALL_S + number,
				     .text = text};

	making.text_len = (size_t)snprintf(text, sizeof(text), "words %u", number);
	posts[number].author = author;
	posts[number].readers = 1u << AWAY;
	memcpy(readers[cnt++], key_of(AWAY), NODE_KEY_LEN);
	while (cnt < READERS) {
		unsigned reader = (unsigned)random_below(&sim.dice, AWAY);

		if (reader == author || posts[number].readers >> reader & 1)
			continue;
		posts[number].readers |= 1u << reader;
		memcpy(readers[cnt++], key_of(reader), NODE_KEY_LEN);
	}
	if (social_post_make(&making, &sim.dice, &made) < 0)
		abort();
	social_intake_post(social_intake_of(social_of(author)),
			   &(struct intake_ask){.parts = {made->post, made->claim, made->visibility,
							  made->post_len, made->claim_len,
							  made->visibility_len},
						.source = INTAKE_OWN,
						.done = on_taken,
						.arg = posts[number].id},
			   sim.now_ns);
	social_made_post_free(made);
	sim_wake(&sim.nodes[author]);
	if (!sim_run(&sim, 60 * NS_PER_S, are_durable, &want))
		abort();
}

static bool holds(unsigned person, unsigned number)
{
	return social_posts_known(social_posts_of(social_of(person)), posts[number].id) ==
	       POST_HELD;
}

/* Posts that person may read and has not. */
static unsigned missing_cnt(unsigned person)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < POSTS; i++)
		cnt += (posts[i].readers >> person & 1) && !holds(person, i);
	return cnt;
}

static bool has_all(void *arg)
{
	return missing_cnt(*(unsigned *)arg) == 0;
}

static void begin(void)
{
	sim_init(&sim, sim_seed(1), &calm);
	durable_cnt = 0;
	for (unsigned i = 0; i < PEOPLE; i++) {
		struct sim_node *node = sim_person_add(&sim);

		sim_start(node);
	}
	for (unsigned i = 0; i < PEOPLE; i++)
		follow_all(i);
	(void)sim_run(&sim, 5 * NS_PER_S, NULL, NULL);
	sim_crash(&sim.nodes[AWAY]);
	meet_all();
	(void)sim_run(&sim, 10 * NS_PER_S, NULL, NULL);
	for (unsigned i = 0; i < POSTS; i++)
		write_post(i);
}

static void test_with_three_machines_lost_each_reader_reads_what_it_may(void)
{
	unsigned away = AWAY, at_lost_cnt = 0;

	begin();
	/* Syncs of an hour place the copies. */
	(void)sim_run(&sim, 3600 * NS_PER_S, NULL, NULL);
	for (unsigned i = 0; i < LOST; i++)
		sim_crash(&sim.nodes[i]);
	for (unsigned i = 0; i < POSTS; i++)
		at_lost_cnt += posts[i].author < LOST;
	CHECK(at_lost_cnt > 0);
	sim_start(&sim.nodes[AWAY]);
	meet_all();
	CHECK(sim_run(&sim, 600 * NS_PER_S, has_all, &away));
	printf("# %u posts of lost machines among %u, %u missing\n", at_lost_cnt, POSTS,
	       missing_cnt(AWAY));
	for (unsigned i = LOST; i < PEOPLE; i++)
		CHECK_EQ(missing_cnt(i), 0);
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_with_three_machines_lost_each_reader_reads_what_it_may);
	return check_done();
}
