/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DescribeService: what a service says of itself, asked of its provider as a call is, and read
 * strictly before a caller sees it. Home worker; a call whose caller leaves is cancelled.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "method_service_idl.h"
#include "method_service_target.h"
#include "service/directory/description.h"

static bool fail_description(struct control_call *call, const char *why)
{
	control_fail(call, WEFT_EMALFORMED, "description", why,
		     "docs/services.md says what describes a service");
	return false;
}

static bool spec_reads_only(const struct provider_spec *spec, const char *method)
{
	if (spec->kind == PROVIDER_HTTP)
		return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	for (unsigned i = 0; i < spec->read_only_cnt; i++)
		if (strcmp(spec->read_only[i], method) == 0 || strcmp(spec->read_only[i], "*") == 0)
			return true;
	return false;
}

/* read_only_agrees: callers repeat what the offer declares, so both have to say the same. */
static bool read_only_agrees(struct control_call *call, const struct provider_spec *spec,
			     json_t *json)
{
	const struct api_offered_description *description =
		varlink_read(&api_offered_description_type, json, control_blocks(call), NULL);
	char why[160];

	if (!description) {
		control_fail(call, -ENOMEM, "description", "no memory", "free some and try again");
		return false;
	}
	for (size_t i = 0; i < description->methods.cnt; i++) {
		const struct api_offered_method *method = &description->methods.rows[i];

		if (!method->read_only || spec_reads_only(spec, method->name))
			continue;
		snprintf(why, sizeof(why), "it says that %s is read-only, and the offer does not",
			 method->name);
		control_fail(call, WEFT_EMALFORMED, "description", why,
			     "add --read-only METHOD, or leave it out of the description");
		return false;
	}
	return true;
}

/* description_load: an interface becomes JSON first, for what describes a service has one form. */
static int description_load(const char *text, json_t **out_description, char *idl_why,
			    const char **out_why)
{
	json_t *idl = NULL;
	char *as_json;
	int err;

	if (text[strspn(text, " \t\r\n")] == '{')
		return service_description_load(text, strlen(text), out_description, out_why);
	*out_why = idl_why;
	if (strlen(text) > SERVICE_DESCRIPTION_LEN_MAX) {
		*out_why = "longer than a description may be: 16 KiB";
		return WEFT_EMALFORMED;
	}
	err = api_service_idl_description(text, &idl, idl_why);
	if (err < 0)
		return err;
	as_json = json_dumps(idl, JSON_COMPACT);
	json_decref(idl);
	if (!as_json)
		return -ENOMEM;
	err = service_description_load(as_json, strlen(as_json), out_description, out_why);
	free(as_json);
	return err;
}

bool api_service_description_read(struct control_call *call, const char *text,
				  const struct provider_spec *spec, char **out_text)
{
	const char *why = "no memory";
	char idl_why[SERVICE_IDL_WHY_CAP];
	json_t *description;
	bool agrees;
	int err;

	*out_text = NULL;
	if (!text)
		return true;
	err = description_load(text, &description, idl_why, &why);
	if (err == -ENOMEM) {
		control_fail(call, err, "description", "no memory", "free some and try again");
		return false;
	}
	if (err < 0)
		return fail_description(call, why);
	agrees = read_only_agrees(call, spec, description);
	*out_text = agrees ? json_dumps(description, JSON_COMPACT) : NULL;
	json_decref(description);
	if (!agrees)
		return false;
	if (*out_text && strlen(*out_text) <= SERVICE_DESCRIPTION_LEN_MAX)
		return true;
	free(*out_text);
	return fail_description(call, "longer than a description may be: 16 KiB");
}

struct describing {
	struct control_call *call;
	struct service_ask *ask;
};

static void describing_gone(void *arg)
{
	struct describing *describing = arg;

	service_call_cancel(describing->ask);
	free(describing);
}

/* described_take: false: call was failed, for the provider answered what is no description. */
static bool described_take(struct control_call *call, const struct service_answer *answer,
			   json_t **out_described)
{
	const char *why;
	int err = service_described_load((const char *)answer->payload, answer->len, out_described,
					 &why);

	if (err == 0)
		return true;
	control_fail(call, err, "description", why,
		     err == -ENOMEM ? "free some and try again"
				    : "the provider's answer is no description: ask its operator");
	return false;
}

static void describing_answered(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct describing *describing = arg;
	struct control_call *call = describing->call;
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_describe_service_out out;
	json_t *described = NULL;

	(void)now_ns;
	free(describing);
	control_on_gone(call, NULL, NULL);
	if (answer->status == SERVICE_OK && !described_take(call, answer, &described))
		return;
	out = (struct api_describe_service_out){
		.status = (int)answer->status,
		.status_name = service_status_name(answer->status),
		.text = answer->text ? answer->text : "",
		.provider = api_service_provider_of(blocks, answer),
		.service = described ? varlink_read(&api_service_description_type, described,
						    blocks, NULL)
				     : NULL,
	};
	control_reply(call, api_describe_service_out_write(&out));
	json_decref(described);
}

void api_describe_service(struct api *api, struct control_call *call,
			  const struct api_describe_service_in *in, uint64_t now_ns)
{
	const struct api_call_service_in asked = {.name = in->name,
						  .version = in->version,
						  .provider = in->provider,
						  .prefer = in->prefer,
						  .has_timeout_ms = in->has_timeout_ms,
						  .timeout_ms = in->timeout_ms};
	struct api_service_request request;
	struct describing *describing;
	int err;

	if (!api_services_are_on(api, call) ||
	    !api_service_request_read(api, call, &asked, &request))
		return;
	request.service.target.method = SERVICE_DESCRIBE;
	describing = calloc(1, sizeof(*describing));
	if (!describing) {
		control_fail(call, -ENOMEM, request.service.target.name, "no memory",
			     "free some and try again");
		return;
	}
	describing->call = call;
	request.service.done = describing_answered;
	request.service.arg = describing;
	err = service_call_start(api->service, &request.service, now_ns, &describing->ask);
	if (err < 0) {
		api_service_call_fail(call, err, request.service.target.name,
				      service_pending_wait_ms(api->service));
		free(describing);
		return;
	}
	control_on_gone(call, describing_gone, describing);
}
