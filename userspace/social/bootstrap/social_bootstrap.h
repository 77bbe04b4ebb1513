/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_BOOTSTRAP_SOCIAL_BOOTSTRAP_H
#define WEFT_SOCIAL_BOOTSTRAP_SOCIAL_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

#include "codec/peer_addr.h"
#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * bootstrap.json: nodes of people with which a node begins that knows no other. An operator or a
 * package writes it:
 *
 *	[{"key": "52 letters", "addresses": ["192.0.2.1:7000"], "name": "a town's library"}]
 *
 * name may be missing. A member of another name is refused, since it is a typing error. Thread-safe.
 */
#define FIRST_NODES_MAX 64u
#define FIRST_ADDRS_MAX 4u
#define FIRST_LEN_MAX	(64u << 10)
#define FIRST_NAME_CAP	65u
#define FIRST_WHY_CAP	160u
#define FIRST_FAULT_CAP 640u

struct first_node {
	uint8_t key[NODE_KEY_LEN];
	struct peer_places places; /* addresses alone */
	char name[FIRST_NAME_CAP];
};
struct first_nodes {
	struct first_node nodes[FIRST_NODES_MAX];
	unsigned cnt;
	char fault[FIRST_FAULT_CAP]; /* what is wrong with the file, for people; "": nothing */
};
/*
 * social_bootstrap_parse: 0, WEFT_EMALFORMED, WEFT_ETOOLARGE or -ENOMEM; out_why then has the row, which
 * counts from 1, and what is wrong with it. out_list is written on success alone.
 */
WEFT_MUST_CHECK
int social_bootstrap_parse(const char *text, size_t len, struct first_nodes *out_list,
			   char out_why[static FIRST_WHY_CAP]);
/* social_bootstrap_read: likewise of a file, or -errno. -ENOENT: there is none. Blocks on the disk. */
WEFT_MUST_CHECK
int social_bootstrap_read(const char *path, struct first_nodes *out_list,
			  char out_why[static FIRST_WHY_CAP]);

#endif
