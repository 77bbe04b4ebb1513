/* SPDX-License-Identifier: Apache-2.0 */
#include "import.h"

#include <string.h>

#include "blobs/manifest/manifest.h"

const char *blobs_only_next(const char **at, size_t *out_len)
{
	const char *line = *at;

	if (!line || !*line)
		return NULL;
	*out_len = strcspn(line, "\n");
	*at = line + *out_len + (line[*out_len] == '\n');
	return line;
}

bool blobs_only_is_sound(const char *only)
{
	const char *line;
	size_t len;

	if (only && strnlen(only, ONLY_CAP) == ONLY_CAP)
		return false;
	while ((line = blobs_only_next(&only, &len)))
		if (!blobs_manifest_path_is_safe(line, len))
			return false;
	return true;
}

static bool is_at_or_below(const char *path, size_t len, const char *top, size_t top_len)
{
	return len >= top_len && memcmp(path, top, top_len) == 0 &&
	       (len == top_len || path[top_len] == '/');
}

bool blobs_only_admits(const char *only, const char *path, size_t len)
{
	const char *line;
	size_t line_len;

	if (!only || !*only)
		return true;
	while ((line = blobs_only_next(&only, &line_len)))
		if (is_at_or_below(path, len, line, line_len) ||
		    is_at_or_below(line, line_len, path, len))
			return true;
	return false;
}
