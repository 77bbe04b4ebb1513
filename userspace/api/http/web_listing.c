/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory for people and for programs. Its entries may come from
 * another node: each name is escaped for where it stands.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web_content.h"

#define LISTING_CAP_FIRST 8192u

static void listing_add(struct web_listing *listing, const char *data, size_t len)
{
	if (listing->has_room && listing->len + len > listing->cap) {
		size_t cap = 2 * (listing->len + len);
		char *text = realloc(listing->text, cap);

		listing->has_room = text != NULL;
		listing->text = text ? text : listing->text;
		listing->cap = text ? cap : listing->cap;
	}
	if (!listing->has_room)
		return;
	memcpy(listing->text + listing->len, data, len);
	listing->len += len;
}

static void listing_text(struct web_listing *listing, const char *text)
{
	listing_add(listing, text, strlen(text));
}

static void listing_html(struct web_listing *listing, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		switch (text[i]) {
		case '<':
			listing_text(listing, "&lt;");
			break;
		case '>':
			listing_text(listing, "&gt;");
			break;
		case '&':
			listing_text(listing, "&amp;");
			break;
		case '"':
			listing_text(listing, "&quot;");
			break;
		default:
			listing_add(listing, &text[i], 1);
		}
	}
}

/* All but what a path part may hold as it is (RFC 3986, unreserved) is encoded. */
static void listing_url(struct web_listing *listing, const char *text, size_t len)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~";

	for (size_t i = 0; i < len; i++) {
		char code[4];

		if (memchr(plain, text[i], sizeof(plain) - 1)) {
			listing_add(listing, &text[i], 1);
			continue;
		}
		snprintf(code, sizeof(code), "%%%02X", (unsigned char)text[i]);
		listing_text(listing, code);
	}
}

/* Names hold no control characters (blobs_manifest_path_is_safe). */
static void listing_json_string(struct web_listing *listing, const char *text, size_t len)
{
	listing_text(listing, "\"");
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"' || text[i] == '\\')
			listing_text(listing, "\\");
		listing_add(listing, &text[i], 1);
	}
	listing_text(listing, "\"");
}

static void entry_json(struct web_listing *listing, const struct tree_entry *entry)
{
	char size[32];

	listing_text(listing, listing->cnt ? ",{\"name\":" : "{\"name\":");
	listing_json_string(listing, entry->name, entry->name_len);
	if (entry->kind == TREE_DIR) {
		listing_text(listing, ",\"kind\":\"directory\"}");
		return;
	}
	snprintf(size, sizeof(size), "%llu}", (unsigned long long)entry->size);
	listing_text(listing, ",\"kind\":\"file\",\"size\":");
	listing_text(listing, size);
}

static void entry_html(struct web_listing *listing, const struct tree_entry *entry)
{
	const char *slash = entry->kind == TREE_DIR ? "/" : "";
	char size[32] = "";

	listing_text(listing, "<tr><td><a href=\"./");
	listing_url(listing, entry->name, entry->name_len);
	listing_text(listing, slash);
	listing_text(listing, "\">");
	listing_html(listing, entry->name, entry->name_len);
	listing_text(listing, slash);
	if (entry->kind == TREE_FILE)
		snprintf(size, sizeof(size), "%llu", (unsigned long long)entry->size);
	listing_text(listing, "</a></td><td>");
	listing_text(listing, size);
	listing_text(listing, "</td></tr>\n");
}

static bool entry_add(void *arg, const struct tree_entry *entry)
{
	struct web_listing *listing = arg;

	if (listing->cnt == WEB_LISTING_MAX) {
		listing->is_cut = true;
		return false;
	}
	if (listing->is_json)
		entry_json(listing, entry);
	else
		entry_html(listing, entry);
	listing->cnt++;
	return listing->has_room;
}

static void listing_begin(struct web_listing *listing, const char *path, size_t len)
{
	if (listing->is_json) {
		listing_text(listing, "{\"path\":");
		listing_json_string(listing, path, len);
		listing_text(listing, ",\"entries\":[");
		return;
	}
	listing_text(listing, "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>/");
	listing_html(listing, path, len);
	listing_text(listing, "</title>\n<style>td+td{text-align:right;padding-left:2em}</style>\n"
			      "<h1>/");
	listing_html(listing, path, len);
	listing_text(listing, "</h1>\n<table>\n");
	if (len > 0)
		listing_text(listing, "<tr><td><a href=\"../\">../</a></td><td></td></tr>\n");
}

static void listing_end(struct web_listing *listing)
{
	if (listing->is_json) {
		listing_text(listing,
			     listing->is_cut ? "],\"is_cut\":true}" : "],\"is_cut\":false}");
		return;
	}
	listing_text(listing, "</table>\n");
	if (listing->is_cut)
		listing_text(listing, "<p>There are more entries than are shown.</p>\n");
}

int api_http_listing_make(struct store *store, const uint8_t manifest_id[static 32],
			  const char *path, size_t len, struct web_listing *listing)
{
	int err;

	listing->has_room = true;
	listing->text = malloc(LISTING_CAP_FIRST);
	if (!listing->text)
		return -ENOMEM;
	listing->cap = LISTING_CAP_FIRST;
	listing_begin(listing, path, len);
	err = blobs_tree_list(store, &(struct tree_ask){manifest_id, path, len}, entry_add,
			      listing);
	if (err)
		return err;
	listing_end(listing);
	return listing->has_room ? 0 : -ENOMEM;
}

void api_http_listing_fini(struct web_listing *listing)
{
	free(listing->text);
	listing->text = NULL;
}

const char *api_http_listing_type(const struct web_listing *listing)
{
	return listing->is_json ? "application/json" : "text/html; charset=utf-8";
}
