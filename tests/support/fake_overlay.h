/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_FAKE_OVERLAY_H
#define WEFT_TESTS_FAKE_OVERLAY_H

#include "mesh/seam_overlay.h"

/*
 * The overlay as one table in memory. Rules judge what is put and what is
 * got, the highest sequence number of a writer wins, and nothing comes before
 * fake_overlay_turn. Lies of others are injected without being judged.
 */
struct fake_value {
	char name[OVERLAY_NAME_LEN_MAX];
	size_t name_len;
	uint8_t *bytes;
	size_t len;
	bool is_put; /* not injected */
	struct overlay_claim claim;
};

struct fake_overlay {
	struct overlay_rule rules[4];
	unsigned rule_cnt;
	struct fake_value *values;
	size_t value_cnt;
	struct overlay_run *runs; /* oldest first */
	uint64_t wall_s;
	unsigned put_cnt, get_cnt, cancel_cnt;
	unsigned keeper_cnt; /* nodes that hold what is put */
	int err;	     /* passed to done; 0: it works */
	int start_err;	     /* given by put and get */
};

/* fake_overlay_seam: fake is zeroed. */
struct overlay_seam fake_overlay_seam(struct fake_overlay *fake);
void fake_overlay_fini(struct fake_overlay *fake);
/* fake_overlay_inject lets value, whatever it is, be found under name. */
void fake_overlay_inject(struct fake_overlay *fake, const char *name, const uint8_t *value,
			 size_t len);
/* fake_overlay_turn ends what was begun before. */
void fake_overlay_turn(struct fake_overlay *fake, uint64_t now_ns);
/* fake_overlay_find: the n-th value that was put under name; NULL: there are not so many. */
const struct fake_value *fake_overlay_find(const struct fake_overlay *fake, const char *name,
					   unsigned n);

#endif
