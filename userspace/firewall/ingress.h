/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_INGRESS_H
#define WEFT_FIREWALL_INGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/ingress/tables.h"
#include "weft/err.h"
#include "weft/xdp_maps.h"

struct addr;
struct ban_set;
struct demux_judge;
struct weft_cid_keys;
struct weft_token_keys;

/*
 * Admission as one worker enforces it: for the worker's kernel sockets it decides what the XDP
 * program decides for attached devices. It uses the same policy from tables of the same kind, and
 * comes before any protocol. Sessions of banned keys and addresses are refused. Every worker owns
 * one, and each has its part of what unvalidated sources may send (firewall_ingress_share).
 */
struct ingress;

/* A path stays validated for so long after its last report. */
#define INGRESS_PATH_LIFE_NS (90ull * 1000 * 1000 * 1000)

struct ingress_params {
	uint64_t secret[2];   /* of hash tables */
	uint32_t session_cap; /* paths of sessions it knows */
	/* called for some of the drops, with weights; may be NULL */
	void (*on_sample)(void *ctx, const struct weft_sample *sample);
	void *ctx;
};
WEFT_MUST_CHECK
int firewall_ingress_new(const struct ingress_params *params, struct ingress **out_ingress);
/* firewall_ingress_free takes NULL. */
void firewall_ingress_free(struct ingress *ingress);
/* firewall_ingress_footprint: bytes laid out, touched as they are used. */
size_t firewall_ingress_footprint(uint32_t session_cap);

/*
 * firewall_ingress_share makes the policy of a node that of each of its worker_cnt workers. A
 * client invents the id that chooses the worker of its Initials. So those, and what answers them,
 * have a rate divided by the workers: together they admit the rate, whichever way a source spreads.
 * Other protocols come to the first worker's sockets alone and have their whole rate. A part admits
 * one datagram at least.
 */
void firewall_ingress_share(struct weft_config *policy, unsigned worker_cnt);
/* firewall_ingress_configure: limits and mode from now on, a worker's part of them; before, all is free. */
void firewall_ingress_configure(struct ingress *ingress, const struct weft_config *part);
/*
 * firewall_ingress_set_{cid,token}_keys: the keys of the worker's engine; without them no id and no
 * token is valid.
 */
void firewall_ingress_set_cid_keys(struct ingress *ingress, const struct weft_cid_keys *keys);
void firewall_ingress_set_token_keys(struct ingress *ingress, const struct weft_token_keys *keys);
/* firewall_ingress_set_reply_keys: replies to questions of the dht pass outside all limits. */
struct weft_krpc_reply_keys;
void firewall_ingress_set_reply_keys(struct ingress *ingress,
				     const struct weft_krpc_reply_keys *keys);
/*
 * firewall_ingress_prove: datagrams of a connection are expected from remote. With a
 * full table it has an unvalidated source's limits until there is room.
 */
void firewall_ingress_prove(struct ingress *ingress, const struct addr *remote, uint64_t now_ns);
/* firewall_ingress_session_next walks the paths of sessions: starts and ends with NULL. */
const struct ingress_session *firewall_ingress_session_next(const struct ingress *ingress,
							    const struct ingress_session *session);
/* firewall_ingress_sweep drops what has expired. */
void firewall_ingress_sweep(struct ingress *ingress);
/* firewall_ingress_take enforces exactly set, which is freed; NULL changes nothing. */
void firewall_ingress_take(struct ingress *ingress, struct ban_set *set);
/* firewall_ingress_judge: by which net/ingress/ judges the datagrams of this worker's sockets. Borrowed. */
struct demux_judge *firewall_ingress_judge(struct ingress *ingress);
/*
 * firewall_ingress_refuses: key, or the address remote, is banned; refuses_addr: the address is. A
 * mesh_refuse_fn and a quic_refuse_fn; ctx is the ingress.
 */
bool firewall_ingress_refuses(void *ctx, const uint8_t *key, const struct addr *remote);
bool firewall_ingress_refuses_addr(void *ctx, const struct addr *remote);
/* firewall_ingress_limits: unvalidated sources at remote get one slot of each pool, and are always asked for proof. */
bool firewall_ingress_limits(void *ctx, const struct addr *remote);
/* firewall_ingress_set_relay: this node is a relay with these tables, borrowed for life. */
void firewall_ingress_set_relay(struct ingress *ingress, const struct weft_relay_tables *tables);
/* firewall_ingress_turn: it is now_ns, by which bans end and credit grows. */
void firewall_ingress_turn(struct ingress *ingress, uint64_t now_ns);
/* firewall_ingress_places: the WEFT_PLACE_CNT places of a class and level. Borrowed. */
const struct weft_place *firewall_ingress_places(const struct ingress *ingress,
						 enum weft_class class, unsigned level);
/* firewall_ingress_counters: what was judged, by enum weft_reason. Borrowed. */
const struct weft_counter *firewall_ingress_counters(const struct ingress *ingress);

#endif
