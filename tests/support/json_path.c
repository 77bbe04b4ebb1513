/* SPDX-License-Identifier: Apache-2.0 */
#include "support/json_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const json_t *json_path_at(const json_t *root, const char *path)
{
	const json_t *at = root;
	char name[64];

	while (at && *path) {
		size_t len = strcspn(path, ".");

		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		at = json_is_array(at) ? json_array_get(at, strtoul(name, NULL, 10))
				       : json_object_get(at, name);
		path += len + (path[len] == '.');
	}
	return at;
}

const char *json_path_text(const json_t *root, const char *path)
{
	const char *text = json_string_value(json_path_at(root, path));

	return text ? text : "";
}

long long json_path_number(const json_t *root, const char *path)
{
	const json_t *at = json_path_at(root, path);

	if (json_is_boolean(at))
		return json_is_true(at);
	return json_is_integer(at) ? json_integer_value(at) : -1;
}
