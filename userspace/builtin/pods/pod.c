/* SPDX-License-Identifier: Apache-2.0 */
#include "pod.h"

#include <inttypes.h>
#include <stdio.h>

#include "codec/text/base64.h"
#include "codec/text/hex.h"
#include "codec/text/zbase32.h"
#include "crypto/sha256.h"

const char *const builtin_pod_visibilities[POD_VISIBILITY_CNT] = {"listed", "unlisted", "private"};
const char *const builtin_pod_kinds[POD_KIND_CNT] = {"general", "custom", "bound", "dm"};
const char *const builtin_pod_roles[POD_ROLE_CNT] = {"member", "mod", "owner"};

int builtin_pod_word(const char *const *words, int cnt, const char *text)
{
	for (int i = 0; i < cnt; i++)
		if (strcmp(words[i], text) == 0)
			return i;
	return -1;
}

static void id_write(const void *text, size_t len, char out_id[POD_ID_LEN + 1])
{
	uint8_t hash[SHA256_HASH_LEN];

	sha256(text, len, hash);
	memcpy(out_id, "pod:", 4);
	hex_write(hash, (POD_ID_LEN - 4) / 2, out_id + 4);
}

void builtin_pod_id_of(const uint8_t scope[POD_SCOPE_LEN], const char *name,
		       char out_id[POD_ID_LEN + 1])
{
	uint8_t text[POD_SCOPE_LEN + POD_NAME_LEN_MAX];
	struct writer w = writer_of(text, sizeof(text));

	writer_bytes(&w, scope, POD_SCOPE_LEN);
	writer_bytes(&w, name, strlen(name));
	id_write(text, writer_len(&w), out_id);
}

void builtin_pod_id_of_conversation(const uint8_t a[MESH_KEY_LEN], const uint8_t b[MESH_KEY_LEN],
				    char out_id[POD_ID_LEN + 1])
{
	char one[ZBASE32_KEY_TEXT_CAP], other[ZBASE32_KEY_TEXT_CAP], text[160];
	bool is_lower;
	int len;

	zbase32_write(a, MESH_KEY_LEN, one);
	zbase32_write(b, MESH_KEY_LEN, other);
	is_lower = strcmp(one, other) < 0;
	len = snprintf(text, sizeof(text), "conversation:peer:%s:peer:%s", is_lower ? one : other,
		       is_lower ? other : one);
	id_write(text, (size_t)len, out_id);
}

bool builtin_pod_text_is_name(const char *text, size_t len_max)
{
	size_t len = 0;

	for (; text[len]; len++)
		if (len == len_max || (unsigned char)text[len] < ' ' || text[len] == 0x7f)
			return false;
	return len > 0;
}

bool builtin_pod_text_is_channel(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return len > 0 && len <= POD_CHANNEL_LEN_MAX && !text[len];
}

struct pod_member *builtin_pod_find_member(struct pod *pod, const uint8_t key[MESH_KEY_LEN])
{
	for (unsigned i = 0; i < pod->member_cnt; i++)
		if (memcmp(pod->members[i].key, key, MESH_KEY_LEN) == 0)
			return &pod->members[i];
	return NULL;
}

const struct pod_channel *builtin_pod_find_channel(const struct pod *pod, const char *name)
{
	for (unsigned i = 0; i < pod->channel_cnt; i++)
		if (strcmp(pod->channels[i].name, name) == 0)
			return &pod->channels[i];
	return NULL;
}

int builtin_pod_add_member(struct pod *pod, const uint8_t key[MESH_KEY_LEN], enum pod_role role)
{
	struct pod_member *member;

	if (builtin_pod_find_member(pod, key))
		return WEFT_EEXISTS;
	if (pod->member_cnt == POD_MEMBER_MAX)
		return WEFT_EFULL;
	member = &pod->members[pod->member_cnt++];
	*member = (struct pod_member){.role = (uint8_t)role};
	memcpy(member->key, key, MESH_KEY_LEN);
	return 0;
}

int builtin_pod_add_channel(struct pod *pod, const char *name, enum pod_kind kind)
{
	struct pod_channel *channel;

	if (builtin_pod_find_channel(pod, name))
		return WEFT_EEXISTS;
	if (pod->channel_cnt == POD_CHANNEL_MAX)
		return WEFT_EFULL;
	channel = &pod->channels[pod->channel_cnt++];
	*channel = (struct pod_channel){.kind = (uint8_t)kind};
	memcpy(channel->name, name, strlen(name));
	return 0;
}

int builtin_pod_add_tag(struct pod *pod, const char *tag)
{
	for (unsigned i = 0; i < pod->tag_cnt; i++)
		if (strcmp(pod->tags[i], tag) == 0)
			return WEFT_EEXISTS;
	if (pod->tag_cnt == POD_TAG_MAX)
		return WEFT_EFULL;
	memcpy(pod->tags[pod->tag_cnt++], tag, strlen(tag) + 1);
	return 0;
}

void builtin_pod_drop_member(struct pod *pod, struct pod_member *member)
{
	size_t after = (size_t)(&pod->members[pod->member_cnt] - member) - 1;

	memmove(member, member + 1, after * sizeof(*member));
	pod->member_cnt--;
}

size_t builtin_pod_message_signing_text(const char *pod_id, const struct pod_message *message,
					char out_text[POD_SIGNING_TEXT_CAP])
{
	char sender[ZBASE32_KEY_TEXT_CAP], body[BASE64_LEN(SHA256_HASH_LEN) + 1];
	uint8_t hash[SHA256_HASH_LEN];

	sha256(message->body, message->body_len, hash);
	return (size_t)snprintf(out_text, POD_SIGNING_TEXT_CAP, "1|%s|%s|%s|%s|%" PRIu64 "|%s",
				pod_id, message->channel, message->id,
				zbase32_write(message->sender, MESH_KEY_LEN, sender),
				message->at_ms, base64_write(hash, sizeof(hash), body));
}
