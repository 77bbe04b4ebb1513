/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endorsements at this node, and the levels of offers that follow. Those of neighbours come by
 * message 312 and in responses. What the operator says counts at once. What others say counts
 * within ENDORSE_SETTLE_NS.
 */
#include <string.h>

#include "base/container_of.h"
#include "base/random.h"
#include "crypto/node_key.h"
#include "service_offers_state.h"

#define YEAR_S (365 * 86400ull)

/* At once, as OFFERS_AGAIN_CNT. */
#define SAY_CNT 4u

static uint64_t wall_s(const struct service_offers *offers)
{
	return offers->params.wall_s(offers->params.ctx);
}

int offers_verify_open(struct service_offers *offers)
{
	const struct service_offers_params *params = &offers->params;
	const struct endorse_params book = {
		.store = params->store,
		.random = params->random,
		.site = params->site,
		.own_key = node_key_public(params->key),
		.cap = (uint32_t)(params->config.room_len / OFFERS_ROOM_AN_ENDORSEMENT),
		.now_s = wall_s(offers),
		.now_ns = params->now_ns,
	};

	return offers_endorse_open(&book, &offers->book);
}

struct endorse_book *offers_endorse_book(struct service_offers *offers)
{
	return offers->book;
}

/* --- levels --- */

unsigned offers_level(void *ctx, uint32_t service, const uint8_t *provider)
{
	const struct service_offers *offers = ctx;

	return offers_endorse_level(offers->book, service, provider);
}

void offers_verify_due(struct service_offers *offers, uint64_t now_ns)
{
	timer_set(offers->params.timers, &offers->level_timer,
		  offers_endorse_next_ns(offers->book, wall_s(offers), now_ns));
}

/* row_max: offers whose level is looked at now; the others follow. */
static void settle(struct service_offers *offers, uint32_t row_max, uint64_t now_ns)
{
	if (offers_endorse_settle(offers->book, wall_s(offers), now_ns)) {
		offers_store_relevel(offers->store, row_max);
		offers_due(offers, now_ns);
	}
	offers_verify_due(offers, now_ns);
}

void offers_verify_expire(struct timer *timer, uint64_t now_ns)
{
	settle(container_of(timer, struct service_offers, level_timer), 0, now_ns);
}

/* --- the operator's --- */

/* What this node said last of the same; made_s is 0 where it said nothing. */
struct former {
	uint64_t made_s, until_s;
	unsigned level;
};

static bool on_former(void *arg, const struct endorse_view *view)
{
	struct former *former = arg;

	if (!view->is_own)
		return true;
	former->made_s = view->endorsement.made_s;
	former->until_s = view->until_s;
	former->level = view->endorsement.level;
	return false;
}

static void endorsement_send(struct service_offers *offers, const uint8_t *key, uint32_t service,
			     const struct spread_endorsement *sent)
{
	(void)offers_spread_endorse(offers->spread, key, service, sent);
}

enum endorse_verdict offers_add_endorsement(struct service_offers *offers,
					    const struct endorse_put *put)
{
	struct endorse_put own = *put;
	enum endorse_verdict verdict;
	struct endorsement said;

	own.source = NULL;
	own.class = FAIR_CHOSEN;
	own.now_s = wall_s(offers);
	verdict = offers_endorse_put(offers->book, &own);
	if (verdict != ENDORSE_KEPT || offers_endorsement_parse(put->bytes, put->len, &said) < 0)
		return verdict;
	settle(offers, UINT32_MAX, put->now_ns);
	endorsement_send(
		offers, NULL, said.service,
		&(const struct spread_endorsement){put->bytes, put->len, NULL, put->now_ns});
	return verdict;
}

int offers_sign_endorsement(struct service_offers *offers, const struct endorsement *said,
			    struct writer *w)
{
	struct former former = {.level = 0};
	struct endorsement own = *said;

	offers_endorse_each_of(offers->book, said->service, said->provider, on_former, &former);
	if (said->level == 0 && former.level == 0)
		return WEFT_EABSENT;
	own.made_s = wall_s(offers) > former.made_s ? wall_s(offers) : former.made_s + 1;
	if (own.expires_s == 0)
		own.expires_s = own.made_s + YEAR_S;
	/* A withdrawal outlives what it withdraws. */
	if (own.level == 0 && former.until_s > own.made_s)
		own.expires_s = former.until_s;
	offers_endorsement_write(w, &own, offers->params.key);
	return w->bad ? WEFT_EMALFORMED : 0;
}

int offers_trust(struct service_offers *offers, const struct endorse_trust *trust,
		 const struct endorse_put *put)
{
	int err = trust->level_max
			  ? offers_endorse_trust(offers->book, trust, put->done, put->arg)
			  : offers_endorse_distrust(offers->book, trust, put->done, put->arg);

	if (err == 0)
		settle(offers, UINT32_MAX, put->now_ns);
	return err;
}

/* --- those of neighbours --- */

static enum endorse_verdict heard_put(struct service_offers *offers,
				      const struct spread_endorsement *heard)
{
	const struct service_offers_params *params = &offers->params;
	struct mesh_neighbour neighbour = {.is_known = false};
	struct mesh_path path = {.remote.family = ADDR_NONE};
	struct endorse_put put = {.bytes = heard->bytes,
				  .len = heard->len,
				  .source = &path.remote,
				  .sender = heard->peer,
				  .now_s = wall_s(offers),
				  .now_ns = heard->now_ns};

	(void)params->neighbours->path(params->mesh.mesh, heard->peer, &path);
	(void)params->neighbours->find(params->mesh.mesh, heard->peer, &neighbour);
	put.class = neighbour.is_known ? FAIR_KNOWN : FAIR_UNKNOWN;
	return offers_endorse_put(offers->book, &put);
}

static bool is_by_this_node(const struct service_offers *offers,
			    const struct spread_endorsement *heard)
{
	struct endorsement said;

	return offers_endorsement_parse(heard->bytes, heard->len, &said) == 0 &&
	       memcmp(said.endorser_address, offers->address, sizeof(offers->address)) == 0;
}

enum spread_verdict offers_endorsement_keep(void *ctx, const struct spread_endorsement *heard,
					    const char **out_why)
{
	struct service_offers *offers = ctx;

	/* What it has is newer. */
	if (is_by_this_node(offers, heard))
		return SPREAD_KNOWN;
	switch (heard_put(offers, heard)) {
	case ENDORSE_KEPT:
		offers_verify_due(offers, heard->now_ns);
		return SPREAD_NEW;
	case ENDORSE_KNOWN:
		return SPREAD_KNOWN;
	case ENDORSE_UNTIMELY:
		*out_why = "it has expired, or its time is ahead";
		return SPREAD_REFUSED;
	case ENDORSE_NO_KEY:
		*out_why = "its endorser's key is not known here";
		return SPREAD_REFUSED;
	case ENDORSE_FULL:
		*out_why = "no place is left for its endorser or network";
		return SPREAD_REFUSED;
	case ENDORSE_LAGS:
		*out_why = "this node cannot keep it now";
		return SPREAD_REFUSED;
	default:
		*out_why = "its signature is not the endorser's";
		return SPREAD_REFUSED;
	}
}

/* Offers that follow in the response have their level from the start. */
void offers_endorsements_hear(struct service_offers *offers, const struct spread_message *message,
			      const struct service_response *response)
{
	for (unsigned i = 0; i < response->endorsement_cnt && offers->hear_left > 0; i++) {
		const struct spread_endorsement heard = {response->endorsements[i].bytes,
							 response->endorsements[i].len,
							 message->peer, message->now_ns};

		offers->hear_left--;
		if (!is_by_this_node(offers, &heard))
			(void)heard_put(offers, &heard);
	}
	if (response->endorsement_cnt == 0)
		return;
	if (offers_endorse_next_ns(offers->book, wall_s(offers), message->now_ns) <=
	    message->now_ns)
		settle(offers, 0, message->now_ns);
	else
		offers_verify_due(offers, message->now_ns);
}

/* --- to others --- */

static bool on_proof(void *arg, const struct endorse_view *view)
{
	struct service_response *response = arg;

	for (unsigned i = 0; i < response->endorsement_cnt; i++)
		if (response->endorsements[i].bytes == view->bytes)
			return true;
	(void)offers_response_add_endorsement(response, view->bytes, view->len);
	return true;
}

void offers_endorsements_answer(struct service_offers *offers, struct service_response *response,
				const struct offer_proof *proof)
{
	const struct endorse_proof_ask ask = {.service = proof->service,
					      .address = proof->provider,
					      .level = proof->level,
					      .fn = on_proof,
					      .arg = response};

	offers_endorse_proof(offers->book, &ask);
}

/* Some, each as likely as another. */
struct saying_again {
	struct service_offers *offers;
	unsigned seen_cnt, cnt;
	struct {
		uint32_t service;
		size_t len;
		uint8_t bytes[ENDORSEMENT_LEN_MAX];
	} chosen[SAY_CNT];
};

static void say_keep(struct saying_again *again, unsigned at, const struct endorse_view *view)
{
	again->chosen[at].service = view->endorsement.service;
	again->chosen[at].len = view->len;
	memcpy(again->chosen[at].bytes, view->bytes, view->len);
}

static bool on_say(void *arg, const struct endorse_view *view)
{
	struct saying_again *again = arg;
	unsigned at = again->cnt;

	/* Of those of others one at most, behind those that this node made. */
	if (!view->is_own) {
		if (again->cnt < SAY_CNT)
			at = again->cnt++;
		else
			at = SAY_CNT - 1;
		say_keep(again, at, view);
		return false;
	}
	again->seen_cnt++;
	if (again->cnt < SAY_CNT)
		again->cnt++;
	else
		at = (unsigned)random_below(again->offers->params.random, again->seen_cnt);
	if (at >= again->cnt)
		return true;
	say_keep(again, at, view);
	return true;
}

void offers_endorsements_say_again(struct service_offers *offers, const uint8_t *key,
				   uint64_t now_ns)
{
	struct saying_again again = {.offers = offers};

	offers_endorse_each_own(offers->book, on_say, &again);
	for (unsigned i = 0; i < again.cnt; i++)
		endorsement_send(offers, key, again.chosen[i].service,
				 &(const struct spread_endorsement){
					 again.chosen[i].bytes, again.chosen[i].len, NULL, now_ns});
}
