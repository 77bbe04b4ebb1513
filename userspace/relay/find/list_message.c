/* SPDX-License-Identifier: Apache-2.0 */
#include "list_message.h"

#include "codec/cbor_fields.h"

static const struct cbor_field ask_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, .size = sizeof(unsigned), .max = RELAY_LIST_MAX},
};
static const struct cbor_table ask_table = {CBOR_FIELDS(ask_fields)};

void relay_list_ask_write(struct writer *w, unsigned wanted_cnt)
{
	cbor_fields_write(w, &ask_table, &wanted_cnt);
}

int relay_list_ask_parse(const uint8_t *payload, size_t len, unsigned *out_wanted_cnt)
{
	unsigned wanted_cnt = 0;

	if (cbor_fields_parse(payload, len, &ask_table, &wanted_cnt) < 0 || !wanted_cnt)
		return WEFT_EMALFORMED;
	*out_wanted_cnt = wanted_cnt;
	return 0;
}

struct list {
	struct relay_listed listed[RELAY_LIST_MAX];
	unsigned cnt;
};

static void listed_read(struct cbor_reader *r, void *member)
{
	struct list *list = member;

	if (cbor_enter_array(r) > RELAY_LIST_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		struct relay_listed *listed = &list->listed[list->cnt++];

		listed->bytes = cbor_read_bytes(r, &listed->len);
	}
}

static void listed_write(struct writer *w, const void *member)
{
	const struct list *list = member;

	cbor_write_array(w, list->cnt);
	for (unsigned i = 0; i < list->cnt; i++)
		cbor_write_bytes(w, list->listed[i].bytes, list->listed[i].len);
}

static const struct cbor_field list_fields[] = {
	{0, CBOR_FIELD_CODED, CBOR_NEEDED, .read = listed_read, .write = listed_write},
};
static const struct cbor_table list_table = {CBOR_FIELDS(list_fields)};

void relay_list_write(struct writer *w, const struct relay_listed *listed, unsigned cnt)
{
	struct list list = {.cnt = cnt};

	for (unsigned i = 0; i < cnt; i++)
		list.listed[i] = listed[i];
	cbor_fields_write(w, &list_table, &list);
}

int relay_list_parse(const uint8_t *payload, size_t len,
		     struct relay_listed out_listed[static RELAY_LIST_MAX])
{
	struct list list = {.cnt = 0};

	if (len > RELAY_LIST_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (cbor_fields_parse(payload, len, &list_table, &list) < 0)
		return WEFT_EMALFORMED;
	for (unsigned i = 0; i < list.cnt; i++)
		out_listed[i] = list.listed[i];
	return (int)list.cnt;
}
