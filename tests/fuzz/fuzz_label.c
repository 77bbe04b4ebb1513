/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules that tag files, and the list of what is published of a folder. The input is a path, a NUL
 * and the text: what the rules give to the path are tags that a manifest takes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "blobs/import/import.h"
#include "blobs/manifest/manifest.h"
#include "shares/publish/label.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_rules(const char *rules, const char *path)
{
	struct manifest_tag tags[MANIFEST_TAGS_MAX];
	struct manifest_item item = {.path = path, .path_len = strlen(path)};

	if (shares_label_rules_check(rules) < 0)
		return;
	shares_label_item(rules, &item, tags);
	weft_assert(item.tag_cnt <= MANIFEST_TAGS_MAX);
	weft_assert(!item.mime || blobs_manifest_mime_is_safe(item.mime, item.mime_len));
	for (uint32_t i = 0; i < item.tag_cnt; i++) {
		weft_assert(blobs_manifest_tag_is_safe(tags[i].text, tags[i].len));
		weft_assert(i == 0 || blobs_manifest_tag_compare(&tags[i - 1], &tags[i]) < 0);
	}
}

static void check_only(const char *only, const char *path)
{
	size_t len;

	if (!blobs_only_is_sound(only))
		return;
	(void)blobs_only_admits(only, path, strlen(path));
	for (const char *at = only, *line; (line = blobs_only_next(&at, &len));)
		weft_assert(blobs_only_admits(only, line, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 2);
	size_t path_len;

	weft_assert(text);
	if (len)
		memcpy(text, data, len);
	text[len] = text[len + 1] = '\0';
	path_len = strlen(text);
	if (blobs_manifest_path_is_safe(text, path_len)) {
		check_rules(text + path_len + 1, text);
		check_only(text + path_len + 1, text);
	}
	free(text);
	return 0;
}
