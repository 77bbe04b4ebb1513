/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_STUN_H
#define WEFT_CODEC_STUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

/*
 * STUN binding (RFC 8489): requests, successes and errors. The attributes
 * that it reads are addresses, errors and FINGERPRINT. There is no
 * authentication: the attributes for it are stepped over. Other methods are
 * refused.
 */
#define STUN_HEADER_LEN	     20
#define STUN_TRANSACTION_LEN 12
#define STUN_UNKNOWN_MAX     8	 /* in an error that names them */
#define STUN_LEN_MAX	     548 /* of what is read: RFC 8489 6.1 for IPv4 of unknown MTU */
#define STUN_WRITE_CAP	     64	 /* of what is written */

enum stun_type {
	STUN_REQUEST = 0x0001,
	STUN_INDICATION = 0x0011,
	STUN_SUCCESS = 0x0101,
	STUN_ERROR = 0x0111,
};

/* RFC 8489 14.8 */
enum stun_error {
	STUN_ERROR_TRY_ALTERNATE = 300,
	STUN_ERROR_BAD_REQUEST = 400,
	STUN_ERROR_UNKNOWN_ATTRIBUTE = 420,
};

struct stun_message {
	enum stun_type type;
	uint8_t transaction[STUN_TRANSACTION_LEN];
	struct addr mapped; /* XOR-MAPPED-ADDRESS, else MAPPED-ADDRESS; family ADDR_NONE: neither */
	bool is_xored;	    /* mapped is of the first kind */
	bool has_fingerprint; /* and it is right */
	unsigned error;	      /* 300 to 699; 0: none */
	/* Attributes that a reader must know and this one does not: the first ones of them. */
	uint16_t unknown[STUN_UNKNOWN_MAX];
	unsigned unknown_cnt;
};

/*
 * stun_read reads the len bytes at data, all of them. Returns 0, or
 * WEFT_EMALFORMED: no binding message, lengths that do not fit, a wrong
 * FINGERPRINT, or one that is not last.
 */
WEFT_MUST_CHECK
int stun_read(const void *data, size_t len, struct stun_message *out_message);

/*
 * stun_write_{request,success,error} return how many bytes of out were written.
 * A success tells asker its address; an error answers request with 420 and
 * what it does not know. Both bear a FINGERPRINT if request did. Neither is
 * longer than the request and WEFT_STUN_ANSWER_LEN_GROWTH (weft/stun_answer.h).
 */
size_t stun_write_request(const uint8_t transaction[static STUN_TRANSACTION_LEN],
			  uint8_t out[static STUN_WRITE_CAP]);
size_t stun_write_success(const struct stun_message *request, const struct addr *asker,
			  uint8_t out[static STUN_WRITE_CAP]);
size_t stun_write_error(const struct stun_message *request, uint8_t out[static STUN_WRITE_CAP]);

#endif
