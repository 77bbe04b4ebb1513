/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member that joins later, over QUIC, with whole nodes. Alice writes for a group, Bob is of it. Carol
 * follows Bob alone, and is added without a new key: she may read what was written before. Bob's node has
 * that, and offers it before she accepts. Her node refuses the words of an unknown author then, and asks
 * for them within SETTLE_NS once she is of the group. SEED=n plays another run.
 */
#include <stdlib.h>
#include <string.h>

#include "node/node_state.h"
#include "social/groups/groups.h"
#include "social/read/social_read.h"
#include "social/sync/sync.h"
#include "social/write/social_write.h"
#include "support/check.h"
#include "support/sim.h"
#include "support/sim_ask.h"
#include "support/sim_people.h"

enum { ALICE, BOB, CAROL, PEOPLE };
#define EVERY_NS (300 * NS_PER_S) /* between two pulls of one peer, at most */

static const struct mem_link calm = {.delay_ns = 30 * NS_PER_MS};
static struct sim sim;
static unsigned done_cnt;
static uint8_t group_id[GROUP_ID_LEN], written[POST_ID_LEN];

static struct social *social_of(unsigned person)
{
	return sim.nodes[person].node->social;
}

static struct groups *groups_of(unsigned person)
{
	return social_groups_of(social_of(person));
}

static const uint8_t *key_of(unsigned person)
{
	return node_key_public(sim.nodes[person].key);
}

static void on_done(void *arg, int err)
{
	(void)arg;
	if (err < 0)
		abort();
	done_cnt++;
}

static void on_written(void *arg, int err, const uint8_t *id)
{
	if (err == 0)
		memcpy(written, id, sizeof(written));
	on_done(arg, err);
}

static bool is_done(void *arg)
{
	return done_cnt == *(unsigned *)arg;
}

#define SETTLE_NS (5 * NS_PER_S)
/* What person's node was asked for, with err: it is durable, and sessions carry it on. */
static void settle(unsigned person, int err)
{
	unsigned want = done_cnt + 1;

	CHECK_EQ(err, 0);
	sim_wake(&sim.nodes[person]);
	if (!sim_run(&sim, 10 * NS_PER_S, is_done, &want))
		abort();
	(void)sim_run(&sim, SETTLE_NS, NULL, NULL);
}

static void nodes_up(void)
{
	sim_init(&sim, sim_seed(1), &calm);
	done_cnt = 0;
	for (unsigned i = 0; i < PEOPLE; i++) {
		struct sim_node *node = sim_person_add(&sim);

		/* A keeper would get sealed copies of what it may not read. */
		node->config.social.replicas.target = 0;
		sim_start(node);
	}
	sim_follow(social_of(ALICE), key_of(BOB), sim.now_ns);
	sim_follow(social_of(BOB), key_of(ALICE), sim.now_ns);
	sim_follow(social_of(BOB), key_of(CAROL), sim.now_ns);
	sim_follow(social_of(CAROL), key_of(BOB), sim.now_ns);
	for (unsigned i = 0; i < PEOPLE; i++) {
		sim_wake(&sim.nodes[i]);
		if (!sim_dial(&sim.nodes[i], &sim.nodes[(i + 1) % PEOPLE]))
			abort();
	}
	(void)sim_run(&sim, SETTLE_NS, NULL, NULL);
}

static struct group_ask ask_of(const uint8_t *member)
{
	return (struct group_ask){.group = group_id,
				  .members = (const uint8_t(*)[NODE_KEY_LEN])member,
				  .member_cnt = 1,
				  .role = GROUP_POSTER,
				  .name = "boats",
				  .done = on_done};
}

static void accept_as(unsigned person)
{
	const struct group_ask ask = ask_of(NULL);

	settle(person, social_group_accept(groups_of(person), &ask, sim.now_ns));
}

static void write_for_group(unsigned author)
{
	const struct write_draft draft = {.intent = POST_TO_GROUP,
					  .group = group_id,
					  .text = "the tide is at six",
					  .text_len = strlen("the tide is at six"),
					  .done = on_written};

	settle(author, social_write_post(social_write_of(social_of(author)), &draft, sim.now_ns));
}

static bool reads(unsigned person)
{
	struct opened_post *opened;

	if (social_read_open(social_read_of(social_of(person)), written, &opened) < 0)
		return false;
	social_opened_free(opened);
	return true;
}

static void test_words_that_came_before_a_member_joined_are_asked_for_again(void)
{
	struct group_ask ask;
	struct sync_stats stats;

	nodes_up();
	ask = ask_of(key_of(BOB));
	settle(ALICE, social_group_create(groups_of(ALICE), &ask, sim.now_ns, group_id));
	accept_as(BOB);
	write_for_group(ALICE);
	CHECK(reads(BOB));
	ask = ask_of(key_of(CAROL));
	settle(ALICE, social_group_add(groups_of(ALICE), &ask, sim.now_ns));
	sim_crash(&sim.nodes[ALICE]);
	(void)sim_run(&sim, EVERY_NS, NULL, NULL);
	social_sync_stats(social_sync_of(social_of(CAROL)), &stats);
	CHECK(stats.refused_cnt > 0);
	CHECK(!reads(CAROL));
	accept_as(CAROL);
	CHECK(reads(CAROL));
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_words_that_came_before_a_member_joined_are_asked_for_again);
	return check_done();
}
