/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which service a request means: NAME[@NODE][@VERSION] in a path, percent-encoded or not, or
 * NAME[.NODE] in front of .localhost. Home worker.
 */
#include <stdio.h>
#include <string.h>

#include "codec/percent.h"
#include "codec/zbase32.h"
#include "node/web/web_mesh.h"

#define PREFER_LOCAL "prefer=local"

/* segment_decode writes a segment of a path without its coding; false: it is no text of a name. */
static bool segment_decode(const char *segment, size_t len, char out[static WEB_MESH_SEGMENT_CAP])
{
	size_t took, at = 0;

	for (size_t i = 0; i < len; i += took) {
		uint8_t byte;

		took = percent_read(segment + i, len - i, &byte);
		if (!took || at + 1 == WEB_MESH_SEGMENT_CAP || byte < ' ' || byte > '~')
			return false;
		out[at++] = (char)byte;
	}
	out[at] = '\0';
	return true;
}

static bool node_take(struct web_mesh_target *target, const char *text, size_t len)
{
	if (target->has_provider || len != ZBASE32_TEXT_LEN(MESH_KEY_LEN) ||
	    zbase32_parse(text, len, target->provider, MESH_KEY_LEN) != MESH_KEY_LEN)
		return false;
	target->has_provider = true;
	return true;
}

/* version_take: whether it is a range is seen where it is used. */
static bool version_take(struct web_mesh_target *target, const char *text, size_t len)
{
	if (target->version[0] || !len || len >= sizeof(target->version))
		return false;
	memcpy(target->version, text, len);
	target->version[len] = '\0';
	return true;
}

static bool name_take(struct web_mesh_target *target, const char *text, size_t len)
{
	if (!len || len > SERVICE_NAME_LEN_MAX)
		return false;
	memcpy(target->name, text, len);
	target->name[len] = '\0';
	return true;
}

/* named_parse reads NAME[@NODE][@VERSION], in this order. */
static bool named_parse(const char *text, struct web_mesh_target *target)
{
	size_t len = strcspn(text, "@");

	if (!name_take(target, text, len))
		return false;
	for (text += len; *text; text += len) {
		text++;
		len = strcspn(text, "@");
		if (target->version[0] ||
		    (!node_take(target, text, len) && !version_take(target, text, len)))
			return false;
	}
	return true;
}

bool web_mesh_target_parse(const char *path, struct web_mesh_target *out_target)
{
	size_t len = strcspn(path, "/");
	char text[WEB_MESH_SEGMENT_CAP];

	*out_target = (struct web_mesh_target){.rest = path + len};
	return segment_decode(path, len, text) && named_parse(text, out_target);
}

bool web_mesh_target_of_site(const char *site, const char *path, struct web_mesh_target *out_target)
{
	size_t len = strcspn(site, ".");

	*out_target = (struct web_mesh_target){.rest = path, .is_site = true};
	if (!name_take(out_target, site, len))
		return false;
	return !site[len] || node_take(out_target, site + len + 1, strlen(site + len + 1));
}

int web_mesh_site(const struct web_mesh *mesh, const char *name,
		  char out_site[static GATEWAY_SITE_CAP])
{
	char node[ZBASE32_KEY_TEXT_CAP] = "";
	struct web_mesh_target target = {.rest = ""};

	if (!named_parse(name, &target) || target.version[0])
		return WEFT_EMALFORMED;
	if (!web_mesh_allows(mesh, target.name, NULL))
		return WEFT_EABSENT;
	if (target.has_provider)
		zbase32_write(target.provider, MESH_KEY_LEN, node);
	snprintf(out_site, GATEWAY_SITE_CAP, "%s%s%s", target.name, node[0] ? "." : "", node);
	return 0;
}

bool web_mesh_prefers_local(const char *query)
{
	while (*query) {
		size_t len = strcspn(query, "&");

		if (len == strlen(PREFER_LOCAL) && memcmp(query, PREFER_LOCAL, len) == 0)
			return true;
		query += len + (query[len] == '&');
	}
	return false;
}
