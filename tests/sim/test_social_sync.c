/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole nodes of three people, over QUIC, with their posts on disks. Alice writes, Bob and Carol follow
 * her, and Carol follows Bob: she may have what he has of Alice. A third of all datagrams is lost, nodes
 * crash and go on, and sessions end in the middle of a pull. What each may have arrives, within the bound
 * that is printed, and nothing else. SEED=n plays another run.
 */
#include <stdlib.h>
#include <string.h>

#include "node/node_state.h"
#include "social/sync/sync.h"
#include "support/check.h"
#include "support/sim.h"
#include "support/sim_ask.h"
#include "support/sim_people.h"

enum { ALICE, BOB, CAROL, PEOPLE };
#define POSTS	 60u
#define TEXT_LEN 3000u
#define RECOVERY_NS                                                                                \
	(30 * NS_PER_S) /* behind the session's return, with a third of datagrams lost */

static const struct mem_link calm = {.delay_ns = 30 * NS_PER_MS};
static const struct mem_link lossy = {.delay_ns = 30 * NS_PER_MS, .loss_per_1000 = 300};
static struct sim sim;
static uint8_t ids[2 * POSTS][POST_ID_LEN];
static unsigned id_cnt;
static unsigned durable_cnt;

static struct social *social_of(unsigned person)
{
	return sim.nodes[person].node->social;
}

static const uint8_t *key_of(unsigned person)
{
	return node_key_public(sim.nodes[person].key);
}

static void nodes_up(const struct mem_link *link)
{
	sim_init(&sim, sim_seed(1), link);
	id_cnt = durable_cnt = 0;
	for (unsigned i = 0; i < PEOPLE; i++) {
		struct sim_node *node = sim_person_add(&sim);

		/* Syncs alone are looked at: a keeper would get sealed copies of what it may not read. */
		node->config.social.replicas.target = 0;
		sim_start(node);
	}
}

/* --- people --- */

static void follow(unsigned who, unsigned person)
{
	sim_follow(social_of(who), key_of(person), sim.now_ns);
	sim_wake(&sim.nodes[who]);
}

static void meet(unsigned from, unsigned to)
{
	if (!sim_dial(&sim.nodes[from], &sim.nodes[to]))
		abort();
}

/* --- posts --- */

static void on_taken(void *arg, enum intake_verdict verdict, const uint8_t *id)
{
	(void)arg, (void)id;
	if (verdict != INTAKE_TAKEN)
		abort();
	durable_cnt++;
}

/* Alice writes; for NULL it is public, else for that reader alone. */
static void write_post(const uint8_t *reader)
{
	static uint8_t bytes[2 * TEXT_LEN], claims[POST_CLAIM_LEN_MAX], readers[1024];
	static struct visibility said;
	const struct node_key *alice = sim.nodes[ALICE].key;
	struct writer w = writer_of(bytes, sizeof(bytes)), c = writer_of(claims, sizeof(claims));
	struct writer v = writer_of(readers, sizeof(readers));
	char text[TEXT_LEN];
	struct post post = {.author = key_of(ALICE),
			    .time_ms = 1000 * SIM_WALL_S + (sim.now_ns - sim.begin_ns) / NS_PER_MS,
			    .content = text,
			    .content_len = sizeof(text)};
	uint8_t *id = ids[id_cnt++], logical[POST_LOGICAL_ID_LEN];
	const struct post_claim claim = {.post = id, .logical_id = logical};
	struct intake_ask ask = {.source = INTAKE_OWN, .done = on_taken};

	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + random_below(&sim.dice, 26));
	random_fill(&sim.dice, logical, sizeof(logical));
	social_post_write(&w, &post);
	social_post_id(bytes, writer_len(&w), id);
	social_claim_write(&c, &claim, alice);
	memset(&said, 0, sizeof(said));
	said.post = id;
	said.kind = reader ? VISIBILITY_RECIPIENTS : VISIBILITY_PUBLIC;
	said.recipient_cnt = reader != NULL;
	if (reader)
		memcpy(said.recipients[0].reader, reader, NODE_KEY_LEN);
	social_visibility_write(&v, &said, alice);
	ask.parts = (struct post_parts){bytes,		claims,		readers,
					writer_len(&w), writer_len(&c), writer_len(&v)};
	if (w.bad || c.bad || v.bad)
		abort();
	social_intake_post(social_intake_of(social_of(ALICE)), &ask, sim.now_ns);
	sim_wake(&sim.nodes[ALICE]);
}

static bool all_durable(void *arg)
{
	return durable_cnt == *(unsigned *)arg;
}

static void posts_write(unsigned cnt, const uint8_t *reader)
{
	unsigned want = durable_cnt + cnt;

	for (unsigned i = 0; i < cnt; i++) {
		write_post(reader);
		(void)sim_run(&sim, 100 * NS_PER_MS, NULL, NULL);
	}
	if (!sim_run(&sim, 60 * NS_PER_S, all_durable, &want))
		abort();
}

static unsigned held_cnt(unsigned person, unsigned from, unsigned cnt)
{
	unsigned held = 0;

	for (unsigned i = from; sim.nodes[person].node && i < from + cnt; i++)
		held += social_posts_known(social_posts_of(social_of(person)), ids[i]) == POST_HELD;
	return held;
}

struct wanted {
	unsigned person, from, cnt;
};
static bool is_there(void *arg)
{
	const struct wanted *wanted = arg;

	return held_cnt(wanted->person, wanted->from, wanted->cnt) == wanted->cnt;
}

/* How long it took until all were there; 0: they are not. */
static uint64_t arrive_ns(unsigned person, unsigned from, unsigned cnt, uint64_t within_ns)
{
	struct wanted wanted = {person, from, cnt};
	uint64_t began_ns = sim.now_ns;

	return sim_run(&sim, within_ns, is_there, &wanted) ? sim.now_ns - began_ns + 1 : 0;
}

/* --- tests --- */

static void test_posts_reach_followers_and_go_on_through_one(void)
{
	struct sync_stats stats;
	uint64_t took_ns;

	nodes_up(&calm);
	follow(BOB, ALICE);
	follow(CAROL, ALICE);
	follow(CAROL, BOB);
	posts_write(POSTS, NULL);
	posts_write(5, key_of(CAROL));
	meet(BOB, ALICE);
	took_ns = arrive_ns(BOB, 0, POSTS, 60 * NS_PER_S);
	CHECK(took_ns > 0);
	printf("# %u posts of 3 KB in %llu ms\n", POSTS, (unsigned long long)(took_ns / NS_PER_MS));
	/* Alice, of which Bob has them, is not offered them in turn. */
	social_sync_stats(social_sync_of(social_of(BOB)), &stats);
	CHECK_EQ(stats.offered_cnt, 0);
	/* What is for Carol alone Bob does not get, so she does not get it by him. */
	meet(CAROL, BOB);
	CHECK(arrive_ns(CAROL, 0, POSTS, 60 * NS_PER_S) > 0);
	(void)sim_run(&sim, 400 * NS_PER_S, NULL, NULL);
	CHECK_EQ(held_cnt(BOB, POSTS, 5), 0);
	CHECK_EQ(held_cnt(CAROL, POSTS, 5), 0);
	meet(CAROL, ALICE);
	CHECK(arrive_ns(CAROL, POSTS, 5, 60 * NS_PER_S) > 0);
	/* What is new goes at once. */
	posts_write(1, NULL);
	took_ns = arrive_ns(CAROL, POSTS + 5, 1, 10 * NS_PER_S);
	CHECK(took_ns > 0 && took_ns < NS_PER_S);
	sim_fini(&sim);
}

/* Alice's node crashes while Bob pulls, and goes on; a third of all datagrams is lost throughout. */
static void test_a_pull_over_a_lossy_link_survives_crashes_of_either_node(void)
{
	uint64_t took_ns;

	nodes_up(&lossy);
	follow(BOB, ALICE);
	posts_write(POSTS, NULL);
	for (unsigned i = 0; i < 4; i++) {
		struct sim_node *node = &sim.nodes[i % 2];

		meet(BOB, ALICE);
		(void)sim_run(&sim, (1 + random_below(&sim.dice, 4)) * NS_PER_S, NULL, NULL);
		sim_crash(node);
		(void)sim_run(&sim, 2 * NS_PER_S, NULL, NULL);
		sim_start(node);
	}
	meet(BOB, ALICE);
	took_ns = arrive_ns(BOB, 0, POSTS, RECOVERY_NS);
	printf("# whole %llu ms after the last crash\n", (unsigned long long)(took_ns / NS_PER_MS));
	CHECK(took_ns > 0);
	sim_fini(&sim);
}

/* Pulls are few where nothing is lost: one in five minutes, and one for each post. */
static void test_a_day_of_posts_costs_a_pull_in_five_minutes(void)
{
	struct sync_stats stats;

	nodes_up(&calm);
	follow(BOB, ALICE);
	follow(CAROL, BOB);
	meet(BOB, ALICE);
	meet(CAROL, BOB);
	for (unsigned hour = 0; hour < 24; hour++) {
		posts_write(1, hour % 2 ? key_of(BOB) : NULL);
		(void)sim_run(&sim, 3600 * NS_PER_S, NULL, NULL);
	}
	CHECK_EQ(held_cnt(BOB, 0, 24), 24);
	CHECK_EQ(held_cnt(CAROL, 0, 24), 0);
	social_sync_stats(social_sync_of(social_of(BOB)), &stats);
	printf("# %llu pulls, %llu failed, %llu bytes\n", (unsigned long long)stats.pull_cnt,
	       (unsigned long long)stats.failed_cnt, (unsigned long long)stats.taken_len);
	CHECK_EQ(stats.failed_cnt, 0);
	/* Of Alice's node and of Carol's, a follower; a tenth sooner at most. */
	CHECK(stats.pull_cnt >= 2 * 24 * 12 && stats.pull_cnt <= 2 * 24 * 14 + 30);
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_posts_reach_followers_and_go_on_through_one);
	RUN(test_a_pull_over_a_lossy_link_survives_crashes_of_either_node);
	RUN(test_a_day_of_posts_costs_a_pull_in_five_minutes);
	return check_done();
}
