/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_FIND_RELAY_FIND_STATE_H
#define WEFT_RELAY_FIND_RELAY_FIND_STATE_H

#include "base/fair/request_quota.h"
#include "base/memory/arena.h"
#include "list_message.h"
#include "relay_find.h"

/* Private to relay_find.c and find_*.c. */
#define FIND_RUNS      4u /* lookups at once */
#define FIND_PAGE_CNT  4u
#define FIND_REACH_CNT 2u
#define FIND_LIST_CAP  (RELAY_LIST_LEN_MAX + MESH_FRAME_OVERHEAD)

/* This node's own announcement. */
struct find_publish {
	struct relay_offer offer;
	uint64_t next_ns; /* UINT64_MAX: this node is no relay */
	struct overlay_run *runs[RELAY_PLACES_OF_KEY];
	unsigned stored_cnt;
	bool is_changed; /* while it was on its way */
	struct relay_announcement announcement;
	uint8_t value[1 + RELAY_ANNOUNCEMENT_LEN_MAX]; /* the tag first; len 0: none */
	size_t len;
};

struct find_lookup {
	struct relay_find *find;
	struct overlay_run *run; /* NULL: free */
	unsigned place;
};

/* The round that asks for all names of an hour, and perhaps of the one before. */
struct find_search {
	uint64_t next_ns;
	uint64_t
		again_ns; /* between the last round and the next; 0: there are live relays enough */
	uint64_t turn_ns; /* of the latest turn: values come without a time */
	uint64_t hour;
	unsigned place; /* to ask for next; RELAY_PLACES: all were */
	bool is_on, is_second;
	struct find_lookup lookups[FIND_RUNS];
};

struct find_ask {
	uint64_t next_ns, asked_ns;
	struct mesh_request *request; /* NULL: none is out */
	unsigned skip_cnt;	      /* neighbours that were asked in this walk */
	uint8_t key[MESH_KEY_LEN];
	uint8_t reply[FIND_LIST_CAP];
};

/* An answer, lent to the mesh as often as use_cnt says, less one for the newest of its reach. */
struct find_page {
	struct find_answer *answer;
	uint32_t use_cnt; /* 0: free */
	uint64_t made_ns;
	size_t len;
	uint8_t bytes[RELAY_LIST_LEN_MAX];
};

struct find_answer {
	struct request_quota quota;
	struct find_page pages[FIND_PAGE_CNT];
	struct find_page *newest[FIND_REACH_CNT]; /* for askers on this site, and on the Internet */
};

struct relay_find {
	struct relay_find_params params;
	struct arena arena;
	struct relay_known *known;
	uint64_t wall_s, wall_at_ns;
	uint64_t expire_ns;
	struct find_publish publish;
	struct find_search search;
	struct find_ask ask;
	struct find_answer answer;
	struct relay_find_stats stats;
};

uint64_t relay_find_wall_s(const struct relay_find *find, uint64_t now_ns);
bool relay_find_is_hungry(const struct relay_find *find);
/* relay_find_take keeps a verified announcement; one of this node itself is left out. */
enum relay_known_verdict relay_find_take(struct relay_find *find,
					 const struct relay_known_entry *entry, uint64_t now_ns);

/* The parts: turn does what is due; stop takes back what is under way. */
void relay_find_publish_turn(struct relay_find *find, uint64_t now_ns);
void relay_find_publish_stop(struct relay_find *find);
void relay_find_publish_hurry(struct relay_find *find, uint64_t now_ns);
void relay_find_search_turn(struct relay_find *find, uint64_t now_ns);
void relay_find_search_stop(struct relay_find *find);
void relay_find_search_hurry(struct relay_find *find, uint64_t now_ns);
void relay_find_ask_turn(struct relay_find *find, uint64_t now_ns);
void relay_find_ask_stop(struct relay_find *find);
/* relay_find_answer_init: 0 or WEFT_EFULL. relay_find_on_ask is the handler of 460. */
WEFT_MUST_CHECK
int relay_find_answer_init(struct relay_find *find, const uint64_t secret[2]);
void relay_find_on_ask(void *ctx, const struct mesh_call *call, uint64_t now_ns);

#endif
