/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LOCATE_ADDRESS_RECORD_H
#define WEFT_LOCATE_ADDRESS_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "dht/items/pkarr.h"
#include "weft/err.h"

struct locate;

/*
 * This node's address record on the Mainline DHT, made of the addresses that
 * policy shows to unknown peers. It is signed anew when those change and every
 * twelve hours, and put again every hour as it is. Home worker only.
 */
struct publish_config {
	struct pkarr_policy policy;
	bool is_json; /* also as JSON (json_record.h) */
};

struct publish;

/* locate_publish_open: 0 with node's publish set, WEFT_EFULL, -errno. The DHT is open, or off. */
WEFT_MUST_CHECK
int locate_publish_open(struct locate *locate);
/* locate_publish_close takes NULL. */
void locate_publish_close(struct publish *publish);

/* locate_publish_has_place: there is a place for the record, the DHT or another. */
bool locate_publish_has_place(const struct publish *publish);
/* locate_publish_changed: the node may be at other addresses now. */
void locate_publish_changed(struct publish *publish, uint64_t now_ns);
/*
 * locate_publish_now signs anew, though nothing changed. done is called, never inside the call,
 * when the record was put, or with the error. WEFT_ESTALE is not among the errors: another sequence
 * number is taken then. WEFT_EUNREACHABLE: no node is known to put it to, and it is tried again.
 * Returns 0, or WEFT_EBUSY (a caller waits already), WEFT_EREFUSED, WEFT_EABSENT (nothing may be
 * published, or there is nothing to publish).
 */
typedef void (*publish_done_fn)(void *arg, int err);
WEFT_MUST_CHECK
int locate_publish_now(struct publish *publish, publish_done_fn done, void *arg, uint64_t now_ns);
void locate_publish_forget(struct publish *publish, const void *arg);

/*
 * locate_publish_record_is_over: a record with this sequence number, of any node, was signed more
 * than PUBLISH_RECORD_LIFE_S ago by this node's clock. Numbers that are no time since 2001 are
 * never over.
 */
#define PUBLISH_RECORD_LIFE_S 86400
bool locate_publish_record_is_over(const struct locate *locate, uint64_t seq);

/* locate_publish_next_seq: for anything else that is signed by the node's key. */
uint64_t locate_publish_next_seq(struct publish *publish);

/* The public state. */
struct publish_state {
	int err; /* 0; else why there is nothing: as locate_publish_now */
	struct pkarr_record record;
	const struct pkarr_packet *packet; /* NULL: not signed yet; borrowed */
	unsigned stored_cnt;		   /* nodes that had it after the last round */
};
void locate_publish_state(const struct publish *publish, struct publish_state *out_state);

#endif
