/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches: new offers that fit a query are given to programs as they are stored. So are those that
 * an endorsement or a change of trust lifts to the level that is asked for. Each costs one reading
 * of the offer, where its schema is watched, and a match for each watch of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "service_offers_state.h"

/* Offers that a watch has given lately; it gives none of them again. */
#define GIVEN_CNT 1024u

struct offer_watch {
	struct fair_item share; /* first: a victim's leads to the rest */
	struct offer_watch *next;
	struct service_offers *offers;
	unsigned cnt; /* of schemas, and of their queries */
	const struct schema *schemas[OFFERS_WANTED_MAX];
	struct schema_query *queries; /* their texts are words' */
	char **words;	 /* the schemas' names, then FILTER=VALUE, then NULL; one block of memory */
	size_t word_cnt; /* without the names */
	bool has_level;
	uint8_t level; /* that it wants; without has_level, the schema's */
	found_offer_fn fn;
	void (*ended)(void *arg, int err);
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

/* It takes no place any more, and is freed by the sweep. */
static void watch_over(struct offer_watch *watch)
{
	struct fair *fair = &watch->offers->watch_places.fair;

	watch->is_over = true;
	fair_release(fair, &watch->share, fair->now_ns);
}

/* false: none is free, and no account has more than this one. */
static bool place_take(struct offer_watch *watch, const struct offer_watch_ask *ask)
{
	struct fair_places *places = &watch->offers->watch_places;
	struct fair_item *item;
	struct offer_watch *victim;
	struct fair_path path;

	fair_path_start(ask->class, &path);
	fair_path_add(&places->paths, &path, &ask->account, sizeof(ask->account));
	switch (fair_take(&places->fair, &path, &watch->share, places->fair.now_ns, &item)) {
	case FAIR_TAKEN:
		return true;
	case FAIR_TAKEN_FROM:
		victim = (struct offer_watch *)item;
		victim->is_over = true;
		victim->ended(victim->arg, WEFT_EFULL);
		return true;
	case FAIR_BUSY:
		break;
	}
	return false;
}

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

int offers_watch(struct service_offers *offers, const struct offer_watch_ask *ask,
		 struct offer_watch **out_watch, struct schema_fault *fault)
{
	struct offer_watch *watch;
	int err;

	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	watch->offers = offers;
	watch->has_level = ask->has_level;
	watch->level = ask->level;
	watch->fn = ask->fn;
	watch->ended = ask->ended;
	watch->arg = ask->arg;
	err = watch_read(watch, &ask->words, fault);
	if (err == 0 && !place_take(watch, ask))
		err = WEFT_EFULL;
	if (err < 0) {
		watch_free(watch);
		return err;
	}
	watch->next = offers->watches;
	offers->watches = watch;
	watches_sweep(offers);
	*out_watch = watch;
	return 0;
}

/* --- ends --- */

void offers_unwatch(struct offer_watch *watch)
{
	if (!watch)
		return;
	watch_over(watch);
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
		watch_over(watch);
		watch->ended(watch->arg, WEFT_EABSENT);
	}
	offers->watch_walks--;
	watches_sweep(offers);
}

int offers_watches_open(struct service_offers *offers)
{
	static const struct fair_config pool = {.name = "watches of offers",
						.cap_cnt = OFFER_WATCHES_MAX,
						.kind = FAIR_LASTING,
						.level_cnt = 1,
						.parts = {[FAIR_UNKNOWN] = 8, [FAIR_CHOSEN] = 8}};
	int err = arena_open(&offers->watch_arena, ARENA_GROWS);

	random_fill(offers->params.random, offers->watch_places.paths.secret,
		    sizeof(offers->watch_places.paths.secret));
	if (err == 0)
		err = fair_places_init(&offers->watch_places, &offers->watch_arena, &pool);
	arena_fit(&offers->watch_arena);
	return err;
}

void offers_watches_close(struct service_offers *offers)
{
	for (struct offer_watch *watch = offers->watches; watch; watch = watch->next)
		watch->is_over = true;
	watches_sweep(offers);
	arena_close(&offers->watch_arena);
}

void offers_watches_fair(const struct service_offers *offers, struct fair_view *out_view)
{
	fair_read(&offers->watch_places.fair, out_view);
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
