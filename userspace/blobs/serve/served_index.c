/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sorted arrays. A path is looked up by each of its ancestors, itself
 * first: so many steps as it has parts, whatever the number of shares.
 */
#include "served_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blobs/object.h"
#include "blobs/scope.h"

#define MANIFEST_ID_LEN 32

struct served_manifest {
	uint8_t id[MANIFEST_ID_LEN];
	bool is_held; /* not served, as far as this one goes, and no garbage */
	bool is_whole, is_growing;
	uint64_t served_len;
	uint32_t scope; /* 0: open; else the place in scopes, from 1 */
};

struct served_place {
	char *path;
	uint8_t share_id[MANIFEST_ID_LEN];
	uint64_t served_len;
	uint32_t scope; /* likewise */
};

struct served_index {
	struct served_manifest *manifests;
	size_t manifest_cnt, manifest_cap;
	struct served_place *places;
	size_t place_cnt, place_cap;
	struct scope *scopes; /* each once; few, as communities are */
	size_t scope_cnt, scope_cap;
	uint32_t scope; /* of what is added now */
};

struct served_index *blobs_served_index_new(void)
{
	return calloc(1, sizeof(struct served_index));
}

void blobs_served_index_free(struct served_index *served_index)
{
	if (!served_index)
		return;
	for (size_t i = 0; i < served_index->place_cnt; i++)
		free(served_index->places[i].path);
	free(served_index->places);
	free(served_index->manifests);
	free(served_index->scopes);
	free(served_index);
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

int blobs_served_index_set_scope(struct served_index *served_index, const struct scope *scope)
{
	void *grown;

	served_index->scope = 0;
	if (blobs_scope_is_open(scope))
		return 0;
	while (served_index->scope < served_index->scope_cnt)
		if (blobs_scope_is_equal(&served_index->scopes[served_index->scope++], scope))
			return 0;
	grown = array_grow(served_index->scopes, served_index->scope_cnt, &served_index->scope_cap,
			   sizeof(served_index->scopes[0]));
	if (!grown)
		return -ENOMEM;
	served_index->scopes = grown;
	served_index->scopes[served_index->scope_cnt++] = *scope;
	served_index->scope = (uint32_t)served_index->scope_cnt;
	return 0;
}

static int manifest_add(struct served_index *served_index, const uint8_t id[static MANIFEST_ID_LEN],
			struct served_manifest how)
{
	void *grown = array_grow(served_index->manifests, served_index->manifest_cnt,
				 &served_index->manifest_cap, sizeof(served_index->manifests[0]));

	if (!grown)
		return -ENOMEM;
	served_index->manifests = grown;
	memcpy(how.id, id, MANIFEST_ID_LEN);
	how.scope = served_index->scope;
	served_index->manifests[served_index->manifest_cnt++] = how;
	return 0;
}

int blobs_served_index_add_manifest(struct served_index *served_index,
				    const uint8_t id[static MANIFEST_ID_LEN])
{
	return manifest_add(served_index, id, (struct served_manifest){0});
}

int blobs_served_index_add_held(struct served_index *served_index,
				const uint8_t id[static MANIFEST_ID_LEN])
{
	return manifest_add(served_index, id, (struct served_manifest){.is_held = true});
}

int blobs_served_index_add_whole(struct served_index *served_index,
				 const uint8_t id[static MANIFEST_ID_LEN])
{
	return manifest_add(served_index, id, (struct served_manifest){.is_whole = true});
}

int blobs_served_index_add_growing(struct served_index *served_index,
				   const uint8_t id[static MANIFEST_ID_LEN])
{
	return manifest_add(served_index, id, (struct served_manifest){.is_growing = true});
}

int blobs_served_index_add_share(struct served_index *served_index, const char *path,
				 const uint8_t share_id[static MANIFEST_ID_LEN])
{
	struct served_place place = {.path = strdup(path), .scope = served_index->scope};
	void *grown = array_grow(served_index->places, served_index->place_cnt,
				 &served_index->place_cap, sizeof(served_index->places[0]));

	if (grown)
		served_index->places = grown;
	if (!grown || !place.path) {
		free(place.path);
		return -ENOMEM;
	}
	memcpy(place.share_id, share_id, MANIFEST_ID_LEN);
	served_index->places[served_index->place_cnt++] = place;
	return 0;
}

static int manifest_compare(const void *a, const void *b)
{
	const struct served_manifest *left = a, *right = b;
	int order = memcmp(left->id, right->id, MANIFEST_ID_LEN);

	return order ? order : (left->scope > right->scope) - (left->scope < right->scope);
}

/* One of each in each scope: a share and a get may name the same, as may parts of two shares. */
static void manifests_merge(struct served_index *served_index)
{
	size_t kept = 0;

	for (size_t i = 1; i < served_index->manifest_cnt; i++) {
		struct served_manifest *manifest = &served_index->manifests[i];

		if (manifest_compare(manifest, &served_index->manifests[kept]) != 0) {
			served_index->manifests[++kept] = *manifest;
			continue;
		}
		served_index->manifests[kept].is_held &= manifest->is_held;
		served_index->manifests[kept].is_whole |= manifest->is_whole;
		served_index->manifests[kept].is_growing |= manifest->is_growing;
	}
	served_index->manifest_cnt = kept + 1;
}

static int place_compare(const void *a, const void *b)
{
	const struct served_place *left = a, *right = b;

	return strcmp(left->path, right->path);
}

void blobs_served_index_seal(struct served_index *served_index)
{
	if (served_index->manifest_cnt) {
		qsort(served_index->manifests, served_index->manifest_cnt,
		      sizeof(served_index->manifests[0]), manifest_compare);
		manifests_merge(served_index);
	}
	if (served_index->place_cnt)
		qsort(served_index->places, served_index->place_cnt,
		      sizeof(served_index->places[0]), place_compare);
}

static bool is_any(void *arg, const uint8_t manifest_id[static MANIFEST_ID_LEN])
{
	(void)arg, (void)manifest_id;
	return true;
}

struct served_index *blobs_served_index_copy(const struct served_index *served_index)
{
	return blobs_served_index_copy_some(served_index, is_any, NULL);
}

static int scopes_copy(struct served_index *copy, const struct served_index *served_index)
{
	if (!served_index->scope_cnt)
		return 0;
	copy->scopes = calloc(served_index->scope_cnt, sizeof(served_index->scopes[0]));
	if (!copy->scopes)
		return -ENOMEM;
	memcpy(copy->scopes, served_index->scopes,
	       served_index->scope_cnt * sizeof(served_index->scopes[0]));
	copy->scope_cnt = copy->scope_cap = served_index->scope_cnt;
	return 0;
}

struct served_index *blobs_served_index_copy_some(
	const struct served_index *served_index,
	bool (*is_wanted)(void *arg, const uint8_t manifest_id[static MANIFEST_ID_LEN]), void *arg)
{
	struct served_index *copy = blobs_served_index_new();
	int err = copy ? scopes_copy(copy, served_index) : -ENOMEM;

	for (size_t i = 0; i < served_index->manifest_cnt && !err; i++) {
		const struct served_manifest *manifest = &served_index->manifests[i];

		copy->scope = manifest->scope;
		if (is_wanted(arg, manifest->id))
			err = manifest_add(
				copy, manifest->id,
				(struct served_manifest){.is_held = manifest->is_held,
							 .is_whole = manifest->is_whole,
							 .is_growing = manifest->is_growing});
	}
	for (size_t i = 0; i < served_index->place_cnt && !err; i++) {
		const struct served_place *place = &served_index->places[i];

		copy->scope = place->scope;
		if (is_wanted(arg, place->share_id))
			err = blobs_served_index_add_share(copy, place->path, place->share_id);
	}
	if (!err)
		return copy;
	blobs_served_index_free(copy);
	return NULL;
}

/* --- asking --- */

/* A reader may see what is open, and what one of its communities may. NULL: this node. */
static bool scope_lets(const struct served_index *served_index, uint32_t scope_idx,
		       const struct served_reader *reader)
{
	const struct scope *scope;

	if (!reader || !scope_idx)
		return true;
	scope = &served_index->scopes[scope_idx - 1];
	for (uint32_t i = 0; i < scope->cnt && !scope->is_closed; i++)
		if ((!reader->community || memcmp(scope->ids[i], reader->community, 32) == 0) &&
		    reader->admits(reader->ctx, scope->ids[i], reader->key))
			return true;
	return false;
}

/* The first of those of id, whatever their scopes; NULL: none. The others follow it. */
static const struct served_manifest *manifest_first(const struct served_index *served_index,
						    const uint8_t *id)
{
	size_t low = 0, high = served_index->manifest_cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(served_index->manifests[middle].id, id, MANIFEST_ID_LEN) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < served_index->manifest_cnt &&
			       memcmp(served_index->manifests[low].id, id, MANIFEST_ID_LEN) == 0
		       ? &served_index->manifests[low]
		       : NULL;
}

/* All entries of id that reader may read, put together. */
struct manifest_view {
	bool is_there, is_whole, is_growing;
};

static struct manifest_view manifest_look(const struct served_index *served_index,
					  const uint8_t *id, const struct served_reader *reader)
{
	const struct served_manifest *manifest = manifest_first(served_index, id);
	const struct served_manifest *end = served_index->manifests + served_index->manifest_cnt;
	struct manifest_view view = {0};

	for (; manifest && manifest < end && memcmp(manifest->id, id, MANIFEST_ID_LEN) == 0;
	     manifest++) {
		if (!scope_lets(served_index, manifest->scope, reader))
			continue;
		view.is_there |= !manifest->is_held;
		view.is_whole |= manifest->is_whole;
		view.is_growing |= manifest->is_growing;
	}
	return view;
}

bool blobs_served_index_gives_manifest(const struct served_index *served_index,
				       const uint8_t id[static MANIFEST_ID_LEN],
				       const struct served_reader *reader)
{
	return manifest_look(served_index, id, reader).is_there;
}

bool blobs_served_index_holds_manifest(const struct served_index *served_index,
				       const uint8_t id[static MANIFEST_ID_LEN])
{
	return manifest_first(served_index, id) != NULL;
}

bool blobs_served_index_holds_file(const struct served_index *served_index,
				   const struct object_file *file)
{
	return (file->is_got && blobs_served_index_holds_manifest(served_index, file->got_id)) ||
	       blobs_served_index_has_file(served_index, file);
}

bool blobs_served_index_gives_whole(const struct served_index *served_index,
				    const uint8_t id[static MANIFEST_ID_LEN],
				    const struct served_reader *reader)
{
	return manifest_look(served_index, id, reader).is_whole;
}

bool blobs_served_index_is_growing(const struct served_index *served_index,
				   const uint8_t id[static MANIFEST_ID_LEN])
{
	return manifest_look(served_index, id, NULL).is_growing;
}

bool blobs_served_index_scope_of(const struct served_index *served_index,
				 const uint8_t id[static MANIFEST_ID_LEN], struct scope *out_scope)
{
	const struct served_manifest *manifest = manifest_first(served_index, id);

	if (!manifest)
		return false;
	*out_scope = manifest->scope ? served_index->scopes[manifest->scope - 1]
				     : (struct scope){.cnt = 0};
	return true;
}

/* The first place of exactly this path; others of the same path follow it. */
static struct served_place *place_find(const struct served_index *served_index, const char *path)
{
	size_t low = 0, high = served_index->place_cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(served_index->places[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < served_index->place_cnt && strcmp(served_index->places[low].path, path) == 0
		       ? &served_index->places[low]
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

static bool places_let(const struct served_index *served_index, const char *path,
		       const struct served_reader *reader)
{
	const struct served_place *end = served_index->places + served_index->place_cnt;
	const struct served_place *place = place_find(served_index, path);

	for (; place && place < end && strcmp(place->path, path) == 0; place++)
		if (scope_lets(served_index, place->scope, reader))
			return true;
	return false;
}

bool blobs_served_index_gives_file(const struct served_index *served_index,
				   const struct object_file *file,
				   const struct served_reader *reader)
{
	char at[OBJECT_PATH_LEN_MAX];

	if (file->is_got && blobs_served_index_gives_manifest(served_index, file->got_id, reader))
		return true;
	if (!path_begin(at, file->path))
		return false;
	do
		if (places_let(served_index, at, reader))
			return true;
	while (path_ascend(at));
	return false;
}

bool blobs_served_index_has_file(const struct served_index *served_index,
				 const struct object_file *file)
{
	return blobs_served_index_gives_file(served_index, file, NULL);
}

static void places_note(struct served_index *served_index, const char *at, const uint8_t *but_id,
			uint64_t len)
{
	const struct served_place *end = served_index->places + served_index->place_cnt;
	struct served_place *place = place_find(served_index, at);

	for (; place && place < end && strcmp(place->path, at) == 0; place++)
		if (!but_id || memcmp(place->share_id, but_id, MANIFEST_ID_LEN) != 0)
			place->served_len += len;
}

void blobs_served_index_note_served(struct served_index *served_index,
				    const struct object_file *file, uint64_t len)
{
	struct served_manifest *got =
		file->is_got ? (struct served_manifest *)manifest_first(served_index, file->got_id)
			     : NULL;
	char at[OBJECT_PATH_LEN_MAX];

	if (got)
		got->served_len += len;
	if (!path_begin(at, file->path))
		return;
	do
		places_note(served_index, at, got ? got->id : NULL, len);
	while (path_ascend(at));
}

void blobs_served_index_served_each(struct served_index *served_index,
				    void (*fn)(void *arg,
					       const uint8_t share_id[static MANIFEST_ID_LEN],
					       uint64_t len),
				    void *arg)
{
	for (size_t i = 0; i < served_index->place_cnt; i++) {
		struct served_place *place = &served_index->places[i];

		if (place->served_len)
			fn(arg, place->share_id, place->served_len);
		place->served_len = 0;
	}
	for (size_t i = 0; i < served_index->manifest_cnt; i++) {
		struct served_manifest *manifest = &served_index->manifests[i];

		if (manifest->served_len)
			fn(arg, manifest->id, manifest->served_len);
		manifest->served_len = 0;
	}
}
