/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_DIRECTORY_DESCRIPTOR_RULES_H
#define WEFT_SERVICE_DIRECTORY_DESCRIPTOR_RULES_H

#include <stdbool.h>

#include "mesh/seam_overlay.h"
#include "descriptor.h"

struct arena;

/*
 * The rules by which the overlay judges descriptors, put by others or found. A value is its tag
 * and a signed descriptor. The key "svc:" and the name holds those of every owner, at most
 * SERVICE_PER_NAME_MAX. The key "svcid:" and the id in hexadecimal holds those of one owner, one
 * for each version. Under both a writer is an id with a major version.
 *
 * A lookup brings the same bytes from many nodes, and a signature costs some 50 us. So the last
 * few that were verified are remembered by their hash.
 */
#define SERVICE_TAG_BY_NAME    0x10
#define SERVICE_TAG_BY_ID      0x11
#define SERVICE_PER_NAME_MAX   32
#define SERVICE_PER_ID_MAX     8
#define SERVICE_PER_PREFIX_MAX 2 /* of one name, put from one /24 or /56 */

#define SERVICE_VALUE_LEN_MAX  (1 + SERVICE_DESCRIPTOR_LEN_MAX)
#define SERVICE_VALUE_NAME_CAP 80 /* of "svcid:" and 64 digits, or "svc:" and a name */
#define SERVICE_VALUE_HASH_LEN 32
#define SERVICE_VERDICT_CNT    1024u

struct service_verdict {
	uint8_t hash[SERVICE_VALUE_HASH_LEN];
	bool is_good;
};

struct service_rules {
	struct service_verdict *verdicts;
	/* A value under name was refused. May be NULL. */
	void (*on_refused)(void *ctx, const void *name, size_t len,
			   const uint8_t hash[static SERVICE_VALUE_HASH_LEN],
			   enum service_fault fault);
	void *ctx;
	uint64_t verified_cnt, remembered_cnt; /* signatures */
};

/* service_rules_init sets verdicts; the rest is the caller's. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int service_rules_init(struct service_rules *rules, struct arena *arena);
/* service_rules_add: at start; rules lives as long as the overlay. As overlay_ops.add_rule. */
WEFT_MUST_CHECK
int service_rules_add(struct service_rules *rules, const struct overlay_seam *overlay);

/* service_value_{name,id} write what descriptors lie under, and return its length. */
size_t service_value_name(const char *name, char text[static SERVICE_VALUE_NAME_CAP]);
size_t service_value_id(const uint8_t *id, char text[static SERVICE_VALUE_NAME_CAP]);

#endif
