/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LOCATE_BOOTSTRAP_H
#define WEFT_LOCATE_BOOTSTRAP_H

#include "bootstrap_list.h"

struct locate;

/*
 * The bootstrap lists that this node keeps, one of each issuer that its operator trusts; no unknown
 * peer adds any. While the node has no session, it dials nodes that they name, three at a time and
 * ever more seldom. Their addresses are ways into Mainline as well, behind those of dht.bootstrap.
 * With dht.only they are that alone. A list that expired, or was retired, is kept and not used, so
 * that an older one of its issuer cannot take its place. Home worker.
 */
#define BOOTSTRAP_LISTS_MAX 8

struct bootstrap;

WEFT_MUST_CHECK
int locate_bootstrap_open(struct locate *locate);
/*
 * locate_bootstrap_stop while the timers are there; locate_bootstrap_free after mesh/'s last call.
 */
void locate_bootstrap_stop(struct bootstrap *bootstrap);
void locate_bootstrap_free(struct bootstrap *bootstrap);

/*
 * locate_bootstrap_put keeps a list, signed as bytes; write.done is called once the list is
 * durable, or was not stored. 0; WEFT_EEXISTS: it is kept already; WEFT_ESTALE: a list of a higher
 * serial is kept, or another of the same. WEFT_EFULL: too many issuers; or as store_submit. Then
 * done is not called.
 */
struct bootstrap_write {
	void (*done)(void *arg, int err);
	void *arg;
};
WEFT_MUST_CHECK
int locate_bootstrap_put(struct bootstrap *bootstrap, const struct bootstrap_list *list,
			 const uint8_t *bytes, size_t len, struct bootstrap_write write);
/* locate_bootstrap_remove forgets the list of issuer, as locate_bootstrap_put; WEFT_EABSENT. */
WEFT_MUST_CHECK
int locate_bootstrap_remove(struct bootstrap *bootstrap, const uint8_t issuer[static 32],
			    struct bootstrap_write write);

/* locate_bootstrap_list_at: borrowed until the next turn; NULL: there are fewer. */
const struct bootstrap_list *locate_bootstrap_list_at(const struct bootstrap *bootstrap,
						      unsigned idx);
const struct bootstrap_list *locate_bootstrap_list_of(const struct bootstrap *bootstrap,
						      const uint8_t issuer[static 32]);
/* locate_bootstrap_addrs: addresses of lists in use, each once, at most cap; how many. */
unsigned locate_bootstrap_addrs(const struct bootstrap *bootstrap, struct addr *addrs,
				unsigned cap);

#endif
