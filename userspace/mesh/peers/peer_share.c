/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As how many peers an operator counts one in fair shares. At home the row
 * is durable before the share is in force; another worker gets all
 * shares and keeps them in memory. Both put the share into the record of
 * the peer, where the paths of its slots read it (slots.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mesh/mesh_state.h"
#include "store/store.h"

struct mesh_share_change {
	struct list_node node; /* in the mesh's share_changes */
	struct mesh *mesh;     /* NULL: it is gone */
	uint8_t key[MESH_KEY_LEN];
	unsigned share_cnt;
	mesh_share_fn done;
	void *arg;
};

static int share_apply(struct mesh *mesh, const uint8_t *key, unsigned share_cnt)
{
	struct mesh_session *session = map_lookup(&mesh->sessions_by_key, key);
	struct mesh_peer_entry *entry = mesh_peers_lookup(&mesh->peers, key);

	if (session)
		session->path.level_cnt = 0; /* made anew by the next slot */
	return entry ? mesh_peers_set_share(&mesh->peers, entry, share_cnt, mesh->now_ns)
		     : WEFT_EABSENT;
}

static void change_stored(void *arg, int err)
{
	struct mesh_share_change *change = arg;

	if (change->mesh) {
		list_unlink(&change->node);
		if (err == 0)
			err = share_apply(change->mesh, change->key, change->share_cnt);
		change->done(change->arg, err);
	}
	free(change);
}

/* The row as it will be; none of a peer that is an unknown peer without the share. */
static void batch_put_row(struct store_batch *batch, const struct mesh_peer_entry *entry,
			  unsigned share_cnt)
{
	uint8_t value[MESH_PEER_RECORD_LEN_MAX];
	struct writer w = writer_of(value, sizeof(value));
	struct mesh_peer_entry after = *entry;

	after.record.share_cnt = (uint8_t)share_cnt;
	if (!mesh_peers_is_known(&after)) {
		store_batch_delete(batch, STORE_PEERS, store_key(entry->key, sizeof(entry->key)));
		return;
	}
	mesh_peer_record_write(&w, &after.record);
	store_batch_put(batch, STORE_PEERS, store_key(entry->key, sizeof(entry->key)), value,
			writer_len(&w));
}

static int change_submit(struct mesh *mesh, const struct mesh_peer_entry *entry,
			 const struct mesh_share_change *wanted)
{
	struct mesh_share_change *change = malloc(sizeof(*change));
	struct store_batch *batch = store_batch_new(mesh->peers.store);
	int err = -ENOMEM;

	if (!change || !batch)
		goto free_both;
	*change = *wanted;
	batch_put_row(batch, entry, wanted->share_cnt);
	err = store_submit(mesh->peers.store, batch, change_stored, change);
	if (err < 0)
		goto free_both;
	list_push_back(&mesh->share_changes, &change->node);
	return 0;

free_both:
	store_batch_free(batch);
	free(change);
	return err;
}

int mesh_set_share(struct mesh *mesh, const struct mesh_share_ask *ask, uint64_t now_ns)
{
	const struct mesh_peer_entry *entry = mesh_peers_lookup(&mesh->peers, ask->key);
	unsigned share_cnt = ask->share_cnt;
	struct mesh_share_change change = {
		.mesh = mesh, .share_cnt = share_cnt, .done = ask->done, .arg = ask->arg};

	mesh_turn(mesh, now_ns);
	if (share_cnt < 1 || share_cnt > FAIR_SHARE_MAX)
		return WEFT_ETOOLARGE;
	if (!entry)
		return WEFT_EABSENT;
	if (share_cnt > 1 && !mesh_peers_has_chosen_room(&mesh->peers, entry))
		return WEFT_EFULL;
	memcpy(change.key, ask->key, sizeof(change.key));
	if (mesh->peers.store)
		return change_submit(mesh, entry, &change);
	ask->done(ask->arg, share_apply(mesh, ask->key, share_cnt));
	return 0;
}

static bool share_is_among(const struct mesh_share *shares, uint32_t cnt, const uint8_t *key)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (memcmp(shares[i].key, key, MESH_KEY_LEN) == 0)
			return true;
	return false;
}

void mesh_take_shares(struct mesh *mesh, const struct mesh_share *shares, uint32_t cnt,
		      uint64_t now_ns)
{
	struct mesh_peer_entry *entry = NULL;

	mesh_turn(mesh, now_ns);
	while ((entry = pool_next(&mesh->peers.pool, entry)))
		if (entry->record.share_cnt > 1 && !share_is_among(shares, cnt, entry->key))
			(void)share_apply(mesh, entry->key, 1);
	for (uint32_t i = 0; i < cnt; i++) {
		entry = mesh_peers_acquire(&mesh->peers, shares[i].key);
		/* Without room it counts as one here. */
		if (entry && share_apply(mesh, shares[i].key, shares[i].share_cnt) < 0)
			mesh_peers_settle(&mesh->peers, entry);
	}
}

uint32_t mesh_shares(const struct mesh *mesh, struct mesh_share *out_shares, uint32_t cap)
{
	const struct mesh_peer_entry *entry = NULL;
	uint32_t cnt = 0;

	while ((entry = pool_next(&mesh->peers.pool, entry))) {
		if (entry->record.share_cnt <= 1)
			continue;
		if (cnt < cap) {
			memcpy(out_shares[cnt].key, entry->key, MESH_KEY_LEN);
			out_shares[cnt].share_cnt = entry->record.share_cnt;
		}
		cnt++;
	}
	return cnt;
}

void mesh_shares_detach(struct mesh *mesh)
{
	while (!list_is_empty(&mesh->share_changes)) {
		struct mesh_share_change *change =
			container_of(mesh->share_changes.next, struct mesh_share_change, node);

		list_unlink(&change->node);
		change->mesh = NULL;
	}
}
