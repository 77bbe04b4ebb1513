/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LAN_LAN_DISCOVERY_H
#define WEFT_LAN_LAN_DISCOVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "blobs/swarm/finder.h"
#include "mesh/seam.h"
#include "weft/err.h"

struct lan;
struct lan_services;
struct poller;
struct random;

/* Discovery on the LAN: lan with its sockets, interfaces and dials. Home worker. */
struct lan_discovery;

#define LAN_INTERFACES_TEXT_CAP 128

struct lan_discovery_config {
	/* Names apart by blanks or commas, or all; "": off. */
	char interfaces[LAN_INTERFACES_TEXT_CAP];
	uint32_t node_cap;    /* nodes remembered */
	bool browses_foreign; /* instances of other programs are listed */
};
void lan_discovery_config_defaults(struct lan_discovery_config *config);

struct lan_discovery_params {
	struct lan_discovery_config config;
	struct poller *poller;
	struct random *random;
	const uint8_t *own_key;
	uint16_t port; /* where this node is dialled */
	uint64_t now_ns;
	uint32_t (*caps)(void *ctx); /* what HELLO says */
	/*
	 * What its service capabilities name, as of *version, which begins as 0. False: that has not
	 * changed.
	 */
	bool (*services)(void *ctx, uint64_t *version, struct lan_services *out);
	bool (*has_session)(void *ctx, const uint8_t key[static MESH_KEY_LEN]);
	/* As of lan_proof_params. */
	int (*dial)(void *ctx, const struct mesh_peer *peer, uint64_t timeout_ns,
		    mesh_connect_fn done, void *arg);
	void (*proven)(void *ctx, const struct mesh_peer *peer, uint64_t now_ns);
	/* A session is there with a node that says it relays services of this one. */
	void (*relays)(void *ctx, const uint8_t key[static MESH_KEY_LEN], uint64_t now_ns);
	void *ctx;
};

/* lan_discovery_free comes when no dial can end any more. All others but new and finder take NULL. */
WEFT_MUST_CHECK
int lan_discovery_new(const struct lan_discovery_params *params, struct lan_discovery **out_part);
void lan_discovery_stop(struct lan_discovery *part);
void lan_discovery_free(struct lan_discovery *part);
/* lan_discovery_finder: the nodes heard, for swarms. */
struct swarm_finder lan_discovery_finder(struct lan_discovery *part);
void lan_discovery_turn(struct lan_discovery *part, uint64_t now_ns);
uint64_t lan_discovery_next_ns(const struct lan_discovery *part);
void lan_discovery_addresses_changed(struct lan_discovery *part, uint64_t now_ns);
void lan_discovery_configure(struct lan_discovery *part, const struct lan_discovery_config *config,
			     uint64_t now_ns);
/* lan_discovery_lan: NULL while it is off. */
const struct lan *lan_discovery_lan(const struct lan_discovery *part);

#endif
