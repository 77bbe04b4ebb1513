/* SPDX-License-Identifier: Apache-2.0 */
/* GET /offers, /offers/SCHEMA and what is below: which schema, offer or form is meant; JSON. */
#include "web_offers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "offers/store/offer_index.h"
#include "varlink/node.h"
#include "web_offers_state.h"

#define PATH	     "/offers"
#define BODY_LEN_MAX 65536
#define LIST_LIMIT   20
#define LIMIT_MAX    200
#define HEADERS	     "Cache-Control: no-store\r\nVary: Accept\r\n"

size_t api_http_offers_footprint(void)
{
	return sizeof(struct web_offers);
}

int api_http_offers_new(struct api *api, struct web_offers **out_offers)
{
	struct web_offers *offers = calloc(1, sizeof(*offers));

	if (!offers)
		return -ENOMEM;
	offers->api = api;
	*out_offers = offers;
	return 0;
}

void api_http_offers_free(struct web_offers *offers)
{
	free(offers);
}

struct service_offers *api_http_offers_of(const struct web_offers *offers)
{
	return offers->api->offers;
}

void api_http_offers_faults_clear(struct web_offers *offers)
{
	memset(offers->faults, 0, sizeof(offers->faults));
	memset(offers->number_faults, 0, sizeof(offers->number_faults));
}

/* --- answers --- */

void api_http_offers_json(struct web_offers_view *view, unsigned status, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	struct gateway_reply reply = {.status = text ? status : 500,
				      .type = "application/json",
				      .headers = HEADERS,
				      .body = text ? text : "{}",
				      .body_len = text ? strlen(text) : 2};

	gateway_reply(view->exchange, &reply, view->now_ns);
	json_decref(json);
	free(text);
}

void api_http_offers_page(struct web_offers_view *view, unsigned status,
			  void (*write)(FILE *out, const struct web_offers_view *view))
{
	static const struct gateway_error no_memory = {
		500, "no_memory", "This node has no memory for the page; try again.", 0};
	struct gateway_reply reply = {.status = status,
				      .type = "text/html; charset=utf-8",
				      .headers = HEADERS,
				      .is_own_page = true};
	char *text = NULL;
	FILE *out = open_memstream(&text, &reply.body_len);
	bool is_whole = false;

	if (out) {
		write(out, view);
		is_whole = !ferror(out);
		is_whole = fclose(out) == 0 && is_whole;
	}
	reply.body = text;
	if (is_whole)
		gateway_reply(view->exchange, &reply, view->now_ns);
	else
		gateway_reply_error(view->exchange, &no_memory, view->now_ns);
	free(text);
}

void api_http_offers_fail(struct web_offers_view *view, const struct web_offers_failure *failure)
{
	json_t *more = failure->field ? json_pack("{s:s}", "field", failure->field) : NULL;

	view->fault = failure->message;
	if (view->wants_html)
		api_http_offers_page(view, failure->status, api_http_page_failure);
	else
		api_http_offers_json(view, failure->status,
				     api_gateway_error_write(&(struct api_gateway_error){
					     .error = failure->name,
					     .message = failure->message,
					     .parameters = more}));
	json_decref(more);
}

void api_http_offers_absent(struct web_offers_view *view, const char *message)
{
	api_http_offers_fail(
		view, &(struct web_offers_failure){404, "not_found", message, .field = NULL});
}

void api_http_offers_methods(struct web_offers_view *view, unsigned methods, const char *message)
{
	gateway_allow(view->exchange, methods);
	api_http_offers_fail(
		view, &(struct web_offers_failure){405, "method_not_allowed", message, NULL});
}

static void fail_method(struct web_offers_view *view, unsigned methods)
{
	api_http_offers_methods(view, methods,
				methods == GATEWAY_POST
					? "This path takes POST alone; the page of the schema has "
					  "a form for it."
					: "This path takes GET alone; publish at "
					  "/offers/SCHEMA/publish.");
}

/* --- lists --- */

static void schemas_show(struct web_offers_view *view)
{
	struct schema_registry *registry = offers_registry(api_http_offers_of(view->offers));
	struct varlink_blocks blocks = {0};
	struct api_list_schemas_out out = {0};
	struct schema_entry entry;

	if (view->wants_html) {
		api_http_offers_page(view, 200, api_http_page_schemas);
		return;
	}
	for (unsigned i = 0; offers_schema_registry_at(registry, i, &entry); i++)
		varlink_push(&blocks, &out.schemas, api_schema_row(&blocks, &entry, true));
	api_http_offers_json(view, 200, api_list_schemas_out_write(&out));
	varlink_blocks_free(&blocks);
}

unsigned api_http_offers_filters(struct web_offers_view *view)
{
	const struct schema *schema = view->schema;
	struct schema_query *query = &view->offers->query;
	struct schema_fault *faults = view->offers->faults;
	unsigned cnt = 0;

	offers_schema_query_init(query);
	view->wanted[0] = (struct offer_wanted){schema, query};
	view->wanted_cnt = 1;
	view->form.words_len = 0;
	for (unsigned i = 0; i < schema->filter_cnt; i++) {
		const char *word = api_http_form_filter(&view->form, &schema->filters[i]);

		if (word && offers_schema_query_from_text(schema, word, query, &faults[i]) < 0)
			cnt++;
	}
	return cnt;
}

/* A parameter of the page and not of the schema, unless the schema has a filter of that name. */
static const char *own_parameter(const struct web_offers_view *view, const char *name)
{
	return view->schema && offers_schema_filter_named(view->schema, name, strlen(name)) >= 0
		       ? NULL
		       : api_http_form_value(&view->form, name);
}

bool api_http_offers_is_own(const char *name)
{
	static const char *const names[] = {"limit", "cursor", "ask", "level"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* Returns the first parameter that is wrong, with *fault; NULL: none is. */
static const char *first_fault(struct web_offers_view *view, struct schema_fault *fault)
{
	const struct schema *schema = view->schema;
	char word[SCHEMA_NAME_CAP + 1];

	for (unsigned i = 0; i < view->form.cnt; i++) {
		const char *name = view->form.pairs[i].name;

		if (api_http_form_is_filter(schema, name) || api_http_offers_is_own(name))
			continue;
		snprintf(word, sizeof(word), "%.32s=", name);
		if (offers_schema_query_from_text(schema, word, &view->offers->query, fault) < 0)
			return name;
	}
	for (unsigned i = 0; i < schema->filter_cnt; i++)
		if (view->offers->faults[i].what[0]) {
			*fault = view->offers->faults[i];
			return schema->filters[i].name;
		}
	return NULL;
}

static void filter_fail(struct web_offers_view *view, const char *name,
			const struct schema_fault *fault)
{
	char message[sizeof(fault->what) + sizeof(fault->next) + 8];

	snprintf(message, sizeof(message), "%s%s%s", fault->what, fault->next[0] ? "; " : "",
		 fault->next);
	if (!view->wants_html) {
		api_http_offers_fail(
			view, &(struct web_offers_failure){400, "invalid_filter", message, name});
		return;
	}
	/* One that the form has is marked there. */
	view->fault = api_http_form_is_filter(view->schema, name) ? "A filter is not as it has to "
								    "be."
								  : message;
	api_http_offers_page(view, 400, api_http_page_list);
}

struct collecting {
	struct varlink_blocks blocks;
	struct api_find_offers_out out;
	size_t len; /* of its rows */
};

static void on_offer(void *arg, const struct found_offer *offer)
{
	struct collecting *collecting = arg;

	const struct api_offer row = api_offer_row(&collecting->blocks, offer);

	varlink_push(&collecting->blocks, &collecting->out.offers, row);
	collecting->len += api_offer_row_len(&row);
}

static bool is_full(void *arg)
{
	return ((const struct collecting *)arg)->len > OFFER_PAGE_LEN;
}

static void page_reply(struct web_offers_view *view, const struct api_find_offers_out *out)
{
	view->rows = out->offers.rows;
	view->row_cnt = out->offers.cnt;
	view->cursor = out->cursor;
	view->left_out = out->left_out;
	if (view->wants_html)
		api_http_offers_page(view, 200, api_http_page_list);
	else
		api_http_offers_json(view, 200, api_find_offers_out_write(out));
}

static void offers_find_and_reply(struct web_offers_view *view, uint64_t before, unsigned limit)
{
	struct collecting collecting = {.blocks = {0}};
	const struct offer_page_ask ask = {.wanted = view->wanted,
					   .wanted_cnt = view->wanted_cnt,
					   .before = before,
					   .page_max = limit,
					   .has_level = view->has_level,
					   .level = view->level,
					   .fn = on_offer,
					   .is_full = is_full,
					   .arg = &collecting};
	struct offer_search_result result;

	if (offers_find(api_http_offers_of(view->offers), &ask, &result) < 0) {
		api_http_offers_fail(
			view, &(struct web_offers_failure){
				      500, "damaged",
				      "The offers cannot be read; see weft store check.", NULL});
	} else {
		if (result.next)
			collecting.out.cursor =
				varlink_format(&collecting.blocks, "%" PRIu64, result.next);
		if (before == OFFER_NEWEST)
			collecting.out.left_out =
				offers_left_out(api_http_offers_of(view->offers), &ask);
		page_reply(view, &collecting.out);
	}
	varlink_blocks_free(&collecting.blocks);
}

/* level_read: false: it is none, and the request was failed. */
static bool level_read(struct web_offers_view *view)
{
	const char *text = own_parameter(view, "level");

	view->has_level = text != NULL;
	view->level = text ? (uint8_t)(text[0] - '0') : 0;
	if (!text || (view->level <= ENDORSEMENT_LEVEL_MAX && !text[1]))
		return true;
	api_http_offers_fail(
		view, &(struct web_offers_failure){
			      400, "invalid_level",
			      "level is not in 0 to 3; give one that is, or none for the schema's.",
			      "level"});
	return false;
}

bool api_http_offers_check(struct web_offers_view *view)
{
	struct schema_fault fault = {0};
	const char *wrong;

	if (view->names[0])
		return api_http_offers_choose(view) && level_read(view);
	(void)api_http_offers_filters(view);
	wrong = first_fault(view, &fault);
	if (wrong)
		filter_fail(view, wrong, &fault);
	return !wrong && level_read(view);
}

void api_http_offers_list(struct web_offers_view *view)
{
	uint64_t limit = LIST_LIMIT, before = OFFER_NEWEST;

	if (!api_http_offers_check(view))
		return;
	if (!api_http_form_number(own_parameter(view, "limit"), LIMIT_MAX, &limit))
		api_http_offers_fail(
			view, &(struct web_offers_failure){400, "invalid_limit",
							   "limit is not in 1 to 200; give one "
							   "that is, or none for 20.",
							   "limit"});
	else if (!api_http_form_number(own_parameter(view, "cursor"), UINT64_MAX, &before))
		api_http_offers_fail(view, &(struct web_offers_failure){
						   400, "invalid_cursor",
						   "cursor is not that of a page before; give "
						   "none for the newest offers.",
						   "cursor"});
	else
		offers_find_and_reply(view, before, (unsigned)limit);
}

/* --- one offer --- */

static void offer_reply(struct web_offers_view *view, const struct collecting *collecting,
			unsigned status)
{
	const struct api_offer *row = collecting->out.offers.rows;

	view->rows = row;
	view->row_cnt = 1;
	view->number_rows = api_http_reserve_numbers;
	if (view->wants_html)
		api_http_offers_page(view, status, api_http_page_offer);
	else
		api_http_offers_json(
			view, status,
			api_show_offer_out_write(&(struct api_show_offer_out){.offer = *row}));
}

/* offer_find: as offers_show. WEFT_EABSENT: it is of another schema. */
static int offer_find(const struct web_offers_view *view, const char *name,
		      struct collecting *collecting)
{
	int err = offers_show(api_http_offers_of(view->offers), name, on_offer, collecting);

	if (err == 0 && (!collecting->out.offers.cnt ||
			 strcmp(collecting->out.offers.rows[0].schema, view->schema->name) != 0))
		err = WEFT_EABSENT;
	return err;
}

void api_http_offers_show(struct web_offers_view *view, const char *name, unsigned status)
{
	struct collecting collecting = {.blocks = {0}};
	int err = offer_find(view, name, &collecting);

	if (err == WEFT_EEXISTS)
		api_http_offers_absent(view, "Several offers begin so; give more letters.");
	else if (err < 0)
		api_http_offers_absent(
			view, "This node keeps no such offer; the list of its schema has those "
			      "that it keeps, and can ask the nodes around.");
	else
		offer_reply(view, &collecting, status);
	varlink_blocks_free(&collecting.blocks);
}

bool api_http_offers_has(const struct web_offers_view *view, const char *name)
{
	struct collecting collecting = {.blocks = {0}};
	int err = offer_find(view, name, &collecting);

	varlink_blocks_free(&collecting.blocks);
	return err == 0;
}

/* --- requests --- */

static void style_reply(const struct web_offers_view *view)
{
	const struct gateway_reply reply = {.status = 200,
					    .type = "text/css; charset=utf-8",
					    .headers = "Cache-Control: max-age=3600\r\n",
					    .body = api_http_offers_style,
					    .body_len = strlen(api_http_offers_style)};

	gateway_reply(view->exchange, &reply, view->now_ns);
}

/* The form is for people alone; its fields are in the schema. */
static void publish_show(struct web_offers_view *view)
{
	static const struct web_offers_failure no_page = {
		406, "not_acceptable",
		"The form is a page: ask for text/html, or send the fields by POST. weft schema "
		"show "
		"lists them.",
		NULL};

	if (view->wants_html)
		api_http_offers_page(view, 200, api_http_page_publish);
	else
		api_http_offers_fail(view, &no_page);
}

/* What the path below a schema says; rest is "" or begins with '/'. */
static void schema_handle(struct web_offers_view *view, const struct gateway_request *request,
			  const char *rest)
{
	bool is_post = request->method == GATEWAY_POST;

	if (strcmp(rest, "/publish") == 0) {
		if (is_post)
			api_http_offers_publish(view, request);
		else
			publish_show(view);
	} else if (strcmp(rest, "/ask") == 0) {
		if (is_post)
			api_http_offers_ask(view, request);
		else
			fail_method(view, GATEWAY_POST);
	} else if (*rest && api_http_offers_below(view, request, rest + 1)) {
		/* It was answered. */
	} else if (is_post) {
		fail_method(view, GATEWAY_GET);
	} else if (strcmp(rest, "/events") == 0) {
		api_http_offers_events(view, request);
	} else if (!*rest || strcmp(rest, "/") == 0) {
		if (own_parameter(view, "ask"))
			api_http_offers_ask(view, request);
		else
			api_http_offers_list(view);
	} else {
		api_http_offers_show(view, rest + 1, 200);
	}
}

/* What the path below several schemas says: as schema_handle, without pages. */
static void several_handle(struct web_offers_view *view, const struct gateway_request *request,
			   const char *rest)
{
	view->wants_html = false;
	if (request->method == GATEWAY_POST)
		fail_method(view, GATEWAY_GET);
	else if (strcmp(rest, "/events") == 0)
		api_http_offers_events(view, request);
	else if (*rest && strcmp(rest, "/") != 0)
		api_http_offers_absent(
			view, "Several schemas have a list and /events; an offer is below one.");
	else if (own_parameter(view, "ask"))
		api_http_offers_ask(view, request);
	else
		api_http_offers_list(view);
}

static void path_handle(struct web_offers_view *view, const struct gateway_request *request)
{
	const char *path = request->path + strlen(PATH);
	size_t len = strcspn(path + (*path == '/'), "/");
	char *name = view->names;

	if (strcmp(path, "/style.css") == 0) {
		style_reply(view);
		return;
	}
	if (!*path || !len) {
		if (request->method == GATEWAY_POST)
			fail_method(view, GATEWAY_GET);
		else
			schemas_show(view);
		return;
	}
	if (len < sizeof(view->names))
		snprintf(name, sizeof(view->names), "%.*s", (int)len, path + 1);
	if (strchr(name, ',')) {
		several_handle(view, request, path + 1 + len);
		return;
	}
	view->schema = offers_schema_registry_named(
		offers_registry(api_http_offers_of(view->offers)), name);
	*name = '\0';
	if (view->schema)
		schema_handle(view, request, path + 1 + len);
	else
		api_http_offers_absent(
			view, "No schema has that name; /offers lists those that are known.");
}

static bool accepts_html(const struct gateway_request *request)
{
	const char *accept = gateway_header(request, "Accept");

	return accept && strstr(accept, "text/html");
}

static void offers_handle(void *ctx, struct gateway_exchange *exchange,
			  const struct gateway_request *request, uint64_t now_ns)
{
	bool is_post = request->method == GATEWAY_POST;
	/* A form as JSON has its own reader. */
	bool is_form = is_post && !api_http_offers_is_json(request);
	const char *bytes = is_form ? (const char *)request->body : is_post ? "" : request->query;
	struct web_offers_view view = {.offers = ctx,
				       .exchange = exchange,
				       .wants_html = accepts_html(request),
				       .has_token = request->proof == GATEWAY_PROOF_TOKEN,
				       .number_rows = api_http_offers_numbers,
				       .now_ns = now_ns};
	int err;

	api_http_offers_faults_clear(view.offers);
	if (!api_http_offers_of(ctx)) {
		api_http_offers_absent(&view, "Offers are switched off here; see offers.enabled in "
					      "weft.conf(5).");
		return;
	}
	err = api_http_form_read(bytes, is_form ? request->body_len : strlen(bytes), &view.form);
	if (err < 0)
		api_http_offers_fail(&view,
				     &(struct web_offers_failure){
					     err == -ENOMEM ? 500u : 400u, "invalid_parameters",
					     "The parameters are to be at most 512, in "
					     "percent-encoded UTF-8.",
					     NULL});
	else
		path_handle(&view, request);
	api_http_form_fini(&view.form);
}

void api_http_offers_routes(struct web_offers *offers, struct gateway_route *routes)
{
	static const char *const paths[WEB_OFFERS_ROUTE_CNT - 1] = {PATH, PATH "/"};

	for (unsigned i = 0; i < WEB_OFFERS_ROUTE_CNT - 1; i++)
		routes[i] = (struct gateway_route){.path = paths[i],
						   .methods = GATEWAY_GET | GATEWAY_POST,
						   .access = GATEWAY_OPEN,
						   .takes_form_token = true,
						   .body_len_max = BODY_LEN_MAX,
						   .handle = offers_handle,
						   .ctx = offers};
	routes[WEB_OFFERS_ROUTE_CNT - 1] = api_http_offers_legacy_route(offers);
}
