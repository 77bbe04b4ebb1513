/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_GATE_H
#define WEFT_NODE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"
#include "weft/fastpath.h"

struct addr;
struct ban_set;
struct dgram;

/*
 * Who may not come in, as one worker enforces it: datagrams of banned
 * addresses end before any protocol sees them, sessions of banned keys and
 * addresses are refused. What the XDP program does for attached devices
 * this does for the kernel's sockets, from the same kind of tables. Owned
 * by its worker; without a ban it costs a comparison a datagram.
 */
struct gate;

struct gate_params {
	uint64_t secret[2]; /* of hash tables */
	/* Some of what was dropped is told, with weights; may be NULL. */
	void (*on_sample)(void *ctx, const struct weft_sample *sample);
	void *ctx;
};
WEFT_MUST_CHECK
int gate_new(const struct gate_params *params, struct gate **out_gate);
/* gate_free takes NULL. */
void gate_free(struct gate *gate);
/* gate_footprint: bytes laid out, touched as they are used. */
size_t gate_footprint(void);

/* gate_take enforces exactly set, which is freed; NULL changes nothing. */
void gate_take(struct gate *gate, struct ban_set *set);
/* gate_drops: dgram comes from a banned address; it was counted. */
bool gate_drops(struct gate *gate, const struct dgram *dgram);
/* gate_refuses: key, or the address remote, is banned. A mesh_refuse_fn; ctx is the gate. */
bool gate_refuses(void *ctx, const uint8_t *key, const struct addr *remote);
/* gate_turn: it is now_ns, by which bans end. */
void gate_turn(struct gate *gate, uint64_t now_ns);
/* gate_counters: what was dropped, by enum weft_reason. Borrowed. */
const struct weft_counter *gate_counters(const struct gate *gate);

#endif
