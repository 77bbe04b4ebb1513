/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the HTTP proxy (tcp.proxy) failed on, in words with the next step. Its address and its user
 * are in no sentence, so any role may read them.
 */
#include <stdio.h>

#include "api/methods.h"
#include "tcp/tcp.h"
#include "tcp/tcp_proxy.h"

static const struct {
	unsigned fault; /* enum tcp_proxy_fault, or the status of its answer */
	const char *why, *next;
} rows[] = {
	{TCP_PROXY_ABSENT, "the HTTP proxy takes no connection",
	 "check that tcp.proxy is its address and port"},
	{TCP_PROXY_SILENT, "the HTTP proxy did not answer in time",
	 "check that tcp.proxy is an HTTP proxy, and not overloaded"},
	{TCP_PROXY_FOREIGN, "what answers at tcp.proxy is no HTTP proxy", "correct tcp.proxy"},
	{TCP_PROXY_CUT, "the HTTP proxy ended the connection without an answer",
	 "ask its operator whether it allows CONNECT"},
	/* tinyproxy says so of a wrong one, and 407 where there is none. */
	{401, "the HTTP proxy wants another user or password (401)",
	 "put USER:PASSWORD into a file and name it by tcp.proxy_user_file"},
	{407, "the HTTP proxy wants another user or password (407)",
	 "put USER:PASSWORD into a file and name it by tcp.proxy_user_file"},
	{403, "the HTTP proxy forbids that address or port (403)",
	 "use peers and relays on port 443, or ask its operator"},
	{405, "the HTTP proxy does not allow CONNECT (405)", "ask its operator"},
	{404, "the HTTP proxy could not connect there (404)", "check that a node listens there"},
	{500, "the HTTP proxy could not connect there (500)", "check that a node listens there"},
	{502, "the HTTP proxy could not connect there (502)", "check that a node listens there"},
	{503, "the HTTP proxy could not connect there (503)", "check that a node listens there"},
	{504, "the HTTP proxy could not connect there (504)", "check that a node listens there"},
};
#define ROW_CNT (sizeof(rows) / sizeof(rows[0]))

void api_proxy_problem(unsigned fault, struct api_proxy_problem *out)
{
	*out = (struct api_proxy_problem){.next = "ask the proxy's operator"};
	snprintf(out->why, sizeof(out->why), "the HTTP proxy refuses with status %u", fault % 1000);
	for (size_t i = 0; i < ROW_CNT; i++) {
		if (rows[i].fault != fault)
			continue;
		snprintf(out->why, sizeof(out->why), "%s", rows[i].why);
		out->next = rows[i].next;
	}
}

static const struct tcp_proxy_view *view_of(const struct api *api)
{
	return api->home->tcp ? tcp_engine_proxy(api->home->tcp) : NULL;
}

bool api_proxy_failed(const struct api *api, uint64_t since_ns, struct api_proxy_problem *out)
{
	const struct tcp_proxy_view *proxy = view_of(api);
	bool is_refused = proxy && proxy->refused_ns > proxy->failed_ns;
	uint64_t at_ns = !proxy ? 0 : is_refused ? proxy->refused_ns : proxy->failed_ns;

	if (!at_ns || at_ns < since_ns || at_ns <= proxy->opened_ns)
		return false;
	api_proxy_problem(is_refused ? proxy->refused : proxy->fault, out);
	return true;
}

bool api_proxy_is_to_blame(const struct api *api, struct api_proxy_problem *out)
{
	const struct tcp_proxy_view *proxy = view_of(api);

	return proxy && proxy->refused_ns <= proxy->failed_ns && api_proxy_failed(api, 0, out);
}

const char *api_proxy_text(struct varlink_blocks *blocks, const struct api *api)
{
	const struct tcp_proxy_view *proxy = view_of(api);
	struct api_proxy_problem problem;

	if (!proxy || proxy->addr.family == ADDR_NONE)
		return "off";
	if (api_proxy_is_to_blame(api, &problem))
		return "on, and the newest connection was not opened";
	if (api_proxy_failed(api, 0, &problem))
		return varlink_format(blocks, "on, but not to the newest destination: %s; %s",
				      problem.why, problem.next);
	return proxy->opened_ns ? "on, it opens connections" : "on, not used yet";
}
