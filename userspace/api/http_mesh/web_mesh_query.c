/* SPDX-License-Identifier: Apache-2.0 */
/* A query's parameters (application/x-www-form-urlencoded) as a JSON object. */
#include <string.h>

#include "codec/text/percent.h"
#include "codec/text/utf8.h"
#include "web_mesh.h"

/* part_decode writes part without its coding; false: a '%' with no two digits behind it. */
static bool part_decode(const char *part, size_t len, char out[static WEB_MESH_QUERY_CAP + 1],
			size_t *out_len)
{
	size_t took, out_at = 0;

	for (size_t at = 0; at < len; at += took) {
		uint8_t byte;

		took = percent_read(part + at, len - at, &byte);
		if (!took)
			return false;
		out[out_at++] = part[at] == '+' ? ' ' : (char)byte;
	}
	*out_len = out_at;
	return true;
}

/* parameter_set: one that comes again makes a list. */
static int parameter_set(json_t *object, const char *name, size_t name_len, json_t *value)
{
	json_t *was = json_object_getn(object, name, name_len);

	if (!was)
		return json_object_setn_new(object, name, name_len, value);
	if (json_is_array(was))
		return json_array_append_new(was, value);
	return json_object_setn_new(object, name, name_len, json_pack("[O, o]", was, value));
}

/* parameter_take reads NAME[=VALUE]. */
static bool parameter_take(json_t *object, const char *text, size_t len)
{
	char name[WEB_MESH_QUERY_CAP + 1], value[WEB_MESH_QUERY_CAP + 1];
	const char *equals = memchr(text, '=', len);
	size_t name_part = equals ? (size_t)(equals - text) : len;
	size_t name_len, value_len = 0;

	if (!part_decode(text, name_part, name, &name_len) ||
	    (equals && !part_decode(equals + 1, len - name_part - 1, value, &value_len)))
		return false;
	if (name_len == 6 && memcmp(name, "prefer", 6) == 0)
		return true; /* the gateway's own */
	if (!name_len || !utf8_is_valid(name, name_len) || !utf8_is_valid(value, value_len))
		return false;
	return parameter_set(object, name, name_len, json_stringn(value, value_len)) == 0;
}

json_t *api_http_mesh_query_json(const char *query)
{
	json_t *object = json_object();

	while (object && *query) {
		size_t len = strcspn(query, "&");

		if (len && !parameter_take(object, query, len)) {
			json_decref(object);
			return NULL;
		}
		query += len + (query[len] == '&');
	}
	return object;
}
