/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relays whose sessions are kept, for peers to find this node at. Two of them are ready at a time: one
 * that is silent, or does not answer a dial, has another kept beside it. So have all that are doubted
 * together.
 *
 * A relay that is trusted more than one of the two is tried beside them. Once its session is up, the
 * one that is trusted least is kept no more. Flows there go on: they hold their relay's session.
 */
#include <string.h>

#include "base/monotonic.h"
#include "relay_end_state.h"

#define KEEP_NS	  (2 * NS_PER_S)
#define UNKEPT_NS (60 * NS_PER_S)
/* For two minutes after is_hidden has changed it is asked more often: time alone may change it. */
#define UNKEPT_OFTEN_NS (10 * NS_PER_S)
#define KEEP_CNT	PEER_VIAS_MAX /* the address record names them all */
#define KEEP_FAIL_MAX	3	      /* dials in a row */
/* A relay that is trusted more is looked for so often, up to 16 minutes after trials that failed. */
#define BETTER_NS      (30 * NS_PER_S)
#define BETTER_DOUBLES 5u
#define WEB_AFTER_NS   (3 * NS_PER_S)
/* A relay that restarts is back within 2 s. */
#define VIAS_SETTLE_NS (3 * NS_PER_S)

unsigned relay_end_trust(const struct relay_end *end, const uint8_t *relay, const uint8_t *by)
{
	return end->params.trust ? end->params.trust(end->params.ctx, relay, by) : 0;
}

/* One that says nothing, or did not answer a dial, may be back: it is kept beside another. */
static bool leg_is_fine(const struct end_relay *relay)
{
	return relay->is_used && relay->is_kept && !relay->is_trial && !relay->is_silent &&
	       (relay->is_up || !relay->fail_cnt || relay_end_leg_is_web(relay));
}

/* Its flows stay, and with them the row. */
static void leg_unkeep(struct end_relay *relay)
{
	relay->is_kept = relay->is_trial = false;
	relay->is_used = relay->flow_cnt > 0;
}

/* One that is fine, and owes no answer. */
static bool leg_is_sound(const struct end_relay *relay)
{
	return leg_is_fine(relay) && !(relay->is_up && relay_end_leg_is_doubted(relay));
}

/* Of those that are sound: the one that is trusted least, the last of several; NULL: none is. */
static struct end_relay *kept_worst(struct relay_end *end, unsigned *out_trust)
{
	struct end_relay *worst = NULL;

	*out_trust = 0;
	for (unsigned i = 0; i < end->relay_cap; i++) {
		struct end_relay *relay = &end->relays[i];
		unsigned trust;

		if (!leg_is_sound(relay))
			continue;
		trust = relay_end_trust(end, relay->place.key, NULL);
		if (!worst || trust >= *out_trust) {
			worst = relay;
			*out_trust = trust;
		}
	}
	return worst;
}

static unsigned sound_cnt(const struct relay_end *end)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < end->relay_cap; i++)
		cnt += leg_is_sound(&end->relays[i]);
	return cnt;
}

/*
 * Returns the number of those that are fine, of which no more are kept than is wanted. One that is
 * doubted counts where another is not.
 */
static unsigned kept_fine(struct relay_end *end)
{
	bool are_doubted = relay_end_legs_are_doubted(end);
	unsigned cnt = sound_cnt(end), trust;

	for (; cnt > KEEP_CNT; cnt--)
		leg_unkeep(kept_worst(end, &trust));
	for (unsigned i = 0; i < end->relay_cap && cnt < KEEP_CNT; i++)
		cnt += !are_doubted && leg_is_fine(&end->relays[i]) &&
		       !leg_is_sound(&end->relays[i]);
	return cnt;
}

uint64_t relay_end_pause_ns(const struct end_relay *relay, uint64_t pause_ns, uint64_t max_ns)
{
	const struct relay_end_params *params = &relay->end->params;
	enum addr_family family = relay->path.remote.family;
	uint64_t nat_ns = params->keepalive_ns && family != ADDR_NONE
				  ? params->keepalive_ns(params->ctx, family)
				  : 0;

	if (!nat_ns)
		return pause_ns;
	return nat_ns < max_ns ? nat_ns : max_ns;
}

bool relay_end_wants_kept(const struct relay_end *end)
{
	const struct relay_end_params *params = &end->params;

	return params->config.use == RELAY_USE_ALWAYS ||
	       (params->config.use == RELAY_USE_AUTO && params->is_hidden &&
		params->is_hidden(params->ctx));
}

static uint64_t keep_pause(const struct relay_end *end, bool wants)
{
	if (wants)
		return KEEP_NS;
	return end->now_ns < end->review_ns + 2 * UNKEPT_NS ? UNKEPT_OFTEN_NS : UNKEPT_NS;
}

/* Those that are there no more, and those that are not to be used any more. */
static void kept_drop(struct relay_end *end, bool wants)
{
	for (unsigned i = 0; i < end->relay_cap; i++) {
		struct end_relay *relay = &end->relays[i];

		if (!relay->is_kept)
			continue;
		if (relay->is_trial && relay->fail_cnt)
			end->better_fails++;
		if (!wants || (relay->fail_cnt > KEEP_FAIL_MAX && !relay_end_leg_is_web(relay)) ||
		    (relay->is_trial && relay->fail_cnt) ||
		    relay_end_trust(end, relay->place.key, NULL) == RELAY_END_REFUSED)
			leg_unkeep(relay);
	}
}

static unsigned kept_fill(struct relay_end *end, unsigned has_cnt)
{
	struct relay_end_place places[RELAY_END_PLACES_MAX];
	unsigned cnt = end->params.relays(end->params.ctx, places);

	for (unsigned i = 0; i < cnt && has_cnt < KEEP_CNT; i++) {
		struct end_relay *relay = relay_end_relay_make(end, &places[i]);

		if (!relay || (relay->is_kept && !relay->is_trial))
			continue;
		relay->is_kept = true;
		relay->is_trial = false;
		has_cnt++;
	}
	return has_cnt;
}

/* --- a relay that is trusted more --- */

/* Its session is up, so it takes the place of the worst; published with the next change of vias. */
static void trials_end(struct relay_end *end)
{
	unsigned trust;

	for (unsigned i = 0; i < end->relay_cap; i++) {
		struct end_relay *relay = &end->relays[i];

		if (!relay->is_kept || !relay->is_trial || !relay->is_up || relay->is_silent)
			continue;
		if (sound_cnt(end) == KEEP_CNT) {
			leg_unkeep(kept_worst(end, &trust));
			end->stats.bettered_cnt++;
		}
		relay->is_trial = false;
		end->better_fails = 0;
	}
}

/* After trials that failed another relay has its turn, later each time. */
static void trial_begin(struct relay_end *end)
{
	struct relay_end_place places[RELAY_END_PLACES_MAX], better[RELAY_END_PLACES_MAX];
	unsigned cnt = end->params.relays(end->params.ctx, places), better_cnt = 0, worst;
	struct end_relay *relay;

	if (!kept_worst(end, &worst))
		return;
	for (unsigned i = 0; i < cnt; i++) {
		relay = relay_end_relay_find(end, places[i].key);
		if ((!relay || !relay->is_kept) &&
		    relay_end_trust(end, places[i].key, NULL) < worst)
			better[better_cnt++] = places[i];
	}
	if (!better_cnt)
		return;
	relay = relay_end_relay_make(end, &better[end->better_fails % better_cnt]);
	if (!relay)
		return;
	relay->is_kept = relay->is_trial = true;
	relay->fail_cnt = 0;
	(void)relay_end_relay_look(relay);
	relay_end_hurry(end, end->now_ns);
}

static void better_turn(struct relay_end *end)
{
	unsigned doubles = end->better_fails < BETTER_DOUBLES ? end->better_fails : BETTER_DOUBLES;

	trials_end(end);
	if (end->now_ns < end->better_ns)
		return;
	end->better_ns = end->now_ns + (BETTER_NS << doubles);
	trial_begin(end);
}

/*
 * A kept relay that does not answer by QUIC, nor by TCP, is tried over WebSocket. TCP has its turn
 * after a second of silence.
 */
static bool leg_wants_web(const struct end_relay *relay)
{
	return relay->is_used && relay->is_kept && !relay->is_trial && !relay->is_up &&
	       (relay->fail_cnt ||
		(relay->is_connecting && relay->end->now_ns >= relay->dialled_ns + WEB_AFTER_NS));
}

static void web_turn(struct relay_end *end, bool wants)
{
	const struct relay_end_web *web = end->params.web;
	struct relay_end_place places[RELAY_END_KEPT_MAX];
	unsigned cnt = 0;

	if (!web || !web->use)
		return;
	/* Those that are connected to stay, whatever else is tried. */
	for (unsigned is_up = 2; wants && is_up--;)
		for (unsigned i = 0; i < end->relay_cap && cnt < RELAY_END_KEPT_MAX; i++)
			if (leg_wants_web(&end->relays[i]) &&
			    relay_end_leg_is_web(&end->relays[i]) == is_up)
				places[cnt++] = end->relays[i].place;
	web->use(end->params.ctx, places, cnt);
}

void relay_end_keep_turn(struct relay_end *end)
{
	unsigned has_cnt;
	bool wants;

	relay_end_hurry(end, end->keep_ns);
	if (end->now_ns < end->keep_ns)
		return;
	wants = relay_end_wants_kept(end);
	end->keep_ns = end->now_ns + keep_pause(end, wants);
	relay_end_hurry(end, end->keep_ns);
	kept_drop(end, wants);
	web_turn(end, wants);
	has_cnt = kept_fine(end);
	if (wants && has_cnt < KEEP_CNT)
		has_cnt = kept_fill(end, has_cnt);
	else if (wants)
		better_turn(end);
}

/* A relay that is doubted comes behind the others: the same relays in another order are no change. */
static bool vias_are_told(const struct relay_end *end, const struct peer_via *vias, unsigned cnt)
{
	unsigned same_cnt = 0;

	for (unsigned i = 0; i < cnt; i++)
		for (unsigned k = 0; k < end->via_cnt; k++)
			same_cnt += peer_vias_equal(&vias[i], 1, &end->vias[k], 1);
	return same_cnt == cnt && cnt == end->via_cnt;
}

static bool via_is_there(struct relay_end *end, const struct peer_via *via)
{
	const struct end_relay *relay = relay_end_relay_find(end, via->key);

	return relay && relay->is_kept && relay_end_leg_is_there(relay);
}

/* No peer finds this node by those that it has named, and one that is there is not among them. */
static bool vias_are_urgent(struct relay_end *end, const struct peer_via *vias, unsigned cnt)
{
	for (unsigned i = 0; i < end->via_cnt; i++)
		if (via_is_there(end, &end->vias[i]))
			return false;
	return !end->via_cnt || (cnt && via_is_there(end, &vias[0]));
}

/* A change is published once it has lasted for a while: a relay that restarts is back soon. */
void relay_end_vias_turn(struct relay_end *end)
{
	struct peer_via vias[PEER_VIAS_MAX];
	unsigned cnt = relay_end_kept(end, vias);

	if (vias_are_told(end, vias, cnt)) {
		end->vias_ns = 0;
		return;
	}
	if (!end->vias_ns)
		end->vias_ns = end->now_ns + VIAS_SETTLE_NS;
	if (vias_are_urgent(end, vias, cnt))
		end->vias_ns = end->now_ns;
	relay_end_hurry(end, end->vias_ns);
	if (end->now_ns < end->vias_ns)
		return;
	memcpy(end->vias, vias, sizeof(vias));
	end->via_cnt = cnt;
	end->vias_ns = 0;
	if (end->params.on_kept)
		end->params.on_kept(end->params.ctx);
}
