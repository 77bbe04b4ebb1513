/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_FOLLOW_BLOCKLIST_H
#define WEFT_SHARES_FOLLOW_BLOCKLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * The content of a share's file named `blocklist`: shares and contents that its publisher warns
 * of. It is text, so that people keep it with an editor:
 *
 *	# why not
 *	share 21mr6zx8...     a share id
 *	content 543ffc51...   a content id
 *
 * An id is written as z-base-32 (52 letters) or hexadecimal (64). "#" begins a remark, which
 * lasts to the end of its line. Remarks and empty lines say nothing. A line of another form is
 * left out and reported, and the others hold. A file that has such lines and no entry is no
 * blocklist.
 */
#define BLOCKLIST_NAME	  "blocklist"
#define BLOCKLIST_LEN_MAX (1u << 18) /* one chunk, some 4,400 ids */
#define BLOCKLIST_ID_LEN  32u

enum blocklist_kind { BLOCKLIST_SHARE, BLOCKLIST_CONTENT, BLOCKLIST_KIND_CNT };

struct blocklist {
	struct {
		uint8_t (*ids)[BLOCKLIST_ID_LEN]; /* ascending */
		uint32_t cnt;
	} kinds[BLOCKLIST_KIND_CNT];
	struct blocklist_fault {
		unsigned line_cnt;   /* lines that were left out */
		unsigned first_line; /* the first of them, from 1 */
		const char *why;     /* what is wrong with that one; static */
	} fault;
};

/*
 * shares_blocklist_parse: 0, WEFT_ETOOLARGE (BLOCKLIST_LEN_MAX), -ENOMEM, or
 * WEFT_EMALFORMED (no entry, and lines that are none) with an empty list that has the
 * fault. text has no NUL at its end and may hold anything.
 */
WEFT_MUST_CHECK
int shares_blocklist_parse(const void *text, size_t len, struct blocklist *out_list);
/* shares_blocklist_fini leaves an empty list, which a zeroed one is too. */
void shares_blocklist_fini(struct blocklist *list);
bool shares_blocklist_has(const struct blocklist *list, enum blocklist_kind kind,
			  const uint8_t id[static BLOCKLIST_ID_LEN]);

#endif
