/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time at which a call for bytes of files begins. It begins at once while no limit holds it,
 * else when the timer says that its turn has come. A call that waits has no buffer and no file
 * yet.
 */
#include "base/monotonic.h"
#include "serve_state.h"
#include "crypto/blake3/blake3.h"
#include "blobs/blobs_state.h"

static unsigned asker_price(const struct upload *upload)
{
	const struct serve_call *call = container_of(upload, struct serve_call, upload);
	struct addr addr;

	serve_mesh(call->serve)->asker_addr(call->incoming, &addr);
	return blobs_price(call->serve->content, &addr);
}

static unsigned asker_zone(const struct upload *upload)
{
	const struct serve_call *call = container_of(upload, struct serve_call, upload);
	struct addr addr;

	serve_mesh(call->serve)->asker_addr(call->incoming, &addr);
	return blobs_zone_of(call->serve->content, &addr);
}

static void timer_follow(struct serve *serve)
{
	timer_set(serve->content->params.timers, &serve->upload_timer,
		  blobs_uploads_due_ns(&serve->uploads));
}

static void uploads_due(struct timer *timer, uint64_t now_ns)
{
	struct serve *serve = container_of(timer, struct serve, upload_timer);
	struct upload *upload;

	serve->now_ns = now_ns;
	while ((upload = blobs_uploads_next(&serve->uploads, now_ns)))
		blobs_serve_call_start(container_of(upload, struct serve_call, upload));
	timer_follow(serve);
}

/* It has nothing but its place in the queue, which goes with it. */
static void waiting_abandoned(void *arg)
{
	struct serve_call *call = arg;

	call->incoming = NULL;
	blobs_serve_call_drop(call);
}

static size_t call_len(const struct serve_call *call)
{
	return call->type == MESH_RANGE_PROOF ? MESSAGE_GROUPS_MAX * BLAKE3_GROUP_LEN
					      : BLAKE3_CHUNK_LEN;
}

void blobs_serve_call_admit(struct serve_call *call)
{
	struct serve *serve = call->serve;
	uint64_t wait_ns;

	if (call->type != MESH_GET_CHUNK && call->type != MESH_RANGE_PROOF) {
		blobs_serve_call_start(call);
		return;
	}
	call->upload.len = call_len(call);
	switch (blobs_uploads_admit(&serve->uploads, &call->upload, call->peer_key, serve->now_ns,
				    &wait_ns)) {
	case UPLOAD_GO:
		blobs_serve_call_start(call);
		return;
	case UPLOAD_WAIT:
		serve_mesh(serve)->abandoned(call->incoming, waiting_abandoned, call);
		timer_follow(serve);
		return;
	case UPLOAD_BUSY:
		blobs_serve_call_refuse(call, MESH_CODE_BUSY,
					"as much as is allowed goes to others",
					wait_ns / NS_PER_MS + 1);
		return;
	}
}

void blobs_serve_limits_init(struct serve *serve)
{
	timer_init(&serve->upload_timer, uploads_due);
	serve->uploads.credits = serve->content->credits[BLOBS_UPLOADS];
	serve->uploads.zone_of = asker_zone;
	serve->uploads.price_of = asker_price;
}

/* Nothing begins any more. */
void blobs_serve_limits_fini(struct serve *serve)
{
	struct serve_call *call = NULL;

	while ((call = pool_next(&serve->calls, call)))
		if (call->upload.peer && call->upload.is_waiting)
			blobs_serve_call_refuse_busy(call, blobs_serve_call_slots(call));
	timer_cancel(serve->content->params.timers, &serve->upload_timer);
}

void blobs_serve_set_limits(struct serve *serve, const struct upload_limits *limits,
			    uint64_t now_ns)
{
	blobs_uploads_configure(&serve->uploads, limits, now_ns);
	timer_follow(serve);
}

void blobs_serve_credits_changed(struct serve *serve)
{
	timer_follow(serve);
}

void blobs_serve_fill_traffic(const struct serve *serve, uint64_t now_ns,
			      struct blobs_traffic *traffic)
{
	struct upload_view_iter iter = {.uploads = &serve->uploads, .now_ns = now_ns};
	struct upload_view view;

	while (blobs_uploads_view_next(&iter, &view)) {
		if (view.per_s > traffic->peer_upload_per_s)
			traffic->peer_upload_per_s = view.per_s;
		traffic->upload_slot_cnt += view.per_s || view.waiting_cnt || view.going_cnt;
	}
	traffic->upload_per_s = blobs_byte_meter_per_s(&serve->uploads.meter, now_ns);
	traffic->upload_waiting_cnt = serve->uploads.waiting_cnt;
	traffic->upload_charged_cnt = serve->uploads.charged_len;
	traffic->upload_refused_cnt = serve->uploads.refused_cnt;
}

uint64_t blobs_serve_now_ns(const struct serve *serve)
{
	return serve->now_ns;
}
