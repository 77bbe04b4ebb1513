/* SPDX-License-Identifier: Apache-2.0 */
/* Replies and errors as they are sent: which error of the interface a code is, in words. */
#include "control/control_server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "varlink/node.h"
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
 * Which of the interface's errors a code is, and its name for people to search
 * for. An error of the kernel (-errno) is Failed: a missing folder on the way
 * to a target is not what NotFound means.
 */
static const struct error_class {
	int err;
	const char *symbol;
	const char *error;
} error_classes[] = {
	{WEFT_EFULL, "WEFT_EFULL", API_REFUSED_ERROR},
	{WEFT_EMALFORMED, "WEFT_EMALFORMED", API_INVALID_ERROR},
	{WEFT_EABSENT, "WEFT_EABSENT", API_NOT_FOUND_ERROR},
	{WEFT_ETOOSMALL, "WEFT_ETOOSMALL", API_INVALID_ERROR},
	{WEFT_ETOOLARGE, "WEFT_ETOOLARGE", API_INVALID_ERROR},
	{WEFT_EDAMAGED, "WEFT_EDAMAGED", API_NOT_VERIFIED_ERROR},
	{WEFT_ECHANGED, "WEFT_ECHANGED", API_NOT_VERIFIED_ERROR},
	{WEFT_EUNKNOWN, "WEFT_EUNKNOWN", API_INVALID_ERROR},
	{WEFT_EREFUSED, "WEFT_EREFUSED", API_REFUSED_ERROR},
	{WEFT_ETIMEOUT, "WEFT_ETIMEOUT", API_TIMEOUT_ERROR},
	{WEFT_ECANCELLED, "WEFT_ECANCELLED", API_FAILED_ERROR},
	{WEFT_EWRONGKEY, "WEFT_EWRONGKEY", API_NOT_VERIFIED_ERROR},
	{WEFT_ECLOSED, "WEFT_ECLOSED", API_FAILED_ERROR},
	{WEFT_EEXISTS, "WEFT_EEXISTS", API_REFUSED_ERROR},
	{WEFT_ENEWER, "WEFT_ENEWER", API_REFUSED_ERROR},
	{WEFT_EBUSY, "WEFT_EBUSY", API_REFUSED_ERROR},
	{WEFT_EUNSAFE, "WEFT_EUNSAFE", API_REFUSED_ERROR},
	{WEFT_EUNREACHABLE, "WEFT_EUNREACHABLE", API_TIMEOUT_ERROR},
	{WEFT_ESTALE, "WEFT_ESTALE", API_NOT_VERIFIED_ERROR},
	{WEFT_ESEALED, "WEFT_ESEALED", API_NOT_VERIFIED_ERROR},
};

static struct error_class error_class_of(int err)
{
	struct error_class class = {err, NULL, API_FAILED_ERROR};

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

json_t *control_error_parameters(int err, const struct api_failure *more, const char **out_error)
{
	struct error_class class = error_class_of(err);
	struct api_failure failure = *more;

	API_SET(&failure, code, err);
	failure.name = class.symbol;
	failure.what = more->what ? more->what : "";
	failure.why = more->why ? more->why : weft_err_text(err);
	failure.next = more->next ? more->next : "";
	*out_error = class.error;
	return api_failure_write(&failure);
}

char *control_error_new(int err, const struct api_failure *more, const uint64_t *id,
			size_t *out_len)
{
	const char *error;
	json_t *parameters = control_error_parameters(err, more, &error);

	return control_message_new(error, parameters, false, id, out_len);
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

	return control_error_parameters(-ENOMEM,
					&(struct api_failure){.what = "answer",
							      .why = losses[LOSS_MEMORY].why,
							      .next = losses[LOSS_MEMORY].next},
					&error);
}

size_t control_message_scarce_write(char text[static MESSAGE_SCARCE_CAP], const char *of,
				    enum message_loss loss, const uint64_t *id)
{
	char id_text[32] = "";
	int len;

	if (id)
		snprintf(id_text, sizeof(id_text), ",\"id\":%" PRIu64, *id);
	len = snprintf(text, MESSAGE_SCARCE_CAP,
		       "{\"error\":\"" API_FAILED_ERROR "\",\"parameters\":{\"code\":%d,"
		       "\"name\":\"ENOMEM\",\"what\":\"%s\",\"why\":\"%s\",\"next\":\"%s\"}%s}",
		       -ENOMEM, of, losses[loss].why, losses[loss].next, id_text);
	return (size_t)len;
}
