/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_STREAM_MESH_FRAME_H
#define WEFT_MESH_STREAM_MESH_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

/*
 * The frame: u32 big-endian length of what follows, then the
 * deterministic CBOR map {0: type, 1: req_id, 2: flags, 3: payload bytes}.
 * All four fields are always there, so everything before the payload is a
 * head of at most MESH_FRAME_HEAD_LEN_MAX bytes.
 */
#define MESH_FRAME_HEAD_LEN_MAX 23u /* 4 + 1, then a key and 3, 5, 1, 5 bytes */
#define MESH_FRAME_HEAD_LEN_MIN 13u /* every number in one byte */

enum mesh_frame_flag {
	MESH_FLAG_RESPONSE = 1,
	MESH_FLAG_ERROR = 2,
	MESH_FLAGS_MAX = 15, /* 4 and 8 are of frames on streams: seam_stream.h */
};

struct mesh_frame {
	uint32_t type; /* at most 65535 */
	uint32_t req_id;
	uint32_t flags;
	size_t payload_len;
};

/*
 * mesh_frame_parse reads a head from the first len bytes of a frame.
 *
 * Returns the head's length, 0 when all len bytes are a proper prefix of
 * some head, or WEFT_EMALFORMED. *out_frame is written on success only.
 */
int mesh_frame_parse(const uint8_t *data, size_t len, struct mesh_frame *out_frame);

/* mesh_frame_write writes the head; payload_len bytes follow it. */
void mesh_frame_write(struct writer *w, const struct mesh_frame *frame);

/*
 * A stream's bytes become frames in two steps. The head is collected here. Then the owner, which
 * knows the type now, gives a body of at least payload_len bytes to copy into, or NULL to skip
 * the payload.
 */
struct mesh_frame_in {
	uint8_t head[MESH_FRAME_HEAD_LEN_MAX];
	uint8_t head_len;
	bool has_frame;
	struct mesh_frame frame; /* valid while has_frame */
	uint8_t *body;
	size_t body_len; /* bytes copied or skipped */
};

/* mesh_frame_in_reset waits for the next frame. */
void mesh_frame_in_reset(struct mesh_frame_in *in);
/*
 * mesh_frame_in_head takes bytes of c up to the end of a head. 1: the
 * head is complete and in->frame valid; 0: more bytes are needed;
 * WEFT_EMALFORMED.
 */
int mesh_frame_in_head(struct mesh_frame_in *in, struct cursor *c);
/* mesh_frame_in_body takes bytes of c up to the end of the payload; true when it is whole. */
bool mesh_frame_in_body(struct mesh_frame_in *in, struct cursor *c);

/*
 * The payload of an error answer: {0: code, 1: text, 2: not before, in
 * milliseconds from now; 0 says nothing}.
 */
#define MESH_ERROR_TEXT_CAP    129
#define MESH_ERROR_PAYLOAD_MAX 256

struct mesh_error {
	uint32_t code;
	char text[MESH_ERROR_TEXT_CAP];
	uint64_t not_before_ms;
};

void mesh_error_write(struct writer *w, const struct mesh_error *error);
WEFT_MUST_CHECK
int mesh_error_parse(const uint8_t *data, size_t len, struct mesh_error *out_error);

#endif
