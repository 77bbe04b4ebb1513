/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_MESH_LAB_WIRE_H
#define WEFT_TESTS_MESH_LAB_WIRE_H

#include "base/byte_cursor.h"
#include "support/mesh_lab.h"

/*
 * What the parts of mesh_lab share: mesh_lab_wire.c writes datagrams, mesh_lab_calls.c has requests
 * and answers, mesh_lab.c sessions, time and life.
 *
 * A datagram: u8 kind, the sender's key, u32 id, then by kind
 *	DIAL, DIALLED	u32 caps of the sender
 *	ASK, ANSWER	u16 type (0: error, and the payload is its code), u16 index and u16 number of
 *			pieces, a piece of the payload
 *	UNKNOWN		nothing: there is no such session
 */
enum kind { DIAL, DIALLED, ASK, ANSWER, UNKNOWN };

struct assembly {
	uint8_t *bytes;
	size_t len;
	unsigned piece_cnt, got_cnt;
};

struct mesh_request {
	struct mesh *node;
	struct mesh_request *next;
	uint32_t id;
	struct mesh_ask ask;
	uint8_t *payload;
	struct addr addrs[MESH_PEER_ADDRS_MAX];
	uint64_t deadline_ns;
	bool is_dialling, was_reset;
	struct mesh_connect connect; /* done set: nothing is asked, a session is enough */
	struct assembly answer;
};

struct mesh_incoming {
	struct mesh *node;
	struct mesh_incoming *next;
	uint8_t key[MESH_KEY_LEN];
	uint32_t id;
	unsigned type;
	struct assembly request;
	uint64_t begin_ns;
	bool is_handed;
};

/* mesh_lab_die ends the program with a sentence; mesh_lab_take does so when there is no memory. */
void mesh_lab_die(const char *what);
void *mesh_lab_take(size_t cnt, size_t len);

void mesh_lab_send_short(struct mesh *node, const struct addr *to, enum kind kind, uint32_t id);
void mesh_lab_send_long(struct mesh *node, const struct addr *to, enum kind kind, uint32_t id,
			unsigned type, const uint8_t *payload, size_t len);
/* mesh_lab_assemble adds a piece; true: the payload is whole. */
bool mesh_lab_assemble(struct assembly *a, struct cursor *c);

/* Requests of a node and those it was sent, and what a datagram does to them. */
void mesh_lab_request_free(struct mesh_request *request);
void mesh_lab_requests_expire(struct mesh *node);
void mesh_lab_hear_answer(struct mesh *node, uint32_t id, struct cursor *c);
void mesh_lab_incoming_free(struct mesh_incoming *incoming);
void mesh_lab_hear_ask(struct mesh *node, const uint8_t *key, uint32_t id, struct cursor *c);
void mesh_lab_hear_dialled(struct mesh *node, const uint8_t *key, const struct addr *remote,
			   uint32_t id, uint32_t caps);
void mesh_lab_hear_unknown(struct mesh *node, const uint8_t *key, uint32_t id);

/* Sessions of a node; make finds the one that is there. */
struct mesh_lab_session *mesh_lab_session_lookup(struct mesh *node, const uint8_t *key);
void mesh_lab_session_drop(struct mesh *node, const uint8_t *key);
struct mesh_lab_session *mesh_lab_session_make(struct mesh *node, const uint8_t *key,
					       const struct addr *remote, uint32_t caps,
					       bool is_dialled);
/* incoming may be gone: it is looked for, not looked at. */
bool mesh_lab_is_under_way(const struct mesh_incoming *incoming);

#endif
