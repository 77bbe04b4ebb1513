/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes and reads descriptors (descriptor.h). Providers and askers apply the same limits by the
 * same functions.
 */
#include "descriptor.h"

#include <string.h>

#include "codec/cbor.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "service_id.h"
#include "metadata.h"
#include "codec/text/semver.h"

enum {
	KEY_ID = 0,
	KEY_NAME = 1,
	KEY_VERSION = 2,
	KEY_OWNER = 3,
	KEY_ENDPOINTS = 4,
	KEY_METADATA = 5,
	KEY_CREATED = 6,
	KEY_EXPIRES = 7,
	KEY_SEQ = 8,
	KEY_GONE = 9,
	KEY_READ_ONLY = 10,
};
#define KEYS_NEEDED 0x1ffu /* all but gone and the read-only methods */

static enum service_fault labels_check(const char *name, const char *version, uint32_t *out_major)
{
	struct semver parsed;

	if (!service_name_is_valid(name, strnlen(name, SERVICE_NAME_LEN_MAX + 1)))
		return SERVICE_BAD_NAME;
	if (semver_parse(version, strnlen(version, SERVICE_VERSION_LEN_MAX + 1), &parsed) < 0)
		return SERVICE_BAD_VERSION;
	*out_major = parsed.major;
	return SERVICE_FINE;
}

enum service_fault service_descriptor_check(const struct service_offering *offering)
{
	struct service_pair pairs[SERVICE_METADATA_MAX];
	struct service_read_only read_only;
	enum service_fault fault;
	uint32_t major;

	fault = labels_check(offering->name, offering->version, &major);
	if (!fault)
		fault = service_metadata_take(offering->metadata, offering->metadata_cnt, pairs);
	return fault ? fault
		     : service_read_only_take(offering->read_only, offering->read_only_cnt,
					      &read_only);
}

/* --- writing --- */

static void body_write(struct writer *w, const struct service_descriptor *d)
{
	cbor_write_map(w, 9u + d->is_gone + (d->read_only.cnt > 0));
	cbor_field_bytes(w, KEY_ID, d->id, sizeof(d->id));
	cbor_field_text(w, KEY_NAME, d->name, strlen(d->name));
	cbor_field_text(w, KEY_VERSION, d->version, strlen(d->version));
	cbor_field_bytes(w, KEY_OWNER, d->owner, sizeof(d->owner));
	cbor_write_uint(w, KEY_ENDPOINTS);
	peer_places_write(w, &d->places);
	cbor_write_uint(w, KEY_METADATA);
	service_metadata_write(w, d->metadata, d->metadata_cnt);
	cbor_field_uint(w, KEY_CREATED, d->created_s);
	cbor_field_uint(w, KEY_EXPIRES, d->expires_s);
	cbor_field_uint(w, KEY_SEQ, d->seq);
	if (d->is_gone)
		cbor_field_bool(w, KEY_GONE, true);
	if (d->read_only.cnt) {
		cbor_write_uint(w, KEY_READ_ONLY);
		service_read_only_write(w, &d->read_only);
	}
}

enum service_fault service_descriptor_write(struct writer *w, const struct node_key *key,
					    struct service_descriptor *descriptor)
{
	uint8_t body[SERVICE_DESCRIPTOR_LEN_MAX - SIGNED_OVERHEAD_MAX];
	struct writer body_w = writer_of(body, sizeof(body));
	enum service_fault fault;

	if ((fault = labels_check(descriptor->name, descriptor->version, &descriptor->major)) ||
	    (fault = service_metadata_check(descriptor->metadata, descriptor->metadata_cnt)) ||
	    (fault = service_read_only_check(&descriptor->read_only)))
		return fault;
	if (descriptor->places.addr_cnt > PEER_ADDRS_MAX)
		return SERVICE_MANY_ENDPOINTS;
	if (descriptor->created_s >= descriptor->expires_s)
		return SERVICE_BAD_TIMES;
	memcpy(descriptor->owner, node_key_public(key), sizeof(descriptor->owner));
	service_id_of(descriptor->name, descriptor->owner, descriptor->id);
	service_metadata_sort(descriptor->metadata, descriptor->metadata_cnt);
	body_write(&body_w, descriptor);
	if (body_w.bad)
		return SERVICE_TOO_LARGE;
	signed_write(w, key, SERVICE_DESCRIPTOR_TAG, body, writer_len(&body_w));
	return SERVICE_FINE;
}

/* --- reading --- */

struct reading {
	struct cbor_reader r;
	struct service_descriptor *descriptor;
	enum service_fault fault; /* the first thing wrong that is not the encoding */
};

static void reading_fail(struct reading *reading, enum service_fault fault)
{
	if (reading->fault == SERVICE_FINE && !cbor_is_bad(&reading->r))
		reading->fault = fault;
	cbor_fail(&reading->r);
}

/* Longer text than fits is the field's fault, not one of the encoding. */
static void label_read(struct reading *reading, char *dst, size_t cap, enum service_fault fault)
{
	size_t len;
	const char *text = cbor_read_text(&reading->r, &len);

	if (!text)
		return;
	if (len >= cap || memchr(text, '\0', len)) {
		reading_fail(reading, fault);
		return;
	}
	memcpy(dst, text, len);
	dst[len] = '\0';
}

static void endpoints_read(struct reading *reading)
{
	struct service_descriptor *d = reading->descriptor;
	struct cbor_reader ahead = reading->r;

	if (cbor_enter_array(&ahead) > PEER_ADDRS_MAX && !cbor_is_bad(&ahead))
		reading_fail(reading, SERVICE_MANY_ENDPOINTS);
	else
		peer_places_read(&reading->r, &d->places);
}

static void metadata_read(struct reading *reading)
{
	struct service_descriptor *d = reading->descriptor;
	struct cbor_reader *r = &reading->r;
	struct service_pair pair;

	if (cbor_enter_map(r) > SERVICE_METADATA_MAX)
		reading_fail(reading, SERVICE_MANY_METADATA);
	while (cbor_next_text_key(r, &pair.key, &pair.key_len)) {
		pair.value = cbor_read_text(r, &pair.value_len);
		if (!cbor_is_bad(r))
			d->metadata[d->metadata_cnt++] = pair;
	}
}

static void read_only_read(struct reading *reading)
{
	struct service_read_only *list = &reading->descriptor->read_only;
	struct cbor_reader *r = &reading->r;

	if (cbor_enter_array(r) > SERVICE_READ_ONLY_MAX)
		reading_fail(reading, SERVICE_MANY_READ_ONLY);
	while (cbor_next(r)) {
		size_t len;
		const char *name = cbor_read_text(r, &len);

		if (!cbor_is_bad(r) && len > SERVICE_METHOD_LEN_MAX)
			reading_fail(reading, SERVICE_BAD_READ_ONLY);
		if (cbor_is_bad(r))
			return;
		list->names[list->cnt] = name;
		list->lens[list->cnt++] = (uint8_t)len;
	}
}

static void field_read(struct reading *reading, uint64_t key)
{
	struct service_descriptor *d = reading->descriptor;
	struct cbor_reader *r = &reading->r;

	switch (key) {
	case KEY_ID:
		cbor_read_fixed(r, d->id, sizeof(d->id));
		break;
	case KEY_NAME:
		label_read(reading, d->name, sizeof(d->name), SERVICE_BAD_NAME);
		break;
	case KEY_VERSION:
		label_read(reading, d->version, sizeof(d->version), SERVICE_BAD_VERSION);
		break;
	case KEY_OWNER:
		cbor_read_fixed(r, d->owner, sizeof(d->owner));
		break;
	case KEY_ENDPOINTS:
		endpoints_read(reading);
		break;
	case KEY_METADATA:
		metadata_read(reading);
		break;
	case KEY_CREATED:
		d->created_s = cbor_read_uint_max(r, INT64_MAX);
		break;
	case KEY_EXPIRES:
		d->expires_s = cbor_read_uint_max(r, INT64_MAX);
		break;
	case KEY_SEQ:
		d->seq = cbor_read_uint(r);
		break;
	case KEY_GONE:
		d->is_gone = cbor_read_bool(r);
		break;
	case KEY_READ_ONLY:
		read_only_read(reading);
		break;
	default:
		cbor_skip(r);
	}
}

static enum service_fault body_parse(const struct signed_object *object,
				     struct service_descriptor *descriptor)
{
	struct reading reading = {.descriptor = descriptor};
	uint64_t key;

	cbor_reader_init(&reading.r, object->body, object->body_len);
	cbor_enter_map(&reading.r);
	while (cbor_next_key(&reading.r, &key))
		field_read(&reading, key);
	if (reading.fault)
		return reading.fault;
	if (cbor_reader_finish_with(&reading.r, KEYS_NEEDED) < 0)
		return SERVICE_MALFORMED;
	return SERVICE_FINE;
}

/* A life too short or too long is taken as the shortest or longest there is. */
static enum service_fault times_clamp(struct service_descriptor *d)
{
	uint64_t life_s = d->expires_s - d->created_s;

	if (d->created_s >= d->expires_s)
		return SERVICE_BAD_TIMES;
	if (life_s < SERVICE_DESCRIPTOR_TTL_S_MIN)
		life_s = SERVICE_DESCRIPTOR_TTL_S_MIN;
	if (life_s > SERVICE_DESCRIPTOR_TTL_S_MAX)
		life_s = SERVICE_DESCRIPTOR_TTL_S_MAX;
	d->expires_s = d->created_s + life_s;
	return SERVICE_FINE;
}

static enum service_fault owner_check(const struct service_descriptor *d, const uint8_t *signer)
{
	uint8_t id[SERVICE_ID_LEN];

	if (memcmp(d->owner, signer, sizeof(d->owner)) != 0)
		return SERVICE_FOREIGN_OWNER;
	service_id_of(d->name, d->owner, id);
	return memcmp(d->id, id, sizeof(id)) == 0 ? SERVICE_FINE : SERVICE_WRONG_ID;
}

static enum service_fault object_parse(const struct signed_object *object,
				       struct service_descriptor *d)
{
	enum service_fault fault = body_parse(object, d);

	if (!fault)
		fault = labels_check(d->name, d->version, &d->major);
	if (!fault)
		fault = service_metadata_check(d->metadata, d->metadata_cnt);
	if (!fault)
		fault = service_read_only_check(&d->read_only);
	if (!fault)
		fault = times_clamp(d);
	return fault ? fault : owner_check(d, object->signer);
}

static enum service_fault wrapper_parse(const void *bytes, size_t len,
					struct signed_object *out_object)
{
	if (len > SERVICE_DESCRIPTOR_LEN_MAX)
		return SERVICE_TOO_LARGE;
	return signed_parse(bytes, len, out_object) < 0 ? SERVICE_MALFORMED : SERVICE_FINE;
}

enum service_fault service_descriptor_parse(const void *bytes, size_t len,
					    struct service_descriptor *out_descriptor)
{
	struct service_descriptor descriptor = {0};
	struct signed_object object;
	enum service_fault fault = wrapper_parse(bytes, len, &object);

	if (!fault)
		fault = object_parse(&object, &descriptor);
	if (!fault)
		*out_descriptor = descriptor;
	return fault;
}

enum service_fault service_descriptor_check_signature(const void *bytes, size_t len)
{
	struct signed_object object;

	if (signed_parse(bytes, len, &object) < 0 ||
	    signed_verify(&object, SERVICE_DESCRIPTOR_TAG) < 0)
		return SERVICE_BAD_SIGNATURE;
	return SERVICE_FINE;
}

enum service_fault service_descriptor_verify(const void *bytes, size_t len, uint64_t wall_s,
					     struct service_descriptor *out_descriptor)
{
	struct service_descriptor descriptor;
	enum service_fault fault = service_descriptor_parse(bytes, len, &descriptor);

	if (!fault)
		fault = service_descriptor_check_times(&descriptor, wall_s);
	if (!fault)
		fault = service_descriptor_check_signature(bytes, len);
	if (!fault)
		*out_descriptor = descriptor;
	return fault;
}

enum service_fault service_descriptor_check_times(const struct service_descriptor *descriptor,
						  uint64_t wall_s)
{
	if (descriptor->created_s > wall_s + SERVICE_SKEW_S)
		return SERVICE_FUTURE;
	return descriptor->expires_s + SERVICE_SKEW_S < wall_s ? SERVICE_EXPIRED : SERVICE_FINE;
}

bool service_descriptor_says(const struct service_descriptor *descriptor, const char *key,
			     const char *value)
{
	size_t key_len = strlen(key), value_len = strlen(value);

	for (unsigned i = 0; i < descriptor->metadata_cnt; i++) {
		const struct service_pair *pair = &descriptor->metadata[i];

		if (pair->key_len == key_len && memcmp(pair->key, key, key_len) == 0)
			return pair->value_len == value_len &&
			       memcmp(pair->value, value, value_len) == 0;
	}
	return false;
}
