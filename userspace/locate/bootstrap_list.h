/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LOCATE_BOOTSTRAP_LIST_H
#define WEFT_LOCATE_BOOTSTRAP_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/byte_cursor.h"
#include "weft/err.h"

struct node_key;

/*
 * A bootstrap list: where a node that knows no other begins. A signed object
 * (crypto/signed.h) with the tag "bootstrap" and this body (docs/wire/bootstrap.md):
 *
 *	0 serial, from 1 | 1 made, seconds since 1970 | 2 expires | 3 [PeerAddr] | 4 title, text?
 *
 * An entry with a key is a node of the mesh, one without is of Mainline. Among the lists of one
 * issuer only that of the highest serial holds; without entries it retires all before. Unknown
 * fields, and entries that cannot be dialled directly over QUIC, are stepped over. As text it is
 * BOOTSTRAP_SCHEME and z-base-32. Pure.
 */
#define BOOTSTRAP_TAG	      "bootstrap"
#define BOOTSTRAP_SCHEME      "mesh-bootstrap:"
#define BOOTSTRAP_ENTRIES_MAX 32u
#define BOOTSTRAP_LEN_MAX     4096u
#define BOOTSTRAP_TEXT_CAP    (sizeof(BOOTSTRAP_SCHEME) + (BOOTSTRAP_LEN_MAX * 8 + 4) / 5)
#define BOOTSTRAP_TITLE_CAP   65u
#define BOOTSTRAP_LIFE_S_MAX  (400u * 86400u)
#define BOOTSTRAP_SKEW_S      300u /* by which clocks may differ */

struct bootstrap_entry {
	struct addr addr;
	bool has_key;
	uint8_t key[32];
};

struct bootstrap_list {
	uint8_t issuer[32];
	uint64_t serial, made_s, expires_s;
	char title[BOOTSTRAP_TITLE_CAP];
	struct bootstrap_entry entries[BOOTSTRAP_ENTRIES_MAX];
	unsigned entry_cnt;
};

/* locate_bootstrap_list_write signs list with key, its issuer from then on. */
void locate_bootstrap_list_write(struct writer *w, const struct node_key *key,
				 struct bootstrap_list *list);
/*
 * locate_bootstrap_list_parse checks form, times against each other, and signature: 0, WEFT_EMALFORMED,
 * WEFT_ETOOLARGE (the list or the number of entries), WEFT_EDAMAGED (the signature).
 */
WEFT_MUST_CHECK
int locate_bootstrap_list_parse(const void *bytes, size_t len, struct bootstrap_list *out_list);
bool locate_bootstrap_list_equal(const struct bootstrap_list *a, const struct bootstrap_list *b);

/* locate_bootstrap_text_write: at most BOOTSTRAP_LEN_MAX bytes; returns text. */
char *locate_bootstrap_text_write(const uint8_t *bytes, size_t len,
				  char text[static BOOTSTRAP_TEXT_CAP]);
/* locate_bootstrap_text_read: white space around is left out. 0, WEFT_EMALFORMED or WEFT_ETOOLARGE. */
WEFT_MUST_CHECK
int locate_bootstrap_text_read(const char *text, uint8_t bytes[static BOOTSTRAP_LEN_MAX],
			       size_t *out_len);

#endif
