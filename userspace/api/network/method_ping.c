/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PingPeer: a run of pings over the session that is there, one after the
 * other. Home worker; a run ends with its caller.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/zbase32.h"
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
	struct node *node;
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
	struct ping_run **at = &run->node->ping_runs;

	while (*at && *at != run)
		at = &(*at)->next;
	if (*at)
		*at = run->next;
	timer_cancel(&run->node->home.timers, &run->timer);
	free(run);
}

void api_pings_forget(struct node *node)
{
	struct ping_run *run;

	while ((run = node->ping_runs)) {
		node->ping_runs = run->next;
		timer_cancel(&node->home.timers, &run->timer);
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

static json_t *run_json(const struct ping_run *run)
{
	struct mesh_peer_info peer = {0};
	uint8_t id[MESH_SESSION_ID_LEN];
	char addr[ADDR_TEXT_CAP], session[ZBASE32_TEXT_LEN(MESH_SESSION_ID_LEN) + 1];
	json_t *json = json_pack("{s:s, s:o, s:o}", "node_id", run->name, "sent",
				 api_json_uint(run->sent_cnt), "answered",
				 api_json_uint(run->answered_cnt));

	if (api_peer_lookup(run->node, run->name, &peer) == 1 && peer.last_addr.family)
		json_object_set_new(json, "address",
				    json_string(addr_format(&peer.last_addr, addr)));
	if (mesh_session_id(run->node->home.mesh, run->key, id) == 0)
		json_object_set_new(json, "session_id",
				    json_string(zbase32_write(id, sizeof(id), session)));
	if (run->rtt_ns)
		json_object_set_new(json, "rtt_us", api_json_uint(run->rtt_ns / NS_PER_US));
	if (run->answered_cnt)
		json_object_update_new(
			json, json_pack("{s:o, s:o, s:o}", "min_us",
					api_json_uint(run->min_ns / NS_PER_US), "avg_us",
					api_json_uint(run->sum_ns / run->answered_cnt / NS_PER_US),
					"max_us", api_json_uint(run->max_ns / NS_PER_US)));
	return json_pack("{s:o}", "ping", json);
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
		control_reply(run->call, run_json(run));
		run_free(run);
		return;
	}
	if (control_wants_more(run->call))
		control_reply_more(run->call, run_json(run));
	run->begun_ns = 0;
	timer_set(&run->node->home.timers, &run->timer, run->node->home.now_ns + run->interval_ns);
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
	struct ping_run *run = (void *)((char *)timer - offsetof(struct ping_run, timer));
	int err;

	if (!run->begun_ns)
		run->begun_ns = now_ns;
	err = mesh_ping(run->node->home.mesh, run->key, run->timeout_ns, run_answered, run, now_ns);
	run->is_out = err == 0;
	if (err == WEFT_EBUSY && now_ns - run->begun_ns < run->timeout_ns)
		timer_set(&run->node->home.timers, timer, now_ns + PING_RETRY_NS);
	else if (err < 0)
		run_fail(run, err);
}

/* A parameter of milliseconds or a count, within its bounds; missing or 0: other. */
static uint64_t parameter(const json_t *parameters, const char *name, uint64_t max, uint64_t other)
{
	json_int_t value = json_integer_value(json_object_get(parameters, name));

	if (value <= 0)
		return other;
	return (uint64_t)value > max ? max : (uint64_t)value;
}

void api_ping_peer(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	struct node *node = ctx;
	const char *name = json_string_value(json_object_get(parameters, "node_id"));
	struct ping_run *run = calloc(1, sizeof(*run));

	if (!run) {
		control_fail(call, -ENOMEM, name, "no memory", "free some and try again");
		return;
	}
	if (!api_node_id_read(node, call, name, run->key)) {
		free(run);
		return;
	}
	zbase32_write(run->key, sizeof(run->key), run->name);
	run->node = node;
	run->call = call;
	run->left_cnt = parameter(parameters, "count", PING_CNT_MAX, PING_CNT);
	run->interval_ns =
		parameter(parameters, "interval_ms", 3600000, PING_INTERVAL_MS) * NS_PER_MS;
	run->timeout_ns = parameter(parameters, "timeout_ms", 60000, PING_TIMEOUT_MS) * NS_PER_MS;
	timer_init(&run->timer, run_send);
	run->next = node->ping_runs;
	node->ping_runs = run;
	control_on_gone(call, run_caller_left, run);
	run_send(&run->timer, now_ns);
}
