/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_GATE_H
#define WEFT_NODE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "demux/tables.h"
#include "weft/err.h"
#include "weft/fastpath.h"

struct addr;
struct ban_set;
struct dgram;
struct weft_cid_keys;
struct weft_token_keys;

/*
 * Who may come in, as one worker enforces it: what the XDP program decides
 * for attached devices this decides for the worker's kernel sockets, by the
 * same policy from tables of the same kind, and before any protocol looks.
 * Sessions of banned keys and addresses are refused. Every worker owns one,
 * and each has its part of what strangers may send (gate_share).
 */
struct gate;

/* A path stays proven for so long after it was last told. */
#define GATE_PATH_LIFE_NS (90ull * 1000 * 1000 * 1000)

struct gate_params {
	uint64_t secret[2];   /* of hash tables */
	uint32_t session_cap; /* paths of sessions it knows */
	/* Some of what was dropped is told, with weights; may be NULL. */
	void (*on_sample)(void *ctx, const struct weft_sample *sample);
	void *ctx;
};
WEFT_MUST_CHECK
int gate_new(const struct gate_params *params, struct gate **out_gate);
/* gate_free takes NULL. */
void gate_free(struct gate *gate);
/* gate_footprint: bytes laid out, touched as they are used. */
size_t gate_footprint(uint32_t session_cap);

/*
 * gate_share makes the policy of a node that of each of its worker_cnt
 * workers. A client invents the id that chooses the worker of its Initials,
 * so those, and what answers them, have a rate divided by the workers:
 * together they admit what the rate says, whichever way a source spreads.
 * Other protocols come to the first worker's sockets alone and have all of
 * theirs. A part admits one datagram at least.
 */
void gate_share(struct weft_config *policy, unsigned worker_cnt);
/* gate_configure: limits and mode from now on, a worker's part of them; before, all is free. */
void gate_configure(struct gate *gate, const struct weft_config *part);
/* gate_set_{cid,token}_keys: those of the worker's engine; without them no id and no token is ours. */
void gate_set_cid_keys(struct gate *gate, const struct weft_cid_keys *keys);
void gate_set_token_keys(struct gate *gate, const struct weft_token_keys *keys);
/* gate_set_reply_keys: replies to questions of the dht pass outside all limits. */
struct weft_krpc_reply_keys;
void gate_set_reply_keys(struct gate *gate, const struct weft_krpc_reply_keys *keys);
/*
 * gate_prove: datagrams of a connection are expected from remote. With a
 * full table it has a stranger's limits until there is room.
 */
void gate_prove(struct gate *gate, const struct addr *remote, uint64_t now_ns);
/* gate_each_session tells fn every path of a session. */
void gate_each_session(const struct gate *gate, demux_session_fn fn, void *ctx);
/* gate_sweep drops what has expired. */
void gate_sweep(struct gate *gate);
/* gate_take enforces exactly set, which is freed; NULL changes nothing. */
void gate_take(struct gate *gate, struct ban_set *set);
/*
 * gate_judge decides on a datagram of the kernel's sockets, and counts it.
 * What it says is the caller's to do.
 */
enum weft_verdict gate_judge(struct gate *gate, const struct dgram *dgram);
/*
 * gate_refuses: key, or the address remote, is banned; refuses_addr: the address is. A
 * mesh_refuse_fn and a quic_refuse_fn; ctx is the gate.
 */
bool gate_refuses(void *ctx, const uint8_t *key, const struct addr *remote);
bool gate_refuses_addr(void *ctx, const struct addr *remote);
/* gate_limits: strangers at remote get one slot of each pool, and are always asked for proof. */
bool gate_limits(void *ctx, const struct addr *remote);
/* gate_turn: it is now_ns, by which bans end and credit grows. */
void gate_turn(struct gate *gate, uint64_t now_ns);
/* gate_places: the WEFT_PLACE_CNT places of a class and level. Borrowed. */
const struct weft_place *gate_places(const struct gate *gate, enum weft_class class,
				     unsigned level);
/* gate_counters: what was judged, by enum weft_reason. Borrowed. */
const struct weft_counter *gate_counters(const struct gate *gate);

#endif
