/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event of the rooms becomes a numbered event on the control socket and a
 * line of the log. Peers appear by NodeId, never by address. Before the
 * control socket is open only the log is written. Home worker.
 */
#include "api/events/events.h"

#include "api/api.h"
#include "api/methods.h"
#include "base/log.h"
#include "base/monotonic.h"
#include "blobs/blobs.h"

bool api_event_tell(struct api *api, const char *kind, const struct varlink_type *type,
		    const void *fields)
{
	json_t *json;

	if (varlink_typed_lookup(api_node_events, API_NODE_EVENT_CNT, kind) != type) {
		log_error("event %s is not told: the interface has another type for it, or none",
			  kind);
		return false;
	}
	if (!api->control)
		return true;
	json = varlink_write(type, fields);
	api_event_log_write(&api->event_log, kind, json, api->home->now_ns);
	control_event(api->control, kind, json, api->home->now_ns);
	return true;
}

const char *api_event_key(const uint8_t *key, char text[static ZBASE32_KEY_TEXT_CAP])
{
	return key ? zbase32_write(key, 32, text) : NULL;
}

const char *api_event_error(int err)
{
	return err ? weft_err_text(err) : NULL;
}

/* --- content --- */

static const char *const blobs_event_names[] = {
	[BLOBS_IMPORT_PROGRESS] = "import.progress", [BLOBS_IMPORT_DONE] = "import.done",
	[BLOBS_IMPORT_FAILED] = "import.failed",     [BLOBS_IMPORT_CANCELLED] = "import.cancelled",
	[BLOBS_SHARE_ADDED] = "share.added",	     [BLOBS_SHARE_REMOVED] = "share.removed",
	[BLOBS_FILE_CHANGED] = "share.file-changed", [BLOBS_GET_STARTED] = "get.started",
	[BLOBS_GET_PROGRESS] = "get.progress",	     [BLOBS_GET_DONE] = "get.done",
	[BLOBS_GET_FAILED] = "get.failed",	     [BLOBS_GET_CANCELLED] = "get.cancelled",
	[BLOBS_PEER_BAD] = "peer.bad-bytes",	     [BLOBS_FILE_BAD] = "file.bad",
	[BLOBS_GET_FORGOTTEN] = "get.forgotten",     [BLOBS_SEED_STARTED] = "seed.started",
	[BLOBS_SEED_STOPPED] = "seed.stopped",	     [BLOBS_GET_KEPT] = "get.file-kept",
	[BLOBS_QUOTA_GLIDING] = "quota.gliding",     [BLOBS_QUOTA_REACHED] = "quota.reached",
	[BLOBS_RATE_CHANGED] = "rate.changed",
};

static void content_event_log(const struct blobs_event *event)
{
	char peer[ZBASE32_KEY_TEXT_CAP] = "?";

	if (event->peer_key)
		zbase32_write(event->peer_key, 32, peer);
	switch (event->kind) {
	case BLOBS_FILE_CHANGED:
		log_warn("shared file %s changed since it was hashed; it is not served until "
			 "the share is added again",
			 event->text ? event->text : "?");
		break;
	case BLOBS_PEER_BAD:
		log_warn("peer %.8s sent bytes that do not match their hash; they were dropped",
			 peer);
		break;
	case BLOBS_FILE_BAD:
		log_error("%s: its bytes do not match their hash though no program wrote it (%s): "
			  "look after the disk; files of a get are fetched again",
			  event->text ? event->text : "?", weft_err_text(event->err));
		break;
	case BLOBS_GET_FAILED:
		log_warn("get %llu stopped: %s", (unsigned long long)event->id,
			 event->text ? event->text : weft_err_text(event->err));
		break;
	case BLOBS_GET_FORGOTTEN:
		if (event->err)
			log_warn("get %llu into %s is forgotten to make room for another: "
				 "content.get_cap are remembered",
				 (unsigned long long)event->id, event->text ? event->text : "?");
		break;
	case BLOBS_GET_KEPT:
		log_warn("get %llu: %s in its folder is not what weft wrote there; it stays as it "
			 "is",
			 (unsigned long long)event->id, event->text ? event->text : "?");
		break;
	case BLOBS_QUOTA_GLIDING:
		log_info("%s: the rest is spread over the rest of the month",
			 event->text ? event->text : "?");
		break;
	case BLOBS_QUOTA_REACHED:
		log_warn("%s: nothing more goes until the next month, or a larger cap",
			 event->text ? event->text : "?");
		break;
	case BLOBS_SEED_STOPPED:
		log_info("get %llu is not seeded any more: %s", (unsigned long long)event->id,
			 event->text ? event->text : "?");
		break;
	default:
		break;
	}
}

static bool is_get_event(enum blobs_event_kind kind)
{
	return kind == BLOBS_GET_STARTED || kind == BLOBS_GET_PROGRESS || kind == BLOBS_GET_DONE ||
	       kind == BLOBS_GET_FAILED || kind == BLOBS_GET_CANCELLED;
}

/* Watchers of a get or an import see every step; the event ring keeps one in two seconds. */
#define PROGRESS_EVENT_NS (2 * NS_PER_S)

static bool is_told_enough(struct api *api, const struct blobs_event *event)
{
	uint64_t *told_ns = event->import ? &api->import_told_ns
					  : &api->progress_told_ns[event->id % API_PROGRESS_SLOTS];

	if (event->import && event->kind != BLOBS_IMPORT_PROGRESS)
		*told_ns = 0; /* another runs next */
	if (event->kind != BLOBS_GET_PROGRESS && event->kind != BLOBS_IMPORT_PROGRESS)
		return false;
	if (*told_ns && api->home->now_ns - *told_ns < PROGRESS_EVENT_NS)
		return true;
	*told_ns = api->home->now_ns;
	return false;
}

static void event_set_done(struct api_content_event *fields, uint64_t done_cnt, uint64_t cnt)
{
	API_SET(fields, bytes_done, api_uint(done_cnt));
	API_SET(fields, bytes, api_uint(cnt));
}

/* How far the get or the import is that the event tells of. */
static void event_set_bytes(struct api_content_event *fields, const struct api *api,
			    const struct blobs_event *event)
{
	const struct blobs_get *get = NULL;

	if (is_get_event(event->kind))
		get = blobs_get_lookup(api->home->content, event->id);
	if (get)
		event_set_done(fields, get->byte_done_cnt, get->byte_cnt);
	if (event->import)
		event_set_done(fields, event->import->byte_done_cnt, event->import->byte_cnt);
}

void api_tell_content(struct api *api, const struct blobs_event *event)
{
	char manifest[ZBASE32_KEY_TEXT_CAP], peer[ZBASE32_KEY_TEXT_CAP];
	struct api_content_event fields = {
		API_IF(id, event->id, api_uint(event->id)),
		.manifest = api_event_key(event->manifest_id, manifest),
		.peer = api_event_key(event->peer_key, peer),
		.error = api_event_error(event->err),
		.text = event->text,
	};

	content_event_log(event);
	/* While blobs/ resumes at the start what was running, nothing watches yet. */
	if (!api->control)
		return;
	if (is_get_event(event->kind))
		api_get_moved(api, event->id);
	if (is_told_enough(api, event))
		return;
	event_set_bytes(&fields, api, event);
	(void)api_event_tell(api, blobs_event_names[event->kind], &api_content_event_type, &fields);
}
