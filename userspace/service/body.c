/* SPDX-License-Identifier: Apache-2.0 */
#include "service/body.h"

#include <string.h>

#include "base/memory/heap.h"

struct service_body *service_body_new(struct heap *heap, size_t len)
{
	struct service_body *body = heap_alloc(heap, sizeof(*body) + len);

	if (!body)
		return NULL;
	body->heap = heap;
	body->ref_cnt = 1;
	body->len = len;
	return body;
}

struct service_body *service_body_copy(struct heap *heap, const void *data, size_t len)
{
	struct service_body *body = service_body_new(heap, len);

	if (body && len)
		memcpy(body->bytes, data, len);
	return body;
}

struct service_body *service_body_get(struct service_body *body)
{
	body->ref_cnt++;
	return body;
}

void service_body_put(struct service_body *body)
{
	if (body && --body->ref_cnt == 0)
		heap_release(body->heap, body);
}

void service_body_done(void *body)
{
	service_body_put(body);
}
