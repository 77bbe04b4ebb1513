/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two pools of the control socket, each by fair shares (base/fair/fair.h) of
 * role > user > program. Home worker.
 *
 * Connections: one rests while a call runs or it watches. An idle one is closed for a
 * program of another user, or of a higher role. Root and the daemon's own user have
 * ADMIN_PLACES in any case. Calls with an id: the dynamic threshold (fair_may_hold).
 */
#include "control/control_place.h"

#include <sys/socket.h>

#include "varlink/node.h"
#include "base/assert.h"
#include "base/container_of.h"
#include "base/fair/load.h"
#include "control/control_server.h"

#define PLACE_LEVELS 2 /* user, program */
#define CALL_LEVELS  3 /* role, user, program */
#define ADMIN_PLACES 4

/* For a class below its floor others give way: a quarter each, and the places that admin needs. */
static const enum fair_class class_of_role[] = {
	[CONTROL_VIEW] = FAIR_UNKNOWN,
	[CONTROL_OPERATE] = FAIR_KNOWN,
	[CONTROL_ADMIN] = FAIR_CHOSEN,
};

static struct fair_config client_config_of(uint32_t client_cap)
{
	return (struct fair_config){
		.name = "control.client_cap",
		.kind = FAIR_WORK,
		.cap_cnt = client_cap,
		.level_cnt = PLACE_LEVELS,
	};
}

/* Nothing is taken back, so no class has a part of its own. */
static struct fair_config call_config_of(uint32_t call_cap)
{
	return (struct fair_config){
		.name = "control.calls",
		.kind = FAIR_WORK,
		.cap_cnt = call_cap,
		.level_cnt = CALL_LEVELS,
	};
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

int control_places_init(struct control *control)
{
	const struct fair_config clients = client_config_of(control->config.client_cap);
	const struct fair_config calls = call_config_of(control->config.call_cap);
	uint32_t cap = control->config.client_cap;
	struct fair *fair = &control->places.fair;
	int err = fair_places_init(&control->places, &control->arena, &clients);

	if (err == 0)
		err = fair_reserve(fair, FAIR_CHOSEN, min_u32(ADMIN_PLACES, cap / 2));
	if (err == 0)
		err = fair_reserve(fair, FAIR_KNOWN, cap / 4);
	if (err == 0)
		err = fair_reserve(fair, FAIR_UNKNOWN, cap / 4);
	return err < 0 ? err : fair_places_init(&control->pending, &control->arena, &calls);
}

/* refuse counts it. Returns the milliseconds after which the program may come again. */
static uint32_t refuse(struct control *control, struct fair *fair, const struct fair_path *path,
		       uint32_t uid)
{
	uint32_t wait_ms = fair_not_before_ms(fair, path, control->now_ns);

	load_refuse(control->load, &(struct load_who){.uid = uid}, fair->config.name, wait_ms,
		    control->now_ns);
	return wait_ms;
}

/* An idle connection loses its place. Its program gets the reason, and may connect again. */
static void client_evict(struct control_client *client)
{
	size_t len;
	char *text = control_error_new(
		WEFT_EFULL,
		&(struct api_failure){.what = "control socket",
				      .why = "all places are taken, and this connection, of those "
					     "who hold most of them, was idle longest",
				      .next = "connect again, or raise client_cap in section "
					      "[control]"},
		NULL, &len);

	if (text && control_client_backlog_len(client) == 0)
		(void)send(client->watch.fd, text, len + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	free(text);
	control_client_close(client);
}

int control_place_take(struct control_client *client, const struct place_peer *peer,
		       uint32_t *out_wait_ms)
{
	struct control *control = client->control;
	struct fair_places *places = &control->places;
	struct fair_path path;
	struct fair_item *victim;

	fair_path_start(class_of_role[peer->role], &path);
	fair_path_add(&places->paths, &path, &peer->uid, sizeof(peer->uid));
	fair_path_add(&places->paths, &path, &peer->pid, sizeof(peer->pid));
	switch (fair_take(&places->fair, &path, &client->place, control->now_ns, &victim)) {
	case FAIR_TAKEN_FROM:
		client_evict(container_of(victim, struct control_client, place));
		return 0;
	case FAIR_BUSY:
		*out_wait_ms = refuse(control, &places->fair, &path, peer->uid);
		return WEFT_EFULL;
	default:
		return 0;
	}
}

static struct fair_path call_path_of(const struct control_client *client)
{
	const struct fair_paths *paths = &client->control->pending.paths;
	const struct place_peer *peer = &client->peer;
	struct fair_path path;

	fair_path_start(FAIR_UNKNOWN, &path);
	fair_path_add(paths, &path, &peer->role, sizeof(peer->role));
	fair_path_add(paths, &path, &peer->uid, sizeof(peer->uid));
	fair_path_add(paths, &path, &peer->pid, sizeof(peer->pid));
	return path;
}

bool control_pending_may_take(struct control_client *client, uint32_t *out_wait_ms)
{
	struct control *control = client->control;
	const struct fair_path path = call_path_of(client);
	struct fair *fair = &control->pending.fair;

	if (fair_may_hold(fair, &path, fair->config.cap_cnt - fair->held_cnt))
		return true;
	control->stats.pending_refused_cnt++;
	fair_refuse(fair, &path, control->now_ns);
	*out_wait_ms = refuse(control, fair, &path, client->peer.uid);
	return false;
}

void control_pending_take(struct control_call *call)
{
	struct control *control = call->control;
	const struct fair_path path = call_path_of(call->client);
	struct fair_item *victim;
	enum fair_verdict verdict =
		fair_take(&control->pending.fair, &path, &call->share, control->now_ns, &victim);

	/* control_pending_may_take saw a free one. */
	weft_assert(verdict == FAIR_TAKEN);
	control->stats.pending_cnt++;
	if (control->stats.pending_cnt > control->stats.pending_peak_cnt)
		control->stats.pending_peak_cnt = control->stats.pending_cnt;
}

void control_pending_release(struct control_call *call)
{
	struct control *control = call->control;

	if (!fair_item_holds(&call->share))
		return;
	fair_release(&control->pending.fair, &call->share, control->now_ns);
	control->stats.pending_cnt--;
}
