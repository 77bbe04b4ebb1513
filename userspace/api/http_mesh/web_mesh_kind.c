/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kind of a service: its descriptor says kind=http, or it takes calls.
 * This node's own offers are looked at first, as they are called first, then
 * what the directory knows, and then the mesh is asked. Home worker.
 */
#include <string.h>

#include "varlink/node.h"
#include "web_mesh.h"

#define KIND_KEY  "kind"
#define KIND_HTTP "http"

#define BODY_KEY "body-max" /* as the provider of an offer tells it */

struct offer_find {
	const char *name;
	bool is_found, is_http;
	uint64_t body_len_max; /* 0: it says nothing of it */
	char version[SERVICE_VERSION_LEN_MAX + 1];
};

/* number_of: of digits, as a descriptor has them; 0: no number, or more than a body can have. */
static uint64_t number_of(const char *text, size_t len)
{
	uint64_t number = 0;

	if (len == 0 || len > 15)
		return 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		number = 10 * number + (uint64_t)(text[i] - '0');
	}
	return number;
}

/* Sets find by the first offer of its name; service NULL: there is none. */
static void offer_look(struct offer_find *find, const struct service *service)
{
	struct service_iter iter = {.service = service};
	struct service_info info;

	while (!find->is_found && service && service_next(&iter, &info))
		find->is_found = strcmp(info.name, find->name) == 0;
	if (!find->is_found)
		return;
	strncpy(find->version, info.version, sizeof(find->version) - 1);
	for (unsigned i = 0; i < info.metadata_cnt; i++) {
		const struct service_metadata *pair = &info.metadata[i];

		if (strcmp(pair->key, KIND_KEY) == 0)
			find->is_http = strcmp(pair->value, KIND_HTTP) == 0;
		else if (strcmp(pair->key, BODY_KEY) == 0)
			find->body_len_max = number_of(pair->value, strlen(pair->value));
	}
}

static bool pair_is(const struct service_pair *pair, const char *key, const char *value)
{
	return pair->key_len == strlen(key) && memcmp(pair->key, key, pair->key_len) == 0 &&
	       pair->value_len == strlen(value) && memcmp(pair->value, value, pair->value_len) == 0;
}

static bool descriptor_is_http(const struct service_descriptor *descriptor)
{
	for (unsigned i = 0; i < descriptor->metadata_cnt; i++)
		if (pair_is(&descriptor->metadata[i], KIND_KEY, KIND_HTTP))
			return true;
	return false;
}

static uint64_t descriptor_body_max(const struct service_descriptor *descriptor)
{
	for (unsigned i = 0; i < descriptor->metadata_cnt; i++) {
		const struct service_pair *pair = &descriptor->metadata[i];

		if (pair->key_len == strlen(BODY_KEY) &&
		    memcmp(pair->key, BODY_KEY, pair->key_len) == 0)
			return number_of(pair->value, pair->value_len);
	}
	return 0;
}

/* body_may_need: the body may be longer than the gateway takes of itself. */
static bool body_may_need(const struct web_mesh_run *run)
{
	return !run->is_body_whole && (!run->has_said_len || run->said_len > run->body_len_max);
}

/*
 * body_admit: such a body goes to the best provider whose descriptor says that it takes it, and then
 * to no other.
 */
static void body_admit(struct web_mesh_run *run, const struct service_finding *finding)
{
	for (unsigned i = 0; i < finding->found_cnt && body_may_need(run); i++) {
		const struct service_descriptor *descriptor = finding->found[i].descriptor;
		uint64_t len_max = descriptor_body_max(descriptor);

		if (!descriptor_is_http(descriptor) || len_max <= run->body_len_max ||
		    (run->has_said_len && run->said_len > len_max))
			continue;
		run->body_len_max = len_max;
		run->target.service.has_provider = true;
		memcpy(run->target.service.provider, descriptor->owner, MESH_KEY_LEN);
		return;
	}
}

/* body_admit_own: as this node's own offer says, where none but it is asked. */
static void body_admit_own(struct web_mesh_run *run, const struct offer_find *find)
{
	if (find->is_http && find->body_len_max > run->body_len_max)
		run->body_len_max = find->body_len_max;
}

static struct service_directory *directory_of(const struct web_mesh *mesh)
{
	return mesh->params.directory(mesh->params.ctx);
}

/* method_is_allowed: of calls, the method's own begin looks at it, but for a WebSocket's channel. */
static bool method_is_allowed(const struct web_mesh_run *run, bool is_http)
{
	const char *method = run->is_upgrade ? SERVICE_HTTP_UPGRADE : SERVICE_HTTP_METHOD;

	if (!is_http && !run->is_upgrade)
		return true;
	return api_http_mesh_allows(run->mesh, run->target.service.name,
				    is_http ? method : run->method);
}

static void begin_as(struct web_mesh_run *run, bool is_http, uint64_t now_ns)
{
	uint64_t len_max = is_http ? run->body_len_max : run->mesh->params.body_len_max;

	if (!gateway_body_max(run->exchange, (size_t)len_max)) {
		api_http_mesh_run_refuse(run, &api_http_mesh_too_long, now_ns);
		api_http_mesh_run_end(run);
	} else if (run->is_upgrade && !is_http && !run->method[0]) {
		api_http_mesh_run_refuse(run, &api_http_mesh_no_service, now_ns);
		api_http_mesh_run_end(run);
	} else if (!method_is_allowed(run, is_http)) {
		api_http_mesh_run_refuse(run, &api_http_mesh_not_allowed, now_ns);
		api_http_mesh_run_end(run);
	} else if (is_http) {
		api_http_mesh_http_begin(run, now_ns);
	} else if (run->is_upgrade) {
		api_http_mesh_socket_begin(run, now_ns);
	} else {
		api_http_mesh_call_begin(run, now_ns);
	}
}

/* A service that is not found takes no calls either; the client says so. */
static void kind_found(void *arg, const struct service_finding *finding, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;

	run->find = NULL;
	run->sought_ns = now_ns - run->sought_ns;
	timer_cancel(run->mesh->params.timers, &run->timer);
	body_admit(run, finding);
	begin_as(run, finding->found_cnt && descriptor_is_http(finding->found[0].descriptor),
		 now_ns);
}

static bool find_piece(void *arg, const struct gateway_piece *piece, uint64_t now_ns)
{
	(void)arg;
	(void)piece;
	(void)now_ns;
	return false;
}

static void find_finished(void *arg, uint64_t now_ns)
{
	struct web_mesh_run *run = arg;

	(void)now_ns;
	run->is_body_whole = true;
}

static void find_gone(void *arg)
{
	struct web_mesh_run *run = arg;

	service_find_cancel(run->find);
	api_http_mesh_run_end(run);
}

static struct service_query query_of(struct web_mesh_run *run)
{
	const struct service_named *target = &run->target.service;

	return (struct service_query){
		.name = target->name,
		.owner = target->has_provider ? target->provider : NULL,
		.version = target->version[0] ? target->version : NULL,
		.found = kind_found,
		.arg = run,
	};
}

static void find_begin(struct web_mesh_run *run, uint64_t now_ns)
{
	static const struct gateway_events events = {
		.piece = find_piece, .finished = find_finished, .gone = find_gone};
	struct service_query query = query_of(run);
	uint64_t wait_ns = 0;
	int err = service_find_start(directory_of(run->mesh), &query, now_ns, &run->find, &wait_ns);
	struct service_answer answer = {.status = SERVICE_RATE_LIMITED,
					.text = "services are looked for too often",
					.not_before_ns = now_ns + wait_ns};

	if (err == 0) {
		run->sought_ns = now_ns;
		api_http_mesh_run_patience(run, now_ns);
		gateway_watch(run->exchange, &events, run);
		return;
	}
	if (err == WEFT_EREFUSED)
		api_http_mesh_run_fail(run, &answer, now_ns);
	else
		api_http_mesh_run_refuse(run,
					 err == WEFT_EMALFORMED ? &api_http_mesh_not_allowed
								: &api_http_mesh_busy,
					 now_ns);
	api_http_mesh_run_end(run);
}

/* Whether this node's own offer is the one that is asked, when it has one: own last, unless preferred or named. */
static bool own_is_first(const struct web_mesh_run *run, const struct service_directory *directory)
{
	return !directory || api_http_mesh_prefers_local(run->query);
}

void api_http_mesh_kind_begin(struct web_mesh_run *run, uint64_t now_ns)
{
	struct offer_find find = {.name = run->target.service.name};
	struct service_directory *directory = directory_of(run->mesh);
	struct service_query query = query_of(run);
	struct service_finding finding = {.found_cnt = 0};

	if (!run->target.service.has_provider ||
	    api_http_mesh_is_own(run->mesh, run->target.service.provider))
		offer_look(&find, api_http_mesh_service(run->mesh));
	if (find.is_found && (run->target.service.has_provider || own_is_first(run, directory))) {
		body_admit_own(run, &find);
		begin_as(run, find.is_http, now_ns);
		return;
	}
	if (directory)
		service_directory_peek(directory, &query, SERVICE_FOUND_MAX, now_ns, &finding);
	/* What the directory has of this node itself is what offer_look said. */
	if (finding.found_cnt && find.is_found &&
	    api_http_mesh_is_own(run->mesh, finding.found[0].descriptor->owner))
		finding.found[0] = finding.found[--finding.found_cnt];
	if (finding.found_cnt) {
		body_admit(run, &finding);
		begin_as(run, descriptor_is_http(finding.found[0].descriptor), now_ns);
	} else if (find.is_found || !directory) {
		body_admit_own(run, &find);
		begin_as(run, find.is_http, now_ns);
	} else {
		find_begin(run, now_ns);
	}
}

static struct api_gateway_service service_row(const struct web_mesh *mesh,
					      const struct web_mesh_service *service,
					      uint64_t now_ns, struct varlink_blocks *blocks)
{
	struct offer_find find = {.name = service->name};
	struct service_directory *directory = directory_of(mesh);
	struct service_query query = {.name = service->name};
	struct service_finding finding = {.found_cnt = 0};
	const struct service_descriptor *best;
	bool is_http, is_known;

	if (directory)
		service_directory_peek(directory, &query, SERVICE_FOUND_MAX, now_ns, &finding);
	best = finding.found_cnt ? finding.found[0].descriptor : NULL;
	offer_look(&find, api_http_mesh_service(mesh));
	is_http = find.is_found ? find.is_http : best && descriptor_is_http(best);
	is_known = find.is_found || best;
	return (struct api_gateway_service){
		.name = service->name,
		.known_providers = finding.found_cnt,
		.method = service->method[0] ? service->method : NULL,
		API_IF(kind, is_known,
		       is_http ? API_GATEWAY_SERVICE_KIND_HTTP : API_GATEWAY_SERVICE_KIND_CALLS),
		.version = is_known ? varlink_text(blocks,
						   find.is_found ? find.version : best->version)
				    : NULL,
		API_IF(is_local, is_known, find.is_found),
	};
}

json_t *api_http_mesh_kinds_json(const struct web_mesh *mesh, uint64_t now_ns)
{
	struct api_gateway_services out = {.services = {0}};
	struct varlink_blocks blocks = {0};
	json_t *json;

	for (unsigned i = 0; i < mesh->service_cnt; i++)
		varlink_push(&blocks, &out.services,
			     service_row(mesh, &mesh->services[i], now_ns, &blocks));
	json = api_gateway_services_write(&out);
	varlink_blocks_free(&blocks);
	return json;
}
