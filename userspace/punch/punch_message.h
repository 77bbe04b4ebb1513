/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PUNCH_PUNCH_MESSAGE_H
#define WEFT_PUNCH_PUNCH_MESSAGE_H

#include "base/byte_cursor.h"
#include "punch/punch.h"
#include "weft/classify.h"

/*
 * The messages of hole punching, and the probe (docs/wire/punch.md).
 *
 * CANDIDATES is asked and answered: the handle that probes to its sender bear, the sender's
 * addresses, and the kind of its NAT. PUNCH_NOW has the handle of the node that it is asked of.
 * PUNCH_RESULT has the address from which that node was answered, if it was.
 */
#define PUNCH_HANDLE_LEN      6
#define PUNCH_NONCE_LEN	      8
#define PUNCH_MAC_LEN	      16
#define PUNCH_KEY_LEN	      32
#define PUNCH_MESSAGE_LEN_MAX 512

struct punch_candidates {
	uint8_t handle[PUNCH_HANDLE_LEN];
	struct addr addrs[PUNCH_CANDIDATES_MAX];
	unsigned addr_cnt;
	uint8_t nat;	 /* enum punch_nat */
	uint64_t mapped; /* bit i: a router forwards addrs[i] to the sender */
};
struct punch_now {
	uint8_t handle[PUNCH_HANDLE_LEN];
};
struct punch_result {
	struct addr addr; /* family ADDR_NONE: no probe of its sender was answered */
};

/* Parsing gives 0 or WEFT_EMALFORMED. Of addresses, those are left out that are not one host's by UDP. */
void punch_candidates_write(struct writer *w, const struct punch_candidates *message);
WEFT_MUST_CHECK
int punch_candidates_parse(const uint8_t *data, size_t len, struct punch_candidates *out_message);
void punch_now_write(struct writer *w, const struct punch_now *message);
WEFT_MUST_CHECK
int punch_now_parse(const uint8_t *data, size_t len, struct punch_now *out_message);
void punch_result_write(struct writer *w, const struct punch_result *message);
WEFT_MUST_CHECK
int punch_result_parse(const uint8_t *data, size_t len, struct punch_result *out_message);

enum punch_probe_kind {
	PUNCH_PROBE = 1,
	PUNCH_PROBE_ANSWER = 2, /* its nonce is that of the probe */
};
struct punch_probe {
	enum punch_probe_kind kind;
	uint8_t handle[PUNCH_HANDLE_LEN]; /* of the node that it is for */
	uint8_t nonce[PUNCH_NONCE_LEN];
	bool is_askers; /* sent by the node that asked for the round */
};
/* punch_probe_write: WEFT_PROBE_LEN bytes, with the proof by key. */
void punch_probe_write(const struct punch_probe *probe, const uint8_t key[static PUNCH_KEY_LEN],
		       uint8_t out[static WEFT_PROBE_LEN]);
/* punch_probe_parse reads all but the proof; false: no probe of hole punching. */
bool punch_probe_parse(const uint8_t *data, size_t len, struct punch_probe *out_probe);
/* punch_probe_is_proved: data is the probe that write makes. Takes the same time for any data. */
bool punch_probe_is_proved(const struct punch_probe *probe, const uint8_t key[static PUNCH_KEY_LEN],
			   const uint8_t data[static WEFT_PROBE_LEN]);

#endif
