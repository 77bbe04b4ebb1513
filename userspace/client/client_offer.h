/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLIENT_CLIENT_OFFER_H
#define WEFT_CLIENT_CLIENT_OFFER_H

#include "client/client_loop.h"

/* client_offer_name: how the daemon's methods name an offer; borrowed. */
struct client_offer_name {
	struct weft_client *client;
	const char *name, *version;
};
struct client_offer_name client_offer_name(const struct weft_offer *offer);

#endif
