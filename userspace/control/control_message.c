/* SPDX-License-Identifier: Apache-2.0 */
/* Replies and errors as they are sent: which error of the interface a code is, in words. */
#include "control/control_server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/node.h"
#include "codec/json_heap.h"

char *control_message_new(const char *error, json_t *parameters, bool continues, const uint64_t *id,
			  size_t *out_len)
{
	json_t *message = json_object();
	char *text = NULL;

	if (error)
		(void)json_object_set_new(message, "error", json_string(error));
	(void)json_object_set_new(message, "parameters", parameters ? parameters : json_object());
	if (continues)
		(void)json_object_set_new(message, "continues", json_true());
	if (id)
		(void)json_object_set_new(message, "id", json_integer((json_int_t)*id));
	if (message)
		text = json_dumps(message, JSON_COMPACT);
	if (text)
		*out_len = strlen(text);
	json_decref(message);
	return text;
}

/*
 * Which of the interface's errors a code is, and its name for people to
 * search for. What the kernel said (-errno) is Failed: a missing folder on the
 * way to a target is not what NotFound means.
 */
static const struct error_class {
	int err;
	const char *symbol;
	const char *error;
} error_classes[] = {
	{WEFT_EFULL, "WEFT_EFULL", "Refused"},
	{WEFT_EMALFORMED, "WEFT_EMALFORMED", "Invalid"},
	{WEFT_EABSENT, "WEFT_EABSENT", "NotFound"},
	{WEFT_ETOOSMALL, "WEFT_ETOOSMALL", "Invalid"},
	{WEFT_ETOOLARGE, "WEFT_ETOOLARGE", "Invalid"},
	{WEFT_EDAMAGED, "WEFT_EDAMAGED", "NotVerified"},
	{WEFT_ECHANGED, "WEFT_ECHANGED", "NotVerified"},
	{WEFT_EUNKNOWN, "WEFT_EUNKNOWN", "Invalid"},
	{WEFT_EREFUSED, "WEFT_EREFUSED", "Refused"},
	{WEFT_ETIMEOUT, "WEFT_ETIMEOUT", "Timeout"},
	{WEFT_ECANCELLED, "WEFT_ECANCELLED", "Failed"},
	{WEFT_EWRONGKEY, "WEFT_EWRONGKEY", "NotVerified"},
	{WEFT_ECLOSED, "WEFT_ECLOSED", "Failed"},
	{WEFT_EEXISTS, "WEFT_EEXISTS", "Refused"},
	{WEFT_ENEWER, "WEFT_ENEWER", "Refused"},
	{WEFT_EBUSY, "WEFT_EBUSY", "Refused"},
	{WEFT_EUNSAFE, "WEFT_EUNSAFE", "Refused"},
	{WEFT_EUNREACHABLE, "WEFT_EUNREACHABLE", "Timeout"},
	{WEFT_ESTALE, "WEFT_ESTALE", "NotVerified"},
	{WEFT_ESEALED, "WEFT_ESEALED", "NotVerified"},
};

static struct error_class error_class_of(int err)
{
	struct error_class class = {err, NULL, "Failed"};

	for (size_t i = 0; i < sizeof(error_classes) / sizeof(error_classes[0]); i++) {
		if (error_classes[i].err == err)
			class = error_classes[i];
	}
	if (!class.symbol)
		class.symbol = strerrorname_np(-err);
	if (!class.symbol)
		class.symbol = "unknown";
	return class;
}

json_t *control_error_parameters(int err, const char *what, const char *why, const char *next,
				 const char **out_error)
{
	/* Kept whole so that the name outlives the call without an allocation. */
	static const char *const names[] = {
		API_NODE_INTERFACE ".Failed",	API_NODE_INTERFACE ".Invalid",
		API_NODE_INTERFACE ".NotFound", API_NODE_INTERFACE ".Refused",
		API_NODE_INTERFACE ".Timeout",	API_NODE_INTERFACE ".NotVerified",
	};
	struct error_class class = error_class_of(err);
	json_t *parameters = json_object();

	*out_error = names[0];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i] + strlen(API_NODE_INTERFACE "."), class.error) == 0)
			*out_error = names[i];
	}
	(void)json_object_set_new(parameters, "code", json_integer(err));
	(void)json_object_set_new(parameters, "name", json_string(class.symbol));
	(void)json_object_set_new(parameters, "what", json_heap_text(what));
	(void)json_object_set_new(parameters, "why",
				  json_heap_text(why ? why : weft_err_text(err)));
	(void)json_object_set_new(parameters, "next", json_heap_text(next ? next : ""));
	return parameters;
}

/* In place of an answer that is lost: why, and what to do. */
static const struct {
	const char *why, *next;
} losses[] = {
	[LOSS_MEMORY] = {"no memory for the answer",
			 "what was asked may be done: look, free some memory, and ask again if it "
			 "is not"},
	[LOSS_UNREAD] = {"answers that came before it wait to be read, and there is no room for "
			 "this one",
			 "the call was made; read answers as they come, or raise "
			 "control.output_max"},
};

json_t *control_error_torn(void)
{
	const char *error;

	return control_error_parameters(-ENOMEM, "answer", losses[LOSS_MEMORY].why,
					losses[LOSS_MEMORY].next, &error);
}

size_t control_message_scarce_write(char text[static MESSAGE_SCARCE_CAP], const char *of,
				    enum message_loss loss, const uint64_t *id)
{
	char id_text[32] = "";
	int len;

	if (id)
		snprintf(id_text, sizeof(id_text), ",\"id\":%" PRIu64, *id);
	len = snprintf(text, MESSAGE_SCARCE_CAP,
		       "{\"error\":\"" API_NODE_INTERFACE ".Failed\",\"parameters\":{\"code\":%d,"
		       "\"name\":\"ENOMEM\",\"what\":\"%s\",\"why\":\"%s\",\"next\":\"%s\"}%s}",
		       -ENOMEM, of, losses[loss].why, losses[loss].next, id_text);
	return (size_t)len;
}
