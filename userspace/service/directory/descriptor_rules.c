/* SPDX-License-Identifier: Apache-2.0 */
#include "descriptor_rules.h"

#include <stdio.h>
#include <string.h>

#include "base/memory/arena.h"
#include "codec/text/hex.h"
#include "crypto/blake3/blake3.h"
#include "crypto/sha256.h"

#define PREFIX_BY_NAME "svc:"
#define PREFIX_BY_ID   "svcid:"

_Static_assert(SERVICE_VALUE_HASH_LEN == BLAKE3_HASH_LEN, "the hash of a value");

int service_rules_init(struct service_rules *rules, struct arena *arena)
{
	rules->verdicts = arena_alloc(arena, SERVICE_VERDICT_CNT * sizeof(*rules->verdicts));
	return rules->verdicts ? 0 : WEFT_EFULL;
}

size_t service_value_name(const char *name, char text[static SERVICE_VALUE_NAME_CAP])
{
	return (size_t)snprintf(text, SERVICE_VALUE_NAME_CAP, PREFIX_BY_NAME "%s", name);
}

size_t service_value_id(const uint8_t *id, char text[static SERVICE_VALUE_NAME_CAP])
{
	memcpy(text, PREFIX_BY_ID, sizeof(PREFIX_BY_ID) - 1);
	hex_write(id, SERVICE_ID_LEN, text + sizeof(PREFIX_BY_ID) - 1);
	return strlen(text);
}

/* A value that collides with another in its slot only costs a second verification. */
static bool signature_is_good(struct service_rules *rules, const uint8_t *bytes, size_t len,
			      const uint8_t hash[static SERVICE_VALUE_HASH_LEN])
{
	struct service_verdict *verdict =
		&rules->verdicts[(hash[0] | (unsigned)hash[1] << 8) % SERVICE_VERDICT_CNT];

	if (memcmp(verdict->hash, hash, sizeof(verdict->hash)) == 0) {
		rules->remembered_cnt++;
		return verdict->is_good;
	}
	rules->verified_cnt++;
	memcpy(verdict->hash, hash, sizeof(verdict->hash));
	verdict->is_good = service_descriptor_check_signature(bytes, len) == SERVICE_FINE;
	return verdict->is_good;
}

static bool is_under(const struct service_descriptor *descriptor, uint8_t tag, const void *name,
		     size_t len)
{
	char text[SERVICE_VALUE_NAME_CAP];
	size_t text_len = tag == SERVICE_TAG_BY_NAME ? service_value_name(descriptor->name, text)
						     : service_value_id(descriptor->id, text);

	return text_len == len && memcmp(text, name, len) == 0;
}

static void claim_make(const struct service_descriptor *descriptor, struct overlay_claim *out_claim)
{
	uint8_t writer[SERVICE_ID_LEN + 4];
	struct writer w = writer_of(writer, sizeof(writer));

	writer_bytes(&w, descriptor->id, SERVICE_ID_LEN);
	writer_be32(&w, descriptor->major);
	sha256(writer, sizeof(writer), out_claim->writer);
	out_claim->seq = descriptor->seq;
	out_claim->created_s = descriptor->created_s;
	out_claim->expires_s = descriptor->expires_s;
}

static enum service_fault value_check(struct service_rules *rules,
				      const struct overlay_value *value, const uint8_t *hash,
				      uint64_t wall_s, struct overlay_claim *out_claim)
{
	struct service_descriptor descriptor;
	enum service_fault fault;

	fault = service_descriptor_parse(value->bytes + 1, value->len - 1, &descriptor);
	if (!fault && !is_under(&descriptor, value->bytes[0], value->name, value->name_len))
		fault = SERVICE_OTHER_NAME;
	if (!fault)
		fault = service_descriptor_check_times(&descriptor, wall_s);
	if (!fault && !signature_is_good(rules, value->bytes + 1, value->len - 1, hash))
		fault = SERVICE_BAD_SIGNATURE;
	if (!fault)
		claim_make(&descriptor, out_claim);
	return fault;
}

static int rule_check(struct service_rules *rules, uint8_t tag, const struct overlay_value *value,
		      uint64_t wall_s, struct overlay_claim *out_claim)
{
	uint8_t hash[SERVICE_VALUE_HASH_LEN];
	enum service_fault fault;

	blake3_hash(value->bytes, value->len, hash);
	fault = value->len == 0 || value->bytes[0] != tag
			? SERVICE_MALFORMED
			: value_check(rules, value, hash, wall_s, out_claim);
	if (fault && rules->on_refused)
		rules->on_refused(rules->ctx, value->name, value->name_len, hash, fault);
	return service_faults[fault].code;
}

static int check_by_name(void *ctx, const struct overlay_value *value, uint64_t wall_s,
			 struct overlay_claim *out_claim)
{
	return rule_check(ctx, SERVICE_TAG_BY_NAME, value, wall_s, out_claim);
}

static int check_by_id(void *ctx, const struct overlay_value *value, uint64_t wall_s,
		       struct overlay_claim *out_claim)
{
	return rule_check(ctx, SERVICE_TAG_BY_ID, value, wall_s, out_claim);
}

int service_rules_add(struct service_rules *rules, const struct overlay_seam *overlay)
{
	const struct overlay_rule by_name = {
		.tag = SERVICE_TAG_BY_NAME,
		.prefix = PREFIX_BY_NAME,
		.len_max = SERVICE_VALUE_LEN_MAX,
		.key_max = SERVICE_PER_NAME_MAX,
		.prefix_max = SERVICE_PER_PREFIX_MAX,
		.check = check_by_name,
		.ctx = rules,
		.pool = "overlay.value_cap: service descriptors",
	};
	const struct overlay_rule by_id = {
		.tag = SERVICE_TAG_BY_ID,
		.prefix = PREFIX_BY_ID,
		.len_max = SERVICE_VALUE_LEN_MAX,
		.key_max = SERVICE_PER_ID_MAX,
		.check = check_by_id,
		.ctx = rules,
		.pool = "overlay.value_cap: service descriptors",
	};
	int err = overlay->ops->add_rule(overlay->overlay, &by_name);

	return err < 0 ? err : overlay->ops->add_rule(overlay->overlay, &by_id);
}
