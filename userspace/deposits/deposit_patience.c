/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a STORE node that gives rows of no use is listened to. To open a row costs more than to send
 * it. Depositors leave junk at honest nodes, too, but no more than these keep for one recipient, and it
 * can be erased there. So a node is left alone only when it gives more than that.
 */
#include "base/monotonic.h"
#include "deposits_state.h"

static struct deposit_rest *rest_find(struct deposits *deposits, const uint8_t *store)
{
	struct deposit_rest *rests = deposits->patience.rests;

	for (unsigned i = 0; i < DEPOSITS_REST_CAP; i++)
		if (rests[i].until_ns && memcmp(rests[i].store, store, DEPOSIT_KEY_LEN) == 0)
			return &rests[i];
	return NULL;
}

bool deposits_patience_rests(struct deposits *deposits, const uint8_t *store, uint64_t now_ns)
{
	const struct deposit_rest *rest = rest_find(deposits, store);

	return rest && now_ns < rest->until_ns;
}

/* Those of this minute, by all STORE nodes but chosen ones. */
static bool minute_has_room(struct deposit_patience *patience, uint64_t now_ns)
{
	if (now_ns - patience->minute_ns >= 60 * NS_PER_S) {
		patience->minute_ns = now_ns;
		patience->useless_cnt = 0;
	}
	return ++patience->useless_cnt <= DEPOSITS_USELESS_PER_MIN;
}

bool deposits_patience_spend(struct deposit_pull *pull, uint64_t now_ns)
{
	struct deposits *deposits = pull->deposits;
	const struct deposits_params *params = &deposits->params;

	deposits->stats.useless_cnt++;
	if (++pull->useless_cnt > DEPOSITS_PER_RECIPIENT)
		return false;
	return params->class_of(params->ctx, pull->store) == FAIR_CHOSEN ||
	       minute_has_room(&deposits->patience, now_ns) ||
	       pull->useless_cnt < DEPOSITS_USELESS_SURE;
}

/* The node that is left alone anew; another one is forgotten for it. */
static struct deposit_rest *rest_make(struct deposits *deposits, const uint8_t *store)
{
	struct deposit_rest *rest = rest_find(deposits, store), *rests = deposits->patience.rests;

	if (rest)
		return rest;
	rest = &rests[0];
	for (unsigned i = 1; i < DEPOSITS_REST_CAP; i++)
		if (rests[i].until_ns < rest->until_ns)
			rest = &rests[i];
	memset(rest, 0, sizeof(*rest));
	memcpy(rest->store, store, DEPOSIT_KEY_LEN);
	return rest;
}

void deposits_patience_note(const struct deposit_pull *pull, bool is_whole, uint64_t now_ns)
{
	struct deposits *deposits = pull->deposits;
	struct deposit_rest *rest;

	if (pull->useless_cnt > DEPOSITS_PER_RECIPIENT) {
		rest = rest_make(deposits, pull->store);
		rest->len_ns = rest->len_ns ? 2 * rest->len_ns : DEPOSITS_REST_NS;
		if (rest->len_ns > DEPOSITS_REST_MAX_NS)
			rest->len_ns = DEPOSITS_REST_MAX_NS;
		rest->until_ns = now_ns + rest->len_ns;
		deposits->stats.rest_cnt++;
	} else if (is_whole && (rest = rest_find(deposits, pull->store))) {
		rest->until_ns = 0;
	}
}
