/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_FLOW_MESSAGES_H
#define WEFT_RELAY_FLOW_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/byte_cursor.h"
#include "relay/relay.h"
#include "weft/err.h"

/*
 * The messages by which two ends get a flow of a relay, over the session that each has with it
 * (docs/wire/relay.md). The relay's side and the ends' side both read and write them here.
 */
#define RELAY_MESSAGE_GRANT_MAX 1024
#define RELAY_FIRST_CNT_MAX	2
#define RELAY_FIRST_LEN_MAX	1452u
#define RELAY_MESSAGE_LABEL_LEN 16
/* FLOW_OPEN is the longest: a grant, two datagrams, and its other fields. */
#define RELAY_MESSAGE_LEN_MAX 4096

/* Why a flow ends, as FLOW_CLOSE says it. */
enum relay_end_why {
	RELAY_END_DONE,
	RELAY_END_IDLE,
	RELAY_END_EVICTED, /* for the sake of another account */
	RELAY_END_GRANT,
	RELAY_END_PEER_GONE, /* the other end has no session with the relay any more */
	RELAY_END_REFUSED,
};

/* The first datagrams of a flow, which travel in its messages. Borrowed. */
struct relay_first {
	struct {
		const uint8_t *data;
		uint16_t len; /* WEFT_RELAY_INNER_LEN_MIN to RELAY_FIRST_LEN_MAX */
	} dgrams[RELAY_FIRST_CNT_MAX];
	uint8_t cnt;
};

struct relay_open_message {
	uint8_t peer[RELAY_KEY_LEN];
	enum relay_class class;
	uint16_t mtu; /* longest QUIC packet that the leg carries, RELAY_MTU_MIN and more */
	const uint8_t *grant;
	uint16_t grant_len; /* 0: none */
	struct relay_first first;
};
struct relay_offer_message {
	uint8_t opener[RELAY_KEY_LEN];
	enum relay_class class;
	struct relay_first first;
};
struct relay_accept_message {
	uint16_t mtu;
};
struct relay_flow_message {
	uint8_t peer[RELAY_KEY_LEN]; /* the other end */
	enum relay_class class;
	uint16_t mtu; /* the smaller of both legs */
	uint64_t flow;
	uint8_t label[RELAY_MESSAGE_LABEL_LEN]; /* kind 0 */
	uint32_t expires_s;
	bool is_slow; /* its volume is used up, so it carries little (relay_config.slow_per_s) */
};
struct relay_close_message {
	uint64_t flow;
	enum relay_end_why why;
};
/* Asked: where the other end may be. The answer has the one where its leg is, or none. */
#define RELAY_LEG_ADDRS_MAX 8
struct relay_leg_message {
	uint64_t flow;
	struct addr addrs[RELAY_LEG_ADDRS_MAX];
	unsigned addr_cnt;
};

/*
 * relay_message_{open,offer,accept,flow,close,leg}_{write,parse}. Parsing gives 0 or WEFT_EMALFORMED,
 * and checks every limit named above. What a parsed message points to lies in data.
 */
void relay_message_open_write(struct writer *w, const struct relay_open_message *message);
WEFT_MUST_CHECK
int relay_message_open_parse(const uint8_t *data, size_t len,
			     struct relay_open_message *out_message);
void relay_message_offer_write(struct writer *w, const struct relay_offer_message *message);
WEFT_MUST_CHECK
int relay_message_offer_parse(const uint8_t *data, size_t len,
			      struct relay_offer_message *out_message);
void relay_message_accept_write(struct writer *w, const struct relay_accept_message *message);
WEFT_MUST_CHECK
int relay_message_accept_parse(const uint8_t *data, size_t len,
			       struct relay_accept_message *out_message);
void relay_message_flow_write(struct writer *w, const struct relay_flow_message *message);
WEFT_MUST_CHECK
int relay_message_flow_parse(const uint8_t *data, size_t len,
			     struct relay_flow_message *out_message);
void relay_message_close_write(struct writer *w, const struct relay_close_message *message);
WEFT_MUST_CHECK
int relay_message_close_parse(const uint8_t *data, size_t len,
			      struct relay_close_message *out_message);
void relay_message_leg_write(struct writer *w, const struct relay_leg_message *message);
WEFT_MUST_CHECK
int relay_message_leg_parse(const uint8_t *data, size_t len, struct relay_leg_message *out_message);

/*
 * relay_flow_number: what names a flow's leg in messages, opaque to an end. relay_flow_of_number
 * reads it back.
 */
uint64_t relay_flow_number(struct relay_flow_id id, unsigned leg);
struct relay_flow_id relay_flow_of_number(uint64_t number, unsigned *out_leg);

#endif
