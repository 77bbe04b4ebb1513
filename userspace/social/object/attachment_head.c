/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/attachment_head.h"

#include <string.h>

#include "codec/cbor_fields.h"
#include "crypto/blake3/blake3.h"
#include "social/object/social_text.h"
#include "social/seal/content_key.h"

#define OTHER_TYPE "application/octet-stream"
#define NAME_MARK  "; name=\""

/* As it is in the seal; what it says is judged behind that. */
struct raw_head {
	const char *type, *name;
	size_t type_len, name_len;
	uint64_t size;
};
static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_SPAN, CBOR_NEEDED, CBOR_AT(struct raw_head, type),
	 CBOR_LEN(struct raw_head, type_len), .max = POST_TYPE_LEN_MAX},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct raw_head, size),
	 .max = POST_ATTACHMENT_SIZE_MAX},
	{2, CBOR_FIELD_SPAN, CBOR_WHEN(struct raw_head, name_len), CBOR_AT(struct raw_head, name),
	 CBOR_LEN(struct raw_head, name_len), .max = ATTACHMENT_NAME_MAX},
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};

/* What RFC 6838 has in a name of a type. */
static bool is_type_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$&-^_.+", c));
}

static void type_set(struct attachment_head *head, const char *type, size_t len)
{
	unsigned slash_cnt = 0;
	bool is_sound = len > 2 && len <= POST_TYPE_LEN_MAX;

	for (size_t i = 0; is_sound && i < len; i++) {
		slash_cnt += type[i] == '/';
		is_sound = type[i] == '/' ? i > 0 && i + 1 < len : is_type_letter(type[i]);
	}
	if (!is_sound || slash_cnt != 1) {
		type = OTHER_TYPE;
		len = strlen(OTHER_TYPE);
	}
	memcpy(head->type, type, len);
	head->type[len] = '\0';
}

static void name_set(struct attachment_head *head, const char *name, size_t len)
{
	bool is_sound = len && len <= ATTACHMENT_NAME_MAX && social_text_is_name(name, len) &&
			name[0] != '.' && !memchr(name, '/', len) && !memchr(name, '\\', len) &&
			!memchr(name, '"', len);

	head->name[0] = '\0';
	if (!is_sound)
		return;
	memcpy(head->name, name, len);
	head->name[len] = '\0';
}

void social_attachment_head_set(struct attachment_head *head, const char *type, const char *name)
{
	type_set(head, type, strlen(type));
	name_set(head, name ? name : "", name ? strlen(name) : 0);
}

int social_attachment_head_parse(const uint8_t *bytes, size_t len, struct attachment_head *out_head,
				 size_t *out_off)
{
	struct cursor c = cursor_of(bytes, len);
	struct raw_head raw = {.type = NULL};
	size_t head_len = cursor_be16(&c);
	const uint8_t *at = cursor_bytes(&c, head_len);

	if (c.bad || head_len + 2 > ATTACHMENT_HEAD_MAX ||
	    cbor_fields_parse(at, head_len, &table, &raw) < 0)
		return WEFT_EMALFORMED;
	type_set(out_head, raw.type, raw.type_len);
	name_set(out_head, raw.name, raw.name_len);
	out_head->size = raw.size;
	*out_off = head_len + 2;
	return 0;
}

void social_attachment_head_write(struct writer *w, const struct attachment_head *head)
{
	const struct raw_head raw = {head->type, head->name, strlen(head->type), strlen(head->name),
				     head->size};
	uint8_t bytes[ATTACHMENT_HEAD_MAX];
	struct writer inner = writer_of(bytes, sizeof(bytes) - 2);

	cbor_fields_write(&inner, &table, &raw);
	w->bad |= inner.bad;
	writer_be16(w, (uint16_t)writer_len(&inner));
	writer_bytes(w, bytes, writer_len(&inner));
}

void social_attachment_type_parse(const char *type, size_t len, struct attachment_head *out_head)
{
	size_t mark_len = strlen(NAME_MARK), end = 0;
	const char *name = NULL;

	while (end < len && type[end] != ';')
		end++;
	*out_head = (struct attachment_head){.size = 0};
	type_set(out_head, type, end);
	if (len - end > mark_len && memcmp(type + end, NAME_MARK, mark_len) == 0 &&
	    type[len - 1] == '"')
		name = type + end + mark_len;
	if (name)
		name_set(out_head, name, (size_t)(type + len - 1 - name));
}

/* A name that finds no room is left out: half of one is another name. */
void social_attachment_type_write(const struct attachment_head *head,
				  char out_type[static POST_TYPE_LEN_MAX + 1])
{
	struct writer w = writer_of(out_type, POST_TYPE_LEN_MAX);

	writer_bytes(&w, head->type, strlen(head->type));
	if (head->name[0]) {
		writer_bytes(&w, NAME_MARK, strlen(NAME_MARK));
		writer_bytes(&w, head->name, strlen(head->name));
		writer_u8(&w, '"');
	}
	out_type[w.bad ? strlen(head->type) : writer_len(&w)] = '\0';
}

uint64_t social_attachment_unit_cnt(const struct attachment_head *head, size_t head_len)
{
	return (head->size + head_len + CONTENT_UNIT_TEXT_MAX - 1) / CONTENT_UNIT_TEXT_MAX;
}

uint64_t social_attachment_chunk_cnt(uint64_t size)
{
	return size ? (size + BLAKE3_CHUNK_LEN - 1) / BLAKE3_CHUNK_LEN : 1;
}
