/* SPDX-License-Identifier: Apache-2.0 */
/* Pods and messages as CBOR, in the store. */
#include "codec/cbor.h"
#include "pod.h"

#define RECORD_VERSION 1

enum pod_field {
	POD_VERSION,
	POD_NAME,
	POD_VISIBILITY,
	POD_DAYS,
	POD_TAGS,
	POD_CHANNELS,
	POD_MEMBERS
};
enum message_field {
	MESSAGE_VERSION,
	MESSAGE_ID,
	MESSAGE_CHANNEL,
	MESSAGE_SENDER,
	MESSAGE_AT_MS,
	MESSAGE_BODY,
	MESSAGE_SIGNATURE,
};

static void text_write(struct writer *w, const char *text)
{
	cbor_write_text(w, text, strlen(text));
}

static void members_write(const struct pod *pod, struct writer *w)
{
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

void builtin_pod_write(const struct pod *pod, struct writer *w)
{
	cbor_write_map(w, 7);
	cbor_field_uint(w, POD_VERSION, RECORD_VERSION);
	cbor_write_uint(w, POD_NAME);
	text_write(w, pod->name);
	cbor_field_uint(w, POD_VISIBILITY, pod->visibility);
	cbor_field_uint(w, POD_DAYS, pod->days);
	cbor_write_uint(w, POD_TAGS);
	cbor_write_array(w, pod->tag_cnt);
	for (unsigned i = 0; i < pod->tag_cnt; i++)
		text_write(w, pod->tags[i]);
	cbor_write_uint(w, POD_CHANNELS);
	cbor_write_array(w, pod->channel_cnt);
	for (unsigned i = 0; i < pod->channel_cnt; i++) {
		cbor_write_array(w, 2);
		text_write(w, pod->channels[i].name);
		cbor_write_uint(w, pod->channels[i].kind);
	}
	cbor_write_uint(w, POD_MEMBERS);
	members_write(pod, w);
}

static void tags_read(struct pod *pod, struct cbor_reader *r)
{
	cbor_enter_array(r);
	while (cbor_next(r)) {
		if (pod->tag_cnt == POD_TAG_MAX)
			cbor_fail(r);
		else
			cbor_read_text_copy(r, pod->tags[pod->tag_cnt++], POD_TAG_LEN_MAX + 1);
	}
}

static void channels_read(struct pod *pod, struct cbor_reader *r)
{
	cbor_enter_array(r);
	while (cbor_next(r)) {
		struct pod_channel *channel = &pod->channels[pod->channel_cnt];

		if (pod->channel_cnt == POD_CHANNEL_MAX || cbor_enter_array(r) != 2) {
			cbor_fail(r);
			return;
		}
		pod->channel_cnt++;
		cbor_read_text_copy(r, channel->name, sizeof(channel->name));
		channel->kind = (uint8_t)cbor_read_uint_max(r, POD_KIND_CNT - 1);
		if (cbor_next(r))
			cbor_fail(r);
	}
}

static void members_read(struct pod *pod, struct cbor_reader *r)
{
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

int builtin_pod_parse(struct pod *pod, const uint8_t *record, size_t len)
{
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, record, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		switch (key) {
		case POD_VERSION:
			if (cbor_read_uint(&r) != RECORD_VERSION)
				cbor_fail(&r);
			break;
		case POD_NAME:
			cbor_read_text_copy(&r, pod->name, sizeof(pod->name));
			break;
		case POD_VISIBILITY:
			pod->visibility = (uint8_t)cbor_read_uint_max(&r, POD_VISIBILITY_CNT - 1);
			break;
		case POD_DAYS:
			pod->days = (uint16_t)cbor_read_uint_max(&r, POD_DAYS_MAX);
			break;
		case POD_TAGS:
			tags_read(pod, &r);
			break;
		case POD_CHANNELS:
			channels_read(pod, &r);
			break;
		case POD_MEMBERS:
			members_read(pod, &r);
			break;
		default:
			cbor_skip(&r);
		}
	}
	return cbor_reader_finish(&r);
}

void builtin_pod_message_write(const struct pod_message *message, struct writer *w)
{
	cbor_write_map(w, message->is_signed ? 7 : 6);
	cbor_field_uint(w, MESSAGE_VERSION, RECORD_VERSION);
	cbor_write_uint(w, MESSAGE_ID);
	text_write(w, message->id);
	cbor_write_uint(w, MESSAGE_CHANNEL);
	text_write(w, message->channel);
	cbor_field_bytes(w, MESSAGE_SENDER, message->sender, MESH_KEY_LEN);
	cbor_field_uint(w, MESSAGE_AT_MS, message->at_ms);
	cbor_field_text(w, MESSAGE_BODY, message->body, message->body_len);
	if (!message->is_signed)
		return;
	cbor_field_bytes(w, MESSAGE_SIGNATURE, message->signature, POD_SIGNATURE_LEN);
}

int builtin_pod_message_parse(struct pod_message *message, const uint8_t *record, size_t len)
{
	struct cbor_reader r;
	size_t body_len = 0;
	uint64_t key;

	cbor_reader_init(&r, record, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		switch (key) {
		case MESSAGE_VERSION:
			if (cbor_read_uint(&r) != RECORD_VERSION)
				cbor_fail(&r);
			break;
		case MESSAGE_ID:
			cbor_read_text_copy(&r, message->id, sizeof(message->id));
			break;
		case MESSAGE_CHANNEL:
			cbor_read_text_copy(&r, message->channel, sizeof(message->channel));
			break;
		case MESSAGE_SENDER:
			cbor_read_fixed(&r, message->sender, MESH_KEY_LEN);
			break;
		case MESSAGE_AT_MS:
			message->at_ms = cbor_read_uint(&r);
			break;
		case MESSAGE_BODY:
			message->body = cbor_read_text(&r, &body_len);
			break;
		case MESSAGE_SIGNATURE:
			cbor_read_fixed(&r, message->signature, POD_SIGNATURE_LEN);
			message->is_signed = true;
			break;
		default:
			cbor_skip(&r);
		}
	}
	if (!message->body || body_len > POD_BODY_LEN_MAX)
		return WEFT_EMALFORMED;
	message->body_len = (uint32_t)body_len;
	return cbor_reader_finish(&r);
}
