/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_COMMUNITIES_RIG_H
#define WEFT_TESTS_COMMUNITIES_RIG_H

#include <errno.h>

#include "base/monotonic.h"
#include "community/record/community_rule.h"
#include "support/check.h"
#include "support/community_lab.h"
#include "support/converge.h"
#include "support/fail_nth.h"

/* A network of nodes with communities; a test starts it and its nodes. */

#define MINUTES(n) ((n) * 60 * NS_PER_S)

static struct community_lab lab;
static uint8_t id[COMMUNITY_ID_LEN];

static inline struct community_lab_node *node_up(bool is_deaf)
{
	struct community_lab_node *node = community_lab_add(&lab);

	node->mesh->is_deaf = is_deaf;
	community_lab_start(node);
	return node;
}

static inline struct link link_of(struct community_lab_node *node, const uint8_t *of)
{
	struct link link;

	if (community_link(node->communities, of, &link) < 0)
		abort();
	return link;
}

static inline size_t token_for(struct community_lab_node *issuer, struct community_lab_node *member,
			       uint64_t life_s, uint8_t token[static COMMUNITY_TOKEN_LEN_MAX])
{
	int len;

	len = community_token(issuer->communities, id, node_key_public(member->key),
			      community_lab_wall_s(&lab) + life_s, token);
	if (len < 0)
		abort();
	return (size_t)len;
}

#endif
