/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between weftd and its launcher: bytes to struct and back. Pure. */
#include "launch_message.h"

#include <string.h>

#include "base/byte_cursor.h"

#define LAUNCH_VERSION 1

enum { CAN_CHANGE_USER = 1, CAN_HIDE = 2, HAS_CGROUP = 4 };

static void text_write(struct writer *w, const char *text)
{
	size_t len = strlen(text) + 1;

	if (len > UINT16_MAX) {
		w->bad = true;
		return;
	}
	writer_be16(w, (uint16_t)len);
	writer_bytes(w, text, len);
}

static const char *text_read(struct cursor *c)
{
	size_t len = cursor_be16(c);
	const char *text = (const char *)cursor_bytes(c, len);

	if (!text || strnlen(text, len) + 1 != len) {
		c->bad = true;
		return NULL;
	}
	return text;
}

static void texts_write(struct writer *w, const char *const *texts, unsigned cnt)
{
	writer_u8(w, (uint8_t)cnt);
	for (unsigned i = 0; i < cnt; i++)
		text_write(w, texts[i]);
}

static unsigned texts_read(struct cursor *c, const char **texts, unsigned cnt_max)
{
	unsigned cnt = cursor_u8(c);

	if (cnt > cnt_max) {
		c->bad = true;
		return 0;
	}
	for (unsigned i = 0; i < cnt; i++)
		texts[i] = text_read(c);
	return cnt;
}

static void ready_write(struct writer *w, const struct launch_ready *ready)
{
	writer_u8(w, (uint8_t)((ready->can_change_user ? CAN_CHANGE_USER : 0) |
			       (ready->can_hide ? CAN_HIDE : 0) |
			       (ready->has_cgroup ? HAS_CGROUP : 0)));
	writer_be32(w, ready->hide_err);
}

static void ready_read(struct cursor *c, struct launch_ready *ready)
{
	unsigned can = cursor_u8(c);

	ready->can_change_user = can & CAN_CHANGE_USER;
	ready->can_hide = can & CAN_HIDE;
	ready->has_cgroup = can & HAS_CGROUP;
	ready->hide_err = cursor_be32(c);
}

static void start_write(struct writer *w, const struct launch_start *start)
{
	writer_be64(w, start->id);
	writer_be32(w, start->flags);
	writer_be32(w, start->uid);
	writer_be32(w, start->gid);
	writer_be64(w, start->memory_len_max);
	writer_be32(w, start->cpu_s_max);
	writer_be32(w, start->life_ms);
	texts_write(w, start->argv, start->argv_cnt);
	texts_write(w, start->envp, start->envp_cnt);
}

static void start_read(struct cursor *c, struct launch_start *start)
{
	start->id = cursor_be64(c);
	start->flags = cursor_be32(c);
	start->uid = cursor_be32(c);
	start->gid = cursor_be32(c);
	start->memory_len_max = cursor_be64(c);
	start->cpu_s_max = cursor_be32(c);
	start->life_ms = cursor_be32(c);
	start->argv_cnt = texts_read(c, start->argv, LAUNCH_ARGS_MAX);
	start->envp_cnt = texts_read(c, start->envp, LAUNCH_ARGS_MAX);
	if ((start->flags & ~LAUNCH_FLAGS) || start->argv_cnt == 0 ||
	    (start->uid == LAUNCH_USER_SAME) != (start->gid == LAUNCH_USER_SAME))
		c->bad = true;
}

static void end_write(struct writer *w, enum launch_kind kind, const struct launch_end *end)
{
	writer_be64(w, end->id);
	if (kind == LAUNCH_FAILED) {
		writer_u8(w, (uint8_t)end->step);
		writer_be32(w, end->err);
	}
	if (kind == LAUNCH_ENDED)
		writer_be32(w, end->code);
}

static void end_read(struct cursor *c, enum launch_kind kind, struct launch_end *end)
{
	end->id = cursor_be64(c);
	if (kind == LAUNCH_FAILED) {
		unsigned step = cursor_u8(c);

		end->err = cursor_be32(c);
		if (step >= LAUNCH_STEP_CNT || end->err == 0)
			c->bad = true;
		else
			end->step = (enum launch_step)step;
	}
	if (kind == LAUNCH_ENDED)
		end->code = cursor_be32(c);
}

int provider_launch_write(const struct launch_message *message,
			  uint8_t data[static LAUNCH_MESSAGE_LEN_MAX])
{
	struct writer w = writer_of(data, LAUNCH_MESSAGE_LEN_MAX);

	writer_u8(&w, LAUNCH_VERSION);
	writer_u8(&w, (uint8_t)message->kind);
	switch (message->kind) {
	case LAUNCH_SETUP:
		writer_be32(&w, message->setup.program_cap);
		texts_write(&w, message->setup.hidden, message->setup.hidden_cnt);
		break;
	case LAUNCH_READY:
		ready_write(&w, &message->ready);
		break;
	case LAUNCH_START:
		start_write(&w, &message->start);
		break;
	case LAUNCH_KILL:
	case LAUNCH_FAILED:
	case LAUNCH_ENDED:
		end_write(&w, message->kind, &message->end);
		break;
	}
	return w.bad ? WEFT_ETOOLARGE : (int)writer_len(&w);
}

int provider_launch_parse(const uint8_t *data, size_t len, struct launch_message *out_message)
{
	struct cursor c = cursor_of(data, len);
	struct launch_message message;

	memset(&message, 0, sizeof(message));
	if (cursor_u8(&c) != LAUNCH_VERSION)
		return WEFT_EMALFORMED;
	message.kind = (enum launch_kind)cursor_u8(&c);
	switch (message.kind) {
	case LAUNCH_SETUP:
		message.setup.program_cap = cursor_be32(&c);
		message.setup.hidden_cnt = texts_read(&c, message.setup.hidden, LAUNCH_HIDDEN_MAX);
		break;
	case LAUNCH_READY:
		ready_read(&c, &message.ready);
		break;
	case LAUNCH_START:
		start_read(&c, &message.start);
		break;
	case LAUNCH_KILL:
	case LAUNCH_FAILED:
	case LAUNCH_ENDED:
		end_read(&c, message.kind, &message.end);
		break;
	default:
		return WEFT_EMALFORMED;
	}
	if (c.bad || cursor_left(&c))
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}
