/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_LIMITS_CALLERS_H
#define WEFT_SERVICE_LIMITS_CALLERS_H

#include "base/list.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "service/limits/circuit.h"
#include "service_memory.h"
#include "service/service.h"
#include "window.h"

struct arena;
struct service_call_head;

/*
 * Callers, what they have used of the limits, and the order in which the limits are checked.
 * This node's own programs are one caller. The tables have a fixed size: the caller without a
 * call in hand that called longest ago makes room.
 */
struct service_caller_entry {
	uint8_t key[MESH_KEY_LEN];
	struct list_node node; /* of all, oldest first */
	struct service_window calls, work;
	struct service_window ignored; /* calls that came although they were refused */
	uint32_t in_hand_cnt;
	size_t held_len; /* bytes of bodies in hand */
};

/*
 * A caller with an offer. The circuit is of this pair alone: a caller that makes a service fail
 * five times closes it to no other caller.
 */
struct service_caller_pair {
	struct {
		pool_handle caller, offer;
	} key;
	struct list_node node;
	struct service_window calls;
	struct service_circuit circuit;
	uint32_t in_hand_cnt;
};

struct service_callers {
	struct pool entries, pairs; /* entries: of as many peers as may be, and of this node */
	struct service_caller_entry *own; /* NULL: not made yet */
	struct map entries_by_key, pairs_by_key;
	struct list_node entries_by_age, pairs_by_age;
};

WEFT_MUST_CHECK
int service_callers_init(struct service_callers *callers, struct arena *arena,
			 const struct service_limits *limits, const uint64_t secret[2]);
/* service_callers_peer_cnt: peers that are remembered. */
uint32_t service_callers_peer_cnt(const struct service_callers *callers);
/* service_callers_forget: offer is going; nothing of it is in hand. */
void service_callers_forget(struct service_callers *callers, const struct service_offer *offer);

/* The resources of an admitted call until it ends. Zeros hold nothing. */
struct service_admission {
	struct service_caller_entry *caller;
	struct service_caller_pair *pair;
	struct service_offer *offer;
	bool is_probe;
	uint64_t began_ns;
	uint64_t work_spent;
	size_t held_len;
	struct service_memory_hold memory;
};

struct service_refusal {
	enum service_refusal_reason reason;
	enum service_status status;
	const char *text;
	uint64_t wait_ns; /* until it may be asked again; 0: no hint */
};

struct service_caller_call {
	const uint8_t *key;
	bool is_local;
	bool is_stream;
	const struct service_call_head *head;
};

/*
 * service_admit goes through the limits. 0 with *out_admission, or WEFT_EREFUSED with *out_refusal;
 * violations have been reported. service_admission_hold: len bytes of memory, once; false: the
 * caller of path, or its network, has its part. service_admission_end gives back the held
 * resources. ran: a handler had it, and status is how it ended.
 */
WEFT_MUST_CHECK
int service_admit(struct service *service, const struct service_caller_call *call, uint64_t now_ns,
		  struct service_admission *out_admission, struct service_refusal *out_refusal);
WEFT_MUST_CHECK
bool service_admission_hold(struct service *service, struct service_admission *admission,
			    const struct fair_path *path, size_t len);
void service_admission_end(struct service *service, struct service_admission *admission, bool ran,
			   enum service_status status, uint64_t now_ns);
/* service_admission_spend: units of work; false: more than its budget or its caller's. */
WEFT_MUST_CHECK
bool service_admission_spend(struct service *service, struct service_admission *admission,
			     uint64_t units, uint64_t now_ns);
/* service_callers_used: of a limit that each peer has, the use by the peer nearest to it. */
bool service_callers_used(const struct service_callers *callers, enum service_limit which,
			  uint64_t now_ns, uint64_t *out_used);

#endif
