/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_CALL_HEAD_H
#define WEFT_SERVICE_CALL_HEAD_H

#include "base/byte_cursor.h"
#include "service/service.h"

/*
 * The heads of the fabric's messages (docs/wire/service.md): a CBOR map,
 * directly followed by the body, so that a body is never part of a map.
 */
/* Older nodes read 240 bytes, which all fields but the trace take. */
#define SERVICE_CALL_HEAD_LEN_MAX  268u
#define SERVICE_REPLY_HEAD_LEN_MAX 256u
#define SERVICE_CLOSE_LEN_MAX	   210u
#define SERVICE_SIGNATURE_LEN	   64

/* Of CALL and STREAM_OPEN. */
struct service_call_head {
	uint8_t service_id[SERVICE_ID_LEN];
	bool has_major; /* else the highest that there is */
	uint32_t major;
	char method[SERVICE_METHOD_LEN_MAX + 1]; /* of 0x21..0x7e */
	uint8_t correlation[SERVICE_KEY_LEN];
	uint32_t left_ms;
	bool has_key;
	uint8_t key[SERVICE_KEY_LEN];
	bool is_again;	  /* with a key: it was sent before */
	uint32_t sent_ms; /* since it was sent first */
	uint32_t body_len;
	bool has_signature;
	uint8_t signature[SERVICE_SIGNATURE_LEN];
	uint64_t signed_ms; /* wall clock of the signer */
	bool has_trace;
	struct service_trace trace;
};

/* Of REPLY; STREAM_CLOSE has its status and text. */
struct service_reply_head {
	uint8_t correlation[SERVICE_KEY_LEN];
	enum service_status status; /* of the wire's unknown ones SERVICE_UNKNOWN_ERROR */
	char text[SERVICE_TEXT_LEN_MAX + 1];
	uint64_t not_before_ms; /* from now; 0: no hint */
	bool is_refused;	/* no handler saw the call: it may be made elsewhere */
	uint32_t body_len;
};

/*
 * write makes w bad when there is no room. parse reads a head at the start of
 * data, which holds all of the payload, or the message's HEAD_LEN_MAX bytes of it.
 * Returns its length, or WEFT_EMALFORMED.
 */
void service_call_head_write(struct writer *w, const struct service_call_head *head);
WEFT_MUST_CHECK
int service_call_head_parse(const uint8_t *data, size_t len, struct service_call_head *out_head);
void service_reply_head_write(struct writer *w, const struct service_reply_head *head);
WEFT_MUST_CHECK
int service_reply_head_parse(const uint8_t *data, size_t len, struct service_reply_head *out_head);
/* A close is all of its payload: parse gives 0 or WEFT_EMALFORMED. */
void service_close_write(struct writer *w, enum service_status status, const char *text);
WEFT_MUST_CHECK
int service_close_parse(const uint8_t *data, size_t len, struct service_reply_head *out_head);

/*
 * service_text_copy copies text in the form of an answer: valid UTF-8 of at most
 * SERVICE_TEXT_LEN_MAX bytes, with '?' for control characters. It serves for text that came from
 * another node, too.
 */
void service_text_copy(char dst[static SERVICE_TEXT_LEN_MAX + 1], const char *text);
/* service_method_is_valid: 1..SERVICE_METHOD_LEN_MAX visible letters. */
bool service_method_is_valid(const char *method);

#endif
