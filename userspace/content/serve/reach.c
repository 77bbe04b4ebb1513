/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sorted arrays. A path is looked up by each of its ancestors, itself
 * first: so many steps as it has parts, whatever the number of shares.
 */
#include "content/serve/reach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "content/object.h"
#include "content/scope.h"

#define MANIFEST_ID_LEN 32

struct reach_manifest {
	uint8_t id[MANIFEST_ID_LEN];
	bool is_held; /* not served, as far as this one goes, and no garbage */
	bool is_whole, is_growing;
	uint64_t served_len;
	uint32_t scope; /* 0: open; else the place in scopes, from 1 */
};

struct reach_place {
	char *path;
	uint8_t share_id[MANIFEST_ID_LEN];
	uint64_t served_len;
	uint32_t scope; /* likewise */
};

struct reach {
	struct reach_manifest *manifests;
	size_t manifest_cnt, manifest_cap;
	struct reach_place *places;
	size_t place_cnt, place_cap;
	struct scope *scopes; /* each once; few, as communities are */
	size_t scope_cnt, scope_cap;
	uint32_t scope; /* of what is added now */
};

struct reach *reach_new(void)
{
	return calloc(1, sizeof(struct reach));
}

void reach_free(struct reach *reach)
{
	if (!reach)
		return;
	for (size_t i = 0; i < reach->place_cnt; i++)
		free(reach->places[i].path);
	free(reach->places);
	free(reach->manifests);
	free(reach->scopes);
	free(reach);
}

/* Room for one more: doubled, so that a list of n costs n copies at most. */
static void *array_grow(void *array, size_t cnt, size_t *cap, size_t len)
{
	size_t new_cap = *cap ? 2 * *cap : 16;
	void *grown;

	if (cnt < *cap)
		return array;
	grown = realloc(array, new_cap * len);
	if (grown)
		*cap = new_cap;
	return grown;
}

int reach_set_scope(struct reach *reach, const struct scope *scope)
{
	void *grown;

	reach->scope = 0;
	if (scope_is_open(scope))
		return 0;
	while (reach->scope < reach->scope_cnt)
		if (scope_is_equal(&reach->scopes[reach->scope++], scope))
			return 0;
	grown = array_grow(reach->scopes, reach->scope_cnt, &reach->scope_cap,
			   sizeof(reach->scopes[0]));
	if (!grown)
		return -ENOMEM;
	reach->scopes = grown;
	reach->scopes[reach->scope_cnt++] = *scope;
	reach->scope = (uint32_t)reach->scope_cnt;
	return 0;
}

static int manifest_add(struct reach *reach, const uint8_t id[static MANIFEST_ID_LEN],
			struct reach_manifest how)
{
	void *grown = array_grow(reach->manifests, reach->manifest_cnt, &reach->manifest_cap,
				 sizeof(reach->manifests[0]));

	if (!grown)
		return -ENOMEM;
	reach->manifests = grown;
	memcpy(how.id, id, MANIFEST_ID_LEN);
	how.scope = reach->scope;
	reach->manifests[reach->manifest_cnt++] = how;
	return 0;
}

int reach_add_manifest(struct reach *reach, const uint8_t id[static MANIFEST_ID_LEN])
{
	return manifest_add(reach, id, (struct reach_manifest){0});
}

int reach_add_held(struct reach *reach, const uint8_t id[static MANIFEST_ID_LEN])
{
	return manifest_add(reach, id, (struct reach_manifest){.is_held = true});
}

int reach_add_whole(struct reach *reach, const uint8_t id[static MANIFEST_ID_LEN])
{
	return manifest_add(reach, id, (struct reach_manifest){.is_whole = true});
}

int reach_add_growing(struct reach *reach, const uint8_t id[static MANIFEST_ID_LEN])
{
	return manifest_add(reach, id, (struct reach_manifest){.is_growing = true});
}

int reach_add_share(struct reach *reach, const char *path,
		    const uint8_t share_id[static MANIFEST_ID_LEN])
{
	struct reach_place place = {.path = strdup(path), .scope = reach->scope};
	void *grown = array_grow(reach->places, reach->place_cnt, &reach->place_cap,
				 sizeof(reach->places[0]));

	if (grown)
		reach->places = grown;
	if (!grown || !place.path) {
		free(place.path);
		return -ENOMEM;
	}
	memcpy(place.share_id, share_id, MANIFEST_ID_LEN);
	reach->places[reach->place_cnt++] = place;
	return 0;
}

static int manifest_compare(const void *a, const void *b)
{
	const struct reach_manifest *left = a, *right = b;
	int order = memcmp(left->id, right->id, MANIFEST_ID_LEN);

	return order ? order : (left->scope > right->scope) - (left->scope < right->scope);
}

/* One of each in each scope: a share and a get may name the same, as may parts of two shares. */
static void manifests_merge(struct reach *reach)
{
	size_t kept = 0;

	for (size_t i = 1; i < reach->manifest_cnt; i++) {
		struct reach_manifest *manifest = &reach->manifests[i];

		if (manifest_compare(manifest, &reach->manifests[kept]) != 0) {
			reach->manifests[++kept] = *manifest;
			continue;
		}
		reach->manifests[kept].is_held &= manifest->is_held;
		reach->manifests[kept].is_whole |= manifest->is_whole;
		reach->manifests[kept].is_growing |= manifest->is_growing;
	}
	reach->manifest_cnt = kept + 1;
}

static int place_compare(const void *a, const void *b)
{
	const struct reach_place *left = a, *right = b;

	return strcmp(left->path, right->path);
}

void reach_seal(struct reach *reach)
{
	if (reach->manifest_cnt) {
		qsort(reach->manifests, reach->manifest_cnt, sizeof(reach->manifests[0]),
		      manifest_compare);
		manifests_merge(reach);
	}
	if (reach->place_cnt)
		qsort(reach->places, reach->place_cnt, sizeof(reach->places[0]), place_compare);
}

static bool is_any(void *arg, const uint8_t manifest_id[static MANIFEST_ID_LEN])
{
	(void)arg, (void)manifest_id;
	return true;
}

struct reach *reach_copy(const struct reach *reach)
{
	return reach_copy_some(reach, is_any, NULL);
}

static int scopes_copy(struct reach *copy, const struct reach *reach)
{
	if (!reach->scope_cnt)
		return 0;
	copy->scopes = calloc(reach->scope_cnt, sizeof(reach->scopes[0]));
	if (!copy->scopes)
		return -ENOMEM;
	memcpy(copy->scopes, reach->scopes, reach->scope_cnt * sizeof(reach->scopes[0]));
	copy->scope_cnt = copy->scope_cap = reach->scope_cnt;
	return 0;
}

struct reach *reach_copy_some(const struct reach *reach,
			      bool (*is_wanted)(void *arg,
						const uint8_t manifest_id[static MANIFEST_ID_LEN]),
			      void *arg)
{
	struct reach *copy = reach_new();
	int err = copy ? scopes_copy(copy, reach) : -ENOMEM;

	for (size_t i = 0; i < reach->manifest_cnt && !err; i++) {
		const struct reach_manifest *manifest = &reach->manifests[i];

		copy->scope = manifest->scope;
		if (is_wanted(arg, manifest->id))
			err = manifest_add(
				copy, manifest->id,
				(struct reach_manifest){.is_held = manifest->is_held,
							.is_whole = manifest->is_whole,
							.is_growing = manifest->is_growing});
	}
	for (size_t i = 0; i < reach->place_cnt && !err; i++) {
		const struct reach_place *place = &reach->places[i];

		copy->scope = place->scope;
		if (is_wanted(arg, place->share_id))
			err = reach_add_share(copy, place->path, place->share_id);
	}
	if (!err)
		return copy;
	reach_free(copy);
	return NULL;
}

/* --- asking --- */

/* A reader may see what is open, and what one of its communities may. NULL: this node. */
static bool scope_lets(const struct reach *reach, uint32_t scope_idx,
		       const struct reach_reader *reader)
{
	const struct scope *scope;

	if (!reader || !scope_idx)
		return true;
	scope = &reach->scopes[scope_idx - 1];
	for (uint32_t i = 0; i < scope->cnt && !scope->is_closed; i++)
		if ((!reader->community || memcmp(scope->ids[i], reader->community, 32) == 0) &&
		    reader->admits(reader->ctx, scope->ids[i], reader->key))
			return true;
	return false;
}

/* The first of those of id, whatever their scopes; NULL: none. The others follow it. */
static const struct reach_manifest *manifest_first(const struct reach *reach, const uint8_t *id)
{
	size_t low = 0, high = reach->manifest_cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(reach->manifests[middle].id, id, MANIFEST_ID_LEN) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < reach->manifest_cnt &&
			       memcmp(reach->manifests[low].id, id, MANIFEST_ID_LEN) == 0
		       ? &reach->manifests[low]
		       : NULL;
}

/* What all of those of id that reader may read say together. */
struct manifest_view {
	bool is_there, is_whole, is_growing;
};

static struct manifest_view manifest_look(const struct reach *reach, const uint8_t *id,
					  const struct reach_reader *reader)
{
	const struct reach_manifest *manifest = manifest_first(reach, id);
	const struct reach_manifest *end = reach->manifests + reach->manifest_cnt;
	struct manifest_view view = {0};

	for (; manifest && manifest < end && memcmp(manifest->id, id, MANIFEST_ID_LEN) == 0;
	     manifest++) {
		if (!scope_lets(reach, manifest->scope, reader))
			continue;
		view.is_there |= !manifest->is_held;
		view.is_whole |= manifest->is_whole;
		view.is_growing |= manifest->is_growing;
	}
	return view;
}

bool reach_has_manifest(const struct reach *reach, const uint8_t id[static MANIFEST_ID_LEN])
{
	return manifest_look(reach, id, NULL).is_there;
}

bool reach_gives_manifest(const struct reach *reach, const uint8_t id[static MANIFEST_ID_LEN],
			  const struct reach_reader *reader)
{
	return manifest_look(reach, id, reader).is_there;
}

bool reach_holds_manifest(const struct reach *reach, const uint8_t id[static MANIFEST_ID_LEN])
{
	return manifest_first(reach, id) != NULL;
}

bool reach_holds_file(const struct reach *reach, const struct object_file *file)
{
	return (file->is_got && reach_holds_manifest(reach, file->got_id)) ||
	       reach_has_file(reach, file);
}

bool reach_has_whole(const struct reach *reach, const uint8_t id[static MANIFEST_ID_LEN])
{
	return manifest_look(reach, id, NULL).is_whole;
}

bool reach_gives_whole(const struct reach *reach, const uint8_t id[static MANIFEST_ID_LEN],
		       const struct reach_reader *reader)
{
	return manifest_look(reach, id, reader).is_whole;
}

bool reach_is_growing(const struct reach *reach, const uint8_t id[static MANIFEST_ID_LEN])
{
	return manifest_look(reach, id, NULL).is_growing;
}

bool reach_scope_of(const struct reach *reach, const uint8_t id[static MANIFEST_ID_LEN],
		    struct scope *out_scope)
{
	const struct reach_manifest *manifest = manifest_first(reach, id);

	if (!manifest)
		return false;
	*out_scope =
		manifest->scope ? reach->scopes[manifest->scope - 1] : (struct scope){.cnt = 0};
	return true;
}

/* The first place of exactly this path; others of the same path follow it. */
static struct reach_place *place_find(const struct reach *reach, const char *path)
{
	size_t low = 0, high = reach->place_cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(reach->places[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < reach->place_cnt && strcmp(reach->places[low].path, path) == 0
		       ? &reach->places[low]
		       : NULL;
}

/* Cuts the last part off; false at the top. */
static bool path_ascend(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || path[1] == '\0')
		return false;
	slash[slash == path] = '\0';
	return true;
}

static bool path_begin(char at[static OBJECT_PATH_LEN_MAX], const char *path)
{
	size_t len = strlen(path);

	if (path[0] != '/' || len >= OBJECT_PATH_LEN_MAX)
		return false;
	memcpy(at, path, len + 1);
	return true;
}

static bool places_let(const struct reach *reach, const char *path,
		       const struct reach_reader *reader)
{
	const struct reach_place *end = reach->places + reach->place_cnt;
	const struct reach_place *place = place_find(reach, path);

	for (; place && place < end && strcmp(place->path, path) == 0; place++)
		if (scope_lets(reach, place->scope, reader))
			return true;
	return false;
}

bool reach_gives_file(const struct reach *reach, const struct object_file *file,
		      const struct reach_reader *reader)
{
	char at[OBJECT_PATH_LEN_MAX];

	if (file->is_got && reach_gives_manifest(reach, file->got_id, reader))
		return true;
	if (!path_begin(at, file->path))
		return false;
	do
		if (places_let(reach, at, reader))
			return true;
	while (path_ascend(at));
	return false;
}

bool reach_has_file(const struct reach *reach, const struct object_file *file)
{
	return reach_gives_file(reach, file, NULL);
}

static void places_note(struct reach *reach, const char *at, const uint8_t *but_id, uint64_t len)
{
	const struct reach_place *end = reach->places + reach->place_cnt;
	struct reach_place *place = place_find(reach, at);

	for (; place && place < end && strcmp(place->path, at) == 0; place++)
		if (!but_id || memcmp(place->share_id, but_id, MANIFEST_ID_LEN) != 0)
			place->served_len += len;
}

void reach_note_served(struct reach *reach, const struct object_file *file, uint64_t len)
{
	struct reach_manifest *got =
		file->is_got ? (struct reach_manifest *)manifest_first(reach, file->got_id) : NULL;
	char at[OBJECT_PATH_LEN_MAX];

	if (got)
		got->served_len += len;
	if (!path_begin(at, file->path))
		return;
	do
		places_note(reach, at, got ? got->id : NULL, len);
	while (path_ascend(at));
}

void reach_served_each(struct reach *reach,
		       void (*fn)(void *arg, const uint8_t share_id[static MANIFEST_ID_LEN],
				  uint64_t len),
		       void *arg)
{
	for (size_t i = 0; i < reach->place_cnt; i++) {
		struct reach_place *place = &reach->places[i];

		if (place->served_len)
			fn(arg, place->share_id, place->served_len);
		place->served_len = 0;
	}
	for (size_t i = 0; i < reach->manifest_cnt; i++) {
		struct reach_manifest *manifest = &reach->manifests[i];

		if (manifest->served_len)
			fn(arg, manifest->id, manifest->served_len);
		manifest->served_len = 0;
	}
}
