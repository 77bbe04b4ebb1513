/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of FLOW_OPEN, FLOW_OFFER, FLOW_ACCEPT, FLOW, FLOW_CLOSE and FLOW_LEG. Any thread. */
#include "relay/flow_messages.h"

#include "codec/cbor_fields.h"

/* A number of a flow is index, salt and leg. */
#define NUMBER_SALT_SHIFT 16
#define NUMBER_LEG_SHIFT  32
#define NUMBER_MAX	  ((1ull << 33) - 1)
/* A label is heard for the hour of its key and three more. */
#define EXPIRES_MAX_S (WEFT_RELAY_KEY_CNT * WEFT_RELAY_KEY_LIFE_S)

static void first_read(struct cbor_reader *r, void *member)
{
	struct relay_first *first = member;
	size_t len = 0;

	if (cbor_enter_array(r) > RELAY_FIRST_CNT_MAX)
		cbor_fail(r);
	for (first->cnt = 0; cbor_next(r); first->cnt++) {
		first->dgrams[first->cnt].data = cbor_read_bytes(r, &len);
		if (len < WEFT_RELAY_INNER_LEN_MIN || len > RELAY_FIRST_LEN_MAX) {
			cbor_fail(r);
			return;
		}
		first->dgrams[first->cnt].len = (uint16_t)len;
	}
}

static void first_write(struct writer *w, const void *member)
{
	const struct relay_first *first = member;

	cbor_write_array(w, first->cnt);
	for (unsigned i = 0; i < first->cnt; i++)
		cbor_write_bytes(w, first->dgrams[i].data, first->dgrams[i].len);
}

#define FIRST_FIELD(type)                                                                          \
	CBOR_WHEN(struct type, first.cnt), CBOR_AT(struct type, first), .read = first_read,        \
		.write = first_write

static const struct cbor_field open_fields[] = {
	{1, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct relay_open_message, peer)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_open_message, class),
	 .max = RELAY_CONTENT},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_open_message, mtu)},
	{4, CBOR_FIELD_BYTES, CBOR_WHEN(struct relay_open_message, grant_len),
	 CBOR_AT(struct relay_open_message, grant), CBOR_LEN(struct relay_open_message, grant_len),
	 .min = 1, .max = RELAY_MESSAGE_GRANT_MAX},
	{5, CBOR_FIELD_CODED, FIRST_FIELD(relay_open_message)},
};
static const struct cbor_table open_table = {CBOR_FIELDS(open_fields)};

static const struct cbor_field offer_fields[] = {
	{1, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct relay_offer_message, opener)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_offer_message, class),
	 .max = RELAY_CONTENT},
	{5, CBOR_FIELD_CODED, FIRST_FIELD(relay_offer_message)},
};
static const struct cbor_table offer_table = {CBOR_FIELDS(offer_fields)};

static const struct cbor_field accept_fields[] = {
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_accept_message, mtu)},
};
static const struct cbor_table accept_table = {CBOR_FIELDS(accept_fields)};

static const struct cbor_field flow_fields[] = {
	{1, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct relay_flow_message, peer)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_flow_message, class),
	 .max = RELAY_CONTENT},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_flow_message, mtu)},
	{6, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_flow_message, flow),
	 .max = NUMBER_MAX},
	{7, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct relay_flow_message, label)},
	{8, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_flow_message, expires_s),
	 .max = EXPIRES_MAX_S},
	{10, CBOR_FIELD_FLAG, CBOR_OPTIONAL, CBOR_AT(struct relay_flow_message, is_slow)},
};
static const struct cbor_table flow_table = {CBOR_FIELDS(flow_fields)};

static const struct cbor_field close_fields[] = {
	{6, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_close_message, flow),
	 .max = NUMBER_MAX},
	{9, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_close_message, why),
	 .max = RELAY_END_REFUSED},
};
static const struct cbor_table close_table = {CBOR_FIELDS(close_fields)};

static const struct cbor_field leg_fields[] = {
	{6, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_leg_message, flow),
	 .max = NUMBER_MAX},
	{11, CBOR_FIELD_ADDRS, CBOR_OPTIONAL, CBOR_AT(struct relay_leg_message, addrs),
	 CBOR_LEN(struct relay_leg_message, addr_cnt)},
};
static const struct cbor_table leg_table = {CBOR_FIELDS(leg_fields)};

void relay_message_open_write(struct writer *w, const struct relay_open_message *message)
{
	cbor_fields_write(w, &open_table, message);
}

int relay_message_open_parse(const uint8_t *data, size_t len,
			     struct relay_open_message *out_message)
{
	struct relay_open_message message = {.mtu = 0};

	if (cbor_fields_parse(data, len, &open_table, &message) < 0 || message.mtu < RELAY_MTU_MIN)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

void relay_message_offer_write(struct writer *w, const struct relay_offer_message *message)
{
	cbor_fields_write(w, &offer_table, message);
}

int relay_message_offer_parse(const uint8_t *data, size_t len,
			      struct relay_offer_message *out_message)
{
	struct relay_offer_message message = {.class = RELAY_CONTROL};

	if (cbor_fields_parse(data, len, &offer_table, &message) < 0)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

void relay_message_accept_write(struct writer *w, const struct relay_accept_message *message)
{
	cbor_fields_write(w, &accept_table, message);
}

int relay_message_accept_parse(const uint8_t *data, size_t len,
			       struct relay_accept_message *out_message)
{
	struct relay_accept_message message = {.mtu = 0};

	if (cbor_fields_parse(data, len, &accept_table, &message) < 0 ||
	    message.mtu < RELAY_MTU_MIN)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

void relay_message_flow_write(struct writer *w, const struct relay_flow_message *message)
{
	cbor_fields_write(w, &flow_table, message);
}

int relay_message_flow_parse(const uint8_t *data, size_t len,
			     struct relay_flow_message *out_message)
{
	struct relay_flow_message message = {.mtu = 0};

	if (cbor_fields_parse(data, len, &flow_table, &message) < 0 || message.mtu < RELAY_MTU_MIN)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

void relay_message_close_write(struct writer *w, const struct relay_close_message *message)
{
	cbor_fields_write(w, &close_table, message);
}

int relay_message_close_parse(const uint8_t *data, size_t len,
			      struct relay_close_message *out_message)
{
	struct relay_close_message message = {.why = RELAY_END_DONE};

	if (cbor_fields_parse(data, len, &close_table, &message) < 0)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

void relay_message_leg_write(struct writer *w, const struct relay_leg_message *message)
{
	cbor_fields_write(w, &leg_table, message);
}

int relay_message_leg_parse(const uint8_t *data, size_t len, struct relay_leg_message *out_message)
{
	struct relay_leg_message message = {.addr_cnt = 0};

	if (cbor_fields_parse(data, len, &leg_table, &message) < 0)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

uint64_t relay_flow_number(struct relay_flow_id id, unsigned leg)
{
	return (uint64_t)id.idx | (uint64_t)id.salt << NUMBER_SALT_SHIFT |
	       (uint64_t)(leg & 1) << NUMBER_LEG_SHIFT;
}

struct relay_flow_id relay_flow_of_number(uint64_t number, unsigned *out_leg)
{
	*out_leg = (unsigned)(number >> NUMBER_LEG_SHIFT & 1);
	return (struct relay_flow_id){
		.idx = (uint32_t)(number & 0xffff),
		.salt = (uint16_t)(number >> NUMBER_SALT_SHIFT),
	};
}
