/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTROL_CONTROL_REQUEST_H
#define WEFT_CONTROL_CONTROL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "weft/err.h"

/*
 * From a client's bytes to calls, without I/O: the splitter collects bytes
 * and cuts them at NULs, the parser makes a call of one piece.
 */

/* All zero but len_max is an empty splitter. */
struct request_splitter {
	char *buf;
	size_t cap;
	size_t begin;	/* of what was not given out yet */
	size_t scanned; /* [begin, scanned) has no NUL */
	size_t end;
	size_t len_max; /* bytes of one request, its NUL not counted */
};

/*
 * control_request_reserve gives room to write received bytes into, at least one.
 * Returns 0, WEFT_ETOOLARGE (the request that is coming exceeds len_max),
 * or -ENOMEM.
 */
WEFT_MUST_CHECK
int control_request_reserve(struct request_splitter *splitter, char **out_room, size_t *out_cap);
/* control_request_commit: len bytes of the room were written. */
void control_request_commit(struct request_splitter *splitter, size_t len);
/*
 * control_request_take gives the next whole request, NUL-terminated, borrowed until
 * the next reserve. Returns 1, 0 (none is whole), or WEFT_ETOOLARGE.
 */
WEFT_MUST_CHECK
int control_request_take(struct request_splitter *splitter, const char **out_text, size_t *out_len);
/* control_request_is_partial: bytes wait that are no whole request yet. Ask after take gave 0. */
bool control_request_is_partial(const struct request_splitter *splitter);
/*
 * Without requests, after an upgrade: control_request_widen makes room for large
 * reads, peek gives what waits, skip has used len of it.
 */
void control_request_widen(struct request_splitter *splitter);
size_t control_request_peek(const struct request_splitter *splitter, const uint8_t **out_data);
void control_request_skip(struct request_splitter *splitter, size_t len);
/* control_request_shrink gives memory back when nothing waits; fini always does. */
void control_request_shrink(struct request_splitter *splitter);
void control_request_fini(struct request_splitter *splitter);

struct request {
	json_t *message; /* owns the rest */
	const char *method;
	json_t *parameters; /* an object */
	bool wants_more;
	bool is_oneway;
	bool wants_upgrade;
	bool has_id;
	uint64_t id; /* the caller's own number for this call */
};

/* Objects and arrays within each other: JSON_PARSER_MAX_DEPTH of jansson. */
#define REQUEST_DEPTH_MAX 2048

/* The range that every JSON library reads back as it was written (RFC 8259, section 6). */
#define REQUEST_ID_MAX ((1ull << 53) - 1)

/*
 * control_request_parse reads {"method", "parameters", "more", "oneway", "upgrade",
 * "id"}, at most one of "more", "oneway" and "upgrade", and no "id" with
 * "upgrade". An id is an integer of [0, REQUEST_ID_MAX]. Duplicate keys, too much depth and anything behind the
 * object are refused; unknown keys are ignored, as varlink grows by them.
 * Returns 0 or WEFT_EMALFORMED.
 * Owns: the caller frees *out_request with control_request_drop.
 */
WEFT_MUST_CHECK
int control_request_parse(const char *text, size_t len, struct request *out_request);
void control_request_drop(struct request *request);

#endif
