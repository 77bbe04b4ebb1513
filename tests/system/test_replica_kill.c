/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node that restores copies, and the one that takes them, are killed by SIGKILL, again and again. Each
 * copy that the first counts as placed is whole at the second, behind each kill. In the end all posts
 * have their copies.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "social/object/post_judge.h"
#include "unit/social/replicas/replicas_rig.h"

#define LIFE_CNT 10u
#define POST_MAX 4096u
#define PER_TURN 3u
#define POST_LEN 90000u /* two pieces */

/* The author's node, and one that hosts. */
enum { AUTHOR, HOST, NODE_CNT };

static struct shared {
	uint32_t cnt; /* posts that are durable at the author's node */
	uint8_t ids[POST_MAX][POST_ID_LEN];
} *shared;

static void write_posts(void)
{
	for (unsigned i = 0; i < PER_TURN && shared->cnt < POST_MAX; i++) {
		/* No two are equal, in whichever life they are written. */
		struct made_post *made = post_make(&nodes[AUTHOR], NULL, POST_LEN + shared->cnt);

		put(&nodes[AUTHOR], made);
		memcpy(shared->ids[shared->cnt], made->id, POST_ID_LEN);
		shared->cnt++;
		social_made_post_free(made);
	}
}

/* Both have a session, and a sync ends. */
static void sync_once(void)
{
	mesh_lab_ask(nodes[AUTHOR].mesh, nodes[HOST].mesh, MESH_PEX_REQUEST, "", 0, &asked);
	social_replicas_synced(nodes[AUTHOR].replicas, nodes[HOST].mesh->key, lab.now_ns);
	pass(NS_PER_S);
}

static void live(unsigned number)
{
	random_init_seeded(&dice, 1000 + number);
	for (unsigned i = 0; i < NODE_CNT; i++)
		node_up(&nodes[i]);
	for (;;) {
		if (shared->cnt < POST_MAX / 2)
			write_posts();
		sync_once();
	}
}

static bool is_whole_at(const struct node *node, const uint8_t *id)
{
	struct judged_post *judged = NULL;
	struct post_copy *copy;
	bool is;

	if (social_posts_read(node->posts, id, &copy) < 0)
		return false;
	is = social_post_judge(&copy->parts, &judged) == 0 &&
	     memcmp(judged->id, id, POST_ID_LEN) == 0;
	social_judged_free(judged);
	social_post_copy_free(copy);
	return is;
}

static unsigned placed_cnt;

static void check_life(void)
{
	placed_cnt = 0;

	for (uint32_t i = 0; i < shared->cnt; i++) {
		CHECK(is_whole_at(&nodes[AUTHOR], shared->ids[i]));
		if (social_holders_cnt(nodes[AUTHOR].holders, shared->ids[i]) == 0)
			continue;
		placed_cnt++;
		CHECK(is_whole_at(&nodes[HOST], shared->ids[i]));
	}
	printf("# %u posts, %u of them placed\n", shared->cnt, placed_cnt);
}

static void nodes_down(void)
{
	for (unsigned i = 0; i < NODE_CNT; i++)
		node_down(&nodes[i]);
}

static void test_a_copy_that_counts_as_placed_is_there_behind_each_kill(void)
{
	begin_with(NODE_CNT, 1);
	nodes[HOST].follows_all = nodes[HOST].is_audience = true;
	write_posts();
	nodes_down();
	for (unsigned i = 0; i < LIFE_CNT; i++) {
		const struct timespec life = {.tv_nsec = (long)(30 + random_below(&dice, 200)) *
							 1000000};
		pid_t child = fork();

		if (child == 0)
			live(i);
		(void)nanosleep(&life, NULL);
		CHECK_EQ(kill(child, SIGKILL), 0);
		CHECK_EQ(waitpid(child, NULL, 0), child);
		for (unsigned k = 0; k < NODE_CNT; k++)
			node_up(&nodes[k]);
		check_life();
		CHECK(!check_failed);
		if (i + 1 < LIFE_CNT)
			nodes_down();
	}
	for (unsigned i = 0; i < 2 * shared->cnt + 10; i++) {
		sync_once();
		pass(60 * NS_PER_S);
	}
	CHECK(shared->cnt > LIFE_CNT);
	check_life();
	CHECK_EQ(placed_cnt, shared->cnt);
	end();
}

int main(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	RUN(test_a_copy_that_counts_as_placed_is_there_behind_each_kill);
	return check_done();
}
