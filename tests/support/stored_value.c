/* SPDX-License-Identifier: Apache-2.0 */
#include "support/stored_value.h"

#include <stdio.h>
#include <string.h>

#include "crypto/sha256.h"
#include "mesh/seam_neighbours.h"
#include "overlay/overlay_message.h"

#define TAG	   0x72
#define NAME_CAP   32
#define VALUE_LEN  9
#define LIFE_S	   86400
#define MEMORY_LEN (1u << 20)

static int value_check(void *ctx, const struct overlay_value *value, uint64_t wall_s,
		       struct overlay_claim *out_claim)
{
	(void)ctx;
	if (value->len != VALUE_LEN)
		return WEFT_EMALFORMED;
	*out_claim = (struct overlay_claim){.seq = 1, .expires_s = wall_s + LIFE_S};
	memcpy(out_claim->writer, value->bytes, VALUE_LEN);
	return 0;
}

struct overlay *stored_value_keeper(const struct overlay_params *params, uint32_t cap)
{
	static const struct overlay_rule rule = {.tag = TAG,
						 .prefix = "any:",
						 .len_max = VALUE_LEN,
						 .key_max = 8,
						 .check = value_check};
	struct overlay_params all = *params;
	struct overlay *overlay;

	overlay_config_defaults(&all.config);
	all.config.serve = OVERLAY_SERVE_ON;
	all.config.value_cap = cap;
	all.config.value_memory_len = all.config.answer_memory_len = MEMORY_LEN;
	all.config.requests_per_min = 1000000; /* the store alone is to refuse */
	all.neighbours = &mesh_neighbour_ops;
	if (overlay_new(&all, &overlay) < 0)
		return NULL;
	if (overlay_seam_of(overlay).ops->add_rule(overlay, &rule) == 0 &&
	    overlay_start(overlay, all.now_ns) == 0)
		return overlay;
	overlay_free(overlay);
	return NULL;
}

static size_t name_write(uint64_t number, char out[NAME_CAP], uint8_t key[SHA256_HASH_LEN])
{
	size_t len = (size_t)snprintf(out, NAME_CAP, "any:%016llx", (unsigned long long)number);

	sha256(out, len, key);
	return len;
}

static void value_write(uint64_t number, uint8_t out[VALUE_LEN])
{
	out[0] = TAG;
	memcpy(out + 1, &number, sizeof(number));
}

size_t stored_value_store(uint64_t number, uint64_t ttl_s, uint8_t out[STORED_VALUE_LEN_MAX])
{
	uint8_t key[SHA256_HASH_LEN], value[VALUE_LEN];
	struct writer w = writer_of(out, STORED_VALUE_LEN_MAX);
	struct overlay_store store = {
		.key = key, .value = value, .value_len = sizeof(value), .ttl_s = ttl_s};
	char name[NAME_CAP];

	store.name_len = name_write(number, name, key);
	store.name = (const uint8_t *)name;
	value_write(number, value);
	overlay_store_write(&w, &store);
	return writer_len(&w);
}

size_t stored_value_find(uint64_t number, uint8_t out[STORED_VALUE_LEN_MAX])
{
	struct writer w = writer_of(out, STORED_VALUE_LEN_MAX);
	uint8_t key[SHA256_HASH_LEN];
	struct overlay_find find = {.target = key};
	char name[NAME_CAP];

	(void)name_write(number, name, key);
	overlay_find_write(&w, &find, OVERLAY_KEY_LEN);
	return writer_len(&w);
}

bool stored_value_is_in(uint64_t number, const uint8_t *payload, size_t len)
{
	struct overlay_found found;
	uint8_t value[VALUE_LEN];

	value_write(number, value);
	if (overlay_found_parse(payload, len, &found) < 0)
		return false;
	for (unsigned i = 0; i < found.value_cnt; i++)
		if (found.values[i].len == sizeof(value) &&
		    memcmp(found.values[i].data, value, sizeof(value)) == 0)
			return true;
	return false;
}
