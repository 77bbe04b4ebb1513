/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a removed member can read: each key that it ever held is tried on each byte that went between any
 * two nodes. And nodes end in one state, in whatever order forks come.
 */
#include "social/chain/group_message.h"
#include "social/groups/groups.h"

#include "crypto/blake3/blake3.h"
#include "group_rig.h"

#define EPOCHS_MAX 64u
#define BYTES_MAX  (4u << 20)

/* Every message of groups and every answer that was on the wire. */
static uint8_t wire[BYTES_MAX];
static size_t wire_len;

static void wire_add(const void *bytes, size_t len)
{
	if (wire_len + len > sizeof(wire))
		abort();
	memcpy(wire + wire_len, bytes, len);
	wire_len += len;
}

static struct mesh_ops heard_ops;
static int heard_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
		     struct mesh_request **out_request)
{
	wire_add(ask->payload, ask->payload_len);
	return mesh_lab_seam_of(mesh).ops->ask(mesh, ask, now_ns, out_request);
}

static struct mesh *answering;
static int heard_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
			size_t head_len, const struct transport_span *tail)
{
	if (tail)
		wire_add(tail->data, tail->len);
	return mesh_lab_seam_of(answering).ops->answer(incoming, type, head, head_len, tail);
}

/* The public key of each key that an epoch had, and which nodes were members while it was in force. */
static struct {
	uint8_t key[NODE_KEY_LEN];
	uint64_t epoch;
	bool may_read[RIG_NODES];
} truth[EPOCHS_MAX];
static unsigned truth_cnt;

static void member_note(void *arg, const struct group_row_view *view)
{
	bool *may_read = arg;

	for (unsigned i = 0; i < rig_cnt; i++)
		may_read[i] |= memcmp(rig_nodes[i].mesh->key, view->member->key, NODE_KEY_LEN) == 0;
}

/* The state that node has now is part of the truth. */
static void truth_note(struct rig_node *node)
{
	struct group_view view = rig_view(node);
	unsigned i = 0;

	while (i < truth_cnt && memcmp(truth[i].key, view.key, NODE_KEY_LEN) != 0)
		i++;
	if (i == EPOCHS_MAX)
		abort();
	if (i == truth_cnt) {
		truth_cnt++;
		memcpy(truth[i].key, view.key, NODE_KEY_LEN);
		truth[i].epoch = view.epoch;
	}
	social_group_members(node->groups, rig_group, member_note, truth[i].may_read);
}

/* Whether own, and every key of its group, opens any 60 bytes of the wire as the key of truth[at]. */
static bool wire_opens(const struct node_key *own, unsigned at)
{
	uint8_t seed[NODE_KEY_SEED_LEN];
	struct group_wrap wrap = {.group = rig_group, .member = node_key_public(own)};

	for (size_t off = 0; off + 2 + GROUP_KEY_WRAPPED_LEN <= wire_len; off++) {
		/* A byte string of 60: what can be a sealed key begins so. */
		if (wire[off] != 0x58 || wire[off + 1] != GROUP_KEY_WRAPPED_LEN)
			continue;
		for (unsigned by = 0; by < rig_cnt; by++)
			for (wrap.epoch = 0; wrap.epoch < EPOCHS_MAX; wrap.epoch++) {
				struct node_key *key;
				bool is_it;

				wrap.admin = rig_nodes[by].mesh->key;
				if (social_group_unwrap(&wrap, own, wire + off + 2, seed) < 0)
					continue;
				if (node_key_from_seed(seed, &key) < 0)
					abort();
				is_it = memcmp(node_key_public(key), truth[at].key, NODE_KEY_LEN) ==
					0;
				node_key_free(key);
				if (is_it)
					return true;
			}
	}
	return false;
}

static void nodes_add(unsigned cnt)
{
	rig_begin();
	wire_len = 0;
	truth_cnt = 0;
	memset(truth, 0, sizeof(truth));
	for (unsigned i = 0; i < cnt; i++)
		rig_add();
	heard_ops = *mesh_lab_seam_of(rig_nodes[0].mesh).ops;
	heard_ops.ask = heard_ask;
	heard_ops.answer = heard_answer;
	answering = rig_nodes[0].mesh;
	for (unsigned i = 0; i < cnt; i++) {
		rig_stop(&rig_nodes[i]);
		rig_nodes[i].ops = &heard_ops;
		rig_start(&rig_nodes[i]);
	}
}

static void test_keys_open_for_members_of_their_epochs_and_for_no_other_node(void)
{
	unsigned open_cnt = 0;

	nodes_add(6);
	CHECK_EQ(rig_found(5, GROUP_VIEWER), 0);
	truth_note(&rig_nodes[0]);
	for (unsigned step = 0; step < 14; step++) {
		unsigned who = 1 + (unsigned)random_below(&rig_dice, 5);
		bool is_in = social_group_may(rig_nodes[0].groups, rig_group,
					      rig_nodes[who].mesh->key, GROUP_ACT_READ);
		unsigned what = (unsigned)random_below(&rig_dice, 4);

		if (what == 0)
			CHECK_EQ(rig_act(social_group_rekey, &rig_nodes[0], NULL, 0), 0);
		else if (what == 1 && is_in)
			CHECK_EQ(rig_act(social_group_give_role, &rig_nodes[0], &rig_nodes[who],
					 (enum group_role)random_below(&rig_dice, 2)),
				 0);
		else
			CHECK_EQ(rig_act(is_in ? social_group_remove : social_group_add,
					 &rig_nodes[0], &rig_nodes[who], GROUP_VIEWER),
				 0);
		truth_note(&rig_nodes[0]);
		rig_meet(&rig_nodes[0], &rig_nodes[who]);
		(void)rig_act(social_group_accept, &rig_nodes[who], NULL, 0);
		rig_meet(&rig_nodes[who], &rig_nodes[1 + random_below(&rig_dice, 5) % 5]);
	}
	for (unsigned at = 0; at < truth_cnt; at++)
		for (unsigned i = 1; i < rig_cnt; i++) {
			bool opens = wire_opens(rig_nodes[i].key, at);

			struct visibility_group of = {.epoch = truth[at].epoch};

			memcpy(of.group, rig_group, sizeof(of.group));
			memcpy(of.key, truth[at].key, sizeof(of.key));
			/* By what it keeps, and by all that ever was on the wire. */
			CHECK(!rig_opens(&rig_nodes[i], &of) || truth[at].may_read[i]);
			CHECK(!opens || truth[at].may_read[i]);
			open_cnt += opens;
		}
	/* The search finds keys where there are some: most keys had several members. */
	CHECK(open_cnt > truth_cnt);
	printf("# %u keys, %zu bytes on the wire, %u of %u keys and nodes open\n", truth_cnt,
	       wire_len, open_cnt, truth_cnt * (rig_cnt - 1));
	rig_end();
}

/* Members of one group act and meet at random; then all meet. */
static void forks_run(void)
{
	struct group_view views[6];

	for (unsigned step = 0; step < 12; step++) {
		unsigned who = (unsigned)random_below(&rig_dice, 3);
		unsigned other = 3 + (unsigned)random_below(&rig_dice, 3);
		bool is_in = social_group_may(rig_nodes[who].groups, rig_group,
					      rig_nodes[other].mesh->key, GROUP_ACT_READ);

		/* No session: what an admin makes is known to it alone. */
		for (unsigned i = 0; i < rig_cnt; i++)
			rig_nodes[i].mesh->session_cnt = 0;
		switch (random_below(&rig_dice, 3)) {
		case 0:
			(void)rig_act(social_group_rekey, &rig_nodes[who], NULL, 0);
			break;
		case 1:
			(void)rig_act(is_in ? social_group_remove : social_group_add,
				      &rig_nodes[who], &rig_nodes[other], GROUP_POSTER);
			break;
		default:
			rig_meet(&rig_nodes[who], &rig_nodes[(who + 1) % 3]);
		}
	}
	for (unsigned round = 0; round < 8; round++)
		for (unsigned i = 0; i < 3; i++)
			for (unsigned j = 0; j < i; j++)
				rig_meet(&rig_nodes[i], &rig_nodes[j]);
	rig_pass(10 * NS_PER_S);
	for (unsigned i = 0; i < 3; i++)
		views[i] = rig_view(&rig_nodes[i]);
	for (unsigned i = 1; i < 3; i++) {
		CHECK_EQ(views[i].epoch, views[0].epoch);
		CHECK_MEM(views[i].key, views[0].key, NODE_KEY_LEN);
		CHECK_EQ(views[i].member_cnt, views[0].member_cnt);
		CHECK(views[i].has_key);
	}
}

static void test_forks_of_three_admins_converge_whatever_the_order(void)
{
	for (unsigned i = 0; i < 6; i++) {
		nodes_add(6);
		for (unsigned skip = 0; skip < i * 17; skip++)
			(void)random_u64(&rig_dice);
		CHECK_EQ(rig_found(6, GROUP_VIEWER), 0);
		CHECK_EQ(rig_act(social_group_give_role, &rig_nodes[0], &rig_nodes[1], GROUP_ADMIN),
			 0);
		CHECK_EQ(rig_act(social_group_give_role, &rig_nodes[0], &rig_nodes[2], GROUP_ADMIN),
			 0);
		forks_run();
		rig_end();
	}
}

int main(void)
{
	RUN(test_keys_open_for_members_of_their_epochs_and_for_no_other_node);
	RUN(test_forks_of_three_admins_converge_whatever_the_order);
	return check_done();
}
