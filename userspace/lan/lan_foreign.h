/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LAN_LAN_FOREIGN_H
#define WEFT_LAN_LAN_FOREIGN_H

#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair_path.h"
#include "base/memory/pool.h"
#include "lan.h"

struct arena;

/*
 * Instances of other programs' services, seen by DNS-SD: _quicproquo._udp.local and
 * _quicprochat._udp.local, whose TXT has
 *	ver=	 version, 1
 *	server=	 host:port
 *	domain=	 whose server it is
 * They are listed and nothing else: no node dials them. Their texts are bytes of any host, which
 * are made printable as they are read.
 *
 * LAN_FOREIGN_CAP places, by fair shares of addresses. Any host fills them; of a full table the
 * address that has most loses its youngest. An instance is one by its service, label and address.
 *
 * A core without I/O. Home worker.
 */
struct lan_foreign {
	struct pool entries;
	struct fair_places places;
	uint64_t full_cnt; /* instances that found no place, or lost it to another address */
};

/* Instances of one message that are looked at. */
#define LAN_FOREIGN_MESSAGE_MAX 16u

/* lan_foreign_init: 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int lan_foreign_init(struct lan_foreign *foreign, struct arena *arena);
/* lan_foreign_write_query asks for both services. Returns the length. */
size_t lan_foreign_write_query(uint8_t *out, size_t cap);
/* lan_foreign_input takes a message of DNS-SD that came from source. 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int lan_foreign_input(struct lan_foreign *foreign, const struct lan_packet *packet,
		      const char *interface, uint64_t now_ns);
/* lan_foreign_expire forgets those whose time is over; lan_foreign_forget those of interface, or (NULL) all. */
void lan_foreign_expire(struct lan_foreign *foreign, uint64_t now_ns);
void lan_foreign_forget(struct lan_foreign *foreign, const char *interface, uint64_t now_ns);
const struct lan_foreign_node *lan_foreign_next(const struct lan_foreign *foreign,
						const struct lan_foreign_node *node);

#endif
