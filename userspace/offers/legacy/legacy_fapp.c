/* SPDX-License-Identifier: Apache-2.0 */
#include "legacy_fapp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"
#include "offers/message/offer_terms.h"
#include "offers/message/service_message.h"
#include "offers/schema/schema_type.h"

/* What an announce has besides the fields of its schema. */
enum own_key { KEY_ID, KEY_KEY, KEY_SEQUENCE, KEY_SIGNATURE, KEY_TIMESTAMP, KEY_TTL, KEY_CNT };
static const char *const own_keys[KEY_CNT] = {"id",	   "key",	"sequence",
					      "signature", "timestamp", "ttl_hours"};
#define RESULTS_KEY "max_results"
#define WORD_MAX    1024u /* of a filter, with its name */

static int fault_set(struct schema_fault *fault, const char *field, size_t field_len,
		     const char *what)
{
	*fault = (struct schema_fault){.line = 0};
	snprintf(fault->field, sizeof(fault->field), "%.*s",
		 (int)(field_len < sizeof(fault->field) ? field_len : 0), field);
	snprintf(fault->what, sizeof(fault->what), "%s", what);
	return WEFT_EMALFORMED;
}

enum legacy_fapp_tag offers_legacy_fapp_tag(const uint8_t *bytes, size_t len,
					    struct cursor *out_rest)
{
	struct cbor_reader r;

	if (len < 2 || len > LEGACY_FAPP_LEN_MAX || bytes[0] < LEGACY_FAPP_ANNOUNCE ||
	    bytes[0] > LEGACY_FAPP_CONFIRM)
		return 0;
	cbor_reader_init(&r, bytes + 1, len - 1);
	if (cbor_peek(&r) != (bytes[0] == LEGACY_FAPP_RESPONSE ? CBOR_ARRAY : CBOR_MAP))
		return 0;
	cbor_skip(&r);
	if (cbor_reader_finish(&r) < 0)
		return 0;
	*out_rest = cursor_of(bytes + 1, len - 1);
	return bytes[0];
}

static struct cbor_reader map_of(const struct cursor *map)
{
	struct cbor_reader r;

	cbor_reader_init(&r, map->pos, (size_t)(map->end - map->pos));
	(void)cbor_enter_map(&r);
	return r;
}

static bool is_key(const char *key, size_t len, const char *wanted)
{
	return strlen(wanted) == len && memcmp(key, wanted, len) == 0;
}

/* --- announces --- */

static void own_read(struct cbor_reader *r, unsigned key, struct legacy_fapp_announce *out)
{
	switch (key) {
	case KEY_ID:
		out->id = cbor_read_exactly(r, OFFER_ID_LEN);
		break;
	case KEY_KEY:
		out->key = cbor_read_exactly(r, OFFER_KEY_LEN);
		break;
	case KEY_SEQUENCE:
		out->sequence = cbor_read_uint(r);
		break;
	case KEY_SIGNATURE:
		out->signature = cbor_read_exactly(r, NODE_KEY_SIG_LEN);
		break;
	case KEY_TIMESTAMP:
		out->timestamp_s = cbor_read_uint(r);
		break;
	case KEY_TTL:
		out->ttl_hours = (uint16_t)cbor_read_uint_max(r, UINT16_MAX);
		break;
	default:
		cbor_skip(r);
	}
}

static unsigned own_key_of(const char *key, size_t len)
{
	unsigned i = 0;

	while (i < KEY_CNT && !is_key(key, len, own_keys[i]))
		i++;
	return i;
}

int offers_legacy_fapp_announce(const struct schema *schema, const struct cursor *map,
				struct legacy_fapp_announce *out, struct schema_record *record,
				struct schema_fault *fault)
{
	const struct schema_payload payload = {.bytes = map->pos,
					       .len = (size_t)(map->end - map->pos),
					       .version = LEGACY_FAPP_VERSION,
					       .may_name = true};
	struct cbor_reader r = map_of(map);
	unsigned seen = 0;
	const char *key;
	size_t len;

	*out = (struct legacy_fapp_announce){.ttl_hours = schema->ttl_hours};
	while (cbor_next_text_key(&r, &key, &len)) {
		unsigned own = own_key_of(key, len);

		seen |= 1u << own;
		own_read(&r, own, out);
		if (cbor_is_bad(&r) && own < KEY_CNT)
			return fault_set(fault, key, len, "has a value of another kind or length");
	}
	if (cbor_reader_finish(&r) < 0)
		return fault_set(fault, "", 0, "is no map of text keys");
	for (unsigned i = 0; i < KEY_TTL; i++)
		if (!(seen & 1u << i))
			return fault_set(fault, own_keys[i], strlen(own_keys[i]), "is missing");
	return offers_schema_read(schema, &payload, record, fault);
}

void offers_legacy_fapp_message(const struct schema *schema,
				const struct legacy_fapp_announce *announce,
				const struct schema_record *record, struct writer *payload,
				struct writer *w)
{
	uint8_t bytes[LEGACY_FAPP_LEN_MAX], address[SERVICE_MESSAGE_ADDRESS_LEN];
	struct writer f = writer_of(bytes, sizeof(bytes));
	struct offer_terms terms = {.provider_key = announce->key,
				    .has_sequence = true,
				    .sequence = announce->sequence};
	struct offer_fields fields = {.cnt = offers_schema_fields_cnt(record)};
	struct service_message message = {
		.service = schema->id,
		.type = SERVICE_MESSAGE_ANNOUNCE,
		.version = LEGACY_FAPP_VERSION,
		.provider = address,
		.signature = announce->signature,
		.hop_max = UINT8_MAX, /* as each node lets it */
		.ttl_hours = announce->ttl_hours,
		.timestamp_s = announce->timestamp_s,
	};

	memcpy(terms.offer_id, announce->id, sizeof(terms.offer_id));
	offers_schema_fields_write(schema, record, &f);
	fields.bytes = bytes;
	fields.len = writer_len(&f);
	offer_terms_write(payload, SERVICE_MESSAGE_ANNOUNCE, &terms, &fields);
	offers_address(announce->key, address);
	message.payload = payload->start;
	message.payload_len = writer_len(payload);
	offers_message_write(w, &message);
	w->bad |= f.bad | payload->bad;
}

/* --- queries --- */

static void text_write(struct writer *w, const char *text)
{
	writer_bytes(w, text, strlen(text));
}

/* A text, a number or a truth value, as a command has it. */
static void item_write(struct cbor_reader *r, bool is_time, struct writer *w)
{
	char number[SCHEMA_TIME_CAP];
	const char *text;
	size_t len;

	switch (cbor_peek(r)) {
	case CBOR_TEXT:
		text = cbor_read_text(r, &len);
		/* A comma or a NUL would be of the word, and not of its value. */
		if (!text || memchr(text, ',', len) || memchr(text, '\0', len))
			cbor_fail(r);
		else
			writer_bytes(w, text, len);
		break;
	case CBOR_TRUE:
	case CBOR_FALSE:
		text_write(w, cbor_read_bool(r) ? "yes" : "no");
		break;
	default:
		if (is_time)
			(void)offers_schema_time_print(
				(int64_t)cbor_read_uint_max(r, SCHEMA_TIME_MAX), number);
		else
			snprintf(number, sizeof(number), "%" PRId64, cbor_read_int(r));
		text_write(w, number);
	}
}

/* FILTER=VALUE, with a NUL. Lists are joined, by commas or as a range. */
static void word_write(const struct schema *schema, const struct schema_filter *filter,
		       struct cbor_reader *r, struct writer *w)
{
	const char *between = filter->comparison == SCHEMA_BETWEEN ? ".." : ",";
	enum schema_type type = schema->fields[filter->field].type;
	bool is_time = type == SCHEMA_TIME || type == SCHEMA_TIMES, is_first = true;

	text_write(w, filter->name);
	text_write(w, "=");
	if (cbor_peek(r) == CBOR_ARRAY) {
		(void)cbor_enter_array(r);
		for (; cbor_next(r) && !w->bad; is_first = false) {
			if (!is_first)
				text_write(w, between);
			item_write(r, is_time, w);
		}
	} else {
		item_write(r, is_time, w);
	}
	writer_u8(w, 0);
}

int offers_legacy_fapp_query(const struct schema *schema, const struct cursor *map,
			     struct schema_query *query, struct writer *words,
			     struct schema_fault *fault)
{
	struct cbor_reader r = map_of(map);
	const char *key;
	size_t len;

	offers_schema_query_init(query);
	while (cbor_next_text_key(&r, &key, &len)) {
		int at = offers_schema_filter_named(schema, key, len);
		const char *word = (const char *)words->start + writer_len(words);

		if (at < 0) {
			/* A filter that is not known must not be as if it were not there. */
			if (!is_key(key, len, RESULTS_KEY))
				return fault_set(fault, key, len, "is no filter");
			cbor_skip(&r);
			continue;
		}
		word_write(schema, &schema->filters[at], &r, words);
		if (words->bad || cbor_is_bad(&r) ||
		    writer_len(words) - (size_t)(word - (const char *)words->start) > WORD_MAX)
			return fault_set(fault, key, len, "has no such value");
		if (offers_schema_query_from_text(schema, word, query, fault) < 0)
			return WEFT_EMALFORMED;
	}
	return cbor_reader_finish(&r) < 0 ? fault_set(fault, "", 0, "is no map of text keys") : 0;
}

unsigned offers_legacy_fapp_results(const struct cursor *map)
{
	struct cbor_reader r = map_of(map);
	uint64_t max = LEGACY_FAPP_RESULTS_MAX;
	const char *key;
	size_t len;

	while (cbor_next_text_key(&r, &key, &len)) {
		if (is_key(key, len, RESULTS_KEY) && cbor_peek(&r) == CBOR_UINT)
			max = cbor_read_uint(&r);
		else
			cbor_skip(&r);
	}
	if (max == 0)
		return 1;
	return max < LEGACY_FAPP_RESULTS_MAX ? (unsigned)max : LEGACY_FAPP_RESULTS_MAX;
}

/* --- responses --- */

/* A key of the map that is written: of the layer, or a field of the schema. */
struct out_key {
	const char *name;
	int field; /* -1: of the layer */
	unsigned own;
};

/* RFC 8949, 4.2.1: the encoded keys ascend, so shorter ones come first. */
static int compare_keys(const void *a, const void *b)
{
	const struct out_key *x = a, *y = b;
	size_t x_len = strlen(x->name), y_len = strlen(y->name);

	if (x_len != y_len)
		return x_len < y_len ? -1 : 1;
	return memcmp(x->name, y->name, x_len);
}

static void field_item_write(struct writer *w, const struct schema_field *field,
			     const struct schema_item *item)
{
	switch (field->type) {
	case SCHEMA_CHOICE:
	case SCHEMA_CHOICES:
		/* One of a newer version has no word here. */
		if (item->number >= 0 && (uint64_t)item->number < field->choice_cnt)
			cbor_write_text(w, field->choices[item->number].word,
					strlen(field->choices[item->number].word));
		else
			cbor_write_int(w, item->number);
		break;
	case SCHEMA_FLAG:
		cbor_write_bool(w, item->number);
		break;
	case SCHEMA_HASH:
		cbor_write_bytes(w, item->text, item->len);
		break;
	default:
		if (item->text)
			cbor_write_text(w, item->text, item->len);
		else
			cbor_write_int(w, item->number);
	}
}

static void field_write(struct writer *w, const struct schema_field *field,
			const struct schema_value *value)
{
	if (offers_schema_is_list(field->type))
		cbor_write_array(w, value->item_cnt);
	for (unsigned i = 0; i < value->item_cnt; i++)
		field_item_write(w, field, &value->items[i]);
}

static void own_write(struct writer *w, unsigned key, const struct legacy_fapp_announce *announce)
{
	switch (key) {
	case KEY_ID:
		cbor_write_bytes(w, announce->id, OFFER_ID_LEN);
		break;
	case KEY_KEY:
		cbor_write_bytes(w, announce->key, OFFER_KEY_LEN);
		break;
	case KEY_SEQUENCE:
		cbor_write_uint(w, announce->sequence);
		break;
	case KEY_SIGNATURE:
		cbor_write_bytes(w, announce->signature, NODE_KEY_SIG_LEN);
		break;
	case KEY_TIMESTAMP:
		cbor_write_uint(w, announce->timestamp_s);
		break;
	default:
		cbor_write_uint(w, announce->ttl_hours);
	}
}

void offers_legacy_fapp_write(struct writer *w, const struct schema *schema,
			      const struct legacy_fapp_announce *announce,
			      const struct schema_record *record)
{
	struct out_key keys[KEY_CNT + SCHEMA_FIELDS_MAX];
	unsigned cnt = 0;

	for (unsigned i = 0; i < KEY_CNT; i++)
		if (i != KEY_SIGNATURE || announce->signature)
			keys[cnt++] = (struct out_key){own_keys[i], -1, i};
	for (unsigned i = 0; i < schema->field_cnt; i++)
		/* One with a name of the layer's would be there twice. */
		if (record->values[i].state == SCHEMA_PRESENT &&
		    own_key_of(schema->fields[i].name, strlen(schema->fields[i].name)) == KEY_CNT)
			keys[cnt++] = (struct out_key){schema->fields[i].name, (int)i, 0};
	qsort(keys, cnt, sizeof(keys[0]), compare_keys);
	cbor_write_map(w, cnt);
	for (unsigned i = 0; i < cnt; i++) {
		cbor_write_text(w, keys[i].name, strlen(keys[i].name));
		if (keys[i].field < 0)
			own_write(w, keys[i].own, announce);
		else
			field_write(w, &schema->fields[keys[i].field],
				    &record->values[keys[i].field]);
	}
}
