/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What blobs/ and mesh/ tell becomes a numbered event on the control
 * socket and, where an operator should know, one log line. Peers appear
 * by NodeId, never by address.
 */
#include <jansson.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/log.h"
#include "codec/zbase32.h"
#include "blobs/blobs.h"
#include "mesh/mesh.h"
#include "api/methods.h"

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

static void fields_set_key(json_t *fields, const char *name, const uint8_t *key)
{
	char text[ZBASE32_KEY_TEXT_CAP];

	if (key)
		json_object_set_new(fields, name, json_string(zbase32_write(key, 32, text)));
}

void node_tell(struct node *node, const char *kind, json_t *fields)
{
	if (!node->control) {
		json_decref(fields);
		return;
	}
	node_event_log_write(&node->event_log, kind, fields, node->home.now_ns);
	control_event(node->control, kind, fields, node->home.now_ns);
}

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
		log_error("%s: its bytes are not what was hashed though nobody wrote it (%s): "
			  "look after the disk; what a get brought is fetched again",
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

static bool is_end_event(enum blobs_event_kind kind)
{
	return kind == BLOBS_GET_DONE || kind == BLOBS_GET_FAILED || kind == BLOBS_GET_CANCELLED ||
	       kind == BLOBS_GET_FORGOTTEN;
}

/* Watchers of a get or an import see every step; the event ring keeps one in two seconds. */
#define PROGRESS_EVENT_NS (2 * NS_PER_S)

static bool is_told_enough(struct node *node, const struct blobs_event *event)
{
	uint64_t *told_ns = event->import
				    ? &node->import_told_ns
				    : &node->progress_told_ns[event->id % NODE_PROGRESS_SLOTS];

	if (event->import && event->kind != BLOBS_IMPORT_PROGRESS)
		*told_ns = 0; /* another runs next */
	if (event->kind != BLOBS_GET_PROGRESS && event->kind != BLOBS_IMPORT_PROGRESS)
		return false;
	if (*told_ns && node->home.now_ns - *told_ns < PROGRESS_EVENT_NS)
		return true;
	*told_ns = node->home.now_ns;
	return false;
}

void node_on_verified(void *ctx, const uint8_t key[static MESH_KEY_LEN], size_t len)
{
	struct node *node = ctx;

	mesh_note_useful(node->home.mesh, key, len / MESH_USEFUL_UNIT_LEN ?: 1);
}

static void fields_set_done(json_t *fields, uint64_t done_cnt, uint64_t cnt)
{
	json_object_set_new(fields, "bytes_done", json_integer((json_int_t)done_cnt));
	json_object_set_new(fields, "bytes", json_integer((json_int_t)cnt));
}

/* How far the get or the import is that the event tells of. */
static void fields_set_bytes(json_t *fields, struct node *node, const struct blobs_event *event)
{
	const struct blobs_get *get = NULL;

	if (is_get_event(event->kind))
		get = blobs_get_lookup(node->home.content, event->id);
	if (get)
		fields_set_done(fields, get->byte_done_cnt, get->byte_cnt);
	if (event->import)
		fields_set_done(fields, event->import->byte_done_cnt, event->import->byte_cnt);
}

void node_on_content(void *ctx, const struct blobs_event *event)
{
	struct node *node = ctx;
	json_t *fields;

	content_event_log(event);
	if (event->kind == BLOBS_PEER_BAD) {
		node_fabric_note_false_content(node->fabric, event->peer_key, node->home.now_ns);
		mesh_note_false(node->home.mesh, event->peer_key);
	}
	if (event->kind == BLOBS_GET_DONE)
		node_sharing_content_changed(node->sharing, event->manifest_id, node->home.now_ns);
	if (is_end_event(event->kind))
		node_sharing_get_moved(node->sharing);
	/* While blobs/ resumes what was running at start, nobody watches yet. */
	if (!node->control)
		return;
	if (is_get_event(event->kind))
		api_get_moved(node, event->id);
	if (is_told_enough(node, event))
		return;
	fields = json_object();
	if (event->id)
		json_object_set_new(fields, "id", json_integer((json_int_t)event->id));
	fields_set_key(fields, "manifest", event->manifest_id);
	fields_set_key(fields, "peer", event->peer_key);
	fields_set_bytes(fields, node, event);
	if (event->err)
		json_object_set_new(fields, "error", json_string(weft_err_text(event->err)));
	if (event->text)
		json_object_set_new(fields, "text", json_string(event->text));
	node_tell(node, blobs_event_names[event->kind], fields);
}

/* weft why tells of it for a day. */
static void note_session(struct node *node, const struct mesh_peer_info *peer, bool is_up)
{
	struct incident incident = {
		.at_ns = node->home.now_ns,
		.at_s = clock_wall_s(),
		.kind = is_up ? INCIDENT_SESSION_OPENED : INCIDENT_SESSION_CLOSED,
		.end = peer->end,
		.who.kind = BAN_KEY,
		.addr = peer->last_addr,
	};

	memcpy(incident.who.key, peer->key, BAN_KEY_LEN);
	firewall_incidents_add(&node->incidents, &incident);
}

void node_on_step(void *ctx, const struct mesh_step *step)
{
	struct node *node = ctx;
	json_t *fields;

	if (!node->control)
		return;
	fields =
		json_pack("{s:s, s:i, s:I}", "step", step->name, "addresses", (int)step->addr_cnt,
			  "took_us", (json_int_t)((step->ended_ns - step->started_ns) / NS_PER_US));
	fields_set_key(fields, "peer", step->key);
	if (step->err)
		json_object_set_new(fields, "error", json_string(weft_err_text(step->err)));
	node_tell(node, "peer.looked-for", fields);
}

uint32_t node_choices(void *ctx, const uint8_t *key)
{
	const struct node *node = ctx;

	return node->sharing ? node_sharing_choices(node->sharing, key) : 0;
}

void node_on_failure(void *ctx, const struct mesh_failure *failure)
{
	struct node *node = ctx;
	struct incident incident = {
		.at_ns = node->home.now_ns,
		.at_s = clock_wall_s(),
		.kind = failure->is_dialler ? INCIDENT_DIAL_FAILED : INCIDENT_REFUSED,
		.end = failure->end,
		.who.kind = BAN_KEY,
		.addr = failure->remote,
	};
	json_t *fields;

	if (!node->control)
		return;
	if (failure->end.err == WEFT_EWRONGKEY)
		incident.kind = INCIDENT_WRONG_KEY;
	memcpy(incident.who.key, failure->key, BAN_KEY_LEN);
	firewall_incidents_add(&node->incidents, &incident);
	fields = json_pack("{s:b, s:s}", "dialled", failure->is_dialler, "why",
			   weft_err_text(failure->end.err));
	fields_set_key(fields, "peer", failure->key);
	node_tell(node, "peer.failed", fields);
}

void node_on_session(void *ctx, const struct mesh_peer_info *peer, bool is_up)
{
	struct node *node = ctx;
	json_t *fields;

	if (is_up)
		node_fabric_session_up(node->fabric, peer->key, node->home.now_ns);
	else
		node_fabric_session_down(node->fabric, peer->key);
	node_sharing_session_changed(node->sharing, peer->key, is_up, node->home.now_ns);
	if (!node->control)
		return;
	note_session(node, peer, is_up);
	fields = is_up ? json_pack("{s:b}", "dialled", peer->conn.is_dialler)
		       : json_pack("{s:s}", "why", weft_err_text(peer->end.err));
	fields_set_key(fields, "peer", peer->key);
	node_tell(node, is_up ? "peer.connected" : "peer.disconnected", fields);
}
