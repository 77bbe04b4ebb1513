/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SOCIAL_SLOTS_LAB_H
#define WEFT_TESTS_SOCIAL_SLOTS_LAB_H

#include "base/timer.h"
#include "crypto/node_key.h"
#include "social/ground/social_ground.h"
#include "social/object/social_address.h"
#include "social/slots/social_slot_message.h"
#include "social/slots/social_slots.h"
#include "support/mesh_lab.h"

/*
 * Nodes with mesh slots in a mesh lab. A node finds a source, a friend, one at a given address,
 * or one that the reporter has a session with. That takes 60 ms, or 5 s to fail.
 */
#define SLOTS_LAB_PLACES     260u
#define SLOTS_LAB_FRIENDS    64u
#define SLOTS_LAB_SOURCES    32u
#define SLOTS_LAB_LOCATE_CAP 64u
#define SLOTS_LAB_ANY	     UINT32_MAX

struct slots_lab_place;

struct slots_lab_locate {
	struct timer timer;
	struct slots_lab_place *place;
	struct slots_locate locate;
	struct slots_lab_place *to; /* NULL: nowhere */
	bool is_under_way;
};

struct slots_lab_place {
	struct mesh *node;
	struct node_key *key;
	struct social_ground ground;
	struct slots *slots; /* NULL: down */
	struct slots_config config;
	struct timer_wheel timers;
	unsigned friends[SLOTS_LAB_FRIENDS], friend_cnt; /* contacts, and preferred */
	unsigned sources[SLOTS_LAB_SOURCES], source_cnt;
	unsigned blocked;   /* a place; SLOTS_LAB_ANY: none */
	unsigned only;	    /* it dials this place alone; SLOTS_LAB_ANY: each */
	unsigned part;	    /* it dials its own part alone; SLOTS_LAB_ANY: each */
	unsigned moved_cnt; /* nodes that it looked for */
	bool is_anchor;
	uint8_t record[SOCIAL_ADDRESS_LEN_MAX]; /* its address record */
	size_t record_len;
	const uint8_t *post; /* it holds this public one, or NULL */
	unsigned held_cnt;   /* sessions that were wanted for a person, each time that they were */
	struct slots_lab_locate locates[SLOTS_LAB_LOCATE_CAP];
};

extern struct mesh_lab slots_lab;
extern struct slots_lab_place slots_lab_places[SLOTS_LAB_PLACES];
extern unsigned slots_lab_cnt;

/* slots_lab_begin: no places yet. seed 0: that of the run. slots_lab_end frees all. */
void slots_lab_begin(uint64_t seed);
void slots_lab_end(void);
/* slots_lab_add makes a place, down. slots_lab_up opens its slots, slots_lab_down is a crash. */
struct slots_lab_place *slots_lab_add(void);
void slots_lab_up(struct slots_lab_place *place);
void slots_lab_down(struct slots_lab_place *place);
/* slots_lab_meet makes a session without a dial. slots_lab_part ends it on both sides. */
void slots_lab_meet(struct slots_lab_place *from, struct slots_lab_place *to);
void slots_lab_part(struct slots_lab_place *from, struct slots_lab_place *to);
/* slots_lab_pass lets time pass; calls from the test before it are seen. */
void slots_lab_pass(uint64_t ns);
struct slots_stats slots_lab_stats(const struct slots_lab_place *place);
unsigned slots_lab_total(const struct slots_lab_place *place);
/* slots_lab_place_of: NULL: of no place. */
struct slots_lab_place *slots_lab_place_of(const uint8_t *key);

/*
 * slots_lab_star: a hub, place 0, that asks no node by itself, and cnt that know it alone; all down.
 * slots_lab_all_up starts each that is down.
 */
void slots_lab_star(unsigned cnt);
void slots_lab_all_up(void);
/*
 * slots_lab_send sends a message from outside of the slots of from; what it answers is in slots_lab_share,
 * slots_lab_diff or slots_lab_answer. slots_lab_send_share has version 9 and made-up nodes,
 * slots_lab_send_diff leads from version to 10.
 */
int slots_lab_send(struct slots_lab_place *from, struct slots_lab_place *to, unsigned type,
		   const struct writer *w);
int slots_lab_send_share(struct slots_lab_place *from, struct slots_lab_place *to,
			 unsigned node_cnt);
int slots_lab_send_diff(struct slots_lab_place *from, struct slots_lab_place *to, uint64_t version,
			unsigned node_cnt);
extern struct slot_share slots_lab_share;
extern struct slot_diff slots_lab_diff;
extern struct worm_answer slots_lab_answer;

#endif
