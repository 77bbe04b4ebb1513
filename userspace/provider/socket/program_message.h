/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_SOCKET_PROGRAM_MESSAGE_H
#define WEFT_PROVIDER_SOCKET_PROGRAM_MESSAGE_H

#include "provider/queue.h"
#include "service/service.h"

/*
 * Private to provider/: the messages to a program on a unix socket, and its replies
 * (include/weft/net.weft.Service.varlink), each a JSON object and a NUL.
 */

/* The longest reply for len bytes of payload, its NUL not counted. */
#define PROGRAM_REPLY_LEN(len) ((len) * 2 + 4096)

/* provider_program_message_{call,open} queue a request. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int provider_program_message_call(struct queue *queue, const struct service_input *input,
				  uint64_t now_ns);
WEFT_MUST_CHECK
int provider_program_message_open(struct queue *queue, const struct service_input *input);

struct program_reply {
	enum service_status status;
	char text[SERVICE_TEXT_LEN_MAX + 1]; /* with any status but SERVICE_OK */
	char *payload;			     /* of malloc; freed by provider_program_reply_fini */
	size_t len;
};

/*
 * provider_program_reply_parse reads a reply of len bytes without its NUL. 0, or WEFT_EMALFORMED:
 * it is none of the interface; then there is nothing to fini.
 */
WEFT_MUST_CHECK
int provider_program_reply_parse(const char *text, size_t len, struct program_reply *out_reply);
void provider_program_reply_fini(struct program_reply *reply);

#endif
