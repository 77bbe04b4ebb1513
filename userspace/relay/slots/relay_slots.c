/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slots of a relay. A slot's number follows from this relay's key, the node's key and its nonce.
 * So it is the same after a restart of either, and no other node can guess it.
 */
#include "relay_slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "relay/messages/relay_messages.h"
#include "slots_state.h"

#define BUSY_WAIT_MS 10000u

_Static_assert(SLOT_SECRET_LEN == NODE_KEY_DERIVED_LEN, "the secret is derived from the key");

static const struct fair_config pool = {
	.name = "relay slots",
	.kind = FAIR_LASTING,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

void relay_slots_config_defaults(struct relay_slots_config *config)
{
	*config = (struct relay_slots_config){.slot_cap = 4096};
}

/* --- rows --- */

static void row_vacate(struct relay_slots *slots, struct slot_row *row)
{
	(void)map_delete(&slots->by_key, row->key);
	(void)map_delete(&slots->by_slot, &row->slot);
	row->is_used = false;
	list_unlink(&row->link);
	list_push_back(&slots->free_rows, &row->link);
	slots->stats.slot_cnt--;
}

static void row_free(struct relay_slots *slots, struct slot_row *row)
{
	fair_release(&slots->places.fair, &row->share, slots->now_ns);
	row_vacate(slots, row);
}

static bool share_take(struct relay_slots *slots, struct slot_row *row, const uint8_t *key,
		       const struct addr *remote)
{
	const struct relay_slots_params *params = &slots->params;
	struct fair_item *victim;
	struct fair_path path;

	fair_path_of_addr(&slots->places.paths, remote,
			  params->class_of ? params->class_of(params->ctx, key) : FAIR_UNKNOWN,
			  &path);
	fair_path_add(&slots->places.paths, &path, key, MESH_KEY_LEN);
	row->share = (struct fair_item){.leaf = NULL};
	switch (fair_take(&slots->places.fair, &path, &row->share, slots->now_ns, &victim)) {
	case FAIR_TAKEN:
		return true;
	case FAIR_TAKEN_FROM:
		slots->stats.evicted_cnt++;
		row_vacate(slots, (struct slot_row *)victim);
		return true;
	case FAIR_BUSY:
		break;
	}
	return false;
}

/* NULL: no share is left. */
static struct slot_row *row_take(struct relay_slots *slots, const uint8_t *key, uint64_t slot,
				 const struct addr *remote)
{
	struct slot_row *row = list_first(&slots->free_rows, struct slot_row, link);

	if (map_lookup(&slots->by_slot, &slot) || !share_take(slots, row, key, remote))
		return NULL;
	list_unlink(&row->link);
	list_push_back(&slots->rows, &row->link);
	memcpy(row->key, key, sizeof(row->key));
	row->slot = slot;
	row->is_used = true;
	slots->stats.slot_cnt++;
	if (map_put(&slots->by_key, row->key, row) == 0 &&
	    map_put(&slots->by_slot, &row->slot, row) == 0)
		return row;
	row_free(slots, row);
	return NULL;
}

static uint64_t slot_of(const struct relay_slots *slots, const uint8_t *key, uint64_t nonce)
{
	uint8_t name[SLOT_SECRET_LEN + MESH_KEY_LEN + 8], hash[BLAKE3_HASH_LEN];
	struct writer w = writer_of(name, sizeof(name));
	uint64_t slot;

	writer_bytes(&w, slots->secret, sizeof(slots->secret));
	writer_bytes(&w, key, MESH_KEY_LEN);
	writer_be64(&w, nonce);
	blake3_hash(name, writer_len(&w), hash);
	memcpy(&slot, hash, sizeof(slot));
	return slot;
}

/* The key's row, with slot: a key has one slot, and another nonce replaces it. */
static struct slot_row *row_register(struct relay_slots *slots, const uint8_t *key, uint64_t slot,
				     const struct addr *remote)
{
	struct slot_row *row = map_lookup(&slots->by_key, key);

	if (row && row->slot != slot) {
		row_free(slots, row);
		row = NULL;
	}
	if (row) {
		list_unlink(&row->link);
		list_push_back(&slots->rows, &row->link);
	} else {
		row = row_take(slots, key, slot, remote);
	}
	if (row)
		row->expires_ns = slots->now_ns + RELAY_SLOT_LIFE_S * NS_PER_S;
	return row;
}

/* --- messages --- */

static void refuse(struct relay_slots *slots, const struct mesh_call *call, enum mesh_code code,
		   const char *text)
{
	slots->params.mesh.ops->answer_error(call->incoming, code, text,
					     code == MESH_CODE_BUSY ? BUSY_WAIT_MS : 0);
}

static void answer(const struct relay_slots *slots, const struct mesh_call *call,
		   const struct slot_row *row, bool has_key)
{
	struct relay_registered_message message = {
		.slot = row->slot,
		.life_s = (uint32_t)((row->expires_ns - slots->now_ns) / NS_PER_S),
		.has_key = has_key,
	};
	uint8_t payload[RELAY_SLOT_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));

	memcpy(message.key, row->key, sizeof(message.key));
	relay_message_registered_write(&w, &message);
	(void)slots->params.mesh.ops->answer(call->incoming, MESH_RELAY_REGISTERED, payload,
					     writer_len(&w), NULL);
}

static bool session_look(const struct relay_slots *slots, const uint8_t *key,
			 struct mesh_path *out_path)
{
	return slots->params.neighbours->path(slots->params.mesh.mesh, key, out_path) &&
	       !addr_is_relayed(&out_path->remote);
}

static void on_register(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct relay_slots *slots = ctx;
	struct relay_register_message message;
	const char *why = "no request for a slot";
	enum mesh_code code = MESH_CODE_MALFORMED;
	struct slot_row *row = NULL;
	struct mesh_path path;

	if (!relay_messages_admit(slots->params.messages, call, now_ns))
		return;
	if (now_ns > slots->now_ns)
		slots->now_ns = now_ns;
	if (relay_message_register_parse(call->payload, call->payload_len, &message) == 0) {
		code = MESH_CODE_REFUSED;
		why = "a slot needs a direct session with this relay";
		if (session_look(slots, call->peer_key, &path)) {
			code = MESH_CODE_BUSY;
			why = "this relay has no slot left for the account";
			row = row_register(slots, call->peer_key,
					   slot_of(slots, call->peer_key, message.nonce),
					   &path.remote);
		}
	}
	if (!row) {
		slots->stats.refused_cnt++;
		refuse(slots, call, code, why);
		return;
	}
	slots->stats.registered_cnt++;
	answer(slots, call, row, false);
}

/* A node whose session is over is not there, though its slot may be kept for when it is back. */
static void on_connect(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct relay_slots *slots = ctx;
	struct relay_connect_message message;
	const struct slot_row *row;
	struct mesh_path path;

	if (!relay_messages_admit(slots->params.messages, call, now_ns))
		return;
	if (now_ns > slots->now_ns)
		slots->now_ns = now_ns;
	if (relay_message_connect_parse(call->payload, call->payload_len, &message) < 0) {
		slots->stats.refused_cnt++;
		refuse(slots, call, MESH_CODE_MALFORMED, "no slot");
		return;
	}
	row = map_lookup(&slots->by_slot, &message.slot);
	if (!row || row->expires_ns <= slots->now_ns || !session_look(slots, row->key, &path)) {
		slots->stats.unknown_cnt++;
		refuse(slots, call, MESH_CODE_ABSENT, "no node is behind that slot now");
		return;
	}
	slots->stats.connected_cnt++;
	answer(slots, call, row, true);
}

/* --- life --- */

static int rows_lay_out(struct relay_slots *slots)
{
	struct fair_config config = pool;
	uint64_t secret[2];
	int err;

	config.cap_cnt = slots->params.config.slot_cap;
	slots->row_cnt = config.cap_cnt + 1;
	random_fill(slots->params.random, secret, sizeof(secret));
	slots->rows_at = arena_alloc(&slots->arena, slots->row_cnt * sizeof(*slots->rows_at));
	if (!slots->rows_at)
		return WEFT_EFULL;
	if ((err = fair_places_init(&slots->places, &slots->arena, &config)) < 0 ||
	    (err = map_init(&slots->by_key, &slots->arena, MESH_KEY_LEN, slots->row_cnt, secret)) <
		    0 ||
	    (err = map_init(&slots->by_slot, &slots->arena, sizeof(uint64_t), slots->row_cnt,
			    secret)) < 0)
		return err;
	slots->places.paths.site = slots->params.site;
	for (uint32_t i = 0; i < slots->row_cnt; i++)
		list_push_back(&slots->free_rows, &slots->rows_at[i].link);
	return 0;
}

static int lay_out(struct relay_slots *slots)
{
	int err = arena_open(&slots->arena, ARENA_GROWS);

	list_init(&slots->free_rows);
	list_init(&slots->rows);
	if (err == 0 && slots->params.is_relay)
		err = rows_lay_out(slots);
	if (err == 0)
		arena_fit(&slots->arena);
	return err;
}

size_t relay_slots_footprint(const struct relay_slots_config *config)
{
	struct relay_slots *slots = calloc(1, sizeof(*slots));
	struct random random;
	size_t len = 0;

	if (!slots)
		return 0;
	random_init_seeded(&random, 1);
	slots->params.config = *config;
	slots->params.random = &random;
	slots->params.is_relay = true;
	if (lay_out(slots) == 0)
		len = sizeof(*slots) + slots->arena.used_len;
	arena_close(&slots->arena);
	free(slots);
	return len;
}

static int slots_open(struct relay_slots *slots)
{
	const struct mesh_seam *mesh = &slots->params.mesh;
	uint8_t nonce[NODE_KEY_DERIVED_LEN];
	int err = lay_out(slots);

	node_key_derive(slots->params.key, "weft relay slots", slots->secret);
	node_key_derive(slots->params.key, "weft relay slot nonce", nonce);
	memcpy(&slots->nonce, nonce, sizeof(slots->nonce));
	if (err < 0 || !slots->params.is_relay)
		return err;
	if ((err = mesh->ops->handle(mesh->mesh, MESH_RELAY_REGISTER, on_register, slots)) < 0)
		return err;
	return mesh->ops->handle(mesh->mesh, MESH_RELAY_CONNECT, on_connect, slots);
}

int relay_slots_new(const struct relay_slots_params *params, struct relay_slots **out_slots)
{
	struct relay_slots *slots = calloc(1, sizeof(*slots));
	int err;

	if (!slots)
		return -ENOMEM;
	slots->params = *params;
	slots->now_ns = params->now_ns;
	err = slots_open(slots);
	if (err < 0) {
		relay_slots_free(slots);
		return err;
	}
	*out_slots = slots;
	return 0;
}

void relay_slots_stop(struct relay_slots *slots)
{
	if (slots)
		relay_slots_keep_stop(slots);
}

void relay_slots_free(struct relay_slots *slots)
{
	if (!slots)
		return;
	arena_close(&slots->arena);
	explicit_bzero(slots->secret, sizeof(slots->secret));
	free(slots);
}

static void rows_expire(struct relay_slots *slots)
{
	while (!list_is_empty(&slots->rows)) {
		struct slot_row *row = list_first(&slots->rows, struct slot_row, link);

		if (row->expires_ns > slots->now_ns) {
			if (row->expires_ns < slots->next_ns)
				slots->next_ns = row->expires_ns;
			return;
		}
		slots->stats.expired_cnt++;
		row_free(slots, row);
	}
}

void relay_slots_expel(struct relay_slots *slots, uint64_t now_ns)
{
	if (!slots || !slots->params.refuses)
		return;
	if (now_ns > slots->now_ns)
		slots->now_ns = now_ns;
	for (uint32_t i = 0; i < slots->row_cnt; i++) {
		struct slot_row *row = &slots->rows_at[i];

		if (row->is_used && slots->params.refuses(slots->params.ctx, row->key))
			row_free(slots, row);
	}
}

void relay_slots_turn(struct relay_slots *slots, uint64_t now_ns)
{
	if (now_ns > slots->now_ns)
		slots->now_ns = now_ns;
	slots->next_ns = UINT64_MAX;
	rows_expire(slots);
	relay_slots_keep_turn(slots);
}

uint64_t relay_slots_next_ns(const struct relay_slots *slots)
{
	return slots->next_ns;
}

/* --- asking --- */

static bool own_next(const struct relay_slots *slots, uint32_t *idx,
		     struct relay_slots_row *out_row)
{
	for (; *idx - slots->row_cnt < PEER_VIAS_MAX; ++*idx) {
		const struct own_slot *own = &slots->own[*idx - slots->row_cnt];

		if (!own->is_used || own->expires_ns <= slots->now_ns)
			continue;
		++*idx;
		*out_row = (struct relay_slots_row){true, own->relay, own->slot, own->expires_ns};
		return true;
	}
	return false;
}

bool relay_slots_next(const struct relay_slots *slots, uint32_t *idx,
		      struct relay_slots_row *out_row)
{
	while (*idx < slots->row_cnt && !slots->rows_at[*idx].is_used)
		++*idx;
	if (*idx < slots->row_cnt) {
		const struct slot_row *row = &slots->rows_at[(*idx)++];

		*out_row = (struct relay_slots_row){false, row->key, row->slot, row->expires_ns};
		return true;
	}
	return own_next(slots, idx, out_row);
}

void relay_slots_stats(const struct relay_slots *slots, struct relay_slots_stats *out_stats)
{
	*out_stats = slots->stats;
	for (unsigned i = 0; i < PEER_VIAS_MAX; i++)
		out_stats->own_cnt +=
			slots->own[i].is_used && slots->own[i].expires_ns > slots->now_ns;
}

void relay_slots_view(const struct relay_slots *slots, struct fair_view *out)
{
	fair_read(&slots->places.fair, out);
}
