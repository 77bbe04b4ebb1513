/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_GRANTS_HONOURED_H
#define WEFT_RELAY_GRANTS_HONOURED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "grant_record.h"
#include "grant_revocations.h"
#include "relay/relay.h"

struct store;

/*
 * The grants that a relay honours: those of one operator. A grant is judged by its terms, by the
 * newest revocation list and by its signatures. Then it has a row of the relay. The row ends with
 * the grant, or when the operator revokes it; its flows end then.
 *
 * Rows are as many as the relay has. When all are in use, a grant without flows makes room. Only
 * the operator's signature makes a row. Home; nothing blocks, reads a clock or logs.
 */
struct relay_honoured;

struct relay_honoured_params {
	struct relay *relay;
	const uint8_t *operator_key; /* 32 bytes, copied */
	const uint8_t *own_key;	     /* the relay's, borrowed */
	struct store *store;	     /* NULL: revocations are lost with the process */
};
/* relay_honoured_new reads the stored revocation list. 0, -ENOMEM, or of the store. */
WEFT_MUST_CHECK
int relay_honoured_new(const struct relay_honoured_params *params,
		       struct relay_honoured **out_honoured);
void relay_honoured_free(struct relay_honoured *honoured);
/* relay_honoured_turn closes the rows of grants that have expired by wall_s. */
void relay_honoured_turn(struct relay_honoured *honoured, uint64_t wall_s);

/* What user shows for one more flow. */
struct relay_showing {
	const uint8_t *user; /* the key of its session */
	const void *bytes;
	size_t len;
	bool is_content; /* the flow's class */
};
/* relay_honoured_show: RELAY_GRANT_FINE with the relay's row, or why it is not honoured. */
enum relay_grant_fault relay_honoured_show(struct relay_honoured *honoured,
					   const struct relay_showing *showing, uint64_t wall_s,
					   unsigned *out_row);

/*
 * relay_honoured_revoke takes a revocation list. It is in force when the function returns, and the
 * flows of revoked grants are closed. done is called once the list is durable, or known not to be;
 * without a store before the function returns. 0, then done follows; or, without done:
 *   WEFT_EMALFORMED, WEFT_ETOOLARGE, WEFT_EDAMAGED  as relay_revocations_parse
 *   WEFT_EWRONGKEY  the list is another operator's
 *   WEFT_EEXISTS    the list in force has this serial or a higher one
 *   or an error of store_submit
 */
typedef void (*relay_revoke_fn)(void *arg, int err);
WEFT_MUST_CHECK
int relay_honoured_revoke(struct relay_honoured *honoured, const void *bytes, size_t len,
			  relay_revoke_fn done, void *arg);
/* relay_honoured_list: the list in force; its serial is 0 before the first. Borrowed for the turn. */
const struct relay_revocations *relay_honoured_list(const struct relay_honoured *honoured);
/* relay_honoured_list_bytes: as the operator signed it; 0 bytes before the first. Borrowed likewise. */
const uint8_t *relay_honoured_list_bytes(const struct relay_honoured *honoured, size_t *out_len);

#endif
