/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer to SERVICE_DESCRIBE: the offer's fields, with only the statements that its owner made
 * with the offer. It is written without reading the owner's JSON again. Home worker.
 */
#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "base/byte_cursor.h"
#include "base/memory/heap.h"
#include "service/limits/access.h"
#include "service/directory/description.h"
#include "service/incoming/router.h"
#include "service/service_state.h"

static void text_write(struct writer *w, const char *text)
{
	writer_bytes(w, text, strlen(text));
}

/* name_write: names have printable ASCII alone. */
static void name_write(struct writer *w, const char *name)
{
	text_write(w, "\"");
	for (; *name; name++) {
		if (*name == '"' || *name == '\\')
			text_write(w, "\\");
		writer_bytes(w, name, 1);
	}
	text_write(w, "\"");
}

static void describe_write(struct writer *w, const struct service_offer *offer)
{
	const struct service_offering *offering = &offer->offering;

	text_write(w, "{\"name\":");
	name_write(w, offering->name);
	text_write(w, ",\"version\":");
	name_write(w, offering->version);
	text_write(w, ",\"read_only\":[");
	for (unsigned i = 0; i < offering->read_only_cnt; i++) {
		text_write(w, i ? "," : "");
		name_write(w, offering->read_only[i]);
	}
	text_write(w, "],\"needs_signature\":");
	text_write(w, offering->needs_signature ? "true" : "false");
	text_write(w, ",\"http\":");
	text_write(w, service_offer_is_http(offer) ? "true" : "false");
	if (offering->description) {
		text_write(w, ",\"description\":");
		text_write(w, offering->description);
	}
	text_write(w, "}");
}

void service_describe(struct service_call *call, uint64_t now_ns)
{
	struct heap *heap = call->service->heap;
	uint8_t *text = heap_alloc(heap, SERVICE_DESCRIBED_LEN_MAX);
	struct writer w = writer_of(text, text ? SERVICE_DESCRIBED_LEN_MAX : 0);

	if (!text) {
		service_refuse(call, "no memory for the answer", NS_PER_S, now_ns);
		return;
	}
	describe_write(&w, call->admission.offer);
	weft_assert(!w.bad); /* the parts were bounded when it was offered */
	service_reply(call,
		      &(struct service_outcome){
			      .status = SERVICE_OK, .payload = text, .len = writer_len(&w)},
		      now_ns);
	heap_release(heap, text);
}
