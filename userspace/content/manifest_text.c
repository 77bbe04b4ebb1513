/* SPDX-License-Identifier: Apache-2.0 */
/* Which texts a manifest may have, and their order (manifest.h). */
#include "content/manifest.h"

#include <string.h>

#include "codec/utf8.h"

static bool name_is_safe(const char *name, size_t len)
{
	const size_t prefix_len = sizeof(MANIFEST_STAGING_PREFIX) - 1;

	if (len == 0 || len > MANIFEST_NAME_LEN_MAX)
		return false;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return false;
	return len < prefix_len || memcmp(name, MANIFEST_STAGING_PREFIX, prefix_len) != 0;
}

bool manifest_path_is_safe(const char *path, size_t len)
{
	const char *end = path + len;

	if (len == 0 || len > MANIFEST_PATH_LEN_MAX || !utf8_is_plain(path, len))
		return false;
	for (;;) {
		const char *slash = memchr(path, '/', (size_t)(end - path));

		if (!name_is_safe(path, (size_t)((slash ? slash : end) - path)))
			return false;
		if (!slash)
			return true;
		path = slash + 1;
	}
}

bool manifest_title_is_safe(const char *title)
{
	size_t len = strnlen(title, MANIFEST_TITLE_CAP);

	return len < MANIFEST_TITLE_CAP && utf8_is_plain(title, len);
}

/* Lines of text, for people; what else controls a terminal is no part of it. */
bool manifest_description_is_safe(const char *text, size_t len)
{
	const char *end = text + len;

	if (len > MANIFEST_DESCRIPTION_LEN_MAX)
		return false;
	for (;;) {
		const char *line_end = memchr(text, '\n', (size_t)(end - text));

		if (!utf8_is_plain(text, (size_t)((line_end ? line_end : end) - text)))
			return false;
		if (!line_end)
			return true;
		text = line_end + 1;
	}
}

bool manifest_mime_is_safe(const char *mime, size_t len)
{
	const char *slash = memchr(mime, '/', len);

	if (len > MANIFEST_MIME_LEN_MAX || !slash || slash == mime || slash + 1 == mime + len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (mime[i] <= ' ' || mime[i] > '~')
			return false;
	return true;
}

bool manifest_tag_is_safe(const char *tag, size_t len)
{
	return len > 0 && len <= MANIFEST_TAG_LEN_MAX && utf8_is_plain(tag, len);
}

int manifest_tag_compare(const struct manifest_tag *a, const struct manifest_tag *b)
{
	int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);

	return order ? order : (a->len > b->len) - (a->len < b->len);
}

static unsigned path_rank(char c)
{
	return c == '/' ? 0 : (unsigned)(uint8_t)c;
}

int manifest_path_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t len = a_len < b_len ? a_len : b_len;

	for (size_t i = 0; i < len; i++)
		if (a[i] != b[i])
			return path_rank(a[i]) < path_rank(b[i]) ? -1 : 1;
	return (a_len > b_len) - (a_len < b_len);
}
