/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_SESSION_HELLO_H
#define WEFT_MESH_SESSION_HELLO_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/byte_cursor.h"
#include "mesh/seam_neighbours.h"

/*
 * The payloads of session messages.
 *
 * HELLO: {0: version, 1: caps, 2: unix seconds, 3: [PeerAddr], 4: [[service
 * id, roles, version]], 5: agent}. Fields 0 to 2 must be there; fields
 * beyond 5 are skipped, so that a later version may add some.
 */
#define MESH_VERSION	     1
#define MESH_AGENT_CAP	     65
#define MESH_HELLO_ADDRS_MAX MESH_PEER_ADDRS_MAX
#define MESH_HELLO_ROLES_MAX 32

/* mesh_caps_text writes the names of those in caps that have one, apart by blanks; returns text. */
#define MESH_CAPS_TEXT_CAP 128
char *mesh_caps_text(uint32_t caps, char text[static MESH_CAPS_TEXT_CAP]);

struct mesh_hello {
	uint32_t caps;
	uint64_t unix_s;
	struct addr addrs[MESH_HELLO_ADDRS_MAX]; /* those that can be dialled directly */
	unsigned addr_cnt;
	char agent[MESH_AGENT_CAP];
};

void mesh_hello_write(struct writer *w, const struct mesh_hello *hello);
/* mesh_hello_parse: 0, WEFT_EUNKNOWN for another version, WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int mesh_hello_parse(const uint8_t *data, size_t len, struct mesh_hello *out_hello);

/* Why a session ends: field 0 of GOODBYE and the code with which its connection is closed. */
enum mesh_goodbye_reason {
#define BYE(name, code, text) MESH_BYE_##name = (code),
#include "mesh/session/bye_codes.def"
};
/* mesh_bye_text: for people, of a code that a peer may have sent; NULL: it is none of these. */
const char *mesh_bye_text(uint64_t code);

/* GOODBYE: {0: reason, 1: not before, in milliseconds from now; 0 says nothing}. */
struct mesh_bye {
	uint64_t reason;
	uint64_t not_before_ms;
};
void mesh_bye_write(struct writer *w, const struct mesh_bye *bye);
WEFT_MUST_CHECK
int mesh_bye_parse(const uint8_t *data, size_t len, struct mesh_bye *out_bye);

#endif
