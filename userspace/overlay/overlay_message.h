/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OVERLAY_OVERLAY_MESSAGE_H
#define WEFT_OVERLAY_OVERLAY_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/byte_cursor.h"
#include "kad/id.h"
#include "mesh/seam.h"
#include "mesh/seam_overlay.h"

/*
 * The payloads of 200 to 202 (docs/wire/overlay.md). A later version may add fields: unknown
 * ones are skipped. Parsed values borrow the payload.
 */
#define OVERLAY_KEY_LEN 32 /* of a value: SHA-256 of its name */

/* A node as others are shown it. */
#define OVERLAY_NODES_MAX      20 /* in one answer: K */
#define OVERLAY_NODE_ADDRS_MAX 4
struct overlay_node {
	uint8_t key[MESH_KEY_LEN];
	struct addr addrs[OVERLAY_NODE_ADDRS_MAX]; /* the one to try first is first */
	unsigned addr_cnt;
};

/*
 * FIND_NODE: {0: target, 2: whether the asker serves}. FIND_VALUE: {0: key, 1: the writer
 * after which to go on, 2: as there}. Only 0 has to be there; what is false is left out.
 */
struct overlay_find {
	const uint8_t *target; /* KAD_ID_LEN, or OVERLAY_KEY_LEN of a value */
	const uint8_t *after;  /* OVERLAY_WRITER_LEN; NULL: from the first on */
	bool is_serving;
};
#define OVERLAY_FIND_LEN_MAX 80
void overlay_find_write(struct writer *w, const struct overlay_find *find, size_t target_len);
WEFT_MUST_CHECK
int overlay_find_parse(const uint8_t *data, size_t len, size_t target_len,
		       struct overlay_find *out_find);

/* STORE: {0: key, 1: name, 2: value, 3: for how many seconds}; 3 may be missing. */
struct overlay_store {
	const uint8_t *key;
	const uint8_t *name;
	size_t name_len; /* in [1, OVERLAY_NAME_LEN_MAX] */
	const uint8_t *value;
	size_t value_len; /* in [1, OVERLAY_VALUE_LEN_MAX] */
	uint64_t ttl_s;	  /* 0: not said */
};
#define OVERLAY_STORE_LEN_MAX (OVERLAY_VALUE_LEN_MAX + OVERLAY_NAME_LEN_MAX + 64)
void overlay_store_write(struct writer *w, const struct overlay_store *store);
/* overlay_store_parse: 0, WEFT_EMALFORMED or WEFT_ETOOLARGE (value). */
WEFT_MUST_CHECK
int overlay_store_parse(const uint8_t *data, size_t len, struct overlay_store *out_store);

/* The answer to STORE: {0: for how many seconds it is kept}. */
#define OVERLAY_STORED_LEN_MAX 16
void overlay_stored_write(struct writer *w, uint64_t stored_s);
WEFT_MUST_CHECK
int overlay_stored_parse(const uint8_t *data, size_t len, uint64_t *out_stored_s);

/*
 * The answer to both finds: {0: [[key, [PeerAddr]]], 1: [value], 2: writer of the last
 * value}; 1 and 2 only in that of FIND_VALUE, 2 only when more follow. Values of one answer
 * together have at most OVERLAY_PAGE_LEN_MAX bytes.
 */
#define OVERLAY_PAGE_LEN_MAX OVERLAY_VALUE_LEN_MAX
struct overlay_span {
	const uint8_t *data;
	size_t len;
};
struct overlay_found {
	struct overlay_node nodes[OVERLAY_NODES_MAX];
	unsigned node_cnt;
	struct overlay_span values[OVERLAY_KEY_MAX];
	unsigned value_cnt;
	const uint8_t *next; /* OVERLAY_WRITER_LEN; NULL: no more */
};
#define OVERLAY_NODES_LEN_MAX  4096 /* of an answer without values */
#define OVERLAY_VALUES_LEN_MAX (OVERLAY_PAGE_LEN_MAX + OVERLAY_KEY_MAX * 5 + OVERLAY_NODES_LEN_MAX)
void overlay_found_write(struct writer *w, const struct overlay_found *found, bool has_values);
WEFT_MUST_CHECK
int overlay_found_parse(const uint8_t *data, size_t len, struct overlay_found *out_found);

#endif
