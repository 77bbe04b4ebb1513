/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First words of people that are not followed. Places are shared by network, then by key: a flood of
 * fresh keys of one network takes the places of that network alone. Of those it is the youngest that go,
 * so what waits longest is seen.
 */
#include "person_requests.h"

#include <string.h>

#include "base/assert.h"
#include "people_state.h"
#include "person_follows.h"

static struct request_row *row_of(const struct people *people, const uint8_t *key)
{
	return map_lookup(&people->request_by_key, key);
}

static void row_drop(struct people *people, struct request_row *row, uint64_t now_ns)
{
	struct request_row gone = *row;

	map_delete(&people->request_by_key, gone.key);
	fair_release(&people->request_places.fair, &row->share, now_ns);
	pool_release(&people->requests, row);
	social_people_touch(people, PEOPLE_ROW_REQUEST, gone.key, now_ns);
	social_people_tell(people, PEOPLE_REQUEST_GONE, gone.key, gone.post);
}

/* NULL: no place. */
static struct request_row *row_add(struct people *people, const uint8_t *key,
				   const struct people_origin *origin, uint64_t now_ns)
{
	struct fair_path path = social_people_path(&people->request_places, origin, key);
	struct request_row *row = pool_acquire(&people->requests);
	struct fair_item *victim = NULL;
	enum fair_verdict verdict;
	int err;

	weft_assert(row != NULL);
	memcpy(row->key, key, NODE_KEY_LEN);
	row->origin = *origin;
	verdict = fair_take(&people->request_places.fair, &path, &row->share, now_ns, &victim);
	people->stats.request_full_cnt += verdict != FAIR_TAKEN;
	if (verdict == FAIR_BUSY) {
		pool_release(&people->requests, row);
		return NULL;
	}
	if (verdict == FAIR_TAKEN_FROM)
		row_drop(people, container_of(victim, struct request_row, share), now_ns);
	err = map_put(&people->request_by_key, row->key, row);
	weft_assert(err == 0);
	return row;
}

static void request_happened(struct people *people, const struct request_row *row)
{
	const struct social_event event = {
		.kind = SOCIAL_PERSON_REQUEST, .person = row->key, .post = row->post};

	if (people->ground->happened)
		people->ground->happened(people->ground->ctx, &event);
	social_people_tell(people, PEOPLE_REQUESTED, row->key, row->post);
}

enum request_verdict social_request_note(struct people *people, const struct request_note *note,
					 uint64_t now_ns)
{
	struct people_origin origin = social_people_origin(&note->source);
	struct request_row *row;

	if (social_people_is_own(people, note->person) ||
	    social_is_acquainted(people, note->person))
		return REQUEST_NEEDLESS;
	people->stats.request_put_cnt++;
	if (social_is_blocked(people, note->person) ||
	    social_mark_lookup(&people->refused, note->person))
		return REQUEST_REFUSED;
	if (row_of(people, note->person))
		return REQUEST_KNOWN;
	if (social_people_keep_lags(people))
		return REQUEST_LAGS;
	row = row_add(people, note->person, &origin, now_ns);
	if (!row)
		return REQUEST_FULL;
	memcpy(row->to, note->to, sizeof(row->to));
	memcpy(row->post, note->post, sizeof(row->post));
	row->came_ms = people_wall_ms(people);
	social_people_touch(people, PEOPLE_ROW_REQUEST, row->key, now_ns);
	request_happened(people, row);
	return REQUEST_NOTED;
}

/* --- what is there --- */

static struct request_view view_of(const struct request_row *row)
{
	return (struct request_view){row->key, row->to, row->post, row->came_ms};
}

void social_requests_each(const struct people *people,
			  bool (*fn)(void *arg, const struct request_view *view), void *arg)
{
	const struct request_row *row = NULL;

	while ((row = pool_next(&people->requests, row))) {
		const struct request_view view = view_of(row);

		if (!fn(arg, &view))
			return;
	}
}

bool social_request_of(const struct people *people, const uint8_t person[static NODE_KEY_LEN],
		       struct request_view *out_view)
{
	const struct request_row *row = row_of(people, person);

	if (row)
		*out_view = view_of(row);
	return row != NULL;
}

bool social_is_accepted(const struct people *people, const uint8_t person[static NODE_KEY_LEN])
{
	return social_mark_lookup(&people->accepted, person) != NULL;
}

/* --- answers --- */

/* There is room. */
static void accepted_add(struct people *people, const uint8_t *key, uint64_t since_ms,
			 uint64_t now_ns)
{
	(void)social_mark_add(&people->accepted, key, since_ms);
	social_people_touch(people, PEOPLE_ROW_ACCEPTED, key, now_ns);
	social_profile_move(people, key, now_ns);
}

int social_request_accept(struct people *people, const uint8_t person[static NODE_KEY_LEN],
			  const struct people_done *done, uint64_t now_ns)
{
	struct request_row *row = row_of(people, person);
	uint8_t key[NODE_KEY_LEN], post[32];

	if (!row)
		return WEFT_EABSENT;
	if (people->accepted.rows.used_cnt == SOCIAL_ACCEPTED_MAX)
		return WEFT_EFULL;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	memcpy(key, row->key, sizeof(key));
	memcpy(post, row->post, sizeof(post));
	map_delete(&people->request_by_key, key);
	fair_release(&people->request_places.fair, &row->share, now_ns);
	pool_release(&people->requests, row);
	social_people_touch(people, PEOPLE_ROW_REQUEST, key, now_ns);
	accepted_add(people, key, people_wall_ms(people), now_ns);
	social_people_wait(people, done, now_ns);
	social_people_tell(people, PEOPLE_ACCEPTED, key, post);
	return 0;
}

static void refused_add(struct people *people, const uint8_t *key, uint64_t since_ms,
			uint64_t now_ns)
{
	struct mark_row *oldest = list_first(&people->refused.list, struct mark_row, link);

	if (people->refused.rows.used_cnt == SOCIAL_REFUSED_MAX) {
		uint8_t forgotten[NODE_KEY_LEN];

		memcpy(forgotten, oldest->key, sizeof(forgotten));
		social_mark_drop(&people->refused, oldest);
		social_people_touch(people, PEOPLE_ROW_REFUSED, forgotten, now_ns);
	}
	(void)social_mark_add(&people->refused, key, since_ms);
	social_people_touch(people, PEOPLE_ROW_REFUSED, key, now_ns);
}

int social_request_refuse(struct people *people, const uint8_t person[static NODE_KEY_LEN],
			  const struct people_done *done, uint64_t now_ns)
{
	struct request_row *row = row_of(people, person);
	uint8_t key[NODE_KEY_LEN];

	if (!row)
		return WEFT_EABSENT;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	memcpy(key, row->key, sizeof(key));
	refused_add(people, key, people_wall_ms(people), now_ns);
	row_drop(people, row, now_ns);
	social_people_wait(people, done, now_ns);
	return 0;
}

void social_answers_each(const struct people *people, bool is_accepted, people_mark_fn fn,
			 void *arg)
{
	social_mark_each(is_accepted ? &people->accepted : &people->refused, fn, arg);
}

int social_answer_restore(struct people *people, const struct request_answer *answer,
			  const struct people_done *done, uint64_t now_ns)
{
	static const uint8_t no_post[32];
	uint64_t wall_ms = people_wall_ms(people);
	uint64_t since_ms = answer->since_ms < wall_ms ? answer->since_ms : wall_ms;

	if (social_people_is_own(people, answer->person) ||
	    social_is_blocked(people, answer->person))
		return WEFT_EREFUSED;
	/* What was answered here counts, and so does a follow. */
	if (social_is_acquainted(people, answer->person) ||
	    social_is_refused(people, answer->person))
		return WEFT_EEXISTS;
	if (row_of(people, answer->person))
		return answer->is_accepted
			       ? social_request_accept(people, answer->person, done, now_ns)
			       : social_request_refuse(people, answer->person, done, now_ns);
	if (answer->is_accepted && people->accepted.rows.used_cnt == SOCIAL_ACCEPTED_MAX)
		return WEFT_EFULL;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	if (answer->is_accepted)
		accepted_add(people, answer->person, since_ms, now_ns);
	else
		refused_add(people, answer->person, since_ms, now_ns);
	social_people_wait(people, done, now_ns);
	if (answer->is_accepted)
		social_people_tell(people, PEOPLE_ACCEPTED, answer->person, no_post);
	return 0;
}

bool social_is_refused(const struct people *people, const uint8_t person[static NODE_KEY_LEN])
{
	return social_mark_lookup(&people->refused, person) != NULL;
}

void social_request_drop(struct people *people, const uint8_t *key, uint64_t now_ns)
{
	struct request_row *row = row_of(people, key);

	if (row)
		row_drop(people, row, now_ns);
}

void social_requests_clear(struct people *people, const uint8_t *to, uint64_t now_ns)
{
	struct request_row *row = NULL;

	while ((row = pool_next(&people->requests, row)))
		if (memcmp(row->to, to, NODE_KEY_LEN) == 0)
			row_drop(people, row, now_ns);
}

/* --- rows in the store: to 32 | post 32 | came u64be | origin --- */

static bool request_write(struct people *people, const uint8_t *name, struct writer *w)
{
	const struct request_row *row = row_of(people, name);

	if (!row)
		return false;
	writer_bytes(w, row->to, sizeof(row->to));
	writer_bytes(w, row->post, sizeof(row->post));
	writer_be64(w, row->came_ms);
	social_people_origin_write(w, &row->origin);
	return true;
}

static bool request_load(struct people *people, const uint8_t *name, struct cursor *c,
			 uint64_t now_ns)
{
	struct people_origin origin;
	struct request_row *row;
	uint8_t to[NODE_KEY_LEN], post[32];
	uint64_t came_ms;

	cursor_copy(c, to, sizeof(to));
	cursor_copy(c, post, sizeof(post));
	came_ms = cursor_be64(c);
	if (!social_people_origin_read(c, &origin))
		return false;
	row = row_add(people, name, &origin, now_ns);
	if (!row)
		return false;
	memcpy(row->to, to, sizeof(to));
	memcpy(row->post, post, sizeof(post));
	row->came_ms = came_ms;
	return true;
}

const struct people_codec people_codec_request = {request_write, request_load};
