/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_SHARE_LIST_H
#define WEFT_SHARES_SHARE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "head.h"
#include "weft/err.h"

/*
 * The payloads of messages 402 and 403, as maps with integer keys:
 *	LIST_SHARES {0: share id} or {1: cursor} or {}
 *	SHARE_LIST  {0: [signed heads], 1: cursor?}
 * With a share id, the head of that share is asked for. Without one, the heads of all public
 * shares that the asked node publishes are, a page at a time. The cursor of a page is where the
 * next one goes on, and there is none after the last. It means something to its maker alone.
 *
 * Parsers return 0 or WEFT_EMALFORMED; what they give borrows the payload.
 */
#define LIST_CURSOR_LEN	 32u
#define LIST_HEADS_MAX	 64u
#define LIST_REQUEST_CAP 40u
#define LIST_ANSWER_CAP	 (LIST_HEADS_MAX * (HEAD_LEN_MAX + 3u) + LIST_CURSOR_LEN + 16u)

struct list_request {
	bool has_share;
	uint8_t share_id[SHARE_ID_LEN];
	bool has_cursor; /* never with a share */
	uint8_t cursor[LIST_CURSOR_LEN];
};
/* shares_list_request_write returns the length. */
size_t shares_list_request_write(const struct list_request *request,
				 uint8_t out[static LIST_REQUEST_CAP]);
WEFT_MUST_CHECK
int shares_list_request_parse(const void *payload, size_t len, struct list_request *out_request);

struct list_answer {
	struct {
		const uint8_t *bytes;
		size_t len; /* in [1, HEAD_LEN_MAX] */
	} heads[LIST_HEADS_MAX];
	unsigned head_cnt;
	bool has_cursor;
	uint8_t cursor[LIST_CURSOR_LEN];
};
/* shares_list_answer_write needs at most LIST_ANSWER_CAP bytes. */
void shares_list_answer_write(struct writer *w, const struct list_answer *answer);
WEFT_MUST_CHECK
int shares_list_answer_parse(const void *payload, size_t len, struct list_answer *out_answer);

#endif
