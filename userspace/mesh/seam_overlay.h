/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_SEAM_OVERLAY_H
#define WEFT_MESH_SEAM_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * The table that nodes of the mesh keep together: under a key, the signed values of many
 * writers. A folder that owns a kind of value registers a rule, by which storers judge it
 * without knowing its meaning. Then it puts and gets by *name*: the bytes whose SHA-256 is the
 * key.
 *
 * Home worker; nothing blocks; done and value are never called inside the call.
 */
struct overlay;
struct overlay_run; /* a put or get under way */

#define OVERLAY_NAME_LEN_MAX  256
#define OVERLAY_VALUE_LEN_MAX 65536
#define OVERLAY_WRITER_LEN    32
#define OVERLAY_KEY_MAX	      64

/* The facts that a rule states about a value that it accepts. */
struct overlay_claim {
	uint8_t writer[OVERLAY_WRITER_LEN]; /* a key holds one value of each writer */
	uint64_t seq;			    /* the highest wins; of equal ones is_newer decides */
	uint64_t created_s, expires_s;	    /* wall clock */
	unsigned teller; /* of a get: a number of the node that gave it, 0: this node */
};

/* A value, its tag first, and the name that it lies under. Borrowed. */
struct overlay_value {
	const void *name;
	size_t name_len;
	const uint8_t *bytes;
	size_t len;
};

struct overlay_rule {
	uint8_t tag;	    /* the value's first byte */
	const char *prefix; /* names begin with it, as text: "svc:" */
	size_t len_max;	    /* bytes of a value, at most OVERLAY_VALUE_LEN_MAX */
	unsigned key_max;   /* values per key, in [1, OVERLAY_KEY_MAX] */
	/*
	 * Values per key that were stored from one /24 of IPv4 or /56 of IPv6; 0: as many
	 * as key_max. Does not apply on the own site, where all may be in one.
	 */
	unsigned prefix_max;
	/*
	 * Is value one that may lie under its name at wall_s? Checks form,
	 * signature, times and that name is its own; fills *out_claim.
	 * 0, WEFT_EMALFORMED, EDAMAGED (signature), ESTALE (expired), EREFUSED (from
	 * the future, or another's name), ETOOLARGE.
	 */
	int (*check)(void *ctx, const struct overlay_value *value, uint64_t wall_s,
		     struct overlay_claim *out_claim);
	/*
	 * Two values of one writer and number that differ: does value take the place of kept? As
	 * readers of both decide, so that all storers end with what readers do. NULL: the first
	 * stays.
	 */
	bool (*is_newer)(void *ctx, const struct overlay_value *value,
			 const struct overlay_value *kept);
	void *ctx;
	const char *pool; /* static: what refuses a value when the store is full, for people */
};

struct overlay_result {
	int err;	      /* 0, WEFT_EUNREACHABLE (no node to ask), WEFT_ETIMEOUT */
	unsigned asked_cnt;   /* nodes */
	unsigned stored_cnt;  /* put: nodes that hold it now */
	unsigned refused_cnt; /* get: values that the rule refused; put: nodes that would not */
	uint64_t took_ns;
};
typedef void (*overlay_done_fn)(void *arg, const struct overlay_result *result, uint64_t now_ns);
/* A value that the rule accepts; several versions of one writer may come, in any order. Borrowed. */
typedef void (*overlay_value_fn)(void *arg, const uint8_t *value, size_t len,
				 const struct overlay_claim *claim);

struct overlay_put_params {
	struct overlay_value value; /* copied */
	overlay_done_fn done;
	void *arg;
};

struct overlay_get_params {
	const void *name;
	size_t name_len;
	uint8_t tag; /* of the values */
	overlay_value_fn value;
	overlay_done_fn done;
	void *arg;
};

/*
 * add_rule: at start; rule is copied, prefix lives as long as the overlay. 0, WEFT_EFULL,
 *     WEFT_EEXISTS (its tag, or a prefix that begins with its or the other way round),
 *     WEFT_EMALFORMED.
 * put stores a value at the nodes closest to name's key, this one among them if
 *     it serves, until it expires but for at most seven days. Once: its owner puts it
 *     again at half its life. 0 or WEFT_EFULL, WEFT_EUNKNOWN (no rule for its tag),
 *     WEFT_EMALFORMED (a name that is not the tag's), or what the rule says of it.
 * get asks for the values under name, of rule tag; those stored here come first. As put.
 * cancel takes a run back: nothing is called any more.
 */
struct overlay_ops {
	int (*add_rule)(struct overlay *overlay, const struct overlay_rule *rule);
	int (*put)(struct overlay *overlay, const struct overlay_put_params *params,
		   uint64_t now_ns, struct overlay_run **out_run);
	int (*get)(struct overlay *overlay, const struct overlay_get_params *params,
		   uint64_t now_ns, struct overlay_run **out_run);
	void (*cancel)(struct overlay_run *run);
};

struct overlay_seam {
	const struct overlay_ops *ops;
	struct overlay *overlay;
};

#endif
