/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CheckPeer goes through every way to find a node, also those that a session or a faster way would
 * have made needless. It dials the addresses that they give. It reports each step as the step ends,
 * so that the one that fails is seen. Home worker; a check ends with its caller.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "api/methods.h"
#include "social/social.h"

#define CHECK_TIMEOUT_MS     10000
#define CHECK_TIMEOUT_MS_MAX 120000
/* Between a session and its control stream there is a moment: try again after it. */
#define PING_RETRY_NS (50 * NS_PER_MS)

struct check_look {
	struct mesh_look look;
	struct check_run *run;
	void *located; /* the locator's */
	bool is_running;
	uint64_t started_ns;
	uint64_t seq; /* of the newest record */
	struct addr addrs[MESH_PEER_ADDRS_MAX];
	unsigned addr_cnt;
};

struct check_run {
	struct check_run *next;
	struct timer timer;
	struct api *api;
	struct control_call *call; /* NULL: the caller left while mesh/ has the run */
	uint8_t key[MESH_KEY_LEN];
	char name[ZBASE32_KEY_TEXT_CAP];
	uint64_t timeout_ns, dialled_ns;
	struct check_look looks[MESH_LOCATORS_MAX];
	unsigned running_cnt;
	struct addr addrs[MESH_PEER_ADDRS_MAX]; /* to dial */
	unsigned addr_cnt;
	bool has_session;
	bool is_unsought; /* a person of this node follows it: no locator is asked for it */
	bool is_out;	  /* mesh/ names it: a dial or a ping is on */
};

static void run_unlink(struct check_run *run)
{
	struct check_run **at = &run->api->check_runs;

	while (*at && *at != run)
		at = &(*at)->next;
	if (*at)
		*at = run->next;
}

static void run_free(struct check_run *run)
{
	struct api *api = run->api;

	run_unlink(run);
	timer_cancel(&api->home->timers, &run->timer);
	for (unsigned i = 0; i < api->locate->locator_cnt; i++)
		if (run->looks[i].is_running)
			api->locate->locators[i].cancel(api->locate->locators[i].ctx,
							run->looks[i].located);
	free(run);
}

void api_checks_forget(struct api *api)
{
	while (api->check_runs)
		run_free(api->check_runs);
}

static void run_caller_left(void *arg)
{
	struct check_run *run = arg;

	run->call = NULL;
	if (!run->is_out)
		run_free(run);
}

static void run_add_addr(struct check_run *run, const struct addr *addr)
{
	for (unsigned i = 0; i < run->addr_cnt; i++)
		if (addr_equal(&run->addrs[i], addr))
			return;
	if (run->addr_cnt < MESH_PEER_ADDRS_MAX)
		run->addrs[run->addr_cnt++] = *addr;
}

/* A call comes between two turns: what fails at once has begun after the turn's time. */
static uint64_t elapsed_us(const struct check_run *run, uint64_t since_ns)
{
	uint64_t now_ns = run->api->home->now_ns;

	return now_ns > since_ns ? (now_ns - since_ns) / NS_PER_US : 0;
}

/* Reports all of step but its addresses. */
static void run_tell_step(struct check_run *run, struct api_check_step step,
			  const struct addr *addrs, unsigned addr_cnt)
{
	if (!run->call || !control_wants_more(run->call))
		return;
	for (unsigned i = 0; i < addr_cnt; i++)
		if (!addr_is_relayed(&addrs[i]))
			varlink_push(control_blocks(run->call), &step.addresses,
				     api_addr(control_blocks(run->call), &addrs[i]));
	api_reply_more(run->call, check_peer, .step = &step);
}

static void run_tell_verdict(struct check_run *run, const char *failed_step, const char *why,
			     const char *next)
{
	const struct api_check_verdict verdict = {run->name, !failed_step, failed_step, why, next};

	control_on_gone(run->call, NULL, NULL);
	api_reply(run->call, check_peer, .verdict = &verdict);
	run_free(run);
}

static void run_tell_silence(struct check_run *run)
{
	struct api_proxy_problem problem;

	if (api_proxy_failed(run->api, run->dialled_ns, &problem))
		run_tell_verdict(run, "dial", problem.why, problem.next);
	else
		run_tell_verdict(run, "dial", "none of these addresses answers",
				 "check that weftd runs there and that no firewall drops UDP");
}

static void run_tell_dial(struct check_run *run, int err)
{
	run_tell_step(
		run,
		(struct api_check_step){.step = "dial",
					.outcome = err < 0 ? weft_err_text(err) : "it answers",
					.took_us = api_uint(elapsed_us(run, run->dialled_ns))},
		run->addrs, run->addr_cnt);
	if (err == 0)
		run_tell_verdict(run, NULL, NULL, NULL);
	else if (err == WEFT_EWRONGKEY)
		run_tell_verdict(run, "dial", "another node is at these addresses now",
				 "what is known of it is out of date: start weftd there again");
	else if (err == WEFT_EREFUSED)
		run_tell_verdict(run, "dial", "it refuses sessions with this node",
				 "ask its operator; the bans of this side are in: weft ban list");
	else
		run_tell_silence(run);
}

static void run_pinged(void *arg, int err, uint64_t rtt_ns)
{
	struct check_run *run = arg;

	(void)rtt_ns;
	run->is_out = false;
	if (!run->call)
		run_free(run);
	else
		run_tell_dial(run, err == WEFT_EUNKNOWN ? 0 : err); /* no ping is an answer, too */
}

/* A session may be there whose peer is not any more. */
static void run_ping(struct check_run *run, uint64_t now_ns)
{
	uint64_t end_ns = run->dialled_ns + run->timeout_ns;
	uint64_t left_ns = end_ns > now_ns ? end_ns - now_ns : 1;
	int err = mesh_ping(
		run->api->home->mesh,
		&(struct mesh_ping_ask){
			.key = run->key, .timeout_ns = left_ns, .done = run_pinged, .arg = run},
		now_ns);

	run->is_out = err == 0;
	if (err == WEFT_EBUSY && now_ns < end_ns)
		timer_set(&run->api->home->timers, &run->timer, now_ns + PING_RETRY_NS);
	else if (err < 0)
		run_tell_dial(run, err);
}

static void run_dialled(void *arg, int err, const uint8_t *actual_key)
{
	struct check_run *run = arg;

	(void)actual_key;
	run->is_out = false;
	run->has_session = err == 0;
	if (!run->call)
		run_free(run);
	else if (err < 0)
		run_tell_dial(run, err);
	else
		run_ping(run, run->api->home->now_ns);
}

static const char *locator_names(const struct api *api, char *text, size_t cap)
{
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < api->locate->locator_cnt && len < cap; i++)
		len += (size_t)snprintf(text + len, cap - len, "%s%s", i ? ", " : "",
					api->locate->locators[i].name);
	return text;
}

static void run_found_nothing(struct check_run *run)
{
	char names[128], why[192];

	if (run->is_unsought) {
		run_tell_verdict(run, "record",
				 "no address of it is known, and no locator is asked for the "
				 "node of a person that is followed",
				 "weft social reach NODE asks its anchors and contacts");
		return;
	}
	if (!run->api->locate->locator_cnt) {
		run_tell_verdict(run, "record",
				 "no address of it is known and no node may be asked",
				 "switch the DHT on (dht.enabled in weft.conf), or: weft peer "
				 "connect NODE ADDRESS:PORT");
		return;
	}
	snprintf(why, sizeof(why), "no address record of it is found (%s)",
		 locator_names(run->api, names, sizeof(names)));
	run_tell_verdict(run, "record", why,
			 "look there whether it publishes one: weft route publish --dry-run");
}

static void run_dial(struct check_run *run, uint64_t now_ns)
{
	struct mesh_peer peer = {
		.addrs = run->addrs, .addr_cnt = run->addr_cnt, .is_unsought = run->is_unsought};
	int err;

	timer_cancel(&run->api->home->timers, &run->timer);
	if (!run->addr_cnt) {
		run_found_nothing(run);
		return;
	}
	memcpy(peer.key, run->key, sizeof(peer.key));
	run->dialled_ns = now_ns;
	run->is_out = true;
	err = mesh_connect(run->api->home->mesh,
			   &(struct mesh_connect){.peer = &peer,
						  .timeout_ns = run->timeout_ns,
						  .done = run_dialled,
						  .arg = run},
			   now_ns);
	if (err < 0)
		run_dialled(run, err, NULL);
}

static const char *look_outcome(const struct check_look *look, int err)
{
	if (look->addr_cnt)
		return "found";
	if (err == WEFT_EUNREACHABLE)
		return "no node is known to ask, or none of them answers";
	return err < 0 ? weft_err_text(err) : "nothing";
}

static void look_end(struct check_look *look, const char *name, int err)
{
	struct check_run *run = look->run;
	/* A record's sequence is the moment it was made, in microseconds. */
	const struct api_check_step step = {
		.step = name,
		.outcome = look_outcome(look, err),
		API_IF(record_s, look->seq, api_uint(look->seq / 1000000)),
		.took_us = api_uint(elapsed_us(run, look->started_ns))};

	look->is_running = false;
	run->running_cnt--;
	run_tell_step(run, step, look->addrs, look->addr_cnt);
}

static unsigned look_idx(const struct check_look *look)
{
	return (unsigned)(look - look->run->looks);
}

static int look_found(struct mesh_look *lookup, const struct mesh_found *found, uint64_t now_ns)
{
	struct check_look *look = container_of(lookup, struct check_look, look);

	(void)now_ns;
	if (found->is_over || (found->seq && found->seq < look->seq))
		return WEFT_ESTALE;
	look->seq = found->seq;
	look->addr_cnt = 0;
	for (unsigned i = 0; i < found->addr_cnt && i < MESH_PEER_ADDRS_MAX; i++) {
		look->addrs[look->addr_cnt++] = found->addrs[i];
		run_add_addr(look->run, &found->addrs[i]);
	}
	return 0;
}

static void look_ended(struct mesh_look *lookup, int err, uint64_t now_ns)
{
	struct check_look *look = container_of(lookup, struct check_look, look);
	struct check_run *run = look->run;

	look_end(look, run->api->locate->locators[look_idx(look)].name, err);
	if (!run->running_cnt)
		run_dial(run, now_ns);
}

/* A node that has not answered by now is not waited for. */
static void run_expire(struct timer *timer, uint64_t now_ns)
{
	struct check_run *run = container_of(timer, struct check_run, timer);
	struct api *api = run->api;

	if (run->has_session) {
		run_ping(run, now_ns);
		return;
	}
	for (unsigned i = 0; i < api->locate->locator_cnt; i++) {
		if (!run->looks[i].is_running)
			continue;
		api->locate->locators[i].cancel(api->locate->locators[i].ctx,
						run->looks[i].located);
		look_end(&run->looks[i], api->locate->locators[i].name, WEFT_ETIMEOUT);
	}
	run_dial(run, now_ns);
}

static void run_recall(struct check_run *run)
{
	struct mesh_peer_info peer;

	if (api_peer_lookup(run->api, run->name, &peer) != 1 || !peer.last_addr.family)
		return;
	run_add_addr(run, &peer.last_addr);
	run_tell_step(run,
		      (struct api_check_step){.step = "cache",
					      .outcome = peer.is_connected ? "a session is open"
									   : "it was met before"},
		      &peer.last_addr, 1);
}

/* What this node's people follow is told to no DHT, overlay or relay of records. */
static void run_leave_out(struct check_run *run, uint64_t now_ns)
{
	run_tell_step(
		run,
		(struct api_check_step){.step = "locators",
					.outcome = "left out: a person here follows it, or it is "
						   "an anchor"},
		NULL, 0);
	timer_set(&run->api->home->timers, &run->timer, now_ns);
}

static void run_begin(struct check_run *run, uint64_t now_ns)
{
	struct api *api = run->api;

	run_recall(run);
	run->is_unsought = social_is_unsought(api->social, run->key);
	if (run->is_unsought) {
		run_leave_out(run, now_ns);
		return;
	}
	for (unsigned i = 0; i < api->locate->locator_cnt; i++) {
		struct check_look *look = &run->looks[i];
		const struct mesh_locator *locator = &api->locate->locators[i];
		int err;

		*look = (struct check_look){.look = {look_found, look_ended},
					    .run = run,
					    .is_running = true,
					    .started_ns = now_ns};
		run->running_cnt++;
		err = locator->look(locator->ctx, run->key, &look->look, now_ns, &look->located);
		if (err < 0)
			look_end(look, locator->name, err);
	}
	timer_set(&api->home->timers, &run->timer,
		  run->running_cnt ? now_ns + run->timeout_ns : now_ns);
}

void api_check_peer(struct api *api, struct control_call *call, const struct api_check_peer_in *in,
		    uint64_t now_ns)
{
	const char *name = in->node_id;
	int64_t timeout_ms = in->timeout_ms;
	struct check_run *run = calloc(1, sizeof(*run));

	if (!run) {
		control_fail(call, -ENOMEM, name, "no memory", "free some and try again");
		return;
	}
	if (!api_node_id_read(api, call, name, run->key)) {
		free(run);
		return;
	}
	if (memcmp(run->key, api->own_key, sizeof(run->key)) == 0) {
		control_fail(call, WEFT_EMALFORMED, name, "it is this node itself",
			     "weft route publish --dry-run shows what others find");
		free(run);
		return;
	}
	if (timeout_ms <= 0)
		timeout_ms = CHECK_TIMEOUT_MS;
	if (timeout_ms > CHECK_TIMEOUT_MS_MAX)
		timeout_ms = CHECK_TIMEOUT_MS_MAX;
	zbase32_write(run->key, sizeof(run->key), run->name);
	run->api = api;
	run->call = call;
	run->timeout_ns = (uint64_t)timeout_ms * NS_PER_MS;
	timer_init(&run->timer, run_expire);
	run->next = api->check_runs;
	api->check_runs = run;
	control_on_gone(call, run_caller_left, run);
	run_begin(run, now_ns);
}
