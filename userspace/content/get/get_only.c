/* SPDX-License-Identifier: Apache-2.0 */
/* Which files of a collection a get wants. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "content/get/get_state.h"

/* At least one, none empty, each with its NUL. */
static bool only_is_sound(const char *only, size_t len)
{
	if (len > CONTENT_GET_ONLY_LEN_MAX || only[0] == '\0' || only[len - 1] != '\0')
		return false;
	for (size_t i = 1; i < len; i++)
		if (only[i - 1] == '\0' && only[i] == '\0')
			return false;
	return true;
}

int get_only_take(struct get *get, const char *only, size_t len)
{
	if (len == 0)
		return 0;
	if (!only_is_sound(only, len))
		return WEFT_EMALFORMED;
	get->only = malloc(len);
	if (!get->only)
		return -ENOMEM;
	memcpy(get->only, only, len);
	get->view.only = get->only;
	get->view.only_len = len;
	return 0;
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

bool get_wants(const struct get *get, const char *path, size_t len)
{
	char text[OBJECT_PATH_LEN_MAX + 1];
	const char *pattern = get->only, *end = pattern + get->view.only_len;

	if (!pattern)
		return true;
	memcpy(text, path, len);
	text[len] = '\0';
	for (; pattern < end; pattern += strlen(pattern) + 1)
		if (path_matches(pattern, text))
			return true;
	return false;
}
