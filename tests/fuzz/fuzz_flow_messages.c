/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "relay/flow_messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What was read is inside its limits, and is read again as it was written. */
static void first_check(const struct relay_first *first)
{
	if (first->cnt > RELAY_FIRST_CNT_MAX)
		abort();
	for (unsigned i = 0; i < first->cnt; i++)
		if (first->dgrams[i].len < WEFT_RELAY_INNER_LEN_MIN ||
		    first->dgrams[i].len > RELAY_FIRST_LEN_MAX)
			abort();
}

static void open_check(const uint8_t *data, size_t len)
{
	uint8_t out[RELAY_MESSAGE_LEN_MAX];
	struct writer w = writer_of(out, sizeof(out));
	struct relay_open_message message, again;

	if (relay_message_open_parse(data, len, &message) < 0)
		return;
	first_check(&message.first);
	relay_message_open_write(&w, &message);
	if (w.bad || message.grant_len > RELAY_MESSAGE_GRANT_MAX || message.mtu < RELAY_MTU_MIN ||
	    relay_message_open_parse(out, writer_len(&w), &again) < 0 || again.mtu != message.mtu ||
	    again.grant_len != message.grant_len || again.first.cnt != message.first.cnt)
		abort();
}

static void offer_check(const uint8_t *data, size_t len)
{
	uint8_t out[RELAY_MESSAGE_LEN_MAX];
	struct writer w = writer_of(out, sizeof(out));
	struct relay_offer_message message, again;

	if (relay_message_offer_parse(data, len, &message) < 0)
		return;
	first_check(&message.first);
	relay_message_offer_write(&w, &message);
	if (w.bad || relay_message_offer_parse(out, writer_len(&w), &again) < 0 ||
	    memcmp(again.opener, message.opener, sizeof(again.opener)) != 0 ||
	    again.first.cnt != message.first.cnt)
		abort();
}

static void flow_check(const uint8_t *data, size_t len)
{
	uint8_t out[RELAY_MESSAGE_LEN_MAX];
	struct writer w = writer_of(out, sizeof(out));
	struct relay_flow_message message, again;
	struct relay_flow_id id;
	unsigned leg;

	if (relay_message_flow_parse(data, len, &message) < 0)
		return;
	relay_message_flow_write(&w, &message);
	if (w.bad || relay_message_flow_parse(out, writer_len(&w), &again) < 0 ||
	    again.flow != message.flow || again.expires_s != message.expires_s)
		abort();
	id = relay_flow_of_number(message.flow, &leg);
	if (relay_flow_number(id, leg) != message.flow)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t out[RELAY_MESSAGE_LEN_MAX];
	struct writer w = writer_of(out, sizeof(out));
	struct relay_accept_message accepted;
	struct relay_close_message closed;
	struct relay_leg_message leg;

	open_check(data, len);
	offer_check(data, len);
	flow_check(data, len);
	if (relay_message_accept_parse(data, len, &accepted) == 0) {
		if (accepted.mtu < RELAY_MTU_MIN)
			abort();
		relay_message_accept_write(&w, &accepted);
	}
	if (relay_message_close_parse(data, len, &closed) == 0) {
		if (closed.why > RELAY_END_REFUSED)
			abort();
		relay_message_close_write(&w, &closed);
	}
	if (relay_message_leg_parse(data, len, &leg) == 0) {
		if (leg.addr_cnt > RELAY_LEG_ADDRS_MAX)
			abort();
		relay_message_leg_write(&w, &leg);
	}
	if (w.bad)
		abort();
	return 0;
}
