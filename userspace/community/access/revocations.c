/* SPDX-License-Identifier: Apache-2.0 */
#include "revocations.h"

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "community/community_state.h"
#include "crypto/node_key.h"
#include "store/store.h"

#define REVOCATIONS_ROWS "roll:"
#define KEY_ROWS	 EPOCH_KEY_ROW_NAME
#define ROW_KEY_CAP	 (sizeof(KEY_ROWS) - 1 + COMMUNITY_ID_LEN)
#define TIMEOUT_NS	 (20 * NS_PER_S)

struct revocations_ask {
	struct community *community; /* NULL: free */
	struct mesh_request *request;
	uint8_t reply[COMMUNITY_SHOWN_CAP];
};

int community_revocations_init(struct communities *all)
{
	all->revocations_asks =
		arena_alloc(&all->arena, REVOCATIONS_SHOWS_MAX * sizeof(*all->revocations_asks));
	return all->revocations_asks ? 0 : WEFT_EFULL;
}

/* --- in the store --- */

static size_t row_key(const char *rows, const uint8_t *id, uint8_t key[static ROW_KEY_CAP])
{
	size_t len = strlen(rows);

	memcpy(key, rows, len);
	memcpy(key + len, id, COMMUNITY_ID_LEN);
	return len + COMMUNITY_ID_LEN;
}

static int row_get(struct store_snapshot *snapshot, const char *rows, const uint8_t *id,
		   const void **out_bytes, size_t *out_len)
{
	uint8_t key[ROW_KEY_CAP];
	size_t len = row_key(rows, id, key);

	return store_get(snapshot, STORE_META, store_key(key, len), out_bytes, out_len);
}

int community_revocations_load(struct store_snapshot *snapshot,
			       const uint8_t id[static COMMUNITY_ID_LEN],
			       struct community_revocations *out_revocations)
{
	const void *bytes;
	size_t len;
	int err = row_get(snapshot, REVOCATIONS_ROWS, id, &bytes, &len);

	if (err < 0)
		return err;
	return community_revocations_parse(bytes, len, out_revocations) < 0 ? WEFT_EDAMAGED : 0;
}

int community_revocations_keys_load(struct store_snapshot *snapshot,
				    const uint8_t id[static COMMUNITY_ID_LEN],
				    const struct key_seal *seal, struct epoch_keys *out_keys)
{
	const void *bytes;
	size_t len;
	int err = row_get(snapshot, KEY_ROWS, id, &bytes, &len);

	return err < 0 ? err : community_epoch_keys_parse(bytes, len, seal, out_keys);
}

/* A list that cannot be read is asked for again: the next member's is newer than none. */
static void rows_read(struct community *community, struct store_snapshot *snapshot)
{
	const void *bytes;
	size_t len;

	community->revocations = (struct community_revocations){0};
	community->revocations_len = 0;
	community_epoch_keys_wipe(&community->epoch_keys);
	if (row_get(snapshot, REVOCATIONS_ROWS, community->roster.id, &bytes, &len) < 0 ||
	    len > sizeof(community->revocations_bytes))
		return;
	if (community_revocations_parse(bytes, len, &community->revocations) < 0) {
		community->revocations = (struct community_revocations){0};
		return;
	}
	memcpy(community->revocations_bytes, bytes, len);
	community->revocations_len = len;
	(void)!community_revocations_keys_load(snapshot, community->roster.id,
					       community->all->params.seal, &community->epoch_keys);
}

static void rows_save(struct community *community)
{
	const struct community_params *params = &community->all->params;
	struct store_batch *batch = store_batch_new(params->store);
	uint8_t key[ROW_KEY_CAP], row[EPOCH_KEY_ROW_CAP];
	size_t len = row_key(REVOCATIONS_ROWS, community->roster.id, key);

	store_batch_put(batch, STORE_META, store_key(key, len), community->revocations_bytes,
			community->revocations_len);
	if (community->epoch_keys.current.epoch) {
		len = row_key(KEY_ROWS, community->roster.id, key);
		store_batch_put(
			batch, STORE_META, store_key(key, len), row,
			community_epoch_keys_write(&community->epoch_keys, params->seal, row));
		explicit_bzero(row, sizeof(row));
	}
	if (store_submit(params->store, batch, NULL, NULL) == 0)
		return;
	store_batch_free(batch);
	community->all->counts[COMMUNITY_STORE_FAILED]++;
}

void community_revocations_drop(struct store_batch *batch,
				const uint8_t id[static COMMUNITY_ID_LEN])
{
	uint8_t key[ROW_KEY_CAP];

	store_batch_delete(batch, STORE_META, store_key(key, row_key(REVOCATIONS_ROWS, id, key)));
	store_batch_delete(batch, STORE_META, store_key(key, row_key(KEY_ROWS, id, key)));
}

/* --- taken --- */

/* Rows of the expelled nodes go; none of these is asked or notified any more. */
static void revocations_apply(struct community *community, uint64_t now_ns)
{
	rows_save(community);
	for (unsigned i = community->partner_cnt; i-- > 0;)
		if (community_revocations_has(&community->revocations, community->partners[i].key))
			community_partners_failed(community, community->partners[i].key, true);
	community->roster.sweep_kind = ROSTER_MEMBER;
	memset(community->roster.sweep_key, 0, sizeof(community->roster.sweep_key));
	community->is_sweep_whole = true;
	community->sweep_ns = now_ns;
	for (unsigned i = 0; i < community->partner_cnt; i++)
		community_revocations_show_key(community, community->partners[i].key, now_ns);
}

bool community_revocations_take(struct community *community, const uint8_t *bytes, size_t len,
				uint64_t now_ns)
{
	struct community_revocations revocations;

	if (community_revocations_parse(bytes, len, &revocations) < 0 ||
	    memcmp(revocations.id, community->roster.id, sizeof(revocations.id)) != 0 ||
	    revocations.time_s > community_wall_s(community->all) + COMMUNITY_SKEW_S ||
	    (community->revocations.epoch &&
	     !community_revocations_is_newer(&revocations, &community->revocations)) ||
	    community_revocations_verify(bytes, len) < 0)
		return false;
	community->revocations = revocations;
	memcpy(community->revocations_bytes, bytes, len);
	community->revocations_len = len;
	revocations_apply(community, now_ns);
	return true;
}

/* --- made --- */

/* Signs what community->revocation list says, under the next epoch and, in a strict one, with its key. */
static void revocations_sign(struct community *community)
{
	struct community_revocations *revocations = &community->revocations;
	struct writer w =
		writer_of(community->revocations_bytes, sizeof(community->revocations_bytes));

	memcpy(revocations->id, community->roster.id, sizeof(revocations->id));
	memcpy(revocations->home, community->all->own_key, sizeof(revocations->home));
	revocations->epoch++;
	revocations->time_s = community_wall_s(community->all);
	revocations->has_commit = community->roster.is_strict;
	if (revocations->has_commit) {
		community_epoch_keys_make(&community->epoch_keys, community->all->params.random,
					  revocations->epoch);
		community_epoch_key_commit(community->epoch_keys.current.secret,
					   revocations->commit);
	}
	community_revocations_write(&w, community->secret, revocations);
	community->revocations_len = writer_len(&w);
}

void community_revocations_begin(struct community *community)
{
	revocations_sign(community);
	rows_save(community);
}

int community_revocations_open(struct community *community)
{
	struct store_snapshot *snapshot;
	int err = store_snapshot_open(community->all->params.store, &snapshot);

	if (err < 0)
		return err;
	rows_read(community, snapshot);
	store_snapshot_close(snapshot);
	/* Made by an earlier version, or lost: no other node can make one. */
	if (community->secret && community->roster.is_strict && community->revocations.epoch &&
	    !community_epoch_keys_are_of(&community->epoch_keys, &community->revocations))
		community_revocations_begin(community);
	return 0;
}

static unsigned place_of(const struct community_revocations *revocations, const uint8_t *key)
{
	unsigned at = 0;

	while (at < revocations->expelled_cnt &&
	       memcmp(revocations->expelled[at], key, COMMUNITY_KEY_LEN) < 0)
		at++;
	return at;
}

int community_expel(struct communities *all, const uint8_t id[static COMMUNITY_ID_LEN],
		    const uint8_t member[static COMMUNITY_KEY_LEN], bool is_expelled,
		    uint64_t now_ns)
{
	struct community *community = community_lookup(all, id);
	struct community_revocations *revocations = community ? &community->revocations : NULL;
	unsigned at;

	if (!community || community->phase != COMMUNITY_IN)
		return WEFT_EABSENT;
	if (!community->secret)
		return WEFT_EREFUSED;
	if (memcmp(member, all->own_key, COMMUNITY_KEY_LEN) == 0)
		return WEFT_EMALFORMED;
	if (community_revocations_has(revocations, member) == is_expelled)
		return WEFT_EEXISTS;
	if (is_expelled && revocations->expelled_cnt == COMMUNITY_EXPELLED_MAX)
		return WEFT_EFULL;
	at = place_of(revocations, member);
	if (is_expelled) {
		memmove(revocations->expelled[at + 1], revocations->expelled[at],
			(revocations->expelled_cnt++ - at) * sizeof(revocations->expelled[0]));
		memcpy(revocations->expelled[at], member, COMMUNITY_KEY_LEN);
	} else {
		memmove(revocations->expelled[at], revocations->expelled[at + 1],
			(--revocations->expelled_cnt - at) * sizeof(revocations->expelled[0]));
	}
	revocations_sign(community);
	revocations_apply(community, now_ns);
	return 0;
}

/* --- shown --- */

/* From the node with the key, for this node, and later than what is here. */
static void token_take(struct community *community, const struct community_bytes *bytes,
		       uint64_t now_ns)
{
	struct community_token token;

	if (!community->token_len ||
	    community_token_check(community->all, community->roster.id, bytes->data, bytes->len,
				  &token) < 0 ||
	    token.expires_s <= community->token_expires_s)
		return;
	community_token_take(community, bytes->data, bytes->len, &token);
	community_save(community);
	community_announce_renew(community, 0, now_ns);
}

static void ask_answered(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct revocations_ask *ask = arg;
	struct community *community = ask->community;
	struct community_shown shown;

	ask->community = NULL;
	ask->request = NULL;
	if (reply->err < 0 || community->phase != COMMUNITY_IN ||
	    community_shown_parse(reply->payload, reply->payload_len, &shown) < 0)
		return;
	if (shown.token.data)
		token_take(community, &shown.token, now_ns);
	if (shown.revocations.data)
		(void)community_revocations_take(community, shown.revocations.data,
						 shown.revocations.len, now_ns);
	if (shown.box && community->revocations.epoch &&
	    community_epoch_keys_take(&community->epoch_keys, community->all->params.key,
				      &community->revocations, shown.box) == 0)
		rows_save(community);
}

uint64_t community_revocations_key_epoch(const struct community *community)
{
	return community_epoch_keys_are_of(&community->epoch_keys, &community->revocations)
		       ? community->revocations.epoch
		       : 0;
}

bool community_revocations_box(const struct community *community,
			       const uint8_t key[static COMMUNITY_KEY_LEN],
			       uint8_t out_box[static KEY_WRAP_LEN])
{
	return community->roster.is_strict && community_revocations_key_epoch(community) > 0 &&
	       key_wrap(key, community->epoch_keys.current.secret, out_box) == 0;
}

unsigned community_revocations_show_cnt(const struct communities *all)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < REVOCATIONS_SHOWS_MAX; i++)
		cnt += all->revocations_asks[i].community != NULL;
	return cnt;
}

void community_revocations_show(struct community *community, const struct mesh_peer *peer,
				uint64_t now_ns)
{
	struct mesh_seam *mesh = &community->all->params.mesh;
	struct revocations_ask *ask = community->all->revocations_asks;
	struct community_request request = {.id = community->roster.id,
					    .record = {community->record, community->record_len},
					    .last_bucket = COMMUNITY_BUCKETS - 1,
					    .epoch = community->revocations.epoch,
					    .key_epoch =
						    community_revocations_key_epoch(community)};
	uint8_t payload[COMMUNITY_REQUEST_CAP];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask asked = {.peer = *peer,
				 .type = MESH_SHOW_MEMBER,
				 .payload = payload,
				 .timeout_ns = TIMEOUT_NS,
				 .reply = ask_answered};

	while (ask < community->all->revocations_asks + REVOCATIONS_SHOWS_MAX && ask->community)
		ask++;
	if (community->phase != COMMUNITY_IN || !community->record_len)
		return;
	if (ask == community->all->revocations_asks + REVOCATIONS_SHOWS_MAX) {
		community->all->show_refused_cnt++;
		return;
	}
	community_request_write(&w, &request);
	asked.payload_len = writer_len(&w);
	asked.reply_buf = ask->reply;
	asked.reply_cap = sizeof(ask->reply);
	asked.arg = ask;
	ask->community = community;
	if (mesh->ops->ask(mesh->mesh, &asked, now_ns, &ask->request) < 0)
		ask->community = NULL;
}

void community_revocations_show_key(struct community *community,
				    const uint8_t key[static COMMUNITY_KEY_LEN], uint64_t now_ns)
{
	struct peer_places places;
	struct mesh_peer peer;

	if (community_peer(community->all, community->roster.id, key, &peer, &places) == 0)
		community_revocations_show(community, &peer, now_ns);
}

void community_revocations_forget(struct community *community)
{
	struct communities *all = community->all;

	for (unsigned i = 0; i < REVOCATIONS_SHOWS_MAX; i++) {
		if (all->revocations_asks[i].community != community)
			continue;
		all->params.mesh.ops->cancel(all->revocations_asks[i].request);
		all->revocations_asks[i].community = NULL;
	}
}
