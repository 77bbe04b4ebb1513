/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "api/services/method_service_idl.h"
#include "service/directory/description.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What was taken is taken again, and is the same. */
static void check_again(json_t *description)
{
	char *text = json_dumps(description, JSON_COMPACT);
	json_t *again;
	const char *why;

	weft_assert(text);
	if (strlen(text) <= SERVICE_DESCRIPTION_LEN_MAX) {
		weft_assert(service_description_load(text, strlen(text), &again, &why) == 0);
		weft_assert(json_equal(description, again));
		json_decref(again);
	}
	free(text);
}

/* What an owner says of a service, what a peer answers, and the interface of a program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1), why_idl[SERVICE_IDL_WHY_CAP];
	json_t *json;
	const char *why;

	weft_assert(text);
	memcpy(text, data, len);
	text[len] = '\0';
	if (service_description_load(text, len, &json, &why) == 0) {
		check_again(json);
		json_decref(json);
	}
	if (service_described_load(text, len, &json, &why) == 0) {
		weft_assert(json_is_array(json_object_get(json, "methods")));
		json_decref(json);
	}
	if (api_service_idl_description(text, &json, why_idl) == 0)
		json_decref(json);
	free(text);
	return 0;
}
