/* SPDX-License-Identifier: Apache-2.0 */
/* What the node asks a gateway that runs: where it is, addresses for browsers, figures. Home worker. */
#include <stdio.h>
#include <sys/socket.h>

#include "base/memory/heap.h"
#include "gateway/gateway_server_state.h"

struct addr gateway_addr(const struct gateway *gateway)
{
	struct addr addr = gateway->config.listen;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(gateway->listener.fd, (struct sockaddr *)&sa, &len) == 0)
		(void)!addr_from_sockaddr((struct sockaddr *)&sa, &addr);
	return addr;
}

int gateway_pass_issue(struct gateway *gateway, const char *site, uint64_t now_ns,
		       char out_url[static GATEWAY_PASS_URL_CAP])
{
	return gateway_pass_write(&gateway->passes, &gateway->guard, site, now_ns, out_url);
}

void gateway_page_issue(struct gateway *gateway, const char *path, uint64_t now_ns,
			char out_url[static GATEWAY_PAGE_URL_CAP])
{
	char code[PAGE_TEXT_CAP], text[ADDR_TEXT_CAP];
	struct addr addr = gateway_addr(gateway);

	const char *host =
		addr_is_loopback(&addr) ? addr_format(&addr, text) : gateway->guard.hosts.names[0];

	gateway_page_code_make(&gateway->page_tokens, now_ns, code);
	snprintf(out_url, GATEWAY_PAGE_URL_CAP, "http://%s%s#t=%s", host, path, code);
}

bool gateway_page_end_all(struct gateway *gateway)
{
	return gateway_page_token_end(&gateway->page_tokens, NULL);
}

void gateway_stats(const struct gateway *gateway, struct gateway_stats *out_stats)
{
	struct heap_usage usage;

	heap_usage(gateway->heap, &usage);
	*out_stats = gateway->shared.stats;
	out_stats->pass_cnt = gateway_pass_cnt(&gateway->passes, gateway->now_ns);
	out_stats->pass_cap = PASS_CAP;
	out_stats->page_cnt = gateway_page_token_cnt(&gateway->page_tokens, gateway->now_ns);
	out_stats->page_cap = PAGE_TOKEN_CAP;
	out_stats->memory_used_len = usage.used_len;
	out_stats->memory_peak_len = usage.peak_len;
	out_stats->memory_cap = usage.cap;
	out_stats->memory_refused_cnt = usage.refused_cnt;
}

void gateway_places(const struct gateway *gateway, struct fair_view *out)
{
	fair_read(&gateway->places.conns.fair, out);
}

bool gateway_sockets(const struct gateway *gateway, struct fair_view *out)
{
	if (gateway->config.socket_cap)
		fair_read(&gateway->places.sockets.fair, out);
	return gateway->config.socket_cap;
}
