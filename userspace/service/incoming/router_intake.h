/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_INCOMING_ROUTER_INTAKE_H
#define WEFT_SERVICE_INCOMING_ROUTER_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "service/call_head.h"
#include "weft/err.h"

struct heap;
struct service_body;

/*
 * A frame of the other side that is a head and a body, as its pieces come.
 * The head is collected in memory that is there. The body is collected in
 * the heap once its owner agreed, or is where it came if one piece holds all of it.
 */
#define SERVICE_INTAKE_HEAD_LEN_MAX SERVICE_CALL_HEAD_LEN_MAX

struct service_intake {
	size_t frame_len; /* of the payload */
	size_t head_len;  /* bytes in head */
	uint8_t head[SERVICE_INTAKE_HEAD_LEN_MAX];
	size_t map_len; /* of the head without what of the body came with it; 0: not read yet */
	struct service_body *body;
	size_t body_len; /* bytes in body */
};

/* service_intake_begin: a frame of frame_len begins. The intake holds nothing. */
void service_intake_begin(struct service_intake *intake, size_t frame_len);
/*
 * service_intake_head takes bytes of c until a head of at most head_max can be read: then it
 * gives where from, else NULL. The reader says by _read how long the map was.
 */
const uint8_t *service_intake_head(struct service_intake *intake, struct cursor *c, size_t head_max,
				   size_t *out_len);
void service_intake_read(struct service_intake *intake, struct cursor *c, size_t map_len);
/* service_intake_body_len: of the frame, the map having been read. */
size_t service_intake_body_len(const struct service_intake *intake);
/* service_intake_whole: the body, when c holds all of it; else NULL: collect it. */
const uint8_t *service_intake_whole(const struct service_intake *intake, const struct cursor *c);
/* service_intake_collect: a body in heap is to be filled from now on. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int service_intake_collect(struct service_intake *intake, struct heap *heap);
/* service_intake_body takes bytes of c; true when the body is whole. */
bool service_intake_body(struct service_intake *intake, struct cursor *c);
void service_intake_fini(struct service_intake *intake);

#endif
