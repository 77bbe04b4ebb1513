/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_DAEMON_LIMIT_ROWS_H
#define WEFT_API_DAEMON_LIMIT_ROWS_H

#include "api/figures.h"
#include "api/methods.h"

/*
 * Rows of ShowLimits: a table of fixed capacity, how full it is, and what it refused. Tables that are
 * shared fairly are pools (method_pools.c), which say what the largest account holds, too.
 */
#define COUNT	 API_LIMIT_UNIT_COUNT
#define BYTES	 API_LIMIT_UNIT_BYTES
#define NOT_KEPT -1

struct limit_row {
	const char *name;
	enum api_limit_unit unit;
	uint64_t limit;
	uint64_t used;
	int64_t peak;	 /* or NOT_KEPT */
	int64_t refused; /* or NOT_KEPT */
};

/* Where rows of ShowLimits go. */
struct limit_listing {
	struct varlink_blocks *blocks;
	struct api_limit_list *rows;
};

void api_limit_rows_add(const struct limit_listing *limits, const struct limit_row *rows,
			size_t cnt);
#define ROWS_ADD(limits, rows) api_limit_rows_add(limits, rows, sizeof(rows) / sizeof((rows)[0]))

/* limit_rows.c: content and what is shared of it; service messages and deposits. */
void api_limit_rows_content(const struct limit_listing *limits, const struct node_config *config,
			    const struct api *api, const struct figures *f);
void api_limit_rows_offers(const struct limit_listing *limits, const struct node_config *config,
			   const struct api *api, const struct figures *f);

#endif
