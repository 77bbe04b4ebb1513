/* SPDX-License-Identifier: Apache-2.0 */
/* The valid texts of a manifest and their order (manifest.h). */
#include "manifest.h"

#include <string.h>

#include "codec/text/utf8.h"
#include "crypto/blake3/blake3.h"

uint64_t blobs_manifest_chunk_cnt(uint64_t size)
{
	return size / BLAKE3_CHUNK_LEN + (size % BLAKE3_CHUNK_LEN != 0);
}

static bool name_is_safe(const char *name, size_t len)
{
	const size_t prefix_len = sizeof(MANIFEST_STAGING_PREFIX) - 1;

	if (len == 0 || len > MANIFEST_NAME_LEN_MAX)
		return false;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return false;
	return len < prefix_len || memcmp(name, MANIFEST_STAGING_PREFIX, prefix_len) != 0;
}

bool blobs_manifest_path_is_safe(const char *path, size_t len)
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

bool blobs_manifest_title_is_safe(const char *title)
{
	size_t len = strnlen(title, MANIFEST_TITLE_CAP);

	return len < MANIFEST_TITLE_CAP && utf8_is_plain(title, len);
}

static bool is_up(const char *part, size_t len)
{
	return len == 2 && part[0] == '.' && part[1] == '.';
}

static size_t part_len(const char *at, const char *end)
{
	const char *slash = memchr(at, '/', (size_t)(end - at));

	return (size_t)((slash ? slash : end) - at);
}

bool blobs_manifest_link_is_safe(const char *path, size_t path_len, const char *text,
				 size_t text_len)
{
	const char *end = text + text_len, *last = path;
	size_t depth = 0;

	if (text_len > MANIFEST_LINK_LEN_MAX)
		return false;
	while ((last = memchr(last, '/', (size_t)(path + path_len - last)))) {
		last++;
		depth++;
	}
	while (text < end && is_up(text, part_len(text, end))) {
		if (depth-- == 0)
			return false;
		if (text + 2 == end)
			return true;
		text += 3;
	}
	return blobs_manifest_path_is_safe(text, (size_t)(end - text));
}

size_t blobs_manifest_link_normalise(char *text, size_t len)
{
	const char *at = text, *end = text + len;
	char *to = text;

	/* A '/' at the beginning is no part that is empty: it leads out. */
	if (len > 0 && text[0] == '/')
		return len;
	while (at < end) {
		size_t part = part_len(at, end);

		if (part > 0 && !(part == 1 && at[0] == '.')) {
			if (to > text)
				*to++ = '/';
			memmove(to, at, part);
			to += part;
		}
		at += part + (at + part < end);
	}
	return (size_t)(to - text);
}

/* Lines of text, for people; what else controls a terminal is no part of it. */
bool blobs_manifest_description_is_safe(const char *text, size_t len)
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

bool blobs_manifest_mime_is_safe(const char *mime, size_t len)
{
	const char *slash = memchr(mime, '/', len);

	if (len > MANIFEST_MIME_LEN_MAX || !slash || slash == mime || slash + 1 == mime + len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (mime[i] <= ' ' || mime[i] > '~')
			return false;
	return true;
}

bool blobs_manifest_tag_is_safe(const char *tag, size_t len)
{
	return len > 0 && len <= MANIFEST_TAG_LEN_MAX && utf8_is_plain(tag, len);
}

int blobs_manifest_tag_compare(const struct manifest_tag *a, const struct manifest_tag *b)
{
	int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);

	return order ? order : (a->len > b->len) - (a->len < b->len);
}

static unsigned path_rank(char c)
{
	return c == '/' ? 0 : (unsigned)(uint8_t)c;
}

int blobs_manifest_path_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t len = a_len < b_len ? a_len : b_len;

	for (size_t i = 0; i < len; i++)
		if (a[i] != b[i])
			return path_rank(a[i]) < path_rank(b[i]) ? -1 : 1;
	return (a_len > b_len) - (a_len < b_len);
}
