/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inbound half of the control socket: bytes to requests. Home worker;
 * knows no sockets.
 */
#include "control/control_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json_heap.h"

#define SPLITTER_CAP_MIN  4096
#define SPLITTER_CAP_WIDE 65536

static int splitter_grow(struct request_splitter *s)
{
	size_t cap = s->cap ? s->cap * 2 : SPLITTER_CAP_MIN;
	char *buf;

	if (cap > s->len_max + 1)
		cap = s->len_max + 1;
	if (cap <= s->cap)
		return WEFT_ETOOLARGE;
	buf = realloc(s->buf, cap);
	if (!buf)
		return -ENOMEM;
	s->buf = buf;
	s->cap = cap;
	return 0;
}

int control_request_reserve(struct request_splitter *s, char **out_room, size_t *out_cap)
{
	int err;

	if (s->begin) {
		memmove(s->buf, s->buf + s->begin, s->end - s->begin);
		s->end -= s->begin;
		s->scanned -= s->begin;
		s->begin = 0;
	}
	if (s->end == s->cap) {
		err = splitter_grow(s);
		if (err < 0)
			return err;
	}
	*out_room = s->buf + s->end;
	*out_cap = s->cap - s->end;
	return 0;
}

void control_request_commit(struct request_splitter *s, size_t len)
{
	s->end += len;
}

int control_request_take(struct request_splitter *s, const char **out_text, size_t *out_len)
{
	const char *nul;

	if (s->scanned == s->end)
		return 0;
	nul = memchr(s->buf + s->scanned, '\0', s->end - s->scanned);
	if (!nul) {
		s->scanned = s->end;
		return s->end - s->begin > s->len_max ? WEFT_ETOOLARGE : 0;
	}
	*out_text = s->buf + s->begin;
	*out_len = (size_t)(nul - *out_text);
	s->begin = (size_t)(nul - s->buf) + 1;
	s->scanned = s->begin;
	return *out_len > s->len_max ? WEFT_ETOOLARGE : 1;
}

void control_request_widen(struct request_splitter *s)
{
	size_t cap = s->len_max < SPLITTER_CAP_WIDE ? s->len_max + 1 : SPLITTER_CAP_WIDE;
	char *buf = s->cap < cap ? realloc(s->buf, cap) : NULL;

	if (!buf)
		return; /* it is wide enough, or a narrow one has to do */
	s->buf = buf;
	s->cap = cap;
}

size_t control_request_peek(const struct request_splitter *s, const uint8_t **out_data)
{
	if (s->begin != s->end)
		*out_data = (const uint8_t *)s->buf + s->begin;
	return s->end - s->begin;
}

void control_request_skip(struct request_splitter *s, size_t len)
{
	s->begin += len;
	s->scanned = s->begin;
}

bool control_request_is_partial(const struct request_splitter *s)
{
	return s->end != s->begin;
}

void control_request_shrink(struct request_splitter *s)
{
	if (s->begin == s->end)
		control_request_fini(s);
}

void control_request_fini(struct request_splitter *s)
{
	free(s->buf);
	*s = (struct request_splitter){.len_max = s->len_max};
}

/* flag_read: absent and null are false. */
static int flag_read(const json_t *message, const char *name, bool *out_flag)
{
	const json_t *flag = json_object_get(message, name);

	*out_flag = json_is_true(flag);
	return !flag || json_is_null(flag) || json_is_boolean(flag) ? 0 : WEFT_EMALFORMED;
}

static int id_read(const json_t *message, struct request *request)
{
	const json_t *id = json_object_get(message, "id");
	json_int_t value = json_integer_value(id);

	if (!id || json_is_null(id))
		return 0;
	if (!json_is_integer(id) || value < 0 || (uint64_t)value > REQUEST_ID_MAX)
		return WEFT_EMALFORMED;
	request->has_id = true;
	request->id = (uint64_t)value;
	return 0;
}

static int message_read(struct request *request)
{
	json_t *parameters = json_object_get(request->message, "parameters");

	request->method = json_string_value(json_object_get(request->message, "method"));
	if (!request->method)
		return WEFT_EMALFORMED;
	if (!parameters || json_is_null(parameters)) {
		parameters = json_object();
		if (json_object_set_new(request->message, "parameters", parameters) < 0)
			return -ENOMEM;
	}
	request->parameters = parameters;
	if (!json_is_object(parameters) ||
	    flag_read(request->message, "more", &request->wants_more) < 0 ||
	    flag_read(request->message, "oneway", &request->is_oneway) < 0 ||
	    flag_read(request->message, "upgrade", &request->wants_upgrade) < 0 ||
	    id_read(request->message, request) < 0 || (request->has_id && request->wants_upgrade))
		return WEFT_EMALFORMED;
	return request->wants_more + request->is_oneway + request->wants_upgrade > 1
		       ? WEFT_EMALFORMED
		       : 0;
}

int control_request_parse(const char *text, size_t len, struct request *out_request)
{
	struct request request = {0};
	int err;

	err = json_heap_load(text, len, JSON_REJECT_DUPLICATES, &request.message);
	if (err < 0)
		return err;
	(void)json_heap_swap_lost(false);
	err = json_is_object(request.message) ? message_read(&request) : WEFT_EMALFORMED;
	if (err < 0) {
		control_request_drop(&request);
		return err;
	}
	*out_request = request;
	return 0;
}

void control_request_drop(struct request *request)
{
	json_decref(request->message);
	request->message = NULL;
}
