/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "codec/cbor.h"
#include "mesh/stream/mesh_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define BODY_CAP 4096

/* What a stream gave: a hash over its frames, and how it ended. */
struct outcome {
	uint64_t hash;
	unsigned frame_cnt;
	bool is_bad;
};

static uint64_t mixed(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * 0x100000001b3ull;
}

/* A frame that was accepted is deterministic CBOR to codec/cbor too. */
static void check_against_cbor(const struct mesh_frame *frame)
{
	uint8_t head[MESH_FRAME_HEAD_LEN_MAX];
	struct writer w = writer_of(head, sizeof(head));
	struct cbor_reader r;
	uint64_t key;

	mesh_frame_write(&w, frame);
	weft_assert(!w.bad);
	if (frame->payload_len)
		return; /* the rest of the map is not here */
	cbor_reader_init(&r, head + 4, writer_len(&w) - 4);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key))
		cbor_skip(&r);
	weft_assert(cbor_reader_finish(&r) == 0);
}

static struct outcome stream_run(const uint8_t *data, size_t len, const uint8_t *cuts,
				 size_t cut_cnt)
{
	struct outcome outcome = {.hash = 0xcbf29ce484222325ull};
	struct mesh_frame_in in = {0};
	uint8_t body[BODY_CAP];
	size_t off = 0, cut = 0;

	while (off < len) {
		size_t part = cut_cnt ? (size_t)cuts[cut++ % cut_cnt] + 1 : len;
		struct cursor c;

		if (part > len - off)
			part = len - off;
		c = cursor_of(data + off, part);
		off += part;
		do {
			int got = mesh_frame_in_head(&in, &c);

			if (got < 0) {
				outcome.is_bad = true;
				return outcome;
			}
			if (!got)
				continue;
			/* Larger payloads are skipped, as those of unknown types are. */
			in.body = in.frame.payload_len <= sizeof(body) ? body : NULL;
			if (!mesh_frame_in_body(&in, &c))
				continue;
			check_against_cbor(&in.frame);
			outcome.hash = mixed(outcome.hash, in.frame.type);
			outcome.hash = mixed(outcome.hash, in.frame.req_id);
			outcome.hash = mixed(outcome.hash, in.frame.flags);
			for (size_t i = 0; in.body && i < in.frame.payload_len; i++)
				outcome.hash = mixed(outcome.hash, body[i]);
			outcome.frame_cnt++;
			mesh_frame_in_reset(&in);
		} while (cursor_left(&c));
	}
	/* A head that came whole was not collected. */
	outcome.hash = mixed(outcome.hash, (in.has_frame ? 0 : in.head_len) + in.body_len);
	return outcome;
}

/* However the bytes are cut, the frames are the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t cut_cnt = len ? data[0] % 8u : 0;
	struct mesh_error error;
	struct outcome whole, cut, single;
	const uint8_t one = 0;

	if (len < 1 + cut_cnt)
		return 0;
	whole = stream_run(data + 1 + cut_cnt, len - 1 - cut_cnt, NULL, 0);
	cut = stream_run(data + 1 + cut_cnt, len - 1 - cut_cnt, data + 1, cut_cnt);
	single = stream_run(data + 1 + cut_cnt, len - 1 - cut_cnt, &one, 1);
	weft_assert(whole.hash == cut.hash && whole.hash == single.hash);
	weft_assert(whole.frame_cnt == cut.frame_cnt && whole.frame_cnt == single.frame_cnt);
	weft_assert(whole.is_bad == cut.is_bad && whole.is_bad == single.is_bad);
	if (mesh_error_parse(data, len, &error) == 0)
		weft_assert(error.code <= UINT16_MAX && strlen(error.text) < sizeof(error.text));
	return 0;
}
