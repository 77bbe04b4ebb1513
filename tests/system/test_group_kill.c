/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node of an admin is killed by SIGKILL while it gives a group other keys and other members, again and
 * again. It notes in shared memory what it answered for. Behind each kill the group has that state or
 * the next one, and this node has the keys of all states.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit/social/groups/group_rig.h"

#define LIFE_CNT  12u
#define EPOCH_MAX 4096u
#define MEMBERS	  40u

static struct shared {
	uint64_t epoch; /* the newest that was answered for */
	bool is_known[EPOCH_MAX];
	uint8_t keys[EPOCH_MAX][NODE_KEY_LEN];
	uint32_t act_cnt;
} *shared;
static struct rig_node *admin;
static uint8_t members[MEMBERS][NODE_KEY_LEN];

static void members_make(void)
{
	for (unsigned i = 0; i < MEMBERS; i++) {
		uint8_t seed[NODE_KEY_SEED_LEN] = {97, (uint8_t)i};
		struct node_key *key;

		if (node_key_from_seed(seed, &key) < 0)
			abort();
		memcpy(members[i], node_key_public(key), NODE_KEY_LEN);
		node_key_free(key);
	}
}

static void note(void)
{
	const struct group_view view = rig_view(admin);

	if (view.epoch >= EPOCH_MAX)
		return;
	memcpy(shared->keys[view.epoch], view.key, NODE_KEY_LEN);
	shared->is_known[view.epoch] = true;
	shared->epoch = view.epoch;
	shared->act_cnt++;
}

/* A new key, and then one member fewer, and the same one more again. */
static void act(unsigned turn)
{
	static const rig_act_fn acts[] = {social_group_rekey, social_group_remove,
					  social_group_add};
	unsigned done_cnt = admin->done_cnt, kind = turn % 3;
	struct group_ask ask = rig_asks(admin, (const uint8_t(*)[NODE_KEY_LEN])members[0],
					kind ? 1 : 0, GROUP_VIEWER);
	int err = acts[kind](admin->groups, &ask, rig_lab.now_ns);

	/* Where a kill came between the two, the member is out or in already. */
	if (err == 0)
		while (admin->done_cnt == done_cnt)
			rig_pass(10 * NS_PER_MS);
	if (err == 0 && admin->err == 0)
		note();
}

/* Each life draws keys of its own. */
static void live(unsigned number)
{
	random_init_seeded(&rig_dice, 1000 + number);
	rig_start(admin);
	for (unsigned turn = 0; shared->epoch + 2 < EPOCH_MAX; turn++)
		act(turn);
	for (;;)
		(void)pause();
}

static void check_life(void)
{
	const struct group_view view = rig_view(admin);
	struct visibility_group of = {.epoch = view.epoch};
	unsigned known_cnt = 0;

	CHECK(view.epoch == shared->epoch || view.epoch == shared->epoch + 1);
	CHECK(view.has_key);
	memcpy(of.group, rig_group, sizeof(of.group));
	memcpy(of.key, view.key, sizeof(of.key));
	CHECK(rig_opens(admin, &of));
	for (uint64_t epoch = 0; epoch <= shared->epoch; epoch++) {
		if (!shared->is_known[epoch])
			continue;
		known_cnt++;
		of.epoch = epoch;
		memcpy(of.key, shared->keys[epoch], sizeof(of.key));
		CHECK(rig_opens(admin, &of));
	}
	printf("# epoch %llu answered for, %llu there, %u keys open\n",
	       (unsigned long long)shared->epoch, (unsigned long long)view.epoch, known_cnt);
}

static void test_each_kill_leaves_the_state_that_was_answered_for_and_its_key(void)
{
	struct group_ask ask;

	rig_begin();
	admin = rig_add();
	members_make();
	ask = rig_asks(admin, (const uint8_t(*)[NODE_KEY_LEN])members, MEMBERS, GROUP_VIEWER);
	CHECK_EQ(social_group_create(admin->groups, &ask, rig_lab.now_ns, rig_group), 0);
	rig_pass(NS_PER_S);
	note();
	rig_stop(admin);
	for (unsigned i = 0; i < LIFE_CNT; i++) {
		const struct timespec life = {.tv_nsec = (long)(20 + random_below(&rig_dice, 150)) *
							 1000000};
		pid_t child = fork();

		if (child == 0)
			live(i);
		(void)nanosleep(&life, NULL);
		CHECK_EQ(kill(child, SIGKILL), 0);
		CHECK_EQ(waitpid(child, NULL, 0), child);
		rig_start(admin);
		check_life();
		CHECK(!check_failed);
		/* What was on its way counts from here on, too. */
		note();
		if (i + 1 < LIFE_CNT)
			rig_stop(admin);
	}
	CHECK(shared->act_cnt > 2 * LIFE_CNT);
	rig_end();
}

int main(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	RUN(test_each_kill_leaves_the_state_that_was_answered_for_and_its_key);
	return check_done();
}
