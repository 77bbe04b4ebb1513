/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_EXEC_PROCESS_PLACE_H
#define WEFT_PROVIDER_EXEC_PROCESS_PLACE_H

#include "provider/program_offer.h"

/*
 * Private to provider/: the places of processes, which all offers of exec share. A process is never
 * taken back from the call that it answers, and keys are free. So the callers of one network hold
 * at most three times the free places (base/fair/fair.h, dynamic threshold): 24 of 32 when alone.
 * Programs of this node may have the last place.
 */
WEFT_MUST_CHECK
int provider_process_places_init(struct provider *provider);

/* provider_process_place_take: false: caller's network has its share, or all are taken; counted. */
WEFT_MUST_CHECK
bool provider_process_place_take(struct provider *provider, const struct service_caller *caller,
				 struct fair_item *place, uint64_t now_ns);
void provider_process_place_release(struct provider *provider, struct fair_item *place);

#endif
