/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of an offer: read from the payload of a message, or from a user's words, checked, and
 * written. Payloads come from peers; nothing is allocated for one.
 */
#include <stdio.h>
#include <string.h>

#include "offers/schema/schema_value.h"

void offers_schema_record_init(struct schema_record *record, bool is_update)
{
	memset(record->values, 0, sizeof(record->values));
	record->is_update = is_update;
	record->pool.item_cnt = 0;
	record->pool.byte_cnt = 0;
}

static int lookup_key(const struct schema *schema, uint64_t key)
{
	for (unsigned i = 0; i < schema->field_cnt; i++)
		if (schema->fields[i].key == key)
			return (int)i;
	return -1;
}

int offers_schema_field_named(const struct schema *schema, const char *name, size_t len)
{
	for (unsigned i = 0; i < schema->field_cnt; i++)
		if (strlen(schema->fields[i].name) == len &&
		    memcmp(schema->fields[i].name, name, len) == 0)
			return (int)i;
	return -1;
}

/* What is read of one payload. */
struct reading {
	const struct schema *schema;
	const struct schema_payload *payload;
	struct schema_record *record;
	struct schema_fault *fault;
};

static int field_read(const struct reading *reading, struct cbor_reader *r, unsigned idx)
{
	const struct schema_field *field = &reading->schema->fields[idx];
	struct schema_value *value = &reading->record->values[idx];
	const struct schema_shape shape = {
		.field = field,
		.is_newer = reading->payload->version > reading->schema->version,
		.may_name = reading->payload->may_name,
	};

	if (value->state != SCHEMA_ABSENT)
		return offers_schema_fault_set(reading->fault, field->name, NULL,
					       "%s is there twice", field->name);
	if (cbor_peek(r) != CBOR_NULL)
		return offers_schema_value_read(r, &shape, &reading->record->pool, value,
						reading->fault);
	if (!reading->payload->is_update)
		return offers_schema_fault_set(reading->fault, field->name, "leave it out",
					       "%s is null, which only an update may say",
					       field->name);
	cbor_read_null(r);
	value->state = SCHEMA_REMOVED;
	return 0;
}

static int fields_read_by_key(const struct reading *reading, struct cbor_reader *r)
{
	uint64_t key;
	int err = 0;

	while (err == 0 && cbor_next_key(r, &key)) {
		int idx = lookup_key(reading->schema, key);

		if (idx < 0)
			cbor_skip(r);
		else
			err = field_read(reading, r, (unsigned)idx);
	}
	return err;
}

static int fields_read_by_name(const struct reading *reading, struct cbor_reader *r)
{
	const char *name;
	size_t len;
	int err = 0;

	while (err == 0 && cbor_next_text_key(r, &name, &len)) {
		int idx = offers_schema_field_named(reading->schema, name, len);

		if (idx < 0)
			cbor_skip(r);
		else
			err = field_read(reading, r, (unsigned)idx);
	}
	return err;
}

int offers_schema_read(const struct schema *schema, const struct schema_payload *payload,
		       struct schema_record *out, struct schema_fault *fault)
{
	const struct reading reading = {schema, payload, out, fault};
	/* No schema has version 0: a message of it is one of the first. */
	const uint8_t version = payload->version ? payload->version : 1;
	struct cbor_reader r;
	int err;

	*fault = (struct schema_fault){.line = 0};
	offers_schema_record_init(out, payload->is_update);
	/* Writers of names follow their struct's order; of keys the order is one. */
	if (payload->may_name)
		cbor_reader_init_any_order(&r, payload->bytes, payload->len);
	else
		cbor_reader_init(&r, payload->bytes, payload->len);
	if (cbor_peek(&r) != CBOR_MAP)
		return offers_schema_fault_set(fault, "", NULL, "the payload is no map");
	(void)cbor_enter_map(&r);
	if (payload->may_name && cbor_peek(&r) == CBOR_TEXT)
		err = fields_read_by_name(&reading, &r);
	else
		err = fields_read_by_key(&reading, &r);
	if (err < 0)
		return err;
	if (cbor_reader_finish(&r) < 0)
		return offers_schema_fault_set(
			fault, "", NULL, "the payload is not deterministic CBOR (RFC 8949 4.2.1)");
	/* A newer version may have dropped what this one requires. */
	if (payload->is_update || version > schema->version)
		return 0;
	for (unsigned i = 0; i < schema->field_cnt; i++)
		if (schema->fields[i].is_required && schema->fields[i].since <= version &&
		    out->values[i].state != SCHEMA_PRESENT)
			return offers_schema_fault_set(fault, schema->fields[i].name, NULL,
						       "%s is missing", schema->fields[i].name);
	return 0;
}

int offers_schema_check(const struct schema *schema, const struct schema_record *record,
			struct schema_fault *fault)
{
	char next[sizeof(fault->next)];

	*fault = (struct schema_fault){.line = 0};
	for (unsigned i = 0; i < schema->field_cnt; i++) {
		const struct schema_field *field = &schema->fields[i];

		if (!field->is_required || record->values[i].state == SCHEMA_PRESENT ||
		    (record->is_update && record->values[i].state == SCHEMA_ABSENT))
			continue;
		snprintf(next, sizeof(next), "add %s=VALUE", field->name);
		return offers_schema_fault_set(fault, field->name, next, "%s is required",
					       field->name);
	}
	return 0;
}

int offers_schema_record_merge(const struct schema *schema, struct schema_record *record,
			       const struct schema_record *update, struct schema_fault *fault)
{
	*fault = (struct schema_fault){.line = 0};
	for (unsigned i = 0; i < schema->field_cnt; i++)
		if (update->values[i].state == SCHEMA_REMOVED && schema->fields[i].is_required)
			return offers_schema_fault_set(
				fault, schema->fields[i].name, "revoke the offer",
				"%s is required: it cannot be removed", schema->fields[i].name);
	for (unsigned i = 0; i < schema->field_cnt; i++) {
		if (update->values[i].state == SCHEMA_PRESENT)
			record->values[i] = update->values[i];
		if (update->values[i].state == SCHEMA_REMOVED)
			record->values[i].state = SCHEMA_ABSENT;
	}
	return 0;
}

/* The names of the fields, as many as there is room for. */
static void names_list(const struct schema *schema, char *buf, size_t cap)
{
	size_t len = (size_t)snprintf(buf, cap, "fields:");

	for (unsigned i = 0; i < schema->field_cnt && len < cap; i++)
		len += (size_t)snprintf(buf + len, cap - len, " %s", schema->fields[i].name);
}

int offers_schema_value_from_text(const struct schema *schema, const char *word,
				  struct schema_record *record, struct schema_fault *fault)
{
	size_t len = strcspn(word, "=");
	int idx = offers_schema_field_named(schema, word, len);
	struct schema_shape shape = {.filter = NULL};
	struct schema_value *value;
	char next[sizeof(fault->next)];

	*fault = (struct schema_fault){.line = 0};
	if (idx < 0) {
		names_list(schema, next, sizeof(next));
		return offers_schema_fault_set(fault, "", next, "%s has no field %.*s",
					       schema->name, len > 40 ? 40 : (int)len, word);
	}
	value = &record->values[idx];
	shape.field = &schema->fields[idx];
	if (word[len] != '=') {
		snprintf(next, sizeof(next), "write %s=VALUE", shape.field->name);
		return offers_schema_fault_set(fault, shape.field->name, next, "%s has no value",
					       shape.field->name);
	}
	if (value->state != SCHEMA_ABSENT)
		return offers_schema_fault_set(fault, shape.field->name,
					       offers_schema_is_list(shape.field->type)
						       ? "separate members by commas"
						       : "leave one of them out",
					       "%s is given twice", shape.field->name);
	if (word[len + 1])
		return offers_schema_value_parse(word + len + 1, &shape, &record->pool, value,
						 fault);
	if (!record->is_update)
		return offers_schema_fault_set(fault, shape.field->name, "leave it out",
					       "%s has no value", shape.field->name);
	value->state = SCHEMA_REMOVED;
	return 0;
}

unsigned offers_schema_fields_cnt(const struct schema_record *record)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < SCHEMA_FIELDS_MAX; i++)
		cnt += record->values[i].state != SCHEMA_ABSENT;
	return cnt;
}

void offers_schema_fields_write(const struct schema *schema, const struct schema_record *record,
				struct writer *w)
{
	for (unsigned i = 0; i < schema->field_cnt; i++) {
		const struct schema_shape shape = {.field = &schema->fields[i]};

		if (record->values[i].state == SCHEMA_ABSENT)
			continue;
		cbor_write_uint(w, schema->fields[i].key);
		offers_schema_value_write(w, &shape, &record->values[i]);
	}
}
