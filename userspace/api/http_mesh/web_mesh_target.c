/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which service a request means: NAME[@NODE][@VERSION] in a path, percent-encoded or not, or
 * NAME[.NODE] in front of .localhost. Home worker.
 */
#include <stdio.h>
#include <string.h>

#include "codec/text/percent.h"
#include "codec/text/zbase32.h"
#include "web_mesh.h"

#define PREFER_LOCAL "prefer=local"
#define POD_SERVICE  "pod-chat"
#define POD_PART     "pod="

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

bool api_http_mesh_target_parse(const char *path, struct web_mesh_target *out_target)
{
	size_t len = strcspn(path, "/");
	char text[WEB_MESH_SEGMENT_CAP];

	*out_target = (struct web_mesh_target){.rest = path + len};
	return segment_decode(path, len, text) &&
	       service_named_parse(text, &out_target->service) == 0;
}

bool api_http_mesh_target_of_site(const char *site, const char *path,
				  struct web_mesh_target *out_target)
{
	char text[GATEWAY_SITE_CAP];
	char *point;

	*out_target = (struct web_mesh_target){.rest = path, .is_site = true};
	snprintf(text, sizeof(text), "%s", site);
	point = strchr(text, '.');
	if (point)
		*point = '@';
	/* A host names no version. */
	return service_named_parse(text, &out_target->service) == 0 &&
	       !out_target->service.version[0];
}

int api_http_mesh_site(const struct web_mesh *mesh, const char *name,
		       char out_site[static GATEWAY_SITE_CAP])
{
	char node[ZBASE32_KEY_TEXT_CAP] = "";
	struct service_named target;

	if (service_named_parse(name, &target) < 0 || target.version[0])
		return WEFT_EMALFORMED;
	if (!api_http_mesh_allows(mesh, target.name, NULL))
		return WEFT_EABSENT;
	if (target.has_provider)
		zbase32_write(target.provider, MESH_KEY_LEN, node);
	snprintf(out_site, GATEWAY_SITE_CAP, "%s%s%s", target.name, node[0] ? "." : "", node);
	return 0;
}

bool api_http_mesh_prefers_local(const char *query)
{
	while (*query) {
		size_t len = strcspn(query, "&");

		if (len == strlen(PREFER_LOCAL) && memcmp(query, PREFER_LOCAL, len) == 0)
			return true;
		query += len + (query[len] == '&');
	}
	return false;
}

/* pod_node_find: where the node of the first pod=ID@NODE begins, its '@' included; NULL: there is none. */
static const char *pod_node_find(const char *query, size_t *out_len, size_t *out_at_len)
{
	while (*query) {
		size_t len = strcspn(query, "&");

		for (size_t at = strlen(POD_PART); at < len; at++) {
			bool is_coded = len - at >= 3 && memcmp(query + at, "%40", 3) == 0;

			if (memcmp(query, POD_PART, strlen(POD_PART)) != 0)
				break;
			if (query[at] != '@' && !is_coded)
				continue;
			*out_at_len = is_coded ? 3 : 1;
			*out_len = len - at;
			return query + at;
		}
		query += len + (query[len] == '&');
	}
	return NULL;
}

bool api_http_mesh_pod_read(const char *query, struct service_named *service)
{
	uint8_t key[MESH_KEY_LEN];
	size_t len, at_len;
	const char *node;

	if (strcmp(service->name, POD_SERVICE) != 0 ||
	    (node = pod_node_find(query, &len, &at_len)) == NULL)
		return true;
	if (len - at_len != ZBASE32_TEXT_LEN(MESH_KEY_LEN) ||
	    zbase32_parse(node + at_len, len - at_len, key, sizeof(key)) != MESH_KEY_LEN ||
	    (service->has_provider && memcmp(service->provider, key, sizeof(key)) != 0))
		return false;
	memcpy(service->provider, key, sizeof(key));
	service->has_provider = true;
	return true;
}

void api_http_mesh_pod_strip(const struct service_named *service, char *query)
{
	size_t len, at_len;
	const char *node;

	if (strcmp(service->name, POD_SERVICE) != 0 ||
	    (node = pod_node_find(query, &len, &at_len)) == NULL)
		return;
	memmove(query + (node - query), node + len, strlen(node + len) + 1);
}
