/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LOCATE_PKARR_CLIENT_H
#define WEFT_LOCATE_PKARR_CLIENT_H

#include <stddef.h>

#include "dht/items/pkarr.h"
#include "mesh/session/discovery.h"
#include "weft/err.h"

struct locate;

/*
 * Foreign pkarr relays, for where the DHT is not reachable. A key is looked for at all of them at
 * once, and this node's record is put to each. Requests wait on two threads of their own, so that a
 * silent relay holds up no disk. Home worker only.
 */
#define PKARR_CLIENT_RELAYS_MAX 4
#define PKARR_CLIENT_LIST_CAP	512
#define PKARR_CLIENT_PATH_CAP	256

struct pkarr_client_config {
	char relays
		[PKARR_CLIENT_LIST_CAP]; /* URLs, apart by commas or spaces; the first four count */
	char ca_file[PKARR_CLIENT_PATH_CAP]; /* "": the machine's authorities */
};
/* locate_pkarr_relay_footprint: bytes laid out; 0 when there are no relays. */
size_t locate_pkarr_relay_footprint(const struct pkarr_client_config *config);

struct pkarr_client;

/* locate_pkarr_relay_open: 0 with node's relays set unless there are none, or a negative code with what. */
WEFT_MUST_CHECK
int locate_pkarr_relay_open(struct locate *locate, char *what);
/* locate_pkarr_relay_close waits for what runs, at most one time limit. Takes NULL. */
void locate_pkarr_relay_close(struct pkarr_client *client);
/* locate_pkarr_relay_turn takes in what was fetched; true when there was something. */
bool locate_pkarr_relay_turn(struct pkarr_client *client);

/* locate_pkarr_relay_locator: the locator for mesh; for the life of client. */
struct mesh_locator locate_pkarr_relay_locator(struct pkarr_client *client);

/*
 * locate_pkarr_relay_publish puts a copy of packet to every relay, now and each
 * hour, and again sooner where that failed. A packet of another number is
 * forgotten. NULL: nothing is to be public any more, and nothing is put.
 */
void locate_pkarr_relay_publish(struct pkarr_client *client, const struct pkarr_packet *packet,
				uint64_t now_ns);

#endif
