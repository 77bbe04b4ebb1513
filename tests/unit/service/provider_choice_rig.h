/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_PROVIDER_CHOICE_RIG_H
#define WEFT_TESTS_PROVIDER_CHOICE_RIG_H

#include "mesh/peers/unverified.h"
#include "service/outgoing/call_ask.h"
#include "support/check.h"
#include "support/service_rig.h"

/* A node that calls, and two that have the service. */

static struct srig rig;
static struct srig_provider at_b, at_c;

static inline bool bench_init(enum srig_mode mode_b, enum srig_mode mode_c)
{
	at_b = (struct srig_provider){.mode = mode_b};
	at_c = (struct srig_provider){.mode = mode_c};
	srig_init(&rig, 3, NULL);
	return srig_publish(&rig, SRIG_B, "echo") && srig_publish(&rig, SRIG_C, "echo");
}

static inline bool call_any(struct srig_ask *ask, const uint8_t *key)
{
	struct service_target target = {.name = "echo", .method = "Do"};

	if (srig_call_with(&rig, ask, SRIG_A, &target, "abc", 3, key, 0) < 0)
		return false;
	for (unsigned i = 0; i < 20; i++)
		srig_run(&rig, PAIR_S / 10);
	return ask->cnt == 1;
}

#endif
