/* SPDX-License-Identifier: Apache-2.0 */
/* Pods and messages as CBOR, in the store. */
#include "codec/cbor_fields.h"
#include "pod.h"

#define RECORD_VERSION 1

static void tags_write(struct writer *w, const void *of)
{
	const struct pod *pod = of;

	cbor_write_array(w, pod->tag_cnt);
	for (unsigned i = 0; i < pod->tag_cnt; i++)
		cbor_write_text(w, pod->tags[i], strlen(pod->tags[i]));
}

static void tags_read(struct cbor_reader *r, void *of)
{
	struct pod *pod = of;

	if (cbor_enter_array(r) > POD_TAG_MAX)
		cbor_fail(r);
	while (cbor_next(r))
		cbor_read_text_copy(r, pod->tags[pod->tag_cnt++], POD_TAG_LEN_MAX + 1);
}

static void members_write(struct writer *w, const void *of)
{
	const struct pod *pod = of;

	cbor_write_array(w, pod->member_cnt);
	for (unsigned i = 0; i < pod->member_cnt; i++) {
		const struct pod_member *member = &pod->members[i];

		cbor_write_array(w, member->has_signing_key ? 3 : 2);
		cbor_write_bytes(w, member->key, MESH_KEY_LEN);
		cbor_write_uint(w, member->role);
		if (member->has_signing_key)
			cbor_write_bytes(w, member->signing_key, MESH_KEY_LEN);
	}
}

static void members_read(struct cbor_reader *r, void *of)
{
	struct pod *pod = of;

	cbor_enter_array(r);
	while (cbor_next(r)) {
		struct pod_member *member = &pod->members[pod->member_cnt];

		if (pod->member_cnt == POD_MEMBER_MAX) {
			cbor_fail(r);
			return;
		}
		pod->member_cnt++;
		cbor_enter_array(r);
		cbor_read_fixed(r, member->key, MESH_KEY_LEN);
		member->role = (uint8_t)cbor_read_uint_max(r, POD_ROLE_CNT - 1);
		member->has_signing_key = cbor_next(r);
		if (!member->has_signing_key)
			continue;
		cbor_read_fixed(r, member->signing_key, MESH_KEY_LEN);
		if (cbor_next(r))
			cbor_fail(r);
	}
}

static const struct cbor_field channel_fields[] = {
	{0, CBOR_FIELD_TEXT, CBOR_NEEDED, CBOR_AT(struct pod_channel, name)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct pod_channel, kind),
	 .max = POD_KIND_CNT - 1},
};
static const struct cbor_table channel_table = {CBOR_FIELDS(channel_fields)};

static const struct cbor_field pod_fields[] = {
	{0, CBOR_FIELD_CONSTANT, CBOR_USUAL, .max = RECORD_VERSION},
	{1, CBOR_FIELD_TEXT, CBOR_USUAL, CBOR_AT(struct pod, name)},
	{2, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct pod, visibility),
	 .max = POD_VISIBILITY_CNT - 1},
	{3, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct pod, days), .max = POD_DAYS_MAX},
	{4, CBOR_FIELD_CODED, CBOR_USUAL, .read = tags_read, .write = tags_write},
	{5, CBOR_FIELD_ROWS, CBOR_USUAL, CBOR_ROWS(struct pod, channels, channel_table),
	 CBOR_LEN(struct pod, channel_cnt)},
	{6, CBOR_FIELD_CODED, CBOR_USUAL, .read = members_read, .write = members_write},
};
static const struct cbor_table pod_table = {CBOR_FIELDS(pod_fields)};

static const struct cbor_field message_fields[] = {
	{0, CBOR_FIELD_CONSTANT, CBOR_USUAL, .max = RECORD_VERSION},
	{1, CBOR_FIELD_TEXT, CBOR_USUAL, CBOR_AT(struct pod_message, id)},
	{2, CBOR_FIELD_TEXT, CBOR_USUAL, CBOR_AT(struct pod_message, channel)},
	{3, CBOR_FIELD_FIXED, CBOR_USUAL, CBOR_AT(struct pod_message, sender)},
	{4, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct pod_message, at_ms)},
	{5, CBOR_FIELD_SPAN, CBOR_NEEDED, CBOR_AT(struct pod_message, body),
	 CBOR_LEN(struct pod_message, body_len), .max = POD_BODY_LEN_MAX},
	{6, CBOR_FIELD_FIXED, CBOR_HAS(struct pod_message, is_signed),
	 CBOR_AT(struct pod_message, signature)},
};
static const struct cbor_table message_table = {CBOR_FIELDS(message_fields)};

void builtin_pod_write(const struct pod *pod, struct writer *w)
{
	cbor_fields_write(w, &pod_table, pod);
}

int builtin_pod_parse(struct pod *pod, const uint8_t *record, size_t len)
{
	return cbor_fields_parse(record, len, &pod_table, pod);
}

void builtin_pod_message_write(const struct pod_message *message, struct writer *w)
{
	cbor_fields_write(w, &message_table, message);
}

int builtin_pod_message_parse(struct pod_message *message, const uint8_t *record, size_t len)
{
	return cbor_fields_parse(record, len, &message_table, message);
}
