/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of nat_life.h. Home worker. */
#include "nat_life.h"

#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/random.h"

#define FIRST_NS      (5 * NS_PER_S)
#define AGAIN_NS      (60 * NS_PER_S)
#define REMEMBERED_NS (6 * 3600 * NS_PER_S)
#define STUN_PAUSE_NS NS_PER_S
#define STUN_SENDS    3
#define ASK_NS	      (5 * NS_PER_S)
/* The way of the probe, and what timers of both nodes add. */
#define LATE_NS (2 * NS_PER_S)
/* A mapping that lasts so long for one probe lasts for four fifths of it with room for a late timer. */
#define ROOM(life_ns)	 ((life_ns) / 5 * 4)
#define SHORTEST_NS	 (4 * NS_PER_S)
#define IPV6_NETWORK_LEN 8 /* bytes: a /64 */

/* Most NATs keep a mapping for 30 s to 3 min (RFC 4787 4.3 wants 2 min at least). */
static const uint16_t steps_s[] = {5, 8, 15, 20, 30, 45, 60, 90, PATH_AFTER_S_MAX};
#define STEP_CNT   ((int)(sizeof(steps_s) / sizeof(steps_s[0])))
#define STEP_FIRST 2

static void wait_until(struct nat_life *life, uint64_t at_ns)
{
	timer_set(life->params.timers, &life->timer, at_ns);
}

static void rest(struct nat_life *life, uint64_t for_ns, uint64_t now_ns)
{
	life->phase = NAT_LIFE_IDLE;
	wait_until(life, now_ns + for_ns);
}

/* A relay if there is one: it is no neighbour inside the same network. */
static bool helper_find(struct nat_life *life)
{
	struct mesh_neighbour neighbour;
	struct mesh_walk walk = {0};
	bool is_found = false;

	while (life->params.neighbours->next(life->params.mesh.mesh, &walk, &neighbour) &&
	       neighbour.is_connected) {
		bool is_relay = neighbour.caps & MESH_CAP_RELAY;

		if (!neighbour.is_dialled || neighbour.is_relayed ||
		    neighbour.remote.transport != ADDR_UDP ||
		    neighbour.remote.family != life->params.family || (is_found && !is_relay))
			continue;
		life->helper = neighbour;
		is_found = true;
		if (is_relay)
			break;
	}
	return is_found;
}

static void stun_send(struct nat_life *life, uint64_t now_ns)
{
	uint8_t request[STUN_WRITE_CAP];
	size_t len = stun_write_request(life->transaction, request);

	life->sent_cnt++;
	life->params.send(life->params.port, &life->helper.remote, request, len);
	wait_until(life, now_ns + STUN_PAUSE_NS);
}

static void step_begin(struct nat_life *life, uint64_t now_ns)
{
	life->phase = NAT_LIFE_ASKING;
	life->sent_cnt = 0;
	random_fill(life->params.random, life->transaction, sizeof(life->transaction));
	stun_send(life, now_ns);
}

static void check(struct nat_life *life, uint64_t now_ns)
{
	life->lasted = -1;
	life->lost = STEP_CNT;
	life->step = STEP_FIRST;
	life->lacks_helper = !helper_find(life);
	if (!life->lacks_helper)
		step_begin(life, now_ns);
	else
		rest(life, AGAIN_NS, now_ns);
}

/* --- the address --- */

static uint64_t age_ns(const struct nat_life_row *row, uint64_t now_ns)
{
	return row->age_ns + (now_ns - row->at_ns);
}

static bool is_fresh(const struct nat_life_row *row, uint64_t now_ns)
{
	return age_ns(row, now_ns) < REMEMBERED_NS;
}

/* A host of IPv6 changes its address within its network (RFC 8981). */
static bool is_same_place(const struct addr *a, const struct addr *b)
{
	if (a->family == ADDR_IPV6 && b->family == ADDR_IPV6)
		return memcmp(a->ip, b->ip, IPV6_NETWORK_LEN) == 0;
	return addr_is_same_host(a, b);
}

/* That of the present network, however old. */
static struct nat_life_row *row_find(struct nat_life *life)
{
	for (unsigned i = 0; i < NAT_LIFE_NETWORKS; i++) {
		struct nat_life_row *row = &life->rows[i];

		if (row->outside.family != ADDR_NONE &&
		    is_same_place(&row->outside, &life->mapped) &&
		    is_same_place(&row->inside, &life->inside))
			return row;
	}
	return NULL;
}

/* A free one, or the one that was measured longest ago. */
static struct nat_life_row *row_place(struct nat_life *life, uint64_t now_ns)
{
	struct nat_life_row *place = &life->rows[0];

	for (unsigned i = 0; i < NAT_LIFE_NETWORKS && place->outside.family != ADDR_NONE; i++)
		if (life->rows[i].outside.family == ADDR_NONE ||
		    age_ns(&life->rows[i], now_ns) > age_ns(place, now_ns))
			place = &life->rows[i];
	return place;
}

static void set_now(struct nat_life *life, const struct nat_life_row *row, uint64_t now_ns)
{
	life->now = row;
	if (life->params.changed)
		life->params.changed(life->params.ctx, now_ns);
}

/* The mapped host is this machine's: there is no NAT on the way to the helper. */
static bool is_own(struct nat_life *life)
{
	struct addr own[MESH_PEER_ADDRS_MAX];
	unsigned cnt = life->params.own_addrs(life->params.ctx, own);
	bool is = false;

	life->inside = (struct addr){.family = ADDR_NONE};
	for (unsigned i = 0; i < cnt; i++) {
		is |= addr_is_same_host(&own[i], &life->mapped);
		if (own[i].family == life->params.family && life->inside.family == ADDR_NONE)
			life->inside = own[i];
	}
	return is;
}

static void on_agreed(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct nat_life *life = arg;

	life->request = NULL;
	if (reply->err < 0) {
		rest(life, AGAIN_NS, now_ns);
		return;
	}
	life->phase = NAT_LIFE_SILENT;
	wait_until(life, now_ns + steps_s[life->step] * NS_PER_S + LATE_NS);
}

static void probe_ask(struct nat_life *life, uint64_t now_ns)
{
	struct path_send_probe message = {.addr = life->mapped, .after_s = steps_s[life->step]};
	uint8_t payload[PATH_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask ask = {
		.type = MESH_SEND_PROBE,
		.payload = payload,
		.reply_buf = life->reply,
		.reply_cap = sizeof(life->reply),
		.timeout_ns = ASK_NS,
		.reply = on_agreed,
		.arg = life,
	};

	random_fill(life->params.random, life->ticket, sizeof(life->ticket));
	memcpy(message.ticket, life->ticket, sizeof(message.ticket));
	reachability_send_probe_write(&w, &message);
	ask.payload_len = writer_len(&w);
	memcpy(ask.peer.key, life->helper.key, sizeof(ask.peer.key));
	life->phase = NAT_LIFE_AGREEING;
	timer_cancel(life->params.timers, &life->timer);
	if (life->params.mesh.ops->ask(life->params.mesh.mesh, &ask, now_ns, &life->request) == 0)
		return;
	life->request = NULL;
	rest(life, AGAIN_NS, now_ns);
}

static void on_address(struct nat_life *life, const struct addr *mapped, uint64_t now_ns)
{
	const struct nat_life_row *row;

	life->mapped = *mapped;
	/* Firewalls of IPv6 forget as NATs do, and leave the address as it is (RFC 6092 REC-14). */
	if (is_own(life) && life->params.family == ADDR_IPV4) {
		set_now(life, NULL, now_ns);
		rest(life, 10 * AGAIN_NS, now_ns);
		return;
	}
	row = row_find(life);
	set_now(life, row, now_ns);
	/* What was found before holds until it is measured anew. */
	if (row && is_fresh(row, now_ns))
		rest(life, 10 * AGAIN_NS, now_ns);
	else
		probe_ask(life, now_ns);
}

/* --- the steps --- */

static void measured(struct nat_life *life, uint64_t now_ns)
{
	struct nat_life_row *row = row_find(life);

	if (!row)
		row = row_place(life, now_ns);
	*row = (struct nat_life_row){
		.outside = life->mapped,
		.inside = life->inside,
		.life_s = life->lasted < 0 ? 0 : steps_s[life->lasted],
		.at_ns = now_ns,
	};
	set_now(life, row, now_ns);
	if (life->params.measured)
		life->params.measured(life->params.ctx, now_ns);
	rest(life, 10 * AGAIN_NS, now_ns);
}

static void step_end(struct nat_life *life, bool has_arrived, uint64_t now_ns)
{
	if (has_arrived)
		life->lasted = (int)life->step;
	else
		life->lost = (int)life->step;
	if (life->lost - life->lasted <= 1) {
		measured(life, now_ns);
		return;
	}
	life->step = (unsigned)((life->lasted + life->lost + 1) / 2);
	step_begin(life, now_ns);
}

static void expire(struct timer *timer, uint64_t now_ns)
{
	struct nat_life *life = container_of(timer, struct nat_life, timer);

	switch (life->phase) {
	case NAT_LIFE_IDLE:
		check(life, now_ns);
		break;
	case NAT_LIFE_ASKING:
		if (life->sent_cnt < STUN_SENDS)
			stun_send(life, now_ns);
		else
			rest(life, AGAIN_NS, now_ns);
		break;
	case NAT_LIFE_AGREEING:
		break;
	case NAT_LIFE_SILENT:
		step_end(life, false, now_ns);
		break;
	}
}

void reachability_life_input(struct nat_life *life, const uint8_t *data, size_t len,
			     uint64_t now_ns)
{
	uint8_t ticket[PATH_TICKET_LEN];
	struct stun_message message;

	if (life->phase == NAT_LIFE_SILENT && len == WEFT_PROBE_LEN &&
	    reachability_probe_parse(data, len, ticket) &&
	    memcmp(ticket, life->ticket, sizeof(ticket)) == 0)
		step_end(life, true, now_ns);
	else if (life->phase == NAT_LIFE_ASKING && stun_read(data, len, &message) == 0 &&
		 message.type == STUN_SUCCESS && message.mapped.family == life->params.family &&
		 memcmp(message.transaction, life->transaction, sizeof(life->transaction)) == 0)
		on_address(life, &message.mapped, now_ns);
}

void reachability_life_look(struct nat_life *life, uint64_t now_ns)
{
	uint64_t at_ns = now_ns + FIRST_NS;

	/* What is asked for again and again is put off by none of it. */
	if (life->params.send && life->phase == NAT_LIFE_IDLE &&
	    (!timer_is_set(&life->timer) || life->timer.at_ns > at_ns))
		wait_until(life, at_ns);
}

void reachability_life_session(struct nat_life *life, uint64_t now_ns)
{
	if (life->lacks_helper)
		reachability_life_look(life, now_ns);
}

void reachability_life_init(struct nat_life *life, const struct nat_life_params *params,
			    uint64_t now_ns)
{
	life->params = *params;
	timer_init(&life->timer, expire);
	reachability_life_look(life, now_ns);
}

void reachability_life_stop(struct nat_life *life)
{
	timer_cancel(life->params.timers, &life->timer);
	if (life->request)
		life->params.mesh.ops->cancel(life->request);
	life->request = NULL;
	life->phase = NAT_LIFE_AGREEING; /* for good */
}

uint64_t reachability_life_keepalive_ns(const struct nat_life *life)
{
	uint64_t life_ns = life->now ? life->now->life_s * NS_PER_S : 0;

	if (!life->now)
		return 0;
	return ROOM(life_ns) > SHORTEST_NS ? ROOM(life_ns) : SHORTEST_NS;
}

/* The network may be another one by now: the first check says so. */
void reachability_life_take(struct nat_life *life, const struct nat_life_row *row, uint64_t now_ns)
{
	struct addr own[MESH_PEER_ADDRS_MAX];
	unsigned cnt = life->params.own_addrs(life->params.ctx, own);
	struct nat_life_row *place = row_place(life, now_ns);

	*place = *row;
	place->at_ns = now_ns;
	for (unsigned i = 0; i < cnt; i++)
		if (is_same_place(&own[i], &row->inside) &&
		    (!life->now || life->now->age_ns > row->age_ns))
			life->now = place;
}

const struct nat_life_row *reachability_life_row(const struct nat_life *life, unsigned idx)
{
	for (unsigned i = 0; i < NAT_LIFE_NETWORKS; i++)
		if (life->rows[i].outside.family != ADDR_NONE && !idx--)
			return &life->rows[i];
	return NULL;
}
