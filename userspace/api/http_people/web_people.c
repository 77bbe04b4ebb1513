/* SPDX-License-Identifier: Apache-2.0 */
/* The page of people, and how it gets its token. Home worker. */
#include "web_people.h"

#include <stdio.h>
#include <string.h>

#include "api/api.h"

#define PAGE_PATH  "/people/"
#define TOKEN_PATH "/page/token"
#define FIRST_FILE "people.html"
#define CODE_WORD  "t="
#define BODY_MAX   256

static const char *type_of(const char *name)
{
	const char *end = strrchr(name, '.');

	if (end && strcmp(end, ".css") == 0)
		return "text/css; charset=utf-8";
	if (end && strcmp(end, ".js") == 0)
		return "text/javascript; charset=utf-8";
	return "text/html; charset=utf-8";
}

static void page_handle(void *ctx, struct gateway_exchange *exchange,
			const struct gateway_request *request, uint64_t now_ns)
{
	static const struct gateway_error absent = {
		404, "not_found", "The page is at " PAGE_PATH "; weft social open opens it.", 0};
	const char *name = request->path + strlen(PAGE_PATH);

	(void)ctx;
	name = *name ? name : FIRST_FILE;
	for (const struct web_people_file *file = api_http_people_files; file->name; file++) {
		const struct gateway_reply reply = {.status = 200,
						    .type = type_of(file->name),
						    .headers = "Cache-Control: no-cache\r\n",
						    .body = file->text,
						    .body_len = file->len,
						    .is_program_page = true};

		if (strcmp(file->name, name) == 0) {
			gateway_reply(exchange, &reply, now_ns);
			return;
		}
	}
	gateway_reply_error(exchange, &absent, now_ns);
}

static void token_give(struct gateway_exchange *exchange, const struct gateway_request *request,
		       uint64_t now_ns)
{
	static const struct gateway_error unknown = {
		401, "code_unknown",
		"This address was opened before, or is older than two minutes; weft social open "
		"opens another.",
		0};
	char code[BODY_MAX + 1], token[GATEWAY_TOKEN_CAP], body[GATEWAY_TOKEN_CAP + 32];
	size_t word_len = strlen(CODE_WORD);
	struct gateway_reply reply = {.status = 200,
				      .type = "application/json",
				      .headers = "Cache-Control: no-store\r\n",
				      .body = body};

	if (request->body_len < word_len || request->body_len - word_len > BODY_MAX ||
	    memcmp(request->body, CODE_WORD, word_len) != 0) {
		gateway_reply_error(exchange, &unknown, now_ns);
		return;
	}
	memcpy(code, request->body + word_len, request->body_len - word_len);
	code[request->body_len - word_len] = '\0';
	if (!gateway_page_redeem(request, code, token)) {
		gateway_reply_error(exchange, &unknown, now_ns);
		return;
	}
	reply.body_len = (size_t)snprintf(body, sizeof(body), "{\"token\":\"%s\"}", token);
	gateway_reply(exchange, &reply, now_ns);
}

static void token_handle(void *ctx, struct gateway_exchange *exchange,
			 const struct gateway_request *request, uint64_t now_ns)
{
	static const struct gateway_error no_page = {
		404, "no_page_token", "This token is of no page; only those of pages end here.", 0};

	(void)ctx;
	if (request->method == GATEWAY_POST)
		token_give(exchange, request, now_ns);
	else if (gateway_page_leave(request))
		gateway_reply(exchange, &(struct gateway_reply){.status = 204}, now_ns);
	else
		gateway_reply_error(exchange, &no_page, now_ns);
}

void api_http_people_routes(struct api *api, struct gateway_route *routes)
{
	routes[0] = (struct gateway_route){.path = PAGE_PATH,
					   .methods = GATEWAY_GET,
					   .access = GATEWAY_STATIC,
					   .handle = page_handle,
					   .ctx = api};
	routes[1] = (struct gateway_route){.path = TOKEN_PATH,
					   .methods = GATEWAY_POST | GATEWAY_DELETE,
					   .access = GATEWAY_GUARDED,
					   .takes_form_token = true,
					   .is_busy = true,
					   .body_len_max = BODY_MAX,
					   .handle = token_handle,
					   .ctx = api};
}
