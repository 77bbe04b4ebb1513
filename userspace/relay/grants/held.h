/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_GRANTS_HELD_H
#define WEFT_RELAY_GRANTS_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "grant_record.h"

/* The grants that this node holds: it shows one to each relay that may honour it. Pure. */
#define RELAY_HELD_MAX	    8u
#define RELAY_HELD_META	    "relay-grants" /* the row of the store's meta for relay_held_write */
#define RELAY_HELD_TEXT_CAP (RELAY_HELD_MAX * (RELAY_GRANT_TEXT_CAP + 1))

struct relay_held {
	struct {
		uint8_t bytes[RELAY_SHOWN_LEN_MAX];
		uint16_t len;
		bool is_used;		  /* given at run time: relay_held_write has it */
		struct relay_shown shown; /* of bytes */
	} grants[RELAY_HELD_MAX];
	unsigned cnt;
	bool is_on_way; /* the next one is on its way into the store */
};

/*
 * relay_held_add: one more, as text. user: the key that will show it. RELAY_GRANT_FINE also for one
 * that is not valid yet or has expired; else why it is of no use to that key, or RELAY_GRANT_FULL.
 */
enum relay_grant_fault relay_held_add(struct relay_held *held, const char *text,
				      const uint8_t user[static 32]);
/*
 * relay_held_use: as relay_held_add, at run time: grants that have expired by wall_s make room, and
 * one that is held already is fine. relay_held_write: the lines of those given so; their length.
 */
enum relay_grant_fault relay_held_use(struct relay_held *held, const char *text,
				      const uint8_t user[static 32], uint64_t wall_s);
size_t relay_held_write(const struct relay_held *held, char text[static RELAY_HELD_TEXT_CAP]);
/*
 * relay_held_choose: the index of a grant that is valid at relay by wall_s, or RELAY_HELD_MAX. It is
 * the first that lets content pass, else the first.
 */
unsigned relay_held_choose(const struct relay_held *held, const uint8_t relay[static 32],
			   uint64_t wall_s);

#endif
