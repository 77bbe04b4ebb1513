/* SPDX-License-Identifier: Apache-2.0 */
#include "router_intake.h"

#include <string.h>

#include "service/body.h"

void service_intake_begin(struct service_intake *intake, size_t frame_len)
{
	*intake = (struct service_intake){.frame_len = frame_len};
}

const uint8_t *service_intake_head(struct service_intake *intake, struct cursor *c, size_t head_max,
				   size_t *out_len)
{
	size_t want = intake->frame_len < head_max ? intake->frame_len : head_max;
	size_t len = cursor_left(c);

	*out_len = want;
	if (!intake->head_len && len >= want)
		return c->pos;
	if (len > want - intake->head_len)
		len = want - intake->head_len;
	cursor_copy(c, intake->head + intake->head_len, len);
	intake->head_len += len;
	return intake->head_len == want ? intake->head : NULL;
}

void service_intake_read(struct service_intake *intake, struct cursor *c, size_t map_len)
{
	intake->map_len = map_len;
	if (!intake->head_len)
		(void)cursor_bytes(c, map_len);
}

size_t service_intake_body_len(const struct service_intake *intake)
{
	return intake->frame_len - intake->map_len;
}

const uint8_t *service_intake_whole(const struct service_intake *intake, const struct cursor *c)
{
	size_t len = service_intake_body_len(intake);

	if (!len)
		return intake->head; /* of which no byte is looked at */
	return (!intake->head_len || intake->head_len == intake->map_len) && cursor_left(c) >= len
		       ? c->pos
		       : NULL;
}

int service_intake_collect(struct service_intake *intake, struct heap *heap)
{
	intake->body = service_body_new(heap, service_intake_body_len(intake));
	if (!intake->body)
		return WEFT_EFULL;
	if (intake->head_len > intake->map_len) {
		intake->body_len = intake->head_len - intake->map_len;
		memcpy(intake->body->bytes, intake->head + intake->map_len, intake->body_len);
	}
	return 0;
}

bool service_intake_body(struct service_intake *intake, struct cursor *c)
{
	size_t len = intake->body->len - intake->body_len;

	if (len > cursor_left(c))
		len = cursor_left(c);
	cursor_copy(c, intake->body->bytes + intake->body_len, len);
	intake->body_len += len;
	return intake->body_len == intake->body->len;
}

void service_intake_fini(struct service_intake *intake)
{
	service_body_put(intake->body);
	intake->body = NULL;
}
