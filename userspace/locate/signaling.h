/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LOCATE_SIGNALING_H
#define WEFT_LOCATE_SIGNALING_H

#include <stdbool.h>
#include <stddef.h>

#include "dht/items/pkarr.h"
#include "mesh/session/discovery.h"
#include "weft/err.h"

struct locate;

/*
 * A signaling endpoint, for where neither the DHT nor a pkarr relay is available: one host, spoken
 * to over WebSocket (docs/wire/signaling.md). It carries the same signed packets, so it can keep
 * silent and nothing worse. The last that mesh asks, and off unless configured. Requests wait on a
 * thread of their own. Home worker only.
 */
#define SIGNALING_URL_CAP  512
#define SIGNALING_PATH_CAP 256

struct signaling_config {
	char url[SIGNALING_URL_CAP];	  /* "": none */
	char ca_file[SIGNALING_PATH_CAP]; /* "": the machine's authorities */
};
size_t locate_signaling_footprint(const struct signaling_config *config);

struct signaling;

/* locate_signaling_open: 0 with node's signaling set unless none is configured, or a negative code with what. */
WEFT_MUST_CHECK
int locate_signaling_open(struct locate *locate, char *what);
/* locate_signaling_close waits for what runs, at most one time limit. Takes NULL. */
void locate_signaling_close(struct signaling *signaling);
/* locate_signaling_turn takes in what was answered; true when there was something. */
bool locate_signaling_turn(struct signaling *signaling);

/* locate_signaling_locator: the locator for mesh; for the life of signaling. */
struct mesh_locator locate_signaling_locator(struct signaling *signaling);
/*
 * locate_signaling_publish sends packet, which is copied, to the endpoint now, every hour, and
 * sooner again after a failure. NULL: nothing is to be public.
 */
void locate_signaling_publish(struct signaling *signaling, const struct pkarr_packet *packet,
			      uint64_t now_ns);

#endif
