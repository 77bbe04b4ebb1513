/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_FOLLOW_LIST_SERVE_H
#define WEFT_SHARES_FOLLOW_LIST_SERVE_H

#include "weft/err.h"

struct follows;

/*
 * Answers to LIST_SHARES of peers. A peer that knows a share's id gets the newest head that was
 * ever seen of it. The share may be private or public, or given up. Others get the shares that
 * this node publishes for all. Followed shares are not shown.
 */
/* shares_list_serve_begin registers the handler. 0, WEFT_EEXISTS or WEFT_EUNKNOWN. */
WEFT_MUST_CHECK
int shares_list_serve_begin(struct follows *follows);

#endif
