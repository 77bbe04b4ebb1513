/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes that may know a newer revision than the overlay does, or than this node does while there
 * is no overlay. They are the nodes that a link of the share named, and those that lately asked
 * here for its files. A few of them are asked, once each. All of them know the share already, so
 * no node learns of a private one by being asked.
 */
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "blobs/blobs.h"
#include "blobs/link.h"
#include "publish_state.h"

#define HOLDER_TIMEOUT_NS (5 * NS_PER_S)

struct holder_ask {
	struct head_ask ask; /* first */
	struct publication *publication;
	uint8_t key[MESH_KEY_LEN];
};

static void holder_answered(struct head_ask *ask, int err, uint64_t now_ns)
{
	struct publication *publication = ((struct holder_ask *)ask)->publication;

	if (err == 0)
		shares_keep_hear(publication, &ask->seen);
	shares_keep_answered(publication, err == 0 || err == WEFT_EABSENT, now_ns);
}

static bool is_asked(const struct publication *publication, const uint8_t *key)
{
	for (unsigned i = 0; i < publication->holder_cnt; i++)
		if (memcmp(publication->holders[i].key, key, MESH_KEY_LEN) == 0)
			return true;
	return false;
}

static void holder_add(struct publication *publication, const struct mesh_peer *peer,
		       uint64_t now_ns)
{
	const struct publisher *publisher = publication->publisher;
	struct holder_ask *holder = &publication->holders[publication->holder_cnt];

	if (publication->holder_cnt == PUBLISH_HOLDERS_MAX || is_asked(publication, peer->key))
		return;
	memcpy(holder->key, peer->key, sizeof(holder->key));
	memcpy(holder->ask.share_id, publication->view.share_id, SHARE_ID_LEN);
	holder->publication = publication;
	holder->ask.latest_s = publisher_wall_s(publisher) + HEAD_SKEW_S;
	holder->ask.timeout_ns = HOLDER_TIMEOUT_NS;
	holder->ask.done = holder_answered;
	if (shares_head_ask_start(&holder->ask, &publisher->params.mesh, peer, now_ns) < 0)
		return; /* it is this node, or there is no way to it */
	publication->holder_cnt++;
	publication->wait_cnt++;
}

static void hints_add(struct publication *publication, uint64_t now_ns)
{
	const struct publisher_params *params = &publication->publisher->params;
	const struct link_node *hints;
	unsigned cnt;

	if (!params->hints)
		return;
	cnt = params->hints(params->ctx, publication->view.share_id, &hints);
	for (unsigned i = 0; i < cnt; i++) {
		const struct mesh_peer peer = mesh_peer_at(hints[i].key, &hints[i].places);

		holder_add(publication, &peer, now_ns);
	}
}

static void members_add(struct publication *publication, uint64_t now_ns)
{
	const struct publish_revision *own = shares_publication_own(publication);
	struct blobs_member members[BLOBS_MEMBERS_MAX];
	unsigned cnt;

	if (!own)
		return;
	cnt = blobs_members(publication->publisher->params.content, own->manifest_id, now_ns,
			    members);
	for (unsigned i = 0; i < cnt; i++) {
		struct mesh_peer peer = {.addrs = members[i].addrs,
					 .addr_cnt = members[i].addr_cnt,
					 .told_cnt = members[i].addr_cnt};

		memcpy(peer.key, members[i].key, sizeof(peer.key));
		holder_add(publication, &peer, now_ns);
	}
}

void shares_holders_ask(struct publication *publication, uint64_t now_ns)
{
	if (!publication->publisher->params.mesh.ops)
		return;
	publication->holders = calloc(PUBLISH_HOLDERS_MAX, sizeof(*publication->holders));
	if (!publication->holders)
		return; /* the overlay alone, then */
	hints_add(publication, now_ns);
	members_add(publication, now_ns);
}

void shares_holders_end(struct publication *publication)
{
	const struct mesh_seam *mesh = &publication->publisher->params.mesh;

	for (unsigned i = 0; i < publication->holder_cnt; i++)
		shares_head_ask_cancel(&publication->holders[i].ask, mesh);
	free(publication->holders);
	publication->holders = NULL;
	publication->holder_cnt = 0;
}
