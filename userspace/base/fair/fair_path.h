/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_FAIR_FAIR_PATH_H
#define WEFT_BASE_FAIR_FAIR_PATH_H

#include "base/addr.h"
#include "fair.h"

/*
 * How addresses and keys become paths of fair shares:
 *
 *   IPv4   family > /24 > /32 > key
 *   IPv6   family > /48 > /56 > /64 > key
 *
 * The family is a level because a /48 costs nothing and a /24 does. In a
 * laboratory or a campus all nodes share one network; within site.prefix
 * a network is site.network_len bits instead.
 */
struct fair_site {
	struct addr prefix; /* family ADDR_NONE: no site */
	uint8_t prefix_len;
	uint8_t network_len;
};

#define FAIR_PEER_LEVELS 5 /* of the longest path of an address with its key */

struct fair_paths {
	uint64_t secret[2];
	struct fair_site site;
};

/*
 * fair_site_parse reads "PREFIX/BITS:LENGTH", such as "10.0.0.0/8:28" or
 * "fd00::/48:64"; LENGTH is at least BITS. Empty text is no site.
 * fair_site_format writes the same text; returns buf.
 *
 * Returns 0, or WEFT_EMALFORMED with *out_site untouched.
 */
#define FAIR_SITE_TEXT_CAP (ADDR_TEXT_CAP + 8)
WEFT_MUST_CHECK
int fair_site_parse(const char *text, struct fair_site *out_site);
const char *fair_site_format(const struct fair_site *site, char buf[static FAIR_SITE_TEXT_CAP]);

/* fair_path_of_addr writes the path of addr, the port left out. */
void fair_path_of_addr(const struct fair_paths *paths, const struct addr *addr,
		       enum fair_class class, struct fair_path *out);

/* fair_path_add adds a level: a public key, a user's number, a program's name. */
void fair_path_add(const struct fair_paths *paths, struct fair_path *path, const void *value,
		   size_t len);

/*
 * A pool together with the paths of its accounts. fair_places_init lays it out in arena with a
 * secret of its own. Returns 0 or WEFT_EFULL.
 */
struct fair_places {
	struct fair fair;
	struct fair_paths paths;
};
struct arena;
WEFT_MUST_CHECK
int fair_places_init(struct fair_places *places, struct arena *arena,
		     const struct fair_config *config);

/* fair_path_start writes the empty path of class, for accounts that have no address. */
void fair_path_start(enum fair_class class, struct fair_path *out);

/*
 * fair_path_network names the network of path, which has one level at least; its family where no
 * address is known, so that keys without one share. It bounds what cannot be taken back: a network
 * holds at most FAIR_NETWORK_FACTOR times what is free (the dynamic threshold of base/fair/fair.h).
 */
#define FAIR_NETWORK_FACTOR 3
uint64_t fair_path_network(const struct fair_path *path);
/* fair_network_of_addr: what counts as one network with addr, where no key is known. */
uint64_t fair_network_of_addr(const struct fair_paths *paths, const struct addr *addr);
/* fair_path_network_level: its level, as fair_held counts them. */
unsigned fair_path_network_level(const struct fair_path *path);

#endif
