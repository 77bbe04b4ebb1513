/* SPDX-License-Identifier: Apache-2.0 */
#include "people.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/random.h"
#include "crypto/key_seal.h"
#include "people_state.h"

#define LEVEL_CNT     3u /* family, network, key */
#define NETWORK_LEVEL 1u

/* --- life --- */

static int places_init(struct people *people, struct fair_places *places, const char *name,
		       uint32_t cap)
{
	const struct fair_config pool = {.name = name,
					 .cap_cnt = cap,
					 .kind = FAIR_LASTING,
					 .level_cnt = LEVEL_CNT,
					 .parts = FAIR_PEER_PARTS};
	int err = fair_places_init(places, &people->arena, &pool);

	places->paths.site = people->ground->site;
	return err;
}

/* One more than places: a row is made before the one that it evicts has gone. */
static int table_init(struct people *people, struct pool *pool, struct map *map, size_t len,
		      uint32_t cap)
{
	uint64_t secret[2];
	int err = pool_init(pool, &people->arena, len, cap + 1);

	random_fill(people->ground->random, secret, sizeof(secret));
	return err < 0 ? err : map_init(map, &people->arena, NODE_KEY_LEN, cap + 1, secret);
}

static int unknown_init(struct people *people)
{
	int err;

	if ((err = places_init(people, &people->audience_places, "social audience",
			       SOCIAL_AUDIENCE_MAX)) < 0 ||
	    (err = places_init(people, &people->request_places, "social requests",
			       SOCIAL_REQUESTS_MAX)) < 0 ||
	    (err = places_init(people, &people->profile_places, "social profiles of unknown people",
			       SOCIAL_PROFILES_UNKNOWN_MAX)) < 0 ||
	    (err = table_init(people, &people->audience, &people->audience_by_key,
			      sizeof(struct audience_row), SOCIAL_AUDIENCE_MAX)) < 0 ||
	    (err = table_init(people, &people->requests, &people->request_by_key,
			      sizeof(struct request_row), SOCIAL_REQUESTS_MAX)) < 0)
		return err;
	return table_init(people, &people->profiles, &people->profile_by_key,
			  sizeof(struct profile_row), SOCIAL_PROFILES_MAX);
}

static int circles_init(struct people *people)
{
	people->circles =
		arena_alloc(&people->arena, SOCIAL_CIRCLES_MAX * sizeof(*people->circles));
	if (!people->circles)
		return WEFT_EFULL;
	for (unsigned i = 0; i < SOCIAL_CIRCLES_MAX; i++) {
		people->circles[i].members =
			arena_alloc(&people->arena, SOCIAL_CIRCLE_MEMBERS_MAX * NODE_KEY_LEN);
		if (!people->circles[i].members)
			return WEFT_EFULL;
	}
	return 0;
}

static int lay_out(struct people *people)
{
	int err;

	list_init(&people->watches);
	list_init(&people->follow_list);
	list_init(&people->succession_list);
	people->personas =
		arena_alloc(&people->arena, PERSONA_ROWS_MAX * sizeof(*people->personas));
	if (!people->personas)
		return WEFT_EFULL;
	if ((err = unknown_init(people)) < 0 || (err = circles_init(people)) < 0 ||
	    (err = table_init(people, &people->follows, &people->follow_by_key,
			      sizeof(struct follow_row), SOCIAL_FOLLOWS_MAX)) < 0 ||
	    (err = table_init(people, &people->successions, &people->succession_by_key,
			      sizeof(struct succession_row), SOCIAL_SUCCESSIONS_MAX)) < 0 ||
	    (err = social_marks_init(people, &people->blocks, SOCIAL_BLOCKS_MAX)) < 0 ||
	    (err = social_marks_init(people, &people->accepted, SOCIAL_ACCEPTED_MAX)) < 0 ||
	    (err = social_marks_init(people, &people->refused, SOCIAL_REFUSED_MAX)) < 0)
		return err;
	return social_people_keep_init(people);
}

static void on_timer(struct timer *timer, uint64_t now_ns)
{
	struct people *people = container_of(timer, struct people, timer);

	social_people_keep_expire(people, now_ns);
	timer_set(people->ground->timers, timer, social_people_keep_next_ns(people));
}

int social_people_open(const struct people_params *params, struct people **out_people)
{
	struct people *people = calloc(1, sizeof(*people));
	int err;

	if (!people)
		return -ENOMEM;
	people->ground = params->ground;
	people->now_ns = params->now_ns;
	timer_init(&people->timer, on_timer);
	if ((err = arena_open(&people->arena, ARENA_GROWS)) < 0) {
		free(people);
		return err;
	}
	if ((err = lay_out(people)) == 0)
		err = key_seal_new(people->ground->key, &people->seal);
	if (err == 0) {
		arena_fit(&people->arena);
		people->personas[0].key = people->ground->key;
		social_personas_index(people);
		err = social_people_load(people, params->now_ns);
	}
	if (err < 0) {
		social_people_close(people);
		return err;
	}
	*out_people = people;
	return 0;
}

size_t social_people_footprint(void)
{
	struct random random;
	struct social_ground ground = {.random = &random};
	struct people *people = calloc(1, sizeof(*people));
	size_t len = 0;

	random_init_seeded(&random, 1);
	if (!people)
		return 0;
	people->ground = &ground;
	if (arena_open(&people->arena, ARENA_GROWS) == 0 && lay_out(people) == 0)
		len = sizeof(*people) + people->arena.used_len;
	arena_close(&people->arena);
	free(people);
	return len;
}

void social_people_stop(struct people *people)
{
	if (!people || people->is_stopped)
		return;
	people->is_stopped = true;
	timer_cancel(people->ground->timers, &people->timer);
	social_people_keep_fini(people);
}

static void keys_free(struct people *people)
{
	for (unsigned i = 0; people->personas && i < PERSONA_ROWS_MAX; i++) {
		struct persona_row *row = &people->personas[i];

		node_key_free(row->drawn);
		node_key_free(row->next);
	}
}

void social_people_close(struct people *people)
{
	if (!people)
		return;
	social_people_stop(people);
	keys_free(people);
	key_seal_free(people->seal);
	arena_close(&people->arena);
	free(people);
}

/* --- watchers --- */

void social_people_watch(struct people *people, struct people_watch *watch)
{
	list_push_back(&people->watches, &watch->node);
}

void social_people_unwatch(struct people_watch *watch)
{
	list_unlink(&watch->node);
}

void social_people_tell(struct people *people, enum people_change_kind kind, const uint8_t *person,
			const uint8_t *other)
{
	const struct people_change change = {kind, person, other};

	if (people->is_loading || people->is_stopped)
		return;
	for (struct list_node *at = people->watches.next, *next; at != &people->watches;
	     at = next) {
		const struct people_watch *watch = container_of(at, struct people_watch, node);

		next = at->next;
		watch->changed(watch->ctx, &change, people->now_ns);
	}
}

/* --- shares --- */

struct people_origin social_people_origin(const struct people_source *source)
{
	struct people_origin origin = {.class = (uint8_t)source->class};

	if (source->addr)
		origin.addr = *source->addr;
	else
		origin.addr.family = ADDR_NONE;
	return origin;
}

struct fair_path social_people_path(const struct fair_places *places,
				    const struct people_origin *origin, const uint8_t *key)
{
	struct fair_path path;

	if (origin->addr.family == ADDR_NONE) {
		fair_path_start(origin->class, &path);
	} else {
		fair_path_of_addr(&places->paths, &origin->addr, origin->class, &path);
		path.level_cnt = NETWORK_LEVEL + 1;
	}
	fair_path_add(&places->paths, &path, key, NODE_KEY_LEN);
	return path;
}

/* --- what rows in the store have in common --- */

void social_people_origin_write(struct writer *w, const struct people_origin *origin)
{
	writer_u8(w, origin->class);
	writer_u8(w, origin->addr.family);
	writer_bytes(w, origin->addr.ip, sizeof(origin->addr.ip));
}

bool social_people_origin_read(struct cursor *c, struct people_origin *out_origin)
{
	struct people_origin origin = {.class = cursor_u8(c)};

	origin.addr.family = cursor_u8(c);
	cursor_copy(c, origin.addr.ip, sizeof(origin.addr.ip));
	if (c->bad || origin.class >= FAIR_CLASS_CNT ||
	    (origin.addr.family != ADDR_NONE && origin.addr.family != ADDR_IPV4 &&
	     origin.addr.family != ADDR_IPV6))
		return false;
	*out_origin = origin;
	return true;
}

void social_people_text_write(struct writer *w, const char *text)
{
	size_t len = strlen(text);

	writer_u8(w, (uint8_t)len);
	writer_bytes(w, text, len);
}

bool social_people_text_read(struct cursor *c, char text[static SOCIAL_NAME_CAP])
{
	size_t len = cursor_u8(c);

	if (len > SOCIAL_NAME_MAX)
		return false;
	memset(text, 0, SOCIAL_NAME_CAP);
	cursor_copy(c, text, len);
	return !c->bad && strlen(text) == len;
}

/* --- figures --- */

void social_people_stats(const struct people *people, struct people_stats *out_stats)
{
	*out_stats = people->stats;
	out_stats->persona_cnt = people->persona_cnt;
	out_stats->former_cnt = 0;
	for (unsigned i = 0; i < PERSONA_ROWS_MAX; i++)
		out_stats->former_cnt += people->personas[i].is_former;
	out_stats->follow_cnt = people->follows.used_cnt;
	out_stats->block_cnt = people->blocks.rows.used_cnt;
	out_stats->accepted_cnt = people->accepted.rows.used_cnt;
	out_stats->refused_cnt = people->refused.rows.used_cnt;
	out_stats->request_cnt = people->requests.used_cnt;
	out_stats->audience_cnt = people->audience.used_cnt;
	out_stats->profile_cnt = people->profiles.used_cnt;
	out_stats->succession_cnt = people->successions.used_cnt;
	out_stats->circle_cnt = 0;
	for (unsigned i = 0; i < SOCIAL_CIRCLES_MAX; i++)
		out_stats->circle_cnt += people->circles[i].name[0] != '\0';
}

void social_requests_view(const struct people *people, struct fair_view *out_view)
{
	fair_read(&people->request_places.fair, out_view);
}

void social_audience_view(const struct people *people, struct fair_view *out_view)
{
	fair_read(&people->audience_places.fair, out_view);
}

void social_profiles_view(const struct people *people, struct fair_view *out_view)
{
	fair_read(&people->profile_places.fair, out_view);
}
