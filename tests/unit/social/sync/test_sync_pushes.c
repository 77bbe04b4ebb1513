/* SPDX-License-Identifier: Apache-2.0 */
/* Pushes under way are shared by networks: peers that do not answer keep no place from others. */
#include "social/sync/sync_state.h"
#include "sync_rig.h"

enum { ALICE, BOB };
#define SILENT 300u

static struct rig_node *a;
static uint8_t asked_keys[2048][MESH_KEY_LEN];
static unsigned asked_cnt, cancel_cnt;

/* A mesh with sessions with all keys, of which none answers. */
static int any_session(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		       uint8_t out_id[static MESH_SESSION_ID_LEN])
{
	(void)mesh;
	memcpy(out_id, key, MESH_SESSION_ID_LEN);
	return 0;
}

static int no_reply(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
		    struct mesh_request **out_request)
{
	(void)mesh, (void)now_ns;
	memcpy(asked_keys[asked_cnt++], ask->peer.key, MESH_KEY_LEN);
	*out_request = (struct mesh_request *)(void *)&cancel_cnt;
	return 0;
}

static void count_cancel(struct mesh_request *request)
{
	(void)request;
	cancel_cnt++;
}

static void key_make(unsigned number, uint8_t out_key[static MESH_KEY_LEN])
{
	memset(out_key, 0xa5, MESH_KEY_LEN);
	out_key[0] = (uint8_t)number;
	out_key[1] = (uint8_t)(number >> 8);
}

/* A peer that follows Alice, in a network. */
static void peer_add(unsigned number, uint8_t network)
{
	struct addr addr = {.family = ADDR_IPV4, .ip = {network, 1, 1, 1}, .port = 9};
	uint8_t key[MESH_KEY_LEN];
	struct sync_peer *peer;
	struct fair_path path;

	key_make(number, key);
	mesh_lab_neighbours.account(a->mesh, key, &addr, &path);
	peer = social_sync_peer_of(a->sync, key, key, &path, rig_lab.now_ns);
	if (!peer ||
	    !social_sync_follows_take(peer, rig_key(ALICE), NODE_KEY_LEN, false, rig_lab.now_ns))
		abort();
}

static void news(void)
{
	struct rig_post post = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);

	social_sync_news(a->sync, post.id, NULL, rig_lab.now_ns);
	rig_pass(SYNC_NEWS_DELAY_NS + NS_PER_MS);
}

static unsigned asked_of(unsigned number)
{
	uint8_t key[MESH_KEY_LEN];
	unsigned cnt = 0;

	key_make(number, key);
	for (unsigned i = 0; i < asked_cnt; i++)
		cnt += memcmp(asked_keys[i], key, MESH_KEY_LEN) == 0;
	return cnt;
}

static void begin(void)
{
	rig_begin(&rig_calm);
	a = rig_add();
	rig_ops.session = any_session;
	rig_ops.ask = no_reply;
	rig_ops.cancel = count_cancel;
	asked_cnt = cancel_cnt = 0;
}

static void test_a_peer_of_another_network_gets_a_place_of_silent_ones(void)
{
	begin();
	for (unsigned i = 0; i < SILENT; i++)
		peer_add(i, 20);
	news();
	CHECK_EQ(a->sync->pushes.used_cnt, SYNC_PUSHES_MAX);
	CHECK_EQ(asked_cnt, SYNC_PUSHES_MAX);
	CHECK_EQ(cancel_cnt, 0);
	peer_add(SILENT, 30);
	news();
	CHECK_EQ(asked_of(SILENT), 1);
	CHECK_EQ(cancel_cnt, 1);
	CHECK_EQ(rig_stats(a).silent_cnt, 1);
	CHECK_EQ(a->sync->pushes.used_cnt, SYNC_PUSHES_MAX);
	rig_end();
}

/* One that waits takes the place of a peer that goes. */
static void test_a_peer_that_waits_is_served_when_a_place_is_free(void)
{
	uint8_t key[MESH_KEY_LEN];
	unsigned waiting = SILENT;

	begin();
	for (unsigned i = 0; i < SYNC_PUSHES_MAX + 1; i++)
		peer_add(i, 20);
	news();
	CHECK_EQ(asked_cnt, SYNC_PUSHES_MAX);
	for (unsigned i = 0; i < SYNC_PUSHES_MAX + 1; i++)
		if (asked_of(i) == 0)
			waiting = i;
	CHECK(waiting != SILENT);
	key_make(waiting ? 0 : 1, key);
	social_sync_peer_drop(a->sync, social_sync_peer_find(a->sync, key), rig_lab.now_ns);
	rig_pass(6 * NS_PER_S);
	CHECK_EQ(asked_of(waiting), 1);
	rig_end();
}

int main(void)
{
	RUN(test_a_peer_of_another_network_gets_a_place_of_silent_ones);
	RUN(test_a_peer_that_waits_is_served_when_a_place_is_free);
	return check_done();
}
