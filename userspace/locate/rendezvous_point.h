/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LOCATE_RENDEZVOUS_POINT_H
#define WEFT_LOCATE_RENDEZVOUS_POINT_H

#include "dht/dht.h"
#include "locate/locate.h"
#include "mesh/peers/rendezvous.h"

/* The place of mesh/peers/rendezvous.h on the Mainline DHT. Zeros are a closed one. */
struct locate_rendezvous_point {
	struct locate *locate;
	struct mesh_rendezvous *rendezvous;
	dht_handle announce, find; /* 0: none is under way */
};
/* locate_rendezvous_point_open fills place of params. Close it while mesh and DHT are there. */
WEFT_MUST_CHECK
int locate_rendezvous_point_open(struct locate_rendezvous_point *point, struct locate *locate,
				 const struct mesh_rendezvous_params *params);
void locate_rendezvous_point_close(struct locate_rendezvous_point *point);

#endif
