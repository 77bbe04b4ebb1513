/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of OBSERVED_ADDR, DIAL_BACK and SEND_PROBE, and the probe. Any thread. */
#include "path_message.h"

#include "codec/cbor_fields.h"

static const struct cbor_field dial_back_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct path_dial_back, ticket)},
	{1, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct path_dial_back, port), .max = 65535},
};
static const struct cbor_table dial_back_table = {CBOR_FIELDS(dial_back_fields)};

static const struct cbor_field send_probe_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct path_send_probe, ticket)},
	{1, CBOR_FIELD_ADDR, CBOR_NEEDED, CBOR_AT(struct path_send_probe, addr)},
	{2, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct path_send_probe, after_s),
	 .max = PATH_AFTER_S_MAX},
};
static const struct cbor_table send_probe_table = {CBOR_FIELDS(send_probe_fields)};

static const struct cbor_field address_fields[] = {
	{0, CBOR_FIELD_ADDR, CBOR_NEEDED, .size = sizeof(struct addr)},
};
static const struct cbor_table address_table = {CBOR_FIELDS(address_fields)};

static bool is_place(const struct addr *addr)
{
	return addr->port && addr->transport == ADDR_UDP && addr_is_unicast(addr);
}

void reachability_dial_back_write(struct writer *w, const struct path_dial_back *message)
{
	cbor_fields_write(w, &dial_back_table, message);
}

int reachability_dial_back_parse(const uint8_t *data, size_t len,
				 struct path_dial_back *out_message)
{
	struct path_dial_back message = {.port = 0};

	if (cbor_fields_parse(data, len, &dial_back_table, &message) < 0)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

void reachability_send_probe_write(struct writer *w, const struct path_send_probe *message)
{
	cbor_fields_write(w, &send_probe_table, message);
}

int reachability_send_probe_parse(const uint8_t *data, size_t len,
				  struct path_send_probe *out_message)
{
	struct path_send_probe message = {.addr = {.port = 0}};

	if (cbor_fields_parse(data, len, &send_probe_table, &message) < 0 ||
	    !is_place(&message.addr))
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

void reachability_address_write(struct writer *w, const struct addr *addr)
{
	cbor_fields_write(w, &address_table, addr);
}

int reachability_address_parse(const uint8_t *data, size_t len, struct addr *out_addr)
{
	struct addr addr = {.port = 0};

	if (cbor_fields_parse(data, len, &address_table, &addr) < 0 || !is_place(&addr))
		return WEFT_EMALFORMED;
	*out_addr = addr;
	return 0;
}

void reachability_probe_write(const uint8_t ticket[static PATH_TICKET_LEN],
			      uint8_t out[static WEFT_PROBE_LEN])
{
	out[0] = WEFT_PROBE_FIRST_BYTE;
	out[1] = PATH_PROBE_DIALLED_BACK;
	memcpy(out + 2, ticket, PATH_TICKET_LEN);
}

bool reachability_probe_parse(const uint8_t *data, size_t len,
			      uint8_t out_ticket[static PATH_TICKET_LEN])
{
	struct cursor c = cursor_of(data, len);
	unsigned first = cursor_u8(&c), kind = cursor_u8(&c);

	cursor_copy(&c, out_ticket, PATH_TICKET_LEN);
	return !c.bad && !cursor_left(&c) && first == WEFT_PROBE_FIRST_BYTE &&
	       kind == PATH_PROBE_DIALLED_BACK;
}
