/* SPDX-License-Identifier: Apache-2.0 */
/* What a server answers to the handshake of WebSocket, without I/O. Any thread. */
#include <llhttp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "websocket.h"

struct reading {
	llhttp_t parser;
	struct websocket_answer *answer;
	char name[WEBSOCKET_FIELD_CAP], value[WEBSOCKET_FIELD_CAP];
};

static void field_append(char field[static WEBSOCKET_FIELD_CAP], const char *at, size_t len)
{
	size_t used = strlen(field);

	/* A longer one is none that is looked for. */
	snprintf(field + used, WEBSOCKET_FIELD_CAP - used, "%.*s",
		 (int)(len < WEBSOCKET_FIELD_CAP ? len : WEBSOCKET_FIELD_CAP - 1), at);
}

static int on_name(llhttp_t *parser, const char *at, size_t len)
{
	struct reading *reading = parser->data;

	field_append(reading->name, at, len);
	return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
	struct reading *reading = parser->data;

	field_append(reading->value, at, len);
	return 0;
}

static int on_field(llhttp_t *parser)
{
	struct reading *reading = parser->data;
	struct websocket_answer *answer = reading->answer;

	if (strcasecmp(reading->name, "Sec-WebSocket-Accept") == 0)
		memcpy(answer->accept, reading->value, sizeof(answer->accept));
	else if (strcasecmp(reading->name, "Sec-WebSocket-Protocol") == 0)
		memcpy(answer->protocol, reading->value, sizeof(answer->protocol));
	else if (strcasecmp(reading->name, "Upgrade") == 0)
		answer->is_upgraded = strcasecmp(reading->value, "websocket") == 0;
	reading->name[0] = reading->value[0] = '\0';
	return 0;
}

static const llhttp_settings_t settings = {
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_header_value_complete = on_field,
};

int http_websocket_answer_parse(const void *data, size_t len, struct websocket_answer *out_answer)
{
	const char *end = len ? memmem(data, len, "\r\n\r\n", 4) : NULL;
	struct websocket_answer answer = {.status = 0};
	struct reading reading = {.answer = &answer};
	size_t head_len = end ? (size_t)(end - (const char *)data) + 4 : 0;
	llhttp_errno_t said;

	if (!head_len)
		return 0;
	llhttp_init(&reading.parser, HTTP_RESPONSE, &settings);
	reading.parser.data = &reading;
	said = llhttp_execute(&reading.parser, data, head_len);
	if (said != HPE_OK && said != HPE_PAUSED_UPGRADE)
		return WEFT_EMALFORMED;
	answer.status = (unsigned)llhttp_get_status_code(&reading.parser);
	*out_answer = answer;
	return (int)head_len;
}
