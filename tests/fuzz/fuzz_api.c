/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "varlink/node.h"
#include "base/assert.h"
#include "codec/json_heap.h"

/*
 * The first byte picks a method, its highest bit the reply in place of the
 * parameters; the rest is JSON. What is read as that struct is written and
 * read again as the same.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void parse_again(const struct varlink_type *type, json_t *written)
{
	struct varlink_blocks blocks = {0};
	char field[VARLINK_FIELD_CAP];
	const void *made;
	json_t *again;

	weft_assert(varlink_parse(type, written, &blocks, &made, field) == 0);
	again = varlink_write(type, made);
	weft_assert(json_equal(written, again));
	json_decref(again);
	varlink_blocks_free(&blocks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct varlink_method *method;
	const struct varlink_type *type;
	struct varlink_blocks blocks = {0};
	char field[VARLINK_FIELD_CAP];
	const void *made;
	json_t *json, *written;

	if (len == 0 || json_heap_load((const char *)data + 1, len - 1, 0, &json) < 0)
		return 0;
	method = &api_node_methods[(data[0] & 127) % API_NODE_METHOD_CNT];
	type = data[0] & 128 ? method->out : method->in;
	if (varlink_parse(type, json, &blocks, &made, field) == 0) {
		weft_assert(varlink_check(type, json, field));
		written = varlink_write(type, made);
		parse_again(type, written);
		json_decref(written);
	} else {
		weft_assert(!varlink_check(type, json, field));
	}
	varlink_blocks_free(&blocks);
	json_decref(json);
	return 0;
}
