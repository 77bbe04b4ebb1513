/* SPDX-License-Identifier: Apache-2.0 */
/* Which files of a collection a get wants. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "get_state.h"

/* At least one, none empty, each with its NUL. */
static bool blobs_only_is_sound(const char *only, size_t len)
{
	if (len > BLOBS_GET_ONLY_LEN_MAX || only[0] == '\0' || only[len - 1] != '\0')
		return false;
	for (size_t i = 1; i < len; i++)
		if (only[i - 1] == '\0' && only[i] == '\0')
			return false;
	return true;
}

static int patterns_take(const char *patterns, size_t len, char **out_copy)
{
	char *copy;

	if (len == 0)
		return 0;
	if (!blobs_only_is_sound(patterns, len))
		return WEFT_EMALFORMED;
	copy = malloc(len);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, patterns, len);
	*out_copy = copy;
	return 0;
}

int blobs_get_only_take(struct get *get, const char *only, size_t len)
{
	int err = patterns_take(only, len, &get->asked.only);

	if (err == 0) {
		get->view.only = get->asked.only;
		get->view.only_len = len;
	}
	return err;
}

int blobs_get_exclude_take(struct get *get, const char *exclude, size_t len)
{
	int err = patterns_take(exclude, len, &get->asked.exclude);

	if (err < 0)
		return err;
	get->view.choice.exclude = get->asked.exclude;
	get->view.choice.exclude_len = len;
	return 0;
}

int blobs_get_first_take(struct get *get, const char *first, size_t len)
{
	int err = patterns_take(first, len, &get->asked.first);

	if (err < 0)
		return err;
	get->view.choice.first = get->asked.first;
	get->view.choice.first_len = len;
	return 0;
}

int blobs_get_choice_take(struct get *get, const struct blobs_get_choice *choice)
{
	int err = blobs_get_exclude_take(get, choice->exclude, choice->exclude_len);

	get->view.choice.is_sequential = choice->is_sequential;
	return err < 0 ? err : blobs_get_first_take(get, choice->first, choice->first_len);
}

static bool patterns_equal(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

bool blobs_get_choice_equal(const struct get *get, const struct get *other)
{
	const struct blobs_get_choice *a = &get->view.choice, *b = &other->view.choice;

	return patterns_equal(get->asked.only, get->view.only_len, other->asked.only,
			      other->view.only_len) &&
	       patterns_equal(a->exclude, a->exclude_len, b->exclude, b->exclude_len) &&
	       patterns_equal(a->first, a->first_len, b->first, b->first_len) &&
	       a->is_sequential == b->is_sequential;
}

void blobs_get_choice_free(struct get *get)
{
	free(get->asked.only);
	free(get->asked.exclude);
	free(get->asked.first);
	get->asked.only = get->asked.exclude = get->asked.first = NULL;
}

void blobs_get_choice_move(struct get *get, struct get *other)
{
	blobs_get_choice_free(get);
	get->asked.only = other->asked.only;
	get->asked.exclude = other->asked.exclude;
	get->asked.first = other->asked.first;
	get->view.only = other->view.only;
	get->view.only_len = other->view.only_len;
	get->view.choice = other->view.choice;
	other->asked.only = other->asked.exclude = other->asked.first = NULL;
}

static bool path_matches(const char *pattern, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = strlen(pattern);

	if (pattern[len - 1] == '/')
		return strncmp(path, pattern, len) == 0;
	if (strchr(pattern, '/'))
		return fnmatch(pattern, path, FNM_PATHNAME) == 0;
	return fnmatch(pattern, slash ? slash + 1 : path, 0) == 0;
}

static bool any_matches(const char *patterns, size_t patterns_len, const char *path, size_t len)
{
	const char *end = patterns + patterns_len;
	char text[OBJECT_PATH_LEN_MAX + 1];

	memcpy(text, path, len);
	text[len] = '\0';
	for (; patterns < end; patterns += strlen(patterns) + 1)
		if (path_matches(patterns, text))
			return true;
	return false;
}

bool blobs_get_is_partial(const struct get *get)
{
	return get->asked.only || get->asked.exclude;
}

bool blobs_get_wants(const struct get *get, const char *path, size_t len)
{
	if (get->asked.exclude &&
	    any_matches(get->asked.exclude, get->view.choice.exclude_len, path, len))
		return false;
	return !get->asked.only || any_matches(get->asked.only, get->view.only_len, path, len);
}

bool blobs_get_wants_first(const struct get *get, const char *path, size_t len)
{
	return get->asked.first &&
	       any_matches(get->asked.first, get->view.choice.first_len, path, len);
}
