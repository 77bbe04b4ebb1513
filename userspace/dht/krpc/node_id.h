/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_KRPC_NODE_ID_H
#define WEFT_DHT_KRPC_NODE_ID_H

#include <stdbool.h>

#include "base/addr.h"
#include "kad/id.h"

struct random;

/*
 * Ids that follow from the address at which they are used (BEP-42): 21 leading bits are a checksum
 * of the address. A node that wants a chosen place of the key space needs the addresses for it.
 */

/* dht_node_id_make: an id for a node that others see at external. */
void dht_node_id_make(const struct addr *external, struct random *random, struct kad_id *out_id);
/*
 * dht_node_id_fits: a node at addr may have this id. Addresses that are
 * not of the Internet fit every id.
 */
bool dht_node_id_fits(const struct kad_id *id, const struct addr *addr);

#endif
