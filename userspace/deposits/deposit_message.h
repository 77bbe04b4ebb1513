/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DEPOSITS_DEPOSIT_MESSAGE_H
#define WEFT_DEPOSITS_DEPOSIT_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "crypto/node_box.h"
#include "deposits/deposits.h"
#include "weft/err.h"

/*
 * Messages 622 to 624 and the object mailpull (docs/wire/deposits.md). Pure, and thread-safe. Parsing
 * gives 0 or WEFT_EMALFORMED; pointers borrow what was parsed.
 *
 *	PUT 622		{0 recipient 32, 1 id 16, 2 expires s, 3 sealed?}	without 3 it asks how 1 does
 *	answer		{0 state, 1 expires s, 2 receipt 16?}
 *	PULL 623	{0 after?, 1 mailpull?}
 *	answer		{0 [[id 16, expires s, sealed]], 1 next?}
 *	ACK 624		{0 recipient 32, 1 [receipt 16], 2 [id 16], 3 mailpull?}
 *	answer		{0 how many went}
 */

/* Inside the seal: kind 1 | receipt 16 | expires s 8 | content. */
#define DEPOSIT_HEAD_LEN       (1u + DEPOSIT_RECEIPT_LEN + 8u)
#define DEPOSIT_SEALED_LEN_MIN (NODE_BOX_OVERHEAD + DEPOSIT_HEAD_LEN)
#define DEPOSIT_SEALED_LEN_MAX (DEPOSIT_SEALED_LEN_MIN + DEPOSIT_CONTENT_LEN_MAX)

struct deposit_put_message {
	uint8_t recipient[DEPOSIT_KEY_LEN];
	uint8_t id[DEPOSIT_ID_LEN];
	uint64_t expires_s;
	const uint8_t *sealed; /* NULL, 0: the deposit is asked for alone */
	size_t sealed_len;
};
/* As numbers on the wire. */
enum deposit_put_state { DEPOSIT_STATE_KEPT = 1, DEPOSIT_STATE_DELIVERED = 2 };
struct deposit_put_answer {
	uint8_t state;
	uint64_t expires_s; /* may be earlier than what was asked for */
	bool has_receipt;   /* if it was delivered */
	uint8_t receipt[DEPOSIT_RECEIPT_LEN];
};

struct deposit_pull_message {
	uint64_t after;		 /* 0: from the first */
	const uint8_t *mailpull; /* NULL, 0: for the key of the session */
	size_t mailpull_len;
};
#define DEPOSIT_PAGE_MAX 64u
struct deposit_row_message {
	uint8_t id[DEPOSIT_ID_LEN];
	uint64_t expires_s;
	const uint8_t *sealed;
	size_t sealed_len;
};
struct deposit_page {
	struct deposit_row_message rows[DEPOSIT_PAGE_MAX];
	uint16_t row_cnt;
	uint64_t next; /* 0: that was all */
};
/* What a page has of bytes beside those that are sealed, and a row of it, at most. */
#define DEPOSIT_PAGE_HEAD_MAX 16u
#define DEPOSIT_ROW_HEAD_MAX  32u

#define DEPOSIT_ACKS_MAX 64u
struct deposit_ack_message {
	uint8_t recipient[DEPOSIT_KEY_LEN];
	uint8_t receipts[DEPOSIT_ACKS_MAX][DEPOSIT_RECEIPT_LEN];
	uint16_t receipt_cnt;
	/* Deposits that their recipient cannot open or never wants; only it may say so. */
	uint8_t ids[DEPOSIT_ACKS_MAX][DEPOSIT_ID_LEN];
	uint16_t id_cnt;
	const uint8_t *mailpull;
	size_t mailpull_len;
};

void deposits_put_write(struct writer *w, const struct deposit_put_message *message);
WEFT_MUST_CHECK
int deposits_put_parse(const void *bytes, size_t len, struct deposit_put_message *out_message);
void deposits_put_answer_write(struct writer *w, const struct deposit_put_answer *answer);
WEFT_MUST_CHECK
int deposits_put_answer_parse(const void *bytes, size_t len, struct deposit_put_answer *out_answer);
void deposits_pull_write(struct writer *w, const struct deposit_pull_message *message);
WEFT_MUST_CHECK
int deposits_pull_parse(const void *bytes, size_t len, struct deposit_pull_message *out_message);
void deposits_page_write(struct writer *w, const struct deposit_page *page);
WEFT_MUST_CHECK
int deposits_page_parse(const void *bytes, size_t len, struct deposit_page *out_page);
void deposits_ack_write(struct writer *w, const struct deposit_ack_message *message);
WEFT_MUST_CHECK
int deposits_ack_parse(const void *bytes, size_t len, struct deposit_ack_message *out_message);
void deposits_ack_answer_write(struct writer *w, uint64_t cnt);
WEFT_MUST_CHECK
int deposits_ack_answer_parse(const void *bytes, size_t len, uint64_t *out_cnt);

/*
 * A mailpull says that the session is used for the deposits of key, too: a signed object {0 key, 1 session}
 * of that key. deposits_mailpull_verify: 0 with the key, WEFT_EMALFORMED, WEFT_EDAMAGED, or WEFT_EREFUSED: it
 * is of another session.
 */
#define MAILPULL_SESSION_LEN 16u
#define MAILPULL_LEN_MAX     192u
void deposits_mailpull_write(struct writer *w, const struct node_key *key,
			     const uint8_t session[static MAILPULL_SESSION_LEN]);
WEFT_MUST_CHECK
int deposits_mailpull_verify(const uint8_t *bytes, size_t len,
			     const uint8_t session[static MAILPULL_SESSION_LEN],
			     uint8_t out_key[static DEPOSIT_KEY_LEN]);

#endif
