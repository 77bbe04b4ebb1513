/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to relays over WebSocket: which there are, their deadlines and their ends.
 *
 * Inbound: a channel's bytes are the answer of HTTP, then frames of WebSocket, whose messages are
 * frames of the relay (web_end_input.c). Outbound: datagrams wait in the relay's queue, and the turn
 * writes records of what is due (web_end_output.c).
 */
#include "relay/web_end/web_end_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"

/* Records that one relay gets before the others have theirs. */
#define WRITES_PER_TURN 16
/* A relay that restarts, or whose connection was lost, is dialled so often for a while. */
#define RESTART_PAUSE_NS (500 * NS_PER_MS)
#define RESTART_TRY_NS	 (30 * NS_PER_S)
/* An open connection of so long was well: the next dial is soon. */
#define WELL_NS	    (10 * NS_PER_S)
#define DOUBLES_MAX 9
#define BANNED	    "a ban keeps it out"

void relay_web_end_config_defaults(struct relay_web_end_config *config)
{
	*config = (struct relay_web_end_config){.answers_challenges = false};
}

size_t relay_web_end_footprint(const struct relay_web_end_config *config)
{
	struct relay_web_place places[RELAY_WEB_END_MAX];
	int cnt = relay_web_end_parse(config->relays, places);

	return cnt < 0 ? 0
		       : sizeof(struct relay_web_end) +
				 ((size_t)cnt + RELAY_WEB_END_KEPT_MAX) *
					 (RELAY_WEB_QUEUE_MAX * sizeof(struct web_end_queued) +
					  RELAY_WEB_FRAME_MAX);
}

/* --- life --- */

static int end_lay_out(struct relay_web_end *end)
{
	struct relay_web_place places[RELAY_WEB_END_MAX];
	int cnt = relay_web_end_parse(end->params.config.relays, places), err;

	if (cnt < 0)
		return cnt;
	if ((err = arena_open(&end->arena, ARENA_GROWS)) < 0)
		return err;
	end->configured_cnt = (unsigned)cnt;
	for (unsigned i = 0; i < end->configured_cnt + RELAY_WEB_END_KEPT_MAX; i++) {
		struct web_end_relay *relay = &end->relays[i];

		relay->end = end;
		relay->is_used = i < end->configured_cnt;
		if (relay->is_used)
			relay->place = places[i];
		relay->message = arena_alloc(&end->arena, RELAY_WEB_FRAME_MAX);
		relay->queue =
			arena_alloc(&end->arena, RELAY_WEB_QUEUE_MAX * sizeof(relay->queue[0]));
		if (!relay->message || !relay->queue)
			return WEFT_EFULL;
		relay->since_ns = end->now_ns;
		end->relay_cnt++;
	}
	arena_fit(&end->arena);
	return 0;
}

int relay_web_end_new(const struct relay_web_end_params *params, struct relay_web_end **out_end)
{
	struct relay_web_end *end = calloc(1, sizeof(*end));
	int err;

	if (!end)
		return -ENOMEM;
	end->params = *params;
	end->now_ns = params->now_ns;
	err = end_lay_out(end);
	if (err < 0) {
		relay_web_end_free(end);
		return err;
	}
	*out_end = end;
	return 0;
}

void relay_web_end_free(struct relay_web_end *end)
{
	if (!end)
		return;
	for (unsigned i = 0; i < end->relay_cnt; i++)
		if (end->relays[i].channel)
			end->relays[i].channel->ops->close(end->relays[i].channel);
	arena_close(&end->arena);
	free(end);
}

static void end_turn(struct relay_web_end *end, uint64_t now_ns)
{
	if (now_ns > end->now_ns)
		end->now_ns = now_ns;
}

static struct web_end_relay *relay_find(const struct relay_web_end *end, const uint8_t *key)
{
	for (unsigned i = 0; i < end->relay_cnt; i++)
		if (end->relays[i].is_used &&
		    memcmp(end->relays[i].place.key, key, RELAY_WEB_KEY_LEN) == 0)
			return (struct web_end_relay *)(uintptr_t)&end->relays[i];
	return NULL;
}

/* --- one connection --- */

void relay_web_end_enter(struct web_end_relay *relay, enum relay_web_end_state state)
{
	struct relay_web_end *end = relay->end;

	relay->state = state;
	relay->since_ns = end->now_ns;
	if (state != RELAY_WEB_END_OPEN)
		return;
	relay->why = NULL;
	relay->said[0] = '\0';
	relay->status = 0;
	end->stats.opened_cnt++;
	end->params.changed(end->params.ctx, relay->place.key, true, end->now_ns);
}

/* Half of it is chance, so that a relay's clients do not come back at once. */
static uint64_t pause_ns(const struct web_end_relay *relay)
{
	const struct relay_web_end *end = relay->end;
	unsigned doubles = relay->fail_cnt < DOUBLES_MAX ? relay->fail_cnt : DOUBLES_MAX;
	uint64_t ns = RELAY_WEB_END_PAUSE_MIN_NS << doubles;

	if (ns > RELAY_WEB_END_PAUSE_MAX_NS)
		ns = RELAY_WEB_END_PAUSE_MAX_NS;
	if (end->now_ns < relay->try_ns && ns > RESTART_PAUSE_NS)
		ns = RESTART_PAUSE_NS;
	ns = ns / 2 + random_below(end->params.random, ns / 2 + 1);
	return ns > relay->pause_ns ? ns : relay->pause_ns;
}

/* What a connection leaves behind. */
static void relay_reset(struct web_end_relay *relay)
{
	relay->channel = NULL;
	relay->in_len = relay->control_len = relay->got_len = 0;
	relay->queue_cnt = 0;
	relay->pause_ns = 0;
	relay->is_blocked = relay->is_limited = relay->has_answered = false;
	relay->is_in_frame = relay->is_in_message = relay->is_skipping = false;
	relay->is_request_due = relay->is_auth_due = relay->is_ping_due = false;
	relay->is_pong_due = relay->is_ws_pong_due = false;
}

void relay_web_end_cut(struct web_end_relay *relay, const char *why)
{
	struct relay_web_end *end = relay->end;
	bool was_open = relay->state == RELAY_WEB_END_OPEN;

	if (was_open && end->now_ns >= relay->since_ns + WELL_NS)
		relay->fail_cnt = 0;
	/* It may have been killed, and be back soon. */
	if (was_open && !relay->pause_ns)
		relay->try_ns = end->now_ns + RESTART_TRY_NS;
	*(was_open ? &end->stats.lost_cnt : &end->stats.failed_cnt) += 1;
	if (relay->channel)
		relay->channel->ops->close(relay->channel);
	if (why)
		relay->why = why;
	relay->retry_ns = end->now_ns + pause_ns(relay);
	relay->fail_cnt++;
	relay_reset(relay);
	relay_web_end_enter(relay, end->is_wanted ? RELAY_WEB_END_WAITING : RELAY_WEB_END_UNWANTED);
	if (was_open)
		end->params.changed(end->params.ctx, relay->place.key, false, end->now_ns);
}

void relay_web_end_break(struct web_end_relay *relay)
{
	relay->end->stats.malformed_cnt++;
	relay_web_end_cut(relay, "it does not speak as a relay");
}

static bool relay_is_banned(const struct web_end_relay *relay)
{
	const struct relay_web_end_params *params = &relay->end->params;

	return params->refuses && params->refuses(params->ctx, &relay->place);
}

static void relay_dial(struct web_end_relay *relay)
{
	struct relay_web_end *end = relay->end;

	if (relay_is_banned(relay)) {
		relay_web_end_cut(relay, BANNED);
		return;
	}
	end->stats.dialled_cnt++;
	relay->is_request_due = false;
	relay->said[0] = '\0';
	relay->status = 0;
	relay_web_end_enter(relay, RELAY_WEB_END_DIALLING);
	if (end->params.dial(end->params.ctx, &relay->place, relay, &relay->channel) < 0) {
		relay->channel = NULL;
		relay_web_end_cut(relay, "no connection could be begun");
	}
}

/* --- the carrier's events --- */

static bool on_opened(void *ctx, struct byte_channel *channel, uint64_t now_ns)
{
	struct web_end_relay *relay = channel->user;

	(void)ctx;
	end_turn(relay->end, now_ns);
	relay->heard_ns = relay->pinged_ns = relay->end->now_ns;
	relay->is_request_due = true;
	relay_web_end_enter(relay, RELAY_WEB_END_ASKED);
	return true;
}

static void on_input(struct byte_channel *channel, uint8_t *data, size_t len, uint64_t now_ns)
{
	struct web_end_relay *relay = channel->user;

	end_turn(relay->end, now_ns);
	relay->heard_ns = relay->end->now_ns;
	relay_web_end_hear(relay, data, len);
}

static void on_writable(struct byte_channel *channel, uint64_t now_ns)
{
	struct web_end_relay *relay = channel->user;

	end_turn(relay->end, now_ns);
	relay->is_blocked = false;
}

static void on_lost(struct byte_channel *channel, uint64_t now_ns)
{
	struct web_end_relay *relay = channel->user;

	end_turn(relay->end, now_ns);
	/* What the relay said before is the reason. */
	relay_web_end_cut(relay, channel->why	  ? channel->why
				 : relay->said[0] ? NULL
						  : "it ended the connection");
}

const struct byte_channel_events relay_web_end_events = {
	.opened = on_opened,
	.input = on_input,
	.writable = on_writable,
	.lost = on_lost,
};

/* --- the loop --- */

void relay_web_end_want(struct relay_web_end *end, bool is_wanted, uint64_t now_ns)
{
	end_turn(end, now_ns);
	if (end->is_wanted == is_wanted)
		return;
	end->is_wanted = is_wanted;
	for (unsigned i = 0; i < end->relay_cnt; i++)
		if (end->relays[i].is_used && end->relays[i].state <= RELAY_WEB_END_WAITING)
			relay_web_end_enter(&end->relays[i], is_wanted ? RELAY_WEB_END_WAITING
								       : RELAY_WEB_END_UNWANTED);
}

/* --- kept ones --- */

static bool is_among(const struct web_end_relay *relay, const struct relay_web_place *places,
		     unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		if (memcmp(places[i].key, relay->place.key, RELAY_WEB_KEY_LEN) == 0)
			return true;
	return false;
}

static void kept_begin(struct web_end_relay *relay, const struct relay_web_place *place)
{
	struct relay_web_end *end = relay->end;

	*relay = (struct web_end_relay){
		.end = end, .message = relay->message, .queue = relay->queue, .place = *place};
	relay->is_used = true;
	relay->retry_ns = end->now_ns;
	relay_web_end_enter(relay, end->is_wanted ? RELAY_WEB_END_WAITING : RELAY_WEB_END_UNWANTED);
}

/* NULL: both have a relay. */
static struct web_end_relay *kept_free(struct relay_web_end *end)
{
	for (unsigned i = end->configured_cnt; i < end->relay_cnt; i++)
		if (!end->relays[i].is_used)
			return &end->relays[i];
	return NULL;
}

/* One that is configured by its name has no key here. Of two connections a relay ends the older. */
static bool is_configured_at(const struct relay_web_end *end, const struct addr *addr)
{
	for (unsigned i = 0; i < end->configured_cnt; i++)
		if (end->relays[i].place.name[0] && addr_equal(&end->relays[i].place.addr, addr))
			return true;
	return false;
}

void relay_web_end_use(struct relay_web_end *end, const struct relay_web_place *places,
		       unsigned cnt, uint64_t now_ns)
{
	struct web_end_relay *relay;

	end_turn(end, now_ns);
	if (cnt > RELAY_WEB_END_KEPT_MAX)
		cnt = RELAY_WEB_END_KEPT_MAX;
	for (unsigned i = end->configured_cnt; i < end->relay_cnt; i++)
		end->relays[i].is_leaving =
			end->relays[i].is_used && !is_among(&end->relays[i], places, cnt);
	for (unsigned i = 0; i < cnt; i++) {
		if (is_configured_at(end, &places[i].addr))
			continue;
		relay = relay_find(end, places[i].key);
		if (!relay && (relay = kept_free(end)))
			kept_begin(relay, &places[i]);
		else if (relay && relay >= &end->relays[end->configured_cnt])
			relay->place.addr = places[i].addr; /* where it is dialled next */
	}
}

unsigned relay_web_end_expel(struct relay_web_end *end, uint64_t now_ns)
{
	unsigned cnt = 0;

	end_turn(end, now_ns);
	for (unsigned i = 0; i < end->relay_cnt; i++) {
		struct web_end_relay *relay = &end->relays[i];

		if (!relay->channel || !relay_is_banned(relay))
			continue;
		relay_web_end_cut(relay, BANNED);
		cnt++;
	}
	end->stats.banned_cnt += cnt;
	return cnt;
}

bool relay_web_end_is_up(const struct relay_web_end *end, const uint8_t *key)
{
	const struct web_end_relay *relay = relay_find(end, key);

	return relay && relay->state == RELAY_WEB_END_OPEN;
}

void relay_web_end_send(struct relay_web_end *end, const uint8_t *key,
			const struct relay_web_end_dgram *dgram)
{
	struct web_end_relay *relay = relay_find(end, key);
	struct web_end_queued *queued;

	if (!relay || relay->state != RELAY_WEB_END_OPEN) {
		end->stats.unsent_cnt++;
		return;
	}
	if (!dgram->len || dgram->len > sizeof(queued->bytes)) {
		end->stats.too_large_cnt++;
		return;
	}
	if (relay->queue_cnt == RELAY_WEB_QUEUE_MAX) {
		relay->queue_at = (relay->queue_at + 1) % RELAY_WEB_QUEUE_MAX;
		relay->queue_cnt--;
		end->stats.queue_full_cnt++;
	}
	queued = &relay->queue[(relay->queue_at + relay->queue_cnt++) % RELAY_WEB_QUEUE_MAX];
	memcpy(queued->peer, dgram->peer, sizeof(queued->peer));
	memcpy(queued->bytes, dgram->data, dgram->len);
	queued->len = (uint16_t)dgram->len;
	queued->ecn = dgram->ecn;
}

static void relay_write(struct web_end_relay *relay)
{
	struct relay_web_end *end = relay->end;

	for (unsigned i = 0; i < WRITES_PER_TURN && relay->channel && !relay->is_blocked; i++) {
		size_t len = relay_web_end_fill(relay);
		int rv;

		if (!len)
			return;
		rv = relay->channel->ops->write(relay->channel, end->plain, len);
		if (rv < 0) {
			relay_web_end_cut(relay, "the connection broke");
			return;
		}
		relay->is_blocked = rv == 0;
		relay->blocked_ns = end->now_ns;
	}
}

static bool relay_is_shaking(const struct web_end_relay *relay)
{
	return relay->state >= RELAY_WEB_END_DIALLING && relay->state < RELAY_WEB_END_OPEN;
}

static uint64_t ping_due_ns(const struct web_end_relay *relay)
{
	return (relay->heard_ns > relay->pinged_ns ? relay->heard_ns : relay->pinged_ns) +
	       RELAY_WEB_PING_NS;
}

/* A relay that limits its client says so, and reads on when the rate allows it. */
static uint64_t blocked_end_ns(const struct web_end_relay *relay)
{
	return relay->blocked_ns +
	       (relay->is_limited ? 2 * RELAY_WEB_PING_NS : RELAY_WEB_END_BLOCKED_NS);
}

static uint64_t relay_next_ns(const struct web_end_relay *relay)
{
	const struct relay_web_end *end = relay->end;
	uint64_t next_ns, ping_ns;

	if (!relay->is_used)
		return UINT64_MAX;
	if (relay->is_leaving)
		return end->now_ns;
	if (!end->is_wanted)
		return relay->channel ? end->now_ns : UINT64_MAX;
	if (relay->state <= RELAY_WEB_END_WAITING)
		return relay->retry_ns;
	if (relay->channel && !relay->is_blocked && relay_web_end_has_output(relay))
		return end->now_ns;
	if (relay_is_shaking(relay))
		return relay->since_ns + RELAY_WEB_PROVE_NS;
	next_ns = relay->heard_ns + 2 * RELAY_WEB_PING_NS;
	if (relay->is_blocked && blocked_end_ns(relay) < next_ns)
		next_ns = blocked_end_ns(relay);
	ping_ns = ping_due_ns(relay);
	return ping_ns < next_ns ? ping_ns : next_ns;
}

static void relay_expire(struct web_end_relay *relay)
{
	struct relay_web_end *end = relay->end;

	if (!relay->is_used)
		return;
	if (relay->is_leaving) {
		if (relay->channel)
			relay_web_end_cut(relay, NULL);
		relay->is_used = relay->is_leaving = false;
	} else if (!end->is_wanted) {
		if (relay->channel)
			relay_web_end_cut(relay, "relays over WebSocket are not needed now");
	} else if (relay->state <= RELAY_WEB_END_WAITING) {
		if (end->now_ns >= relay->retry_ns)
			relay_dial(relay);
	} else if (relay_is_shaking(relay)) {
		if (end->now_ns >= relay->since_ns + RELAY_WEB_PROVE_NS)
			relay_web_end_cut(relay, "it did not answer within 10 s");
	} else if (relay->is_blocked && end->now_ns >= blocked_end_ns(relay)) {
		end->stats.slow_cnt++;
		relay_web_end_cut(relay, relay->is_limited
						 ? "it limits this node, and read nothing for 30 s"
						 : "it read nothing for 5 s");
	} else if (end->now_ns >= relay->heard_ns + 2 * RELAY_WEB_PING_NS) {
		end->stats.silent_cnt++;
		relay_web_end_cut(relay, "it did not answer a ping");
	} else if (end->now_ns >= ping_due_ns(relay)) {
		relay->pinged_ns = end->now_ns;
		relay->is_ping_due = true;
	}
}

void relay_web_end_turn(struct relay_web_end *end, uint64_t now_ns)
{
	end_turn(end, now_ns);
	for (unsigned i = 0; i < end->relay_cnt; i++) {
		relay_expire(&end->relays[i]);
		relay_write(&end->relays[i]);
	}
}

uint64_t relay_web_end_next_ns(const struct relay_web_end *end)
{
	uint64_t next_ns = UINT64_MAX;

	for (unsigned i = 0; i < end->relay_cnt; i++) {
		uint64_t at_ns = relay_next_ns(&end->relays[i]);

		next_ns = at_ns < next_ns ? at_ns : next_ns;
	}
	return next_ns;
}

/* --- what is shown --- */

bool relay_web_end_view(const struct relay_web_end *end, unsigned idx,
			struct relay_web_end_view *out_view)
{
	const struct web_end_relay *relay = end->relays;
	const struct web_end_relay *const behind = relay + end->relay_cnt;

	while (relay < behind && (!relay->is_used || idx--))
		relay++;
	if (relay == behind)
		return false;
	*out_view = (struct relay_web_end_view){
		.place = &relay->place,
		.state = relay->state,
		.protocol = relay->state >= RELAY_WEB_END_PROVING
				    ? relay_web_protocol(relay->version)
				    : NULL,
		.since_ns = relay->since_ns,
		.next_ns = relay->retry_ns,
		.why = relay->why,
		.said = relay->said,
		.status = relay->status,
		.is_limited = relay->is_limited,
		.queue_cnt = relay->queue_cnt,
	};
	return true;
}

void relay_web_end_read_stats(const struct relay_web_end *end,
			      struct relay_web_end_stats *out_stats)
{
	*out_stats = end->stats;
	for (unsigned i = 0; i < end->relay_cnt; i++) {
		out_stats->open_cnt += end->relays[i].state == RELAY_WEB_END_OPEN;
		out_stats->queue_cnt += end->relays[i].queue_cnt;
	}
}
