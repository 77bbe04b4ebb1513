/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_SERVICES_METHOD_OFFER_H
#define WEFT_API_SERVICES_METHOD_OFFER_H

#include "api/methods.h"
#include "offers/service_offers.h"

/* Shared by method_offer.c, method_schema.c and method_endorse.c. */

/* api_offers: NULL: they are off, and call was failed. */
struct service_offers *api_offers(struct api *api, struct control_call *call);
/* api_schema: NULL: none has that name, and call was failed. */
const struct schema *api_schema(struct service_offers *offers, struct control_call *call,
				const char *name);
/* api_choose_fail fails a call by what offers_choose, or offers_watch, said of names. */
void api_choose_fail(struct control_call *call, int err, const char *names,
		     const struct schema_fault *fault);
/* api_offer_left_out: why an offer is left out of what is found, in blocks; empty: it is not. */
const char *api_offer_left_out(struct varlink_blocks *blocks, const struct found_offer *offer);

#endif
