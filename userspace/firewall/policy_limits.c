/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_limits.h"

#include <stddef.h>
#include <string.h>

#include "base/monotonic.h"

/* Drops of one reason that are reported as samples. */
static const struct limits_rate samples_rate = {50, 100};

/*
 * The room of DHT answers to unvalidated sources beyond half of their
 * questions: 2,000 lists of nodes a second. Above 17,000 questions a second of
 * any kind they get fewer bytes than they brought.
 */
static const struct limits_rate krpc_bytes_rate = {500000, 500000};
/*
 * DHT datagrams of unvalidated sources that go to userspace. They may take a
 * tenth of home's time (5 us each), in bursts that half a ring holds.
 */
static const struct limits_rate krpc_rate = {20000, 2000};
/*
 * Questions that userspace sees to learn the asker: one a minute of
 * an address, and of all what a routing table may have of news.
 */
static const struct limits_rate senders_rate = {100, 200};
#define SENDER_EVERY_NS (60 * NS_PER_S)

#define TOKEN_LIFE_NS (60 * NS_PER_S)

/*
 * Generous to people behind one address, and a thousandth of what one
 * attacker can send; all answers together a tenth of what one core can.
 */
void firewall_limits_config_defaults(struct limits_config *config)
{
	*config = (struct limits_config){
		.classes = {[WEFT_CLASS_INITIAL] = {500, 1000},
			    [WEFT_CLASS_KRPC] = {100, 200},
			    [WEFT_CLASS_STUN] = {20, 40},
			    [WEFT_CLASS_PROBE] = {50, 100}},
		.new_path = {10, 100},
		.all_answers = {200000, 200000},
		.validated = {2000, 4000},
	};
}

struct weft_bucket_rate firewall_limits_bucket_rate(const struct limits_rate *rate, unsigned level)
{
	uint64_t factor = 1;
	uint64_t cost_ns;

	while (level-- > 0)
		factor *= LIMITS_LEVEL_FACTOR;
	cost_ns = NS_PER_S / (rate->per_s * factor);
	return (struct weft_bucket_rate){cost_ns, cost_ns * rate->burst * factor};
}

void firewall_limits_apply(const struct limits_config *config, struct weft_config *policy)
{
	for (unsigned i = 0; i < WEFT_CLASS_CNT; i++)
		for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
			policy->rates[i][level] =
				firewall_limits_bucket_rate(&config->classes[i], level);
	/*
	 * Known tokens pay from the address alone: their owners' neighbours pay nothing for them.
	 */
	policy->rates[WEFT_CLASS_KNOWN][0] = policy->rates[WEFT_CLASS_INITIAL][0];
	for (unsigned level = 1; level < WEFT_LEVEL_CNT; level++)
		policy->rates[WEFT_CLASS_KNOWN][level] = (struct weft_bucket_rate){0, 0};
	policy->rates[WEFT_CLASS_NEW_PATH][0] = firewall_limits_bucket_rate(&config->new_path, 0);
	for (unsigned i = 0; i < WEFT_ANSWERS_CNT; i++)
		policy->answers[i] = firewall_limits_bucket_rate(&config->all_answers, 0);
	policy->validated = firewall_limits_bucket_rate(&config->validated, 0);
}

const char *firewall_limits_class_name(enum weft_class class)
{
	static const char *const names[WEFT_CLASS_CNT] = {
		[WEFT_CLASS_INITIAL] = "initial",
		[WEFT_CLASS_KRPC] = "krpc",
		[WEFT_CLASS_STUN] = "stun",
		[WEFT_CLASS_PROBE] = "probe",
	};

	return (unsigned)class < WEFT_CLASS_CNT ? names[class] : NULL;
}

void firewall_policy_defaults(struct weft_config *policy)
{
	struct limits_config limits;

	firewall_limits_config_defaults(&limits);
	memset(policy, 0, sizeof(*policy));
	policy->flood_shift = LIMITS_FLOOD_SHIFT;
	policy->token_life_ns = TOKEN_LIFE_NS;
	policy->samples = firewall_limits_bucket_rate(&samples_rate, 0);
	firewall_limits_apply(&limits, policy);
	for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
		policy->rates[WEFT_CLASS_SENDER][level] =
			(struct weft_bucket_rate){SENDER_EVERY_NS >> 2 * level, SENDER_EVERY_NS};
	policy->totals[WEFT_TOTAL_KRPC_BYTES] = firewall_limits_bucket_rate(&krpc_bytes_rate, 0);
	policy->totals[WEFT_TOTAL_KRPC] = firewall_limits_bucket_rate(&krpc_rate, 0);
	policy->totals[WEFT_TOTAL_SENDERS] = firewall_limits_bucket_rate(&senders_rate, 0);
}
