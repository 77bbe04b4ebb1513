/* SPDX-License-Identifier: Apache-2.0 */
/* A URL's query, as long as one may be: what becomes JSON is an object of texts and lists of texts. */
#include <string.h>

#include "base/assert.h"
#include "api/http_mesh/web_mesh.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char query[WEB_MESH_QUERY_CAP + 1];
	const char *name;
	json_t *object, *value, *item;
	size_t i;

	if (len >= sizeof(query))
		return 0;
	memcpy(query, data, len);
	query[len] = '\0';
	object = api_http_mesh_query_json(query);
	json_object_foreach(object, name, value)
	{
		weft_assert(json_is_string(value) || json_array_size(value) > 1);
		json_array_foreach(value, i, item) weft_assert(json_is_string(item));
	}
	json_decref(object);
	return 0;
}
