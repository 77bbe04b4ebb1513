/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "codec/pipe_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What a stream said: a hash over its messages, not over how they were cut, and its end. */
struct outcome {
	uint64_t hash;
	uint64_t byte_cnt;
	int err;
};

static void mix(struct outcome *outcome, uint64_t value)
{
	outcome->hash = (outcome->hash ^ value) * 0x100000001b3ull;
}

static void frame_mix(struct outcome *outcome, const struct pipe_frame *frame)
{
	outcome->byte_cnt += frame->len;
	for (size_t i = 0; i < frame->len; i++)
		mix(outcome, frame->data[i] + 256u * frame->kind);
	if (frame->is_last || frame->kind >= PIPE_FRAME_FINISH)
		mix(outcome, 4096 + frame->kind);
	if (frame->kind != PIPE_FRAME_END)
		return;
	weft_assert(strlen(frame->text) <= PIPE_FRAME_TEXT_LEN_MAX);
	mix(outcome, frame->status);
	for (const char *text = frame->text; *text; text++)
		mix(outcome, (uint8_t)*text);
}

static struct outcome stream_run(const uint8_t *data, size_t len, const uint8_t *cuts,
				 size_t cut_cnt)
{
	struct outcome outcome = {.hash = 0xcbf29ce484222325ull};
	struct pipe_frame_in in = {0};
	size_t off = 0, cut = 0;

	while (off < len) {
		size_t part = cut_cnt ? (size_t)cuts[cut++ % cut_cnt] + 1 : len;
		struct pipe_frame frame;
		struct cursor c;

		if (part > len - off)
			part = len - off;
		c = cursor_of(data + off, part);
		off += part;
		while ((outcome.err = pipe_frame_input(&in, &c, &frame)) == 1)
			frame_mix(&outcome, &frame);
		if (outcome.err < 0)
			break;
		weft_assert(cursor_left(&c) == 0);
	}
	return outcome;
}

/* However the bytes are cut, they say the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t cut_cnt = len ? data[0] % 8u : 0;
	struct outcome whole, cut, single;
	const uint8_t one = 0;

	if (len < 1 + cut_cnt)
		return 0;
	whole = stream_run(data + 1 + cut_cnt, len - 1 - cut_cnt, NULL, 0);
	cut = stream_run(data + 1 + cut_cnt, len - 1 - cut_cnt, data + 1, cut_cnt);
	single = stream_run(data + 1 + cut_cnt, len - 1 - cut_cnt, &one, 1);
	weft_assert(whole.byte_cnt <= len);
	weft_assert(whole.hash == cut.hash && whole.hash == single.hash);
	weft_assert(whole.err == cut.err && whole.err == single.err);
	return 0;
}
