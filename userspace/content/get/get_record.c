/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of a get: 0 version 1 | 1 link | 2 target | 3 replacing |
 * 4 range offset? | 5 range length? | 6 state | 7 error | 8 detail |
 * 9 title | 10 items | 11 bytes | 12 items done | 13 bytes done |
 * 14 part ids (one byte string) | 15 something is staged |
 * 16 it is to be taken back.
 */
#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"
#include "content/get/get_state.h"

#define RECORD_VERSION 1

void get_record_key(uint64_t id, uint8_t key[static GET_RECORD_KEY_LEN])
{
	struct writer w = writer_of(key, GET_RECORD_KEY_LEN);

	writer_be64(&w, id);
}

static void field_uint(struct writer *w, uint64_t key, uint64_t value)
{
	cbor_write_uint(w, key);
	cbor_write_uint(w, value);
}

static void field_text(struct writer *w, uint64_t key, const char *text)
{
	cbor_write_uint(w, key);
	cbor_write_text(w, text, strlen(text));
}

int get_record_write(const struct get *get, uint8_t *out, size_t cap)
{
	struct writer w = writer_of(out, cap);
	char link[LINK_TEXT_CAP];

	cbor_write_map(&w, get->has_range ? 17 : 15);
	field_uint(&w, 0, RECORD_VERSION);
	field_text(&w, 1, link_write(&get->link, link));
	/* Paths need not be UTF-8, so these are byte strings. */
	cbor_write_uint(&w, 2);
	cbor_write_bytes(&w, get->target, strlen(get->target));
	cbor_write_uint(&w, 3);
	cbor_write_bool(&w, get->is_replacing);
	if (get->has_range) {
		field_uint(&w, 4, get->range_off);
		field_uint(&w, 5, get->range_len);
	}
	field_uint(&w, 6, get->view.state);
	cbor_write_uint(&w, 7);
	cbor_write_int(&w, get->view.err);
	cbor_write_uint(&w, 8);
	cbor_write_bytes(&w, get->detail, strlen(get->detail));
	field_text(&w, 9, get->title);
	field_uint(&w, 10, get->view.item_cnt);
	field_uint(&w, 11, get->view.byte_cnt);
	field_uint(&w, 12, get->view.item_done_cnt);
	field_uint(&w, 13, get->view.byte_done_cnt);
	cbor_write_uint(&w, 14);
	cbor_write_bytes(&w, get->part_ids, (size_t)get->part_cnt * OBJECT_ID_LEN);
	cbor_write_uint(&w, 15);
	cbor_write_bool(&w, get->has_staged);
	cbor_write_uint(&w, 16);
	cbor_write_bool(&w, get->is_cancelled);
	return w.bad ? WEFT_EFULL : (int)writer_len(&w);
}

/* A byte string without NUL inside, as text of at most cap - 1 bytes. */
static void read_bytes_text(struct cbor_reader *r, char *dst, size_t cap)
{
	size_t len;
	const uint8_t *bytes = cbor_read_bytes(r, &len);

	if (!bytes || len >= cap || memchr(bytes, 0, len)) {
		cbor_fail(r);
		return;
	}
	memcpy(dst, bytes, len);
	dst[len] = '\0';
}

static void read_link(struct cbor_reader *r, struct link *link)
{
	char text[LINK_TEXT_CAP] = "";

	cbor_read_text_copy(r, text, sizeof(text));
	if (!cbor_is_bad(r) && link_parse(text, link) < 0)
		cbor_fail(r);
}

static void read_part_ids(struct cbor_reader *r, struct get *get)
{
	size_t len;
	const uint8_t *bytes = cbor_read_bytes(r, &len);

	if (!bytes || len % OBJECT_ID_LEN || len / OBJECT_ID_LEN > MANIFEST_PARTS_MAX) {
		cbor_fail(r);
		return;
	}
	if (len == 0)
		return;
	get->part_ids = malloc(len);
	if (!get->part_ids) {
		cbor_fail(r);
		return;
	}
	memcpy(get->part_ids, bytes, len);
	get->part_cnt = (uint32_t)(len / OBJECT_ID_LEN);
}

static void read_field(struct cbor_reader *r, uint64_t key, struct get *get)
{
	struct content_get *view = &get->view;

	switch (key) {
	case 0:
		if (cbor_read_uint(r) != RECORD_VERSION)
			cbor_fail(r);
		break;
	case 1:
		read_link(r, &get->link);
		break;
	case 2:
		read_bytes_text(r, get->target, sizeof(get->target));
		break;
	case 3:
		get->is_replacing = cbor_read_bool(r);
		break;
	case 4:
		get->has_range = true;
		get->range_off = cbor_read_uint(r);
		break;
	case 5:
		get->range_len = cbor_read_uint(r);
		break;
	case 6:
		view->state = (enum content_get_state)cbor_read_uint_max(r, CONTENT_GET_TAKEN_BACK);
		break;
	case 7:
		view->err = (int)cbor_read_int(r);
		break;
	case 8:
		read_bytes_text(r, get->detail, sizeof(get->detail));
		break;
	case 9:
		cbor_read_text_copy(r, get->title, sizeof(get->title));
		break;
	case 10:
		view->item_cnt = cbor_read_uint(r);
		break;
	case 11:
		view->byte_cnt = cbor_read_uint(r);
		break;
	case 12:
		view->item_done_cnt = cbor_read_uint(r);
		break;
	case 13:
		view->byte_done_cnt = cbor_read_uint(r);
		break;
	case 14:
		read_part_ids(r, get);
		break;
	case 15:
		get->has_staged = cbor_read_bool(r);
		break;
	case 16:
		get->is_cancelled = cbor_read_bool(r);
		break;
	default:
		cbor_skip(r);
	}
}

int get_record_parse(const void *data, size_t len, struct get *get)
{
	struct cbor_reader r;
	uint64_t key;
	int err;

	cbor_reader_init(&r, data, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key))
		read_field(&r, key, get);
	err = cbor_reader_finish(&r);
	return err ? err : get->target[0] == '/' ? 0 : WEFT_EMALFORMED;
}
