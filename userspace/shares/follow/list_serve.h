/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_FOLLOW_LIST_SERVE_H
#define WEFT_SHARES_FOLLOW_LIST_SERVE_H

#include "weft/err.h"

struct follows;

/*
 * Answers to LIST_SHARES of peers: whoever knows a share's id is told the newest head that
 * was ever seen of it, private or public, also of one that was given up; others are told of
 * what this node publishes for all. What it follows is nobody's business.
 */
/* shares_list_serve_begin registers the handler. 0, WEFT_EEXISTS or WEFT_EUNKNOWN. */
WEFT_MUST_CHECK
int shares_list_serve_begin(struct follows *follows);

#endif
