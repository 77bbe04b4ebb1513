/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that send states and keys that they may not. */
#include "social/chain/group_message.h"
#include "social/groups/groups.h"

#include "crypto/blake3/blake3.h"
#include "group_rig.h"

static uint8_t bytes[GROUP_LEN_MAX], message[2 * GROUP_LEN_MAX];
static struct group_state state, next;
static struct group_change change;
static struct mesh_lab_ask asked;

/* Node 0 is the admin of 1 and 2, and knows all states; 3 is no member. */
static struct group_held_copy {
	uint8_t bytes[GROUP_LEN_MAX];
	size_t len;
	uint8_t hash[GROUP_HASH_LEN];
	struct group_state state;
} held;

static int invite_copy_err;
static void on_leave(void *ctx, const struct group_word *word, uint64_t now_ns)
{
	struct group_key_message key;

	(void)ctx, (void)now_ns;
	if (word->type != MESH_GROUP_KEY || social_group_key_read(word->bytes, word->len, &key) < 0)
		return;
	memcpy(held.bytes, key.state.bytes, key.state.len);
	held.len = key.state.len;
	blake3_hash(held.bytes, held.len, held.hash);
	invite_copy_err = social_group_parse(held.bytes, held.len, &held.state);
}

/* Three members; the state of epoch 0 is in held, as the admin left it for one that was away. */
static void founded(void)
{
	uint8_t members[2][NODE_KEY_LEN];
	struct group_ask ask =
		rig_asks(&rig_nodes[0], (const uint8_t(*)[NODE_KEY_LEN])members, 2, GROUP_VIEWER);

	rig_begin();
	rig_add_leaving(on_leave);
	for (unsigned i = 1; i < 4; i++)
		rig_add();
	for (unsigned i = 1; i < 3; i++)
		memcpy(members[i - 1], rig_nodes[i].mesh->key, NODE_KEY_LEN);
	CHECK_EQ(social_group_create(rig_nodes[0].groups, &ask, rig_lab.now_ns, rig_group), 0);
	rig_pass(NS_PER_S);
	for (unsigned i = 1; i < 4; i++)
		rig_meet(&rig_nodes[0], &rig_nodes[i]);
	for (unsigned i = 1; i < 3; i++) {
		rig_meet(&rig_nodes[i], &rig_nodes[3]);
		CHECK_EQ(rig_act(social_group_accept, &rig_nodes[i], NULL, 0), 0);
	}
	CHECK_EQ(invite_copy_err, 0);
}

/* Says to node 1, from node 3, that next is what follows the state of epoch 0, signed by signer. */
static void change_say(const struct rig_node *signer, const uint8_t *wrapped)
{
	struct writer w = writer_of(bytes, sizeof(bytes)), m = writer_of(message, sizeof(message));

	social_group_write(&w, &next, signer->key);
	CHECK(!w.bad);
	CHECK_EQ(social_group_parse(bytes, writer_len(&w), &state), 0);
	social_change_make(&held.state, &state, &change);
	change.wrapped = wrapped;
	social_change_write(&m, &change);
	mesh_lab_ask(rig_nodes[3].mesh, rig_nodes[1].mesh, MESH_GROUP_REKEY, message,
		     writer_len(&m), &asked);
	rig_pass(NS_PER_S);
}

static void next_make(void)
{
	const struct group_edit none = {0};

	CHECK_EQ(social_group_edit(&held.state, &none, &next), 0);
	next.previous = held.hash;
	next.key = rig_nodes[3].mesh->key;
}

static struct groups_stats stats_of(const struct rig_node *node)
{
	struct groups_stats stats;

	social_groups_stats(node->groups, &stats);
	return stats;
}

static void test_a_state_that_a_member_may_not_make_changes_nothing(void)
{
	founded();
	next_make();
	change_say(&rig_nodes[2], NULL);
	CHECK_EQ(rig_view(&rig_nodes[1]).epoch, 0);
	CHECK_EQ(stats_of(&rig_nodes[1]).refused_cnt, 1);
	change_say(&rig_nodes[3], NULL);
	CHECK_EQ(rig_view(&rig_nodes[1]).epoch, 0);
	CHECK_EQ(stats_of(&rig_nodes[1]).refused_cnt, 2);
	/* The same of the admin counts, whatever way it comes. */
	change_say(&rig_nodes[0], NULL);
	CHECK_EQ(rig_view(&rig_nodes[1]).epoch, 1);
	rig_end();
}

static void test_an_epoch_that_is_skipped_or_rolled_back_changes_nothing(void)
{
	founded();
	next_make();
	next.epoch = 2;
	change_say(&rig_nodes[0], NULL);
	CHECK_EQ(rig_view(&rig_nodes[1]).epoch, 0);
	next_make();
	change_say(&rig_nodes[0], NULL);
	CHECK_EQ(rig_act(social_group_rekey, &rig_nodes[0], NULL, 0), 0);
	rig_meet(&rig_nodes[0], &rig_nodes[1]);
	/* The same once more is known, and takes nothing back. */
	next_make();
	change_say(&rig_nodes[0], NULL);
	CHECK(rig_view(&rig_nodes[1]).epoch >= 1);
	rig_end();
}

static void test_a_key_that_was_sealed_to_another_is_refused_and_the_state_taken(void)
{
	struct group_wrap to_another = {.group = rig_group, .epoch = 1};
	const uint8_t nonce[12] = {1};
	uint8_t wrapped[GROUP_KEY_WRAPPED_LEN];

	founded();
	next_make();
	to_another.admin = rig_nodes[0].mesh->key;
	to_another.member = rig_nodes[2].mesh->key;
	CHECK_EQ(social_group_wrap(&to_another, rig_nodes[0].key, node_key_seed(rig_nodes[3].key),
				   nonce, wrapped),
		 0);
	change_say(&rig_nodes[0], wrapped);
	CHECK_EQ(stats_of(&rig_nodes[1]).foreign_key_cnt, 1);
	CHECK_EQ(rig_view(&rig_nodes[1]).epoch, 1);
	CHECK(!rig_view(&rig_nodes[1]).has_key);
	/* So is one of another epoch, though it is sealed to the member. */
	to_another.member = rig_nodes[1].mesh->key;
	CHECK_EQ(social_group_wrap(&to_another, rig_nodes[0].key, node_key_seed(rig_nodes[2].key),
				   nonce, wrapped),
		 0);
	change_say(&rig_nodes[0], wrapped);
	CHECK_EQ(stats_of(&rig_nodes[1]).foreign_key_cnt, 2);
	CHECK(!rig_view(&rig_nodes[1]).has_key);
	/* The right one comes late, and is taken. */
	CHECK_EQ(social_group_wrap(&to_another, rig_nodes[0].key, node_key_seed(rig_nodes[3].key),
				   nonce, wrapped),
		 0);
	change_say(&rig_nodes[0], wrapped);
	CHECK(rig_view(&rig_nodes[1]).has_key);
	rig_end();
}

static void test_a_fork_that_comes_after_a_day_changes_nothing(void)
{
	uint8_t first_key[NODE_KEY_LEN];

	founded();
	next_make();
	change_say(&rig_nodes[0], NULL);
	CHECK_EQ(rig_view(&rig_nodes[1]).epoch, 1);
	memcpy(first_key, rig_view(&rig_nodes[1]).key, sizeof(first_key));
	rig_nodes[1].ahead_ms = (int64_t)GROUP_FORK_MS + 60000;
	/* Of 40 others some have lower hashes. */
	for (uint32_t shards = 2; shards < 42; shards++) {
		next_make();
		next.shard_cnt = shards;
		change_say(&rig_nodes[0], NULL);
	}
	CHECK_MEM(rig_view(&rig_nodes[1]).key, first_key, sizeof(first_key));
	CHECK_EQ(rig_view(&rig_nodes[1]).shard_cnt, 1);
	/* Within the day one of them would have won. */
	rig_nodes[1].ahead_ms = 0;
	for (uint32_t shards = 2; shards < 42; shards++) {
		next_make();
		next.shard_cnt = shards;
		change_say(&rig_nodes[0], NULL);
	}
	CHECK(rig_view(&rig_nodes[1]).shard_cnt > 1);
	rig_end();
}

static void test_a_node_that_is_no_member_is_given_nothing_of_a_group(void)
{
	struct group_ask_message ask = {.group = rig_group, .hides_sum = rig_group, .head_cnt = 1};
	struct writer w = writer_of(message, sizeof(message));

	founded();
	memcpy(ask.heads[0], held.hash, GROUP_HASH_LEN);
	social_group_ask_write(&w, &ask);
	mesh_lab_ask(rig_nodes[3].mesh, rig_nodes[0].mesh, MESH_GROUP_STATE, message,
		     writer_len(&w), &asked);
	CHECK_EQ(asked.reply.err, WEFT_EABSENT);
	/* Nor is it when it names a member that it is not. */
	ask.member = rig_nodes[1].mesh->key;
	w = writer_of(message, sizeof(message));
	social_group_ask_write(&w, &ask);
	mesh_lab_ask(rig_nodes[3].mesh, rig_nodes[0].mesh, MESH_GROUP_STATE, message,
		     writer_len(&w), &asked);
	CHECK_EQ(asked.reply.err, WEFT_EABSENT);
	mesh_lab_ask(rig_nodes[1].mesh, rig_nodes[0].mesh, MESH_GROUP_STATE, message,
		     writer_len(&w), &asked);
	CHECK_EQ(asked.reply.err, 0);
	rig_end();
}

static void count_invite(void *arg, const struct group_invite_view *view)
{
	(void)view;
	++*(unsigned *)arg;
}

/* Node 3 invites node 1 to more groups than it has places for. */
static void test_invitations_of_one_peer_never_pass_their_bound(void)
{
	unsigned cnt = 0;

	founded();
	for (unsigned i = 0; i < GROUP_INVITES_MAX + 8; i++) {
		uint8_t id[GROUP_ID_LEN] = {0};
		struct group_key_message key = {0};
		struct writer w = writer_of(bytes, sizeof(bytes)),
			      m = writer_of(message, sizeof(message));
		bool is_first =
			memcmp(rig_nodes[1].mesh->key, rig_nodes[3].mesh->key, NODE_KEY_LEN) < 0;

		memcpy(id, &i, sizeof(i));
		next = (struct group_state){.group = id,
					    .key = rig_nodes[2].mesh->key,
					    .member_cnt = 2,
					    .shard_cnt = 1};
		memcpy(next.members[is_first ? 0 : 1].key, rig_nodes[1].mesh->key, NODE_KEY_LEN);
		memcpy(next.members[is_first ? 1 : 0].key, rig_nodes[3].mesh->key, NODE_KEY_LEN);
		next.members[is_first ? 1 : 0].role = GROUP_ADMIN;
		social_group_write(&w, &next, rig_nodes[3].key);
		key.state = (struct group_span){bytes, writer_len(&w)};
		social_group_key_write(&m, &key);
		mesh_lab_ask(rig_nodes[3].mesh, rig_nodes[1].mesh, MESH_GROUP_KEY, message,
			     writer_len(&m), &asked);
	}
	social_group_invites(rig_nodes[1].groups, count_invite, &cnt);
	CHECK_EQ(cnt, GROUP_INVITES_MAX);
	/* A peer of another network has its share. */
	CHECK_EQ(rig_act(social_group_remove, &rig_nodes[0], &rig_nodes[1], 0), 0);
	CHECK_EQ(rig_act(social_group_add, &rig_nodes[0], &rig_nodes[1], GROUP_VIEWER), 0);
	CHECK_EQ(rig_act(social_group_accept, &rig_nodes[1], NULL, 0), 0);
	CHECK(rig_view(&rig_nodes[1]).is_member);
	cnt = 0;
	social_group_invites(rig_nodes[1].groups, count_invite, &cnt);
	CHECK_EQ(cnt, GROUP_INVITES_MAX - 1);
	rig_end();
}

static struct mesh_ops counted_ops;
static unsigned stranger_asks;
static int count_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
		     struct mesh_request **out_request)
{
	stranger_asks += memcmp(ask->peer.key, rig_nodes[3].mesh->key, NODE_KEY_LEN) == 0;
	return mesh_lab_seam_of(mesh).ops->ask(mesh, ask, now_ns, out_request);
}

/* What node 1 answers to node 3, as bytes. */
struct heard {
	int err;
	unsigned type;
	enum mesh_code code;
	uint8_t bytes[256];
	size_t len;
};
static struct heard stranger_say(unsigned type, size_t len)
{
	struct heard heard = {0};

	mesh_lab_ask(rig_nodes[3].mesh, rig_nodes[1].mesh, type, message, len, &asked);
	heard.err = asked.reply.err;
	heard.type = asked.reply.type;
	heard.code = asked.reply.code;
	heard.len = asked.reply.received_len ? asked.reply.received_len : asked.reply.payload_len;
	if (heard.len > sizeof(heard.bytes))
		abort();
	memcpy(heard.bytes, asked.buf, heard.len);
	rig_pass(2 * NS_PER_S);
	return heard;
}

/* A state of group that node 3 made up; it names itself as admin, and a member beside it. */
static struct heard state_lie(const uint8_t *group, uint32_t shard, const struct rig_node *named)
{
	struct writer w = writer_of(bytes, sizeof(bytes)), m = writer_of(message, sizeof(message));
	bool is_first = memcmp(named->mesh->key, rig_nodes[3].mesh->key, NODE_KEY_LEN) < 0;
	struct group_key_message key = {0};
	static const uint8_t previous[GROUP_HASH_LEN] = {1};

	next = (struct group_state){.group = group,
				    .key = rig_nodes[2].mesh->key,
				    .previous = previous,
				    .epoch = 5,
				    .member_cnt = 2,
				    .shard = shard,
				    .shard_cnt = shard + 1};
	memcpy(next.members[is_first ? 0 : 1].key, named->mesh->key, NODE_KEY_LEN);
	memcpy(next.members[is_first ? 1 : 0].key, rig_nodes[3].mesh->key, NODE_KEY_LEN);
	next.members[is_first ? 1 : 0].role = GROUP_ADMIN;
	social_group_write(&w, &next, rig_nodes[3].key);
	key.state = (struct group_span){bytes, writer_len(&w)};
	social_group_key_write(&m, &key);
	if (w.bad || m.bad)
		abort();
	return stranger_say(MESH_GROUP_KEY, writer_len(&m));
}

static struct heard change_lie(const uint8_t *group)
{
	struct writer w = writer_of(bytes, sizeof(bytes)), m = writer_of(message, sizeof(message));

	next_make();
	next.epoch = 5;
	social_group_write(&w, &next, rig_nodes[3].key);
	if (social_group_parse(bytes, writer_len(&w), &state) < 0)
		abort();
	social_change_make(&held.state, &state, &change);
	change.group = group;
	social_change_write(&m, &change);
	if (w.bad || m.bad)
		abort();
	return stranger_say(MESH_GROUP_REKEY, writer_len(&m));
}

static void same_check(const struct heard *known, const struct heard *unknown)
{
	CHECK_EQ(known->err, unknown->err);
	CHECK_EQ(known->type, unknown->type);
	CHECK_EQ(known->code, unknown->code);
	CHECK_EQ(known->len, unknown->len);
	CHECK_MEM(known->bytes, unknown->bytes, known->len);
}

static void test_a_group_that_is_here_is_an_unknown_one_to_a_node_that_is_no_member(void)
{
	static const uint8_t unknown_ids[3][GROUP_ID_LEN] = {{1}, {2}, {3}};
	struct heard known, unknown;
	unsigned cnt = 0;

	founded();
	rig_stop(&rig_nodes[1]);
	counted_ops = *mesh_lab_seam_of(rig_nodes[1].mesh).ops;
	counted_ops.ask = count_ask;
	rig_nodes[1].ops = &counted_ops;
	rig_start(&rig_nodes[1]);
	stranger_asks = 0;
	known = change_lie(rig_group);
	unknown = change_lie(unknown_ids[0]);
	CHECK_EQ(unknown.err, WEFT_EABSENT);
	same_check(&known, &unknown);
	/* A state that names a person of the node, one that does not, and one of a further shard. */
	known = state_lie(rig_group, 0, &rig_nodes[1]);
	unknown = state_lie(unknown_ids[0], 0, &rig_nodes[1]);
	CHECK_EQ(unknown.err, 0);
	same_check(&known, &unknown);
	known = state_lie(rig_group, 0, &rig_nodes[2]);
	unknown = state_lie(unknown_ids[1], 0, &rig_nodes[2]);
	CHECK_EQ(unknown.err, WEFT_EABSENT);
	same_check(&known, &unknown);
	known = state_lie(rig_group, 1, &rig_nodes[1]);
	unknown = state_lie(unknown_ids[2], 1, &rig_nodes[1]);
	same_check(&known, &unknown);
	CHECK_EQ(stranger_asks, 0);
	CHECK_EQ(rig_view(&rig_nodes[1]).epoch, 0);
	/* No invitation to the group that is here could take its place. */
	social_group_invites(rig_nodes[1].groups, count_invite, &cnt);
	CHECK_EQ(cnt, 2);
	rig_end();
}

int main(void)
{
	RUN(test_a_state_that_a_member_may_not_make_changes_nothing);
	RUN(test_an_epoch_that_is_skipped_or_rolled_back_changes_nothing);
	RUN(test_a_key_that_was_sealed_to_another_is_refused_and_the_state_taken);
	RUN(test_a_fork_that_comes_after_a_day_changes_nothing);
	RUN(test_a_node_that_is_no_member_is_given_nothing_of_a_group);
	RUN(test_a_group_that_is_here_is_an_unknown_one_to_a_node_that_is_no_member);
	RUN(test_invitations_of_one_peer_never_pass_their_bound);
	return check_done();
}
