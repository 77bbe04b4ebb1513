/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PingPeer: a run of pings over the session that is there, one after the
 * other. Home worker; a run ends with its caller.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "api/methods.h"

#define PING_CNT	 4
#define PING_CNT_MAX	 1000000
#define PING_INTERVAL_MS 500
#define PING_TIMEOUT_MS	 2000
/* Between a session and its control stream there is a moment: try again after it. */
#define PING_RETRY_NS (50 * NS_PER_MS)

struct ping_run {
	struct ping_run *next;
	struct timer timer;
	struct api *api;
	struct control_call *call; /* NULL: the caller left while a ping is out */
	uint8_t key[MESH_KEY_LEN];
	char name[ZBASE32_KEY_TEXT_CAP];
	uint64_t left_cnt, sent_cnt, answered_cnt;
	uint64_t interval_ns, timeout_ns;
	uint64_t begun_ns; /* of the one that is tried or out */
	uint64_t rtt_ns;   /* of the last; 0: it was not answered */
	uint64_t min_ns, max_ns, sum_ns;
	bool is_out;
};

static void run_free(struct ping_run *run)
{
	struct ping_run **at = &run->api->ping_runs;

	while (*at && *at != run)
		at = &(*at)->next;
	if (*at)
		*at = run->next;
	timer_cancel(&run->api->home->timers, &run->timer);
	free(run);
}

void api_pings_forget(struct api *api)
{
	struct ping_run *run;

	while ((run = api->ping_runs)) {
		api->ping_runs = run->next;
		timer_cancel(&api->home->timers, &run->timer);
		free(run);
	}
}

static void run_caller_left(void *arg)
{
	struct ping_run *run = arg;

	run->call = NULL;
	/* mesh/ still names one that is out; it ends with the answer or its timeout. */
	if (!run->is_out)
		run_free(run);
}

static struct api_ping run_row(const struct ping_run *run)
{
	struct varlink_blocks *blocks = control_blocks(run->call);
	uint64_t cnt = run->answered_cnt;
	struct mesh_peer_info peer = {0};
	uint8_t id[MESH_SESSION_ID_LEN];
	char session[ZBASE32_TEXT_LEN(MESH_SESSION_ID_LEN) + 1];
	struct api_ping row = {.node_id = run->name,
			       .sent = api_uint(run->sent_cnt),
			       .answered = api_uint(cnt),
			       API_IF(rtt_us, run->rtt_ns, api_uint(run->rtt_ns / NS_PER_US)),
			       API_IF(min_us, cnt, api_uint(run->min_ns / NS_PER_US)),
			       API_IF(avg_us, cnt, api_uint(run->sum_ns / cnt / NS_PER_US)),
			       API_IF(max_us, cnt, api_uint(run->max_ns / NS_PER_US))};

	if (api_peer_lookup(run->api, run->name, &peer) == 1)
		row.address = api_peer_address(run->call, run->api, &peer.last_addr);
	if (mesh_session_id(run->api->home->mesh, run->key, id) == 0)
		row.session_id = varlink_text(blocks, zbase32_write(id, sizeof(id), session));
	return row;
}

static void run_fail(struct ping_run *run, int err)
{
	const char *why = weft_err_text(err), *next = "try again";

	if (err == WEFT_EABSENT) {
		why = "there is no session with it";
		next = "open one first: weft peer connect NODE [ADDR:PORT]";
	} else if (err == WEFT_ECLOSED) {
		why = "the session ended";
		next = "open another: weft peer connect NODE [ADDR:PORT]";
	} else if (err == WEFT_EBUSY) {
		why = "another ping of it is under way";
	} else if (err == WEFT_EUNKNOWN) {
		why = "it does not know pings";
		next = "use a newer weftd there";
	}
	control_on_gone(run->call, NULL, NULL);
	control_fail(run->call, err, run->name, why, next);
	run_free(run);
}

static void run_tell(struct ping_run *run)
{
	if (run->left_cnt == 0) {
		control_on_gone(run->call, NULL, NULL);
		api_reply(run->call, ping_peer, .ping = run_row(run));
		run_free(run);
		return;
	}
	if (control_wants_more(run->call))
		api_reply_more(run->call, ping_peer, .ping = run_row(run));
	run->begun_ns = 0;
	timer_set(&run->api->home->timers, &run->timer, run->api->home->now_ns + run->interval_ns);
}

static void run_answered(void *arg, int err, uint64_t rtt_ns)
{
	struct ping_run *run = arg;

	run->is_out = false;
	if (!run->call) {
		run_free(run);
		return;
	}
	if (err < 0 && err != WEFT_ETIMEOUT) {
		run_fail(run, err);
		return;
	}
	run->sent_cnt++;
	run->left_cnt--;
	run->rtt_ns = err < 0 ? 0 : rtt_ns;
	if (err == 0) {
		run->answered_cnt++;
		run->sum_ns += rtt_ns;
		run->max_ns = rtt_ns > run->max_ns ? rtt_ns : run->max_ns;
		run->min_ns = !run->min_ns || rtt_ns < run->min_ns ? rtt_ns : run->min_ns;
	}
	run_tell(run);
}

static void run_send(struct timer *timer, uint64_t now_ns)
{
	struct ping_run *run = container_of(timer, struct ping_run, timer);
	int err;

	if (!run->begun_ns)
		run->begun_ns = now_ns;
	err = mesh_ping(run->api->home->mesh,
			&(struct mesh_ping_ask){.key = run->key,
						.timeout_ns = run->timeout_ns,
						.done = run_answered,
						.arg = run},
			now_ns);
	run->is_out = err == 0;
	if (err == WEFT_EBUSY && now_ns - run->begun_ns < run->timeout_ns)
		timer_set(&run->api->home->timers, timer, now_ns + PING_RETRY_NS);
	else if (err < 0)
		run_fail(run, err);
}

/* A parameter of milliseconds or a count, within its bounds; missing or 0: other. */
static uint64_t parameter(int64_t value, uint64_t max, uint64_t other)
{
	if (value <= 0)
		return other;
	return (uint64_t)value > max ? max : (uint64_t)value;
}

void api_ping_peer(struct api *api, struct control_call *call, const struct api_ping_peer_in *in,
		   uint64_t now_ns)
{
	struct ping_run *run = calloc(1, sizeof(*run));

	if (!run) {
		control_fail(call, -ENOMEM, in->node_id, "no memory", "free some and try again");
		return;
	}
	if (!api_node_id_read(api, call, in->node_id, run->key)) {
		free(run);
		return;
	}
	zbase32_write(run->key, sizeof(run->key), run->name);
	run->api = api;
	run->call = call;
	run->left_cnt = parameter(in->count, PING_CNT_MAX, PING_CNT);
	run->interval_ns = parameter(in->interval_ms, 3600000, PING_INTERVAL_MS) * NS_PER_MS;
	run->timeout_ns = parameter(in->timeout_ms, 60000, PING_TIMEOUT_MS) * NS_PER_MS;
	timer_init(&run->timer, run_send);
	run->next = api->ping_runs;
	api->ping_runs = run;
	control_on_gone(call, run_caller_left, run);
	run_send(&run->timer, now_ns);
}
