/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OVERLAY_RUN_STATE_H
#define WEFT_OVERLAY_RUN_STATE_H

#include "run.h"

/* A run's insides, private to run*.c. */

/* Values of one get, each once; hashes in a table that stays half empty. */
#define OVERLAY_SEEN_SLOTS 1024

enum overlay_run_kind { RUN_NODES, RUN_GET, RUN_PUT };

struct overlay_run {
	struct overlay *overlay;
	enum overlay_run_kind kind;
	bool is_writing;
	bool has_looked; /* at what this node keeps itself */
	bool wants_flush;
	struct kad_lookup lookup;
	uint8_t key[OVERLAY_KEY_LEN];
	uint8_t name[OVERLAY_NAME_LEN_MAX];
	size_t name_len;
	uint8_t tag;
	uint8_t *message; /* PUT: the payload of STORE, in the heap */
	size_t message_len;
	uint16_t to_write[KAD_K_MAX]; /* slots of the lookup */
	unsigned write_cnt, written_cnt, write_out_cnt;
	unsigned page_cnt, page_out_cnt;
	uint8_t told_cnts[KAD_LOOKUP_NODES_MAX]; /* by slot: values, at most as the rule wants */
	unsigned seen_cnt;
	uint64_t seen[OVERLAY_SEEN_SLOTS]; /* 0: free */
	uint64_t begin_ns, retry_ns;
	struct overlay_result result;
	overlay_value_fn value;
	overlay_done_fn done;
	void *arg;
};

/* run.c. overlay_run_wake: it has something to send or may be at its end. */
void overlay_run_wake(struct overlay_run *run);
/* overlay_run_ask asks the node in slot for what the run looks for. As overlay_query_send. */
WEFT_MUST_CHECK
int overlay_run_ask(struct overlay_run *run, enum overlay_query_kind kind, uint16_t slot,
		    const uint8_t *after, uint64_t now_ns);

/* run_hear.c. overlay_run_tell_own passes on the values kept here. False: run is gone. */
WEFT_MUST_CHECK
bool overlay_run_tell_own(struct overlay_run *run, uint64_t now_ns);

#endif
