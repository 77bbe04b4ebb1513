/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches: new offers that fit a query are given to programs as they are stored. So are those that
 * an endorsement or a change of trust lifts to the level that is asked for. Each costs one reading
 * of the offer, where its schema is watched, and a match for each watch of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service_offers_state.h"

/* Offers that a watch has given lately; it gives none of them again. */
#define GIVEN_CNT 1024u
/* An account has at most so many times what it leaves free, so others always find a place. */
#define SHARE 3u

struct offer_watch {
	struct offer_watch *next;
	struct service_offers *offers;
	unsigned cnt; /* of schemas, and of their queries */
	const struct schema *schemas[OFFERS_WANTED_MAX];
	struct schema_query *queries; /* their texts are words' */
	char **words;	 /* the schemas' names, then FILTER=VALUE, then NULL; one block of memory */
	size_t word_cnt; /* without the names */
	bool has_level;
	uint8_t level; /* that it wants; without has_level, the schema's */
	uint64_t account;
	found_offer_fn fn;
	void (*ended)(void *arg);
	void *arg;
	bool is_over; /* freed behind the walk at hand */
	uint64_t given[GIVEN_CNT];
	unsigned given_cnt;
};

/* --- one --- */

static char **words_copy(const struct offer_words *words)
{
	size_t len = (words->word_cnt + 2) * sizeof(char *) + strlen(words->names) + 1;
	char **copy, *at;

	for (size_t i = 0; i < words->word_cnt; i++)
		len += strlen(words->words[i]) + 1;
	copy = calloc(1, len);
	at = copy ? (char *)(copy + words->word_cnt + 2) : NULL;
	for (size_t i = 0; copy && i <= words->word_cnt; i++) {
		const char *word = i ? words->words[i - 1] : words->names;

		copy[i] = strcpy(at, word);
		at += strlen(word) + 1;
	}
	return copy;
}

/* queries_read: of the schemas as they are now. */
static int queries_read(struct offer_watch *watch, struct schema_fault *fault)
{
	const struct offer_words words = {watch->words[0], (const char *const *)watch->words + 1,
					  watch->word_cnt};

	return offers_choose_words(watch->schemas, watch->queries, watch->cnt, &words, fault);
}

static int watch_read(struct offer_watch *watch, const struct offer_words *words,
		      struct schema_fault *fault)
{
	int cnt = offers_choose_schemas(watch->offers, words->names, watch->schemas, fault);

	if (cnt < 0)
		return cnt;
	watch->cnt = (unsigned)cnt;
	watch->word_cnt = words->word_cnt;
	watch->words = words_copy(words);
	watch->queries = calloc(watch->cnt, sizeof(watch->queries[0]));
	if (!watch->words || !watch->queries)
		return -ENOMEM;
	return queries_read(watch, fault);
}

static void watch_free(struct offer_watch *watch)
{
	free(watch->queries);
	free(watch->words);
	free(watch);
}

static bool has_place(const struct service_offers *offers, uint64_t account)
{
	unsigned cnt = 0, own_cnt = 0;

	for (const struct offer_watch *at = offers->watches; at; at = at->next) {
		cnt += !at->is_over;
		own_cnt += !at->is_over && at->account == account;
	}
	return cnt < OFFER_WATCHES_MAX && own_cnt < SHARE * (OFFER_WATCHES_MAX - cnt);
}

int offers_watch(struct service_offers *offers, const struct offer_watch_ask *ask,
		 struct offer_watch **out_watch, struct schema_fault *fault)
{
	struct offer_watch *watch;
	int err;

	if (!has_place(offers, ask->account))
		return WEFT_EFULL;
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	watch->offers = offers;
	watch->account = ask->account;
	watch->has_level = ask->has_level;
	watch->level = ask->level;
	watch->fn = ask->fn;
	watch->ended = ask->ended;
	watch->arg = ask->arg;
	err = watch_read(watch, &ask->words, fault);
	if (err < 0) {
		watch_free(watch);
		return err;
	}
	watch->next = offers->watches;
	offers->watches = watch;
	*out_watch = watch;
	return 0;
}

/* --- ends --- */

/* Frees those that are over; a walk may be in any of them. */
static void watches_sweep(struct service_offers *offers)
{
	struct offer_watch **at = &offers->watches;

	while (offers->watch_walks == 0 && *at) {
		struct offer_watch *watch = *at;

		if (watch->is_over) {
			*at = watch->next;
			watch_free(watch);
		} else {
			at = &watch->next;
		}
	}
}

void offers_unwatch(struct offer_watch *watch)
{
	if (!watch)
		return;
	watch->is_over = true;
	watches_sweep(watch->offers);
}

/* Where schema is in watch; its cnt: it is not watched. */
static unsigned schema_at(const struct offer_watch *watch, const struct schema *schema)
{
	unsigned i = 0;

	while (i < watch->cnt && watch->schemas[i] != schema)
		i++;
	return i;
}

void offers_watches_change(struct service_offers *offers, const struct schema *before,
			   const struct schema *after)
{
	struct schema_fault fault;

	offers->watch_walks++;
	for (struct offer_watch *watch = offers->watches; watch; watch = watch->next) {
		unsigned at = schema_at(watch, before);

		if (watch->is_over || at == watch->cnt)
			continue;
		/* A later version has the filters of the former. */
		watch->schemas[at] = after;
		if (after && queries_read(watch, &fault) == 0)
			continue;
		watch->is_over = true;
		watch->ended(watch->arg);
	}
	offers->watch_walks--;
	watches_sweep(offers);
}

void offers_watches_close(struct service_offers *offers)
{
	for (struct offer_watch *watch = offers->watches; watch; watch = watch->next)
		watch->is_over = true;
	watches_sweep(offers);
}

/* --- matches --- */

/* Returns false when it was given before. */
static bool given_add(struct offer_watch *watch, const struct found_offer *offer)
{
	unsigned cnt = watch->given_cnt < GIVEN_CNT ? watch->given_cnt : GIVEN_CNT;
	uint64_t ref;

	memcpy(&ref, offer->ref, sizeof(ref));
	for (unsigned i = 0; i < cnt; i++)
		if (watch->given[i] == ref)
			return false;
	watch->given[watch->given_cnt++ % GIVEN_CNT] = ref;
	return true;
}

/* As offers_find looks at it: an offer whose provider is of that level. */
static bool is_level_met(const struct offer_watch *watch, const struct found_offer *offer,
			 unsigned level)
{
	return offer->is_own ||
	       level >= (watch->has_level ? watch->level : offer->schema->min_verification);
}

/* Those that have it already leave out an offer of the level before; OFFER_LEVEL_NONE: none has. */
#define OFFER_LEVEL_NONE UINT8_MAX
static void view_give(struct service_offers *offers, const struct offer_view *view, unsigned before)
{
	const struct found_offer *offer = offers_read(offers, view);

	offers->watch_walks++;
	for (struct offer_watch *watch = offers->watches; offer && watch; watch = watch->next) {
		unsigned at = schema_at(watch, offer->schema);

		if (!watch->is_over && at < watch->cnt &&
		    is_level_met(watch, offer, offer->level) &&
		    (before == OFFER_LEVEL_NONE || !is_level_met(watch, offer, before)) &&
		    offers_schema_match(offer->schema, offer->record, &watch->queries[at]) &&
		    given_add(watch, offer))
			watch->fn(watch->arg, offer);
	}
	offers->watch_walks--;
}

static bool on_stored(void *arg, const struct offer_view *view)
{
	view_give(arg, view, OFFER_LEVEL_NONE);
	return false;
}

void offers_lifted(void *ctx, const struct offer_view *view, unsigned before)
{
	view_give(ctx, view, before);
	watches_sweep(ctx);
}

bool offers_is_watched(void *ctx, uint32_t service)
{
	const struct service_offers *offers = ctx;

	for (const struct offer_watch *at = offers->watches; at; at = at->next)
		for (unsigned i = 0; !at->is_over && i < at->cnt; i++)
			if (at->schemas[i]->id == service)
				return true;
	return false;
}

void offers_stored(struct service_offers *offers, const struct service_message *message,
		   const struct offer_terms *terms)
{
	struct offer_name name = {.service = message->service};

	if (message->type == SERVICE_MESSAGE_REVOKE || !offers_is_watched(offers, message->service))
		return;
	memcpy(name.provider, message->provider, sizeof(name.provider));
	memcpy(name.offer_id, terms->offer_id, sizeof(name.offer_id));
	/* What cannot be read is not found, either; the store has said so. */
	(void)!offers_store_get(offers->store, &name, on_stored, offers);
	watches_sweep(offers);
}
