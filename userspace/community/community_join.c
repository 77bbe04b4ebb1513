/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining and leaving:
 *
 *	create, join	row stored -> the asker is notified -> own record -> others are asked;
 *			if the row cannot be stored it was not joined
 *	leave		row stored as being left -> the asker is notified -> "left" is signed,
 *			put into the overlay and sent to some -> all rows go -> its own row
 *
 * A node that dies while it leaves goes on with that when it starts.
 */
#include <errno.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "codec/text/utf8.h"
#include "community_state.h"
#include "crypto/node_key.h"
#include "store/store.h"

#define LEAVE_NS (10 * NS_PER_S) /* for telling that we leave */

/* --- a place --- */

static uint32_t joined_cnt(const struct communities *all)
{
	struct community *community = NULL;
	uint32_t cnt = 0;

	while ((community = community_next(all, community)))
		cnt += community->phase == COMMUNITY_IN;
	return cnt;
}

struct community *community_new(struct communities *all)
{
	if (joined_cnt(all) >= all->params.config.community_cap)
		return NULL;
	for (unsigned i = 0; i < all->slot_cnt; i++) {
		struct community *community = &all->slots[i];

		if (community->phase != COMMUNITY_FREE)
			continue;
		community->phase = COMMUNITY_IN;
		community_announce_init(community);
		community_partners_init(community);
		return community;
	}
	return NULL;
}

/* All but what was laid out once is as in the beginning. */
static void community_release(struct community *community)
{
	struct community blank = {.all = community->all};

	node_key_free(community->secret);
	community_epoch_keys_wipe(&community->epoch_keys);
	blank.roster.limits = community->roster.limits;
	blank.roster.tallies = community->roster.tallies;
	blank.roster.tally_cap = community->roster.tally_cap;
	blank.roster.secret = community->roster.secret;
	blank.roster.revocations = &community->revocations;
	blank.shares.ids = community->shares.ids;
	blank.shares.cap = community->shares.cap;
	*community = blank;
}

void community_begin(struct community *community, uint64_t now_ns)
{
	community->leave_ns = now_ns + LEAVE_NS;
	community_announce_start(community, now_ns);
	community_partners_start(community, now_ns);
}

void community_end(struct community *community)
{
	community_announce_stop(community);
	community_partners_stop(community);
	community_sync_forget(community);
	community_revocations_forget(community);
}

/* --- joining --- */

static bool name_is_valid(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	return len > 0 && len <= COMMUNITY_NAME_LEN_MAX && utf8_is_plain(name, len) &&
	       !strchr(name, ' ');
}

/* May community be called name? NULL: one that is not there yet. */
static int name_check(const struct communities *all, const struct community *community,
		      const char *name)
{
	const struct community *other = NULL;

	if (!name_is_valid(name))
		return WEFT_EMALFORMED;
	while ((other = community_next(all, other)))
		if (other != community && other->phase == COMMUNITY_IN &&
		    strcmp(other->name, name) == 0)
			return WEFT_EEXISTS;
	return 0;
}

int community_token_check(const struct communities *all, const uint8_t *id, const uint8_t *bytes,
			  size_t len, struct community_token *out_token)
{
	if (community_token_parse(bytes, len, out_token) < 0 ||
	    memcmp(out_token->id, id, sizeof(out_token->id)) != 0 ||
	    memcmp(out_token->member, all->own_key, sizeof(out_token->member)) != 0 ||
	    community_token_verify(bytes, len) < 0)
		return WEFT_EDAMAGED;
	return community_token_is_valid(out_token, community_wall_s(all)) ? 0 : WEFT_ESTALE;
}

void community_token_take(struct community *community, const uint8_t *bytes, size_t len,
			  const struct community_token *token)
{
	memcpy(community->token, bytes, len);
	community->token_len = len;
	community->token_expires_s = token->expires_s;
	community->roster.is_strict = true;
}

static void done_set(struct community *community, community_done_fn done, void *arg)
{
	community->done = done;
	community->done_arg = arg;
	community->is_done_due = false;
	community_save(community);
}

/* A fresh place for the community of key; rows of an earlier time there may be are read. */
static int community_open(struct communities *all, const uint8_t *key, const char *name,
			  struct community **out_community)
{
	struct community *community;
	uint8_t id[COMMUNITY_ID_LEN];
	int err = name_check(all, NULL, name);

	if (err < 0)
		return err;
	if (!(community = community_new(all)))
		return WEFT_EFULL;
	community_id_of(key, id);
	memcpy(community->key, key, sizeof(community->key));
	strcpy(community->name, name);
	community->joined_s = community_wall_s(all);
	if ((err = community_roster_open(&community->roster, all->params.store, id)) < 0 ||
	    (err = community_revocations_open(community)) < 0) {
		community_release(community);
		return err;
	}
	*out_community = community;
	return 0;
}

bool community_token_is_half_over(const struct community *community)
{
	return community_wall_s(community->all) + COMMUNITY_TOKEN_LIFE_S_MAX / 2 >=
	       community->token_expires_s;
}

/* The node that makes a strict community is its first member, by a token of its own. */
int community_token_renew(struct community *community)
{
	struct communities *all = community->all;
	uint64_t now_s = community_wall_s(all);
	struct community_token token = {.issued_s = now_s,
					.expires_s = now_s + COMMUNITY_TOKEN_LIFE_S_MAX};
	uint8_t bytes[COMMUNITY_TOKEN_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	memcpy(token.member, all->own_key, sizeof(token.member));
	community_token_write(&w, community->secret, &token);
	if (w.bad)
		return WEFT_ETOOLARGE;
	community_token_take(community, bytes, writer_len(&w), &token);
	return 0;
}

int community_create(struct communities *all, const struct community_join_ask *ask, uint64_t now_ns,
		     uint8_t out_id[static COMMUNITY_ID_LEN])
{
	struct community *community;
	struct node_key *secret;
	uint8_t seed[NODE_KEY_SEED_LEN];
	int err;

	random_fill(all->params.random, seed, sizeof(seed));
	err = node_key_from_seed(seed, &secret);
	explicit_bzero(seed, sizeof(seed));
	if (err < 0)
		return err;
	if ((err = community_open(all, node_key_public(secret), ask->name, &community)) < 0) {
		node_key_free(secret);
		return err;
	}
	community->secret = secret;
	if (ask->is_strict && (err = community_token_renew(community)) < 0) {
		community_release(community);
		return err;
	}
	if (ask->is_strict)
		community_revocations_begin(community);
	done_set(community, ask->done, ask->arg);
	memcpy(out_id, community->roster.id, COMMUNITY_ID_LEN);
	community_tell(all, COMMUNITY_JOINED, out_id, NULL);
	community_begin(community, now_ns);
	return 0;
}

static void before_keep(struct community *community)
{
	memcpy(community->before.name, community->name, sizeof(community->name));
	memcpy(community->before.token, community->token, sizeof(community->token));
	community->before.token_len = community->token_len;
	community->before.token_expires_s = community->token_expires_s;
	community->before.is_strict = community->roster.is_strict;
	community->before.is_set = true;
}

void community_before_restore(struct community *community)
{
	memcpy(community->name, community->before.name, sizeof(community->name));
	memcpy(community->token, community->before.token, sizeof(community->token));
	community->token_len = community->before.token_len;
	community->token_expires_s = community->before.token_expires_s;
	community->roster.is_strict = community->before.is_strict;
	community->before.is_set = false;
}

/* Once more: another token, more nodes to ask. */
static int rejoin(struct community *community, const struct community_join_ask *ask,
		  uint64_t now_ns)
{
	int err;

	if (community->phase != COMMUNITY_IN || community->done)
		return WEFT_EBUSY;
	if (ask->name && (err = name_check(community->all, community, ask->name)) < 0)
		return err;
	before_keep(community);
	if (ask->name)
		strcpy(community->name, ask->name);
	community_announce_renew(community, 0, now_ns);
	return 0;
}

static void seeds_take(struct community *community, const struct link *link)
{
	for (unsigned i = 0; i < link->node_cnt; i++)
		community_partners_named(community, &link->nodes[i]);
}

int community_join(struct communities *all, const struct community_join_ask *ask, uint64_t now_ns,
		   uint8_t out_id[static COMMUNITY_ID_LEN])
{
	struct community_token token;
	struct community *community;
	uint8_t id[COMMUNITY_ID_LEN];
	bool is_new;
	int err;

	community_id_of(ask->link->public_key, id);
	if (memcmp(id, ask->link->community_id, sizeof(id)) != 0)
		return WEFT_EREFUSED;
	if (ask->token &&
	    (err = community_token_check(all, id, ask->token, ask->token_len, &token)) < 0)
		return err;
	community = community_lookup(all, id);
	is_new = !community;
	err = is_new ? community_open(all, ask->link->public_key, ask->name, &community)
		     : rejoin(community, ask, now_ns);
	if (err < 0)
		return err;
	if (ask->token)
		community_token_take(community, ask->token, ask->token_len, &token);
	community->roster.is_strict |= ask->is_strict;
	seeds_take(community, ask->link);
	done_set(community, ask->done, ask->arg);
	memcpy(out_id, id, sizeof(id));
	if (!is_new)
		return 0;
	community_tell(all, COMMUNITY_JOINED, id, NULL);
	community_begin(community, now_ns);
	return 0;
}

/* --- leaving --- */

int community_leave(struct communities *all, const uint8_t id[static COMMUNITY_ID_LEN],
		    community_done_fn done, void *arg)
{
	struct community *community = community_lookup(all, id);

	if (!community)
		return WEFT_EABSENT;
	if (community->phase != COMMUNITY_IN || community->done)
		return WEFT_EBUSY;
	community->is_leave_asked = true;
	done_set(community, done, arg);
	return 0;
}

void community_leave_begin(struct community *community, uint64_t now_ns)
{
	community->is_leave_kept = false;
	community->phase = COMMUNITY_LEAVING;
	community->leave_ns = now_ns + LEAVE_NS;
	community_announce_renew(community, 0, now_ns);
	community_tell(community->all, COMMUNITY_LEFT, community->roster.id, NULL);
}

/* After a restart no row would name it; a later join reads the rows that its own record left. */
void community_undo(struct community *community)
{
	community_end(community);
	community->phase = COMMUNITY_SWEEPING;
	community->is_save_due = false;
	community->is_gone = true;
	community_tell(community->all, COMMUNITY_LEFT, community->roster.id, NULL);
}

void community_told(struct community *community)
{
	community_end(community);
	community->phase = COMMUNITY_SWEEPING;
	community->roster.sweep_kind = ROSTER_MEMBER;
	memset(community->roster.sweep_key, 0, sizeof(community->roster.sweep_key));
}

static void row_gone(void *arg, int err)
{
	struct community *community = arg;

	community->is_saving = false;
	community->is_gone = err == 0;
}

void community_swept(struct community *community, const struct intake_lot *lot)
{
	struct store *store = community->all->params.store;
	struct store_batch *batch;

	if (lot->err < 0 || !lot->is_swept || community->is_saving ||
	    !(batch = store_batch_new(store)))
		return;
	store_batch_delete(batch, STORE_COMMUNITIES,
			   store_key(community->roster.id, COMMUNITY_ID_LEN));
	community_revocations_drop(batch, community->roster.id);
	community->is_saving = true;
	if (store_submit(store, batch, row_gone, community) < 0) {
		store_batch_free(batch);
		community->is_saving = false;
	}
}

void community_leave_turn(struct community *community, uint64_t now_ns)
{
	if (community->phase == COMMUNITY_LEAVING && now_ns >= community->leave_ns &&
	    !community->own.is_waiting)
		community_told(community);
	if (community->is_gone && !community->is_done_due &&
	    !community_intake_has(community->all->intake, &community->roster))
		community_release(community);
}

/* --- others --- */

bool community_is_joined(const struct communities *all, const uint8_t id[static COMMUNITY_ID_LEN])
{
	const struct community *community = community_lookup(all, id);

	return community && community->phase == COMMUNITY_IN;
}

int community_link(const struct communities *all, const uint8_t id[static COMMUNITY_ID_LEN],
		   struct link *out_link)
{
	const struct community *community = community_lookup(all, id);

	if (!community)
		return WEFT_EABSENT;
	*out_link = (struct link){.kind = LINK_COMMUNITY,
				  .node_cnt = all->places.addr_cnt > 0 || all->places.via_cnt > 0};
	memcpy(out_link->public_key, community->key, sizeof(out_link->public_key));
	memcpy(out_link->community_id, id, sizeof(out_link->community_id));
	memcpy(out_link->nodes[0].key, all->own_key, sizeof(out_link->nodes[0].key));
	out_link->nodes[0].places = all->places;
	return 0;
}

int community_token(const struct communities *all, const uint8_t id[static COMMUNITY_ID_LEN],
		    const uint8_t member[static COMMUNITY_KEY_LEN], uint64_t expires_s,
		    uint8_t out[static COMMUNITY_TOKEN_LEN_MAX])
{
	const struct community *community = community_lookup(all, id);
	struct community_token token = {.issued_s = community_wall_s(all), .expires_s = expires_s};
	struct writer w = writer_of(out, COMMUNITY_TOKEN_LEN_MAX);

	if (!community)
		return WEFT_EABSENT;
	if (!community->secret)
		return WEFT_EREFUSED;
	if (expires_s <= token.issued_s || expires_s - token.issued_s > COMMUNITY_TOKEN_LIFE_S_MAX)
		return WEFT_EMALFORMED;
	memcpy(token.member, member, sizeof(token.member));
	community_token_write(&w, community->secret, &token);
	return w.bad ? WEFT_ETOOLARGE : (int)writer_len(&w);
}
