/* SPDX-License-Identifier: Apache-2.0 */
#include "builtin_request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json_heap.h"
#include "codec/text/zbase32.h"

#define FIELD_CNT_MAX	   8  /* of a method */
#define FIELD_NAME_LEN_MAX 32 /* of a name that is repeated in an answer */
#define FAULT_TEXT_CAP	   160

void builtin_request_run(const struct request_method *methods, void *ctx, struct service_call *call,
			 const struct service_input *input, uint64_t now_ns)
{
	struct request request = {.call = call, .caller = input->caller, .now_ns = now_ns};
	int err;

	while (methods->name && (!methods->run || strcmp(methods->name, input->method) != 0))
		methods++;
	if (!methods->name) {
		builtin_request_refuse(&request, SERVICE_METHOD_NOT_FOUND,
				       "the service has no such method");
		return;
	}
	if (input->len)
		err = json_heap_load((const char *)input->data, input->len, JSON_REJECT_DUPLICATES,
				     &request.fields);
	else
		err = (request.fields = json_object()) ? 0 : -ENOMEM;
	if (err == -ENOMEM)
		builtin_request_refuse(&request, SERVICE_UNAVAILABLE, "no memory to read it");
	else if (json_is_object(request.fields))
		methods->run(ctx, &request);
	else
		builtin_request_refuse(&request, SERVICE_INVALID_PAYLOAD,
				       "the payload is no JSON object");
	json_decref(request.fields);
}

/* fields_of: "pod:string limit:?int" as a list of fields. */
static struct api_builtin_field_list fields_of(struct varlink_blocks *blocks, const char *text)
{
	struct api_builtin_field_list fields = {0};

	while (text && *text) {
		size_t name_len = strcspn(text, ":"), type_len = strcspn(text + name_len + 1, " ");
		const char *type = text + name_len + 1;

		varlink_push(blocks, &fields,
			     {.name = varlink_format(blocks, "%.*s", (int)name_len, text),
			      .type = varlink_format(blocks, "%.*s", (int)type_len, type)});
		text = type + type_len;
		text += strspn(text, " ");
	}
	return fields;
}

char *builtin_request_describe(const char *about, const struct request_method *methods)
{
	struct api_builtin_description description = {.about = about};
	struct varlink_blocks blocks = {NULL};
	json_t *json;
	char *text;

	for (; methods->name; methods++)
		varlink_push(&blocks, &description.methods,
			     {.name = methods->name,
			      .about = methods->about ? methods->about : "",
			      .stream = methods->is_stream,
			      .takes = fields_of(&blocks, methods->takes),
			      .gives = fields_of(&blocks, methods->gives),
			      .example = methods->example ? json_loads(methods->example, 0, NULL)
							  : NULL});
	json = varlink_write(&api_builtin_description_type, &description);
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	for (size_t i = 0; i < description.methods.cnt; i++)
		json_decref(description.methods.rows[i].example);
	varlink_blocks_free(&blocks);
	if (json_heap_swap_lost(false)) {
		free(text);
		return NULL;
	}
	return text;
}

/* number_of: the integer that text is, or NULL. */
static json_t *number_of(const char *text)
{
	char *end;
	long long value;

	if (!text || !*text || strspn(text, "-0123456789") != strlen(text))
		return NULL;
	errno = 0;
	value = strtoll(text, &end, 10);
	return errno || *end ? NULL : json_integer(value);
}

/*
 * types_settle: fields may come as texts, as in the query of a URL. It gives them the types that
 * format names: I a number, o a list, of one entry.
 */
static void types_settle(struct request *request, const char *format, va_list args)
{
	for (const char *at = format; *at; at++) {
		const char *key, *text;
		json_t *typed = NULL;

		if (*at != 's')
			continue;
		key = va_arg(args, const char *);
		at += 1 + strspn(at + 1, "?: ");
		(void)va_arg(args, void *);
		text = json_string_value(json_object_get(request->fields, key));
		if (text && *at == 'I')
			typed = number_of(text);
		else if (text && *at == 'o')
			typed = json_pack("[s]", text);
		if (typed)
			(void)json_object_set_new(request->fields, key, typed);
	}
}

/* field_fault: why value does not fit letter of a format, or NULL. */
static const char *field_fault(const json_t *value, char letter, bool may_be_missing)
{
	if (!value)
		return may_be_missing ? NULL : "is missing";
	if (letter == 's')
		return json_is_string(value) ? NULL : "is no text";
	if (letter == 'o')
		return NULL;
	return json_is_integer(value) ? NULL : "is no whole number";
}

/* The name of a field as its sender wrote it, where that can be repeated. */
static bool name_is_plain(const char *name)
{
	size_t len =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	return len > 0 && len <= FIELD_NAME_LEN_MAX && !name[len];
}

static bool name_is_known(const char *name, const char *const *known, unsigned known_cnt)
{
	for (unsigned i = 0; i < known_cnt; i++)
		if (strcmp(known[i], name) == 0)
			return true;
	return false;
}

/* foreign_fault_write: which field of request is none of the known ones. */
static void foreign_fault_write(const struct request *request, const char *const *known,
				unsigned known_cnt, char text[static FAULT_TEXT_CAP])
{
	size_t len = 0;
	const char *name;
	json_t *value;

	json_object_foreach(request->fields, name, value)
	{
		if (name_is_known(name, known, known_cnt))
			continue;
		len = (size_t)snprintf(text, FAULT_TEXT_CAP, "the method has no field %s",
				       name_is_plain(name) ? name : "of a name that was sent");
		break;
	}
	for (unsigned i = 0; i < known_cnt && len < FAULT_TEXT_CAP; i++)
		len += (size_t)snprintf(text + len, FAULT_TEXT_CAP - len, "%s%s",
					i ? ", " : "; its fields: ", known[i]);
	if (!known_cnt && len < FAULT_TEXT_CAP)
		snprintf(text + len, FAULT_TEXT_CAP - len, "; it takes none");
}

/* fault_write names the first field that format does not take, and why. */
static void fault_write(const struct request *request, const char *format, va_list args,
			char text[static FAULT_TEXT_CAP])
{
	const char *known[FIELD_CNT_MAX];
	unsigned known_cnt = 0;

	for (const char *at = format; *at; at++) {
		const char *key, *fault;
		bool may_be_missing;

		if (*at != 's')
			continue;
		key = va_arg(args, const char *);
		may_be_missing = at[1] == '?';
		at += 1 + strspn(at + 1, "?: ");
		(void)va_arg(args, void *);
		fault = field_fault(json_object_get(request->fields, key), *at, may_be_missing);
		if (fault) {
			snprintf(text, FAULT_TEXT_CAP, "the field %s %s", key, fault);
			return;
		}
		if (known_cnt < FIELD_CNT_MAX)
			known[known_cnt++] = key;
	}
	foreign_fault_write(request, known, known_cnt, text);
}

bool builtin_request_unpack(struct request *request, const char *format, ...)
{
	char fault[FAULT_TEXT_CAP];
	va_list args;
	int err;

	va_start(args, format);
	types_settle(request, format, args);
	va_end(args);
	va_start(args, format);
	err = json_vunpack_ex(request->fields, NULL, JSON_STRICT, format, args);
	va_end(args);
	if (!err)
		return true;
	va_start(args, format);
	fault_write(request, format, args, fault);
	va_end(args);
	builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD, fault);
	return false;
}

void builtin_reply_end(struct service_call *call, json_t *reply, uint64_t now_ns)
{
	char *text = json_dumps(reply, JSON_COMPACT);

	if (text && !json_heap_swap_lost(false))
		service_reply(call,
			      &(struct service_outcome){
				      .status = SERVICE_OK, .payload = text, .len = strlen(text)},
			      now_ns);
	else
		service_fail(call, SERVICE_UNAVAILABLE, "no memory for the answer", now_ns);
	free(text);
	json_decref(reply);
}

void builtin_request_reply(const struct request *request, json_t *reply)
{
	builtin_reply_end(request->call, reply, request->now_ns);
}

void builtin_request_refuse(const struct request *request, enum service_status status,
			    const char *text)
{
	service_fail(request->call, status, text, request->now_ns);
}

bool builtin_request_key(const struct request *request, const char *text,
			 uint8_t out_key[MESH_KEY_LEN])
{
	if (strlen(text) == ZBASE32_TEXT_LEN(MESH_KEY_LEN) &&
	    zbase32_parse(text, strlen(text), out_key, MESH_KEY_LEN) == MESH_KEY_LEN)
		return true;
	builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
			       "a peer is named by the 52 letters of its key");
	return false;
}

const char *builtin_key_text(struct varlink_blocks *blocks, const uint8_t key[MESH_KEY_LEN])
{
	char text[ZBASE32_KEY_TEXT_CAP];

	return varlink_text(blocks, zbase32_write(key, MESH_KEY_LEN, text));
}
