/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LOCATE_MAINLINE_H
#define WEFT_LOCATE_MAINLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "dht/dht.h"
#include "mesh/session/discovery.h"
#include "weft/err.h"

struct locate;

/*
 * The Mainline DHT on home: made after home's sockets are bound, warm from
 * what the last run stored, saved as it changes. Its findings on a key are
 * mesh's first locator of addresses. Home worker only.
 */
#define MAINLINE_BOOTSTRAP_CAP 1024

struct mainline_config {
	bool is_on;
	bool is_only;	       /* mesh asks no other locator */
	struct dht_config dht; /* is_on per family follows from what is listened on */
	char bootstrap[MAINLINE_BOOTSTRAP_CAP]; /* "host:port", apart by commas or spaces */
};
void locate_mainline_config_defaults(struct mainline_config *config);
/* locate_mainline_footprint: bytes laid out, touched as they are used; 0 when it is off. */
size_t locate_mainline_footprint(const struct mainline_config *config);

struct mainline;

/* locate_mainline_open: 0 with home's dht set, or a negative code with what naming the object at fault. */
WEFT_MUST_CHECK
int locate_mainline_open(struct locate *locate, char *what);
/* locate_mainline_ways_changed: bootstrap lists were added or taken away. Takes NULL. */
void locate_mainline_ways_changed(struct mainline *mainline);
/* locate_mainline_drain: no name is waited for any more. Takes NULL. */
void locate_mainline_drain(struct mainline *mainline);
/*
 * locate_mainline_stop saves and ends the DHT, before its worker goes; locate_mainline_free
 * frees the rest when home's disk threads are gone. Both take half of one.
 */
void locate_mainline_stop(struct locate *locate);
void locate_mainline_free(struct mainline *mainline);
/* locate_mainline_turn saves when that is due. */
void locate_mainline_turn(struct mainline *mainline);

/* locate_mainline_locator: the locator for mesh; for the life of mainline. */
struct mesh_locator locate_mainline_locator(struct mainline *mainline);

#endif
