/* SPDX-License-Identifier: Apache-2.0 */
#include "endorse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/random.h"
#include "endorse_state.h"

#define CAP_MIN 64u

int offers_endorse_open(const struct endorse_params *params, struct endorse_book **out_book)
{
	struct endorse_book *book;
	int err;

	if (params->cap < CAP_MIN)
		return WEFT_ETOOSMALL;
	book = calloc(1, sizeof(*book));
	if (!book)
		return -ENOMEM;
	book->params = *params;
	book->expires_s = UINT64_MAX;
	offers_address(params->own_key, book->own_address);
	err = arena_open(&book->arena, ARENA_GROWS);
	if (err < 0) {
		free(book);
		return err;
	}
	err = offers_endorse_lay_out(book);
	if (err == 0) {
		arena_fit(&book->arena);
		err = offers_endorse_load(book);
	}
	if (err < 0) {
		offers_endorse_close(book);
		return err;
	}
	(void)offers_endorse_settle(book, params->now_s, params->now_ns);
	*out_book = book;
	return 0;
}

size_t offers_endorse_footprint(uint32_t cap)
{
	struct random random;
	struct endorse_book book = {.params = {.random = &random, .cap = cap}};
	size_t len = 0;

	random_init_seeded(&random, 1);
	if (arena_open(&book.arena, ARENA_GROWS) == 0 && offers_endorse_lay_out(&book) == 0)
		len = sizeof(book) + book.arena.used_len;
	arena_close(&book.arena);
	return len;
}

void offers_endorse_close(struct endorse_book *book)
{
	if (!book)
		return;
	offers_endorse_keep_fini(book);
	arena_close(&book->arena);
	free(book);
}

/* --- put --- */

/* The key of an endorser that does not say it, or NULL. */
static const uint8_t *key_find(const struct endorse_book *book, const struct endorsement *said,
			       const struct endorse_put *put)
{
	const struct endorse_trusted *trusted = NULL;
	const struct endorse_subject *endorser;
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];

	if (said->endorser)
		return said->endorser;
	if (put->sender) {
		offers_address(put->sender, address);
		if (memcmp(address, said->endorser_address, sizeof(address)) == 0)
			return put->sender;
	}
	while ((trusted = pool_next(&book->trusted, trusted)))
		if (memcmp(trusted->name + 4, said->endorser_address, sizeof(address)) == 0)
			return trusted->trust.key;
	endorser = offers_endorse_subject(book, said->service, said->endorser_address);
	if (!endorser || list_is_empty(&endorser->given))
		return NULL;
	return list_first(&endorser->given, struct endorse_row, of_endorser)->key;
}

/*
 * Of one second the lower level stays, whatever order they come in: in the seed form a relay can
 * raise it, under the same signature.
 */
static bool is_newer(const struct endorsement *said, const struct endorse_row *row)
{
	return said->made_s != row->made_s ? said->made_s > row->made_s : said->level < row->level;
}

/* All but the signature; *out_row is what is there of it. ENDORSE_KEPT: go on. */
static enum endorse_verdict put_judge(struct endorse_book *book, const struct endorse_put *put,
				      struct endorsement *said, struct endorse_row **out_row)
{
	uint8_t name[ENDORSE_NAME_LEN];
	struct endorse_row *row;

	/* A service without an id of its own has no providers that could be told apart. */
	if (offers_endorsement_parse(put->bytes, put->len, said) < 0 ||
	    said->service == OFFERS_CUSTOM_SERVICE)
		return ENDORSE_MALFORMED;
	if (offers_endorsement_time(said, put->now_s) != SERVICE_MESSAGE_TIMELY)
		return ENDORSE_UNTIMELY;
	offers_endorse_name(said, name);
	row = *out_row = map_lookup(&book->by_name, name);
	if (row && row->len == put->len && memcmp(row->bytes, put->bytes, put->len) == 0)
		offers_endorse_row_came_again(book, row, put);
	if (row && !is_newer(said, row))
		return ENDORSE_KNOWN;
	return ENDORSE_KEPT;
}

/* A put on its way: what it says, and the key that signed it. */
struct putting {
	struct endorse_book *book;
	const struct endorse_put *put;
	struct endorsement said;
	uint8_t key[NODE_KEY_LEN];
};

static enum endorse_verdict put_run(struct putting *putting)
{
	struct endorse_book *book = putting->book;
	const struct endorse_put *put = putting->put;
	struct endorse_row *row;
	const uint8_t *key;
	enum endorse_verdict verdict = put_judge(book, put, &putting->said, &row);

	if (verdict != ENDORSE_KEPT)
		return verdict;
	key = key_find(book, &putting->said, put);
	if (!key)
		return ENDORSE_NO_KEY;
	if (!offers_endorse_keep_has_room(book))
		return ENDORSE_LAGS;
	if (offers_endorsement_verify(&putting->said, key) < 0)
		return ENDORSE_FORGED;
	/* It may be a row's, which leaves for this one. */
	memcpy(putting->key, key, sizeof(putting->key));
	if (row) {
		offers_endorse_row_fill(row, put, &putting->said, putting->key);
		offers_endorse_row_renew(book, row, put);
		offers_endorse_touch(book, row);
	} else {
		row = offers_endorse_row_add(book, put, &putting->said, putting->key);
	}
	if (!row)
		return ENDORSE_FULL;
	offers_endorse_row_write(book, row, put->now_ns);
	offers_endorse_keep_wait(book, put->done, put->arg);
	return ENDORSE_KEPT;
}

enum endorse_verdict offers_endorse_put(struct endorse_book *book, const struct endorse_put *put)
{
	struct putting putting = {.book = book, .put = put};
	enum endorse_verdict verdict = put_run(&putting);
	struct endorse_stats *stats = &book->stats;
	uint64_t *const cnts[ENDORSE_VERDICT_CNT] = {
		[ENDORSE_KEPT] = &stats->kept_cnt,	  [ENDORSE_KNOWN] = &stats->known_cnt,
		[ENDORSE_MALFORMED] = &stats->forged_cnt, [ENDORSE_UNTIMELY] = &stats->time_cnt,
		[ENDORSE_NO_KEY] = &stats->no_key_cnt,	  [ENDORSE_FORGED] = &stats->forged_cnt,
		[ENDORSE_FULL] = &stats->full_cnt,	  [ENDORSE_LAGS] = &stats->full_cnt,
	};

	++*cnts[verdict];
	return verdict;
}

/* --- views --- */

static bool row_view(const struct endorse_row *row, endorse_view_fn fn, void *arg)
{
	struct endorse_view view = {.bytes = row->bytes,
				    .len = row->len,
				    .endorser = row->key,
				    .counts = offers_endorse_counts(row),
				    .trust = row->endorser->trust,
				    .distance = row->endorser->distance,
				    .is_own = row->is_own,
				    .is_expired = row->is_expired,
				    .until_s = row->until_s};

	/* What was read once is read again. */
	if (offers_endorsement_parse(row->bytes, row->len, &view.endorsement) < 0)
		return true;
	return fn(arg, &view);
}

void offers_endorse_each_of(struct endorse_book *book, uint32_t service,
			    const uint8_t address[static SERVICE_MESSAGE_ADDRESS_LEN],
			    endorse_view_fn fn, void *arg)
{
	const struct endorse_subject *subject = offers_endorse_subject(book, service, address);

	if (!subject)
		return;
	for (struct list_node *node = subject->received.next; node != &subject->received;
	     node = node->next)
		if (!row_view(container_of(node, struct endorse_row, of_provider), fn, arg))
			return;
}

void offers_endorse_each_own(struct endorse_book *book, endorse_view_fn fn, void *arg)
{
	unsigned about_cnt = 0;

	for (struct list_node *node = book->own.next; node != &book->own; node = node->next) {
		const struct endorse_row *row = container_of(node, struct endorse_row, of_own);

		if (!row->is_expired && !row_view(row, fn, arg))
			return;
	}
	for (struct list_node *node = book->about.next;
	     node != &book->about && about_cnt < ENDORSE_ABOUT_MAX;
	     node = node->next, about_cnt++) {
		const struct endorse_row *row = container_of(node, struct endorse_row, of_own);

		if (offers_endorse_counts(row) > 0 && !row_view(row, fn, arg))
			return;
	}
}

void offers_endorse_each(struct endorse_book *book, uint32_t *io_at, endorse_view_fn fn, void *arg)
{
	const struct endorse_row *row = NULL;
	uint32_t at = 0;

	while ((row = pool_next(&book->rows, row)))
		if (at++ >= *io_at && !row_view(row, fn, arg)) {
			*io_at = at;
			return;
		}
	*io_at = 0;
}

struct proving {
	struct endorse_subject *shown[ENDORSE_PROOF_MAX];
	unsigned left, shown_cnt;
	const struct endorse_proof_ask *ask;
};

/* The way from a trusted endorser to subject, the nearest step first. */
static void way_show(struct proving *proving, struct endorse_subject *subject)
{
	for (; subject->way && !subject->is_shown && proving->left > 0;
	     subject = subject->way->endorser) {
		subject->is_shown = true;
		proving->shown[proving->shown_cnt++] = subject;
		proving->left--;
		(void)row_view(subject->way, proving->ask->fn, proving->ask->arg);
	}
}

/*
 * Those that count come first (levels_make), then those that state the level that is asked for.
 * is_rest: the others alone.
 */
static void received_show(struct proving *proving, const struct endorse_subject *subject,
			  bool is_rest)
{
	unsigned look_cnt = 0;

	for (struct list_node *node = subject->received.next;
	     node != &subject->received && proving->left > 0 && look_cnt < ENDORSE_LOOK_MAX;
	     node = node->next) {
		const struct endorse_row *row = container_of(node, struct endorse_row, of_provider);
		bool is_counting = offers_endorse_counts(row) > 0;
		bool is_first = is_counting || row->level >= proving->ask->level;

		look_cnt += !is_counting;
		if (row->level == 0 || is_first == is_rest)
			continue;
		proving->left--;
		(void)row_view(row, proving->ask->fn, proving->ask->arg);
		if (is_counting)
			way_show(proving, row->endorser);
	}
}

void offers_endorse_proof(struct endorse_book *book, const struct endorse_proof_ask *ask)
{
	const struct endorse_subject *subject =
		offers_endorse_subject(book, ask->service, ask->address);
	struct proving proving = {.left = ENDORSE_PROOF_MAX, .ask = ask};

	if (!subject)
		return;
	received_show(&proving, subject, false);
	received_show(&proving, subject, true);
	for (unsigned i = 0; i < proving.shown_cnt; i++)
		proving.shown[i]->is_shown = false;
}

void offers_endorse_stats(const struct endorse_book *book, struct endorse_stats *out_stats)
{
	*out_stats = book->stats;
	out_stats->row_cnt = book->rows.used_cnt;
	out_stats->trust_cnt = book->trusted.used_cnt;
}

void offers_endorse_fair(const struct endorse_book *book, struct fair_view *out_view)
{
	fair_read(&book->places.fair, out_view);
}
