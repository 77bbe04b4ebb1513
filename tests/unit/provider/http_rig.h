/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_HTTP_RIG_H
#define WEFT_TESTS_HTTP_RIG_H

#include "provider_rig.h"

/* An HTTP server of the test's behind a service, asked by streams of HttpInvoke. */
struct web {
	struct prig rig;
	struct prig_program server;
};

static const struct provider_spec web_spec = {
	.name = "web",
	.version = "1.0.0",
	.kind = PROVIDER_HTTP,
};

static inline void web_publish(struct web *web, struct provider_spec spec)
{
	spec.target = web->server.target;
	weft_assert(prig_publish(&web->rig, &spec) == 0);
	/* The connection of the check. */
	close(program_accept(&web->rig, &web->server));
	prig_run(&web->rig);
	weft_assert(prig_view(&web->rig).state == PROVIDER_READY);
}

static inline void web_init_with(struct web *web, struct provider_spec spec)
{
	prig_init(&web->rig);
	program_listen_tcp(&web->server, 0);
	web_publish(web, spec);
}

static inline void web_init(struct web *web)
{
	web_init_with(web, web_spec);
}

static inline void web_fini(struct web *web)
{
	close(web->server.listener);
	prig_fini(&web->rig);
}

static inline struct service_http_request request_of(const char *verb, const char *target,
						     uint64_t body_len)
{
	return (struct service_http_request){
		.verb = verb,
		.verb_len = strlen(verb),
		.target = target,
		.target_len = strlen(target),
		.body_len = body_len,
	};
}

static inline void web_open_with(struct web *web, struct prig_stream *stream,
				 const struct service_http_request *request)
{
	uint8_t head[SERVICE_HTTP_HEAD_LEN_MAX];
	struct writer w = writer_of(head, sizeof(head));

	memset(stream, 0, offsetof(struct prig_stream, body));
	stream->is_http = true;
	stream->body_len = stream->message_cnt = stream->finished_cnt = stream->ended_cnt = 0;
	weft_assert(service_http_request_write(&w, request) == 0);
	weft_assert(prig_open(&web->rig, stream, "web", SERVICE_HTTP_METHOD, head,
			      writer_len(&w)) == 0);
	prig_run(&web->rig);
}

static inline void api_http_open(struct web *web, struct prig_stream *stream, const char *verb,
				 const char *target, uint64_t body_len)
{
	struct service_http_request request = request_of(verb, target, body_len);

	web_open_with(web, stream, &request);
}

/* The server takes a request, gives an answer, and goes on as the test says. */
static inline int serve(struct web *web, const char *answer)
{
	int fd = program_accept(&web->rig, &web->server);
	char text[20000];

	weft_assert(fd >= 0);
	program_hear(&web->rig, fd, text, sizeof(text), "\r\n\r\n");
	program_say(fd, answer, strlen(answer));
	prig_run(&web->rig);
	return fd;
}

static inline unsigned status_of(const struct prig_stream *stream)
{
	struct service_http_answer answer;

	if (!stream->has_head ||
	    service_http_answer_parse(stream->head, stream->head_len, &answer) < 0)
		return 0;
	return answer.status;
}

static inline bool header_is(const struct prig_stream *stream, const char *name, const char *want)
{
	const struct service_http_header *header;
	struct service_http_answer answer;

	if (service_http_answer_parse(stream->head, stream->head_len, &answer) < 0)
		return false;
	header = service_http_header_lookup(&answer.headers, name);
	if (!header || !want)
		return !header && !want;
	return header->value_len == strlen(want) &&
	       memcmp(header->value, want, header->value_len) == 0;
}

#endif
