/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_TUNNELS_FORWARD_ALLOW_H
#define WEFT_BUILTIN_TUNNELS_FORWARD_ALLOW_H

#include <stdbool.h>

#include "base/addr.h"
#include "provider/tenant/tenant.h"

/*
 * forward.allow: the servers that this node forwards to, by the node that may ask. The text is rows apart by blanks,
 * MEMBER=ADDRESS:PORT,ADDRESS:PORT; MEMBER is a node's id or community:ID. Names of hosts are none:
 * what they mean is for a server of names to say.
 */
#define FORWARD_MEMBER_MAX 3
#define FORWARD_TARGET_MAX 8 /* of one member */

struct forward_member {
	bool is_community;
	uint8_t id[MESH_KEY_LEN];
	struct addr targets[FORWARD_TARGET_MAX];
	unsigned target_cnt;
};
struct forward_allow {
	struct forward_member members[FORWARD_MEMBER_MAX];
	unsigned member_cnt;
};

/* builtin_forward_allow_parse: 0, WEFT_EMALFORMED or WEFT_EFULL (members or servers). */
WEFT_MUST_CHECK
int builtin_forward_allow_parse(const char *text, struct forward_allow *out_allow);

#endif
