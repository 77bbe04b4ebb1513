/* SPDX-License-Identifier: Apache-2.0 */
#include "label.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct mime_row {
	const char *end; /* lower case, ascending */
	const char *mime;
};

/* Names registered with IANA, for what people and public archives publish. */
/* clang-format off */
static const struct mime_row mimes[] = {
	{"7z", "application/x-7z-compressed"}, {"aac", "audio/aac"}, {"avi", "video/x-msvideo"},
	{"avif", "image/avif"}, {"bmp", "image/bmp"}, {"bz2", "application/x-bzip2"},
	{"css", "text/css"}, {"csv", "text/csv"}, {"deb", "application/vnd.debian.binary-package"},
	{"djvu", "image/vnd.djvu"}, {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
	{"epub", "application/epub+zip"}, {"flac", "audio/flac"}, {"gif", "image/gif"},
	{"gz", "application/gzip"}, {"htm", "text/html"}, {"html", "text/html"},
	{"ico", "image/vnd.microsoft.icon"}, {"iso", "application/x-iso9660-image"},
	{"jpeg", "image/jpeg"}, {"jpg", "image/jpeg"}, {"js", "text/javascript"},
	{"json", "application/json"}, {"jxl", "image/jxl"}, {"m4a", "audio/mp4"}, {"m4v", "video/mp4"},
	{"md", "text/markdown"}, {"mid", "audio/midi"}, {"mkv", "video/matroska"},
	{"mov", "video/quicktime"}, {"mp3", "audio/mpeg"}, {"mp4", "video/mp4"},
	{"mpeg", "video/mpeg"}, {"mpg", "video/mpeg"}, {"odt", "application/vnd.oasis.opendocument.text"},
	{"oga", "audio/ogg"}, {"ogg", "audio/ogg"}, {"ogv", "video/ogg"}, {"opus", "audio/ogg"},
	{"parquet", "application/vnd.apache.parquet"}, {"pdf", "application/pdf"},
	{"png", "image/png"}, {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
	{"rtf", "application/rtf"}, {"sqlite", "application/vnd.sqlite3"}, {"srt", "application/x-subrip"},
	{"svg", "image/svg+xml"}, {"tar", "application/x-tar"}, {"tif", "image/tiff"},
	{"tiff", "image/tiff"}, {"tsv", "text/tab-separated-values"}, {"txt", "text/plain"},
	{"vtt", "text/vtt"}, {"wasm", "application/wasm"}, {"wav", "audio/vnd.wave"},
	{"webm", "video/webm"}, {"webp", "image/webp"},
	{"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
	{"xml", "application/xml"}, {"xz", "application/x-xz"}, {"yaml", "application/yaml"},
	{"yml", "application/yaml"}, {"zip", "application/zip"}, {"zst", "application/zstd"},
};
/* clang-format on */

static int mime_compare(const void *end, const void *row)
{
	return strcasecmp(end, ((const struct mime_row *)row)->end);
}

const char *shares_label_mime(const char *name)
{
	const char *dot = strrchr(name, '.');
	const struct mime_row *row;

	if (!dot || dot == name || strchr(dot, '/'))
		return NULL;
	row = bsearch(dot + 1, mimes, sizeof(mimes) / sizeof(mimes[0]), sizeof(mimes[0]),
		      mime_compare);
	return row ? row->mime : NULL;
}

/* A line of rules: what it matches, "" for all, and the tag. */
struct rule {
	char glob[LABEL_RULES_CAP];
	struct manifest_tag tag;
};

/* rule_next reads the line at *at and steps over it; false at the end. */
static bool rule_next(const char **at, struct rule *out_rule)
{
	size_t len = strcspn(*at, "\n");
	const char *equals = memrchr(*at, '=', len);
	const char *tag = equals ? equals + 1 : *at;

	if (**at == '\0')
		return false;
	memcpy(out_rule->glob, *at, equals ? (size_t)(equals - *at) : 0);
	out_rule->glob[equals ? equals - *at : 0] = '\0';
	out_rule->tag = (struct manifest_tag){tag, (size_t)(*at + len - tag)};
	*at += len + ((*at)[len] == '\n');
	return true;
}

int shares_label_rules_check(const char *rules)
{
	struct rule rule;

	if (strnlen(rules, LABEL_RULES_CAP) == LABEL_RULES_CAP)
		return WEFT_ETOOLARGE;
	while (rule_next(&rules, &rule))
		if (!blobs_manifest_tag_is_safe(rule.tag.text, rule.tag.len))
			return WEFT_EMALFORMED;
	return 0;
}

static bool rule_matches(const struct rule *rule, const char *path)
{
	const char *slash = strrchr(path, '/');

	return rule->glob[0] == '\0' || fnmatch(rule->glob, path, 0) == 0 ||
	       (slash && fnmatch(rule->glob, slash + 1, 0) == 0);
}

/* tag_insert keeps tags ascending, each once. */
static uint32_t tag_insert(struct manifest_tag *tags, uint32_t cnt, const struct manifest_tag *tag)
{
	uint32_t at = 0;

	while (at < cnt && blobs_manifest_tag_compare(&tags[at], tag) < 0)
		at++;
	if (at < cnt && blobs_manifest_tag_compare(&tags[at], tag) == 0)
		return cnt;
	memmove(&tags[at + 1], &tags[at], (cnt - at) * sizeof(*tags));
	tags[at] = *tag;
	return cnt + 1;
}

void shares_label_item(const char *rules, struct manifest_item *item,
		       struct manifest_tag tags[static MANIFEST_TAGS_MAX])
{
	struct rule rule;

	item->mime = shares_label_mime(item->path);
	item->mime_len = item->mime ? strlen(item->mime) : 0;
	item->tag_cnt = 0;
	while (item->tag_cnt < MANIFEST_TAGS_MAX && rule_next(&rules, &rule))
		if (rule_matches(&rule, item->path))
			item->tag_cnt = tag_insert(tags, item->tag_cnt, &rule.tag);
	item->tags = item->tag_cnt ? tags : NULL;
}
