/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Name look-up by c-ares, one channel for one look-up: both are over
 * before the job ends, and a changed resolv.conf is seen by the next.
 * Job threads only.
 */
#include "net/resolver.h"

#include <ares.h>
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"

/* Sockets that c-ares holds at a time: one for each server and transport that it tries. */
#define LOOKUP_FDS_MAX	  32
#define LOOKUP_STOP_IDX	  0    /* of the descriptor that ends a look-up; poll passes over -1 */
#define LOOKUP_TIMEOUT_MS 2000 /* before another server is asked */

struct lookup {
	struct pollfd fds[LOOKUP_FDS_MAX];
	unsigned fd_cnt;
	uint16_t port;
	struct addr *addrs;
	unsigned cap, cnt;
	void (*on_text)(void *arg, const char *text, size_t len);
	void *arg;
	bool is_done;
	int status; /* of c-ares */
};

static bool host_is_name(const char *host)
{
	for (const char *at = host; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr("-_.", *at))
			return false;
	return *host != '\0';
}

/* port_parse: 1 to 65535 in decimal, or 0. */
static uint16_t port_parse(const char *text)
{
	char *end;
	unsigned long port;

	if (!isdigit((unsigned char)*text))
		return 0;
	port = strtoul(text, &end, 10);
	return *end == '\0' && port <= UINT16_MAX ? (uint16_t)port : 0;
}

int net_resolver_target_parse(const char *text, struct resolver_target *out_target)
{
	struct resolver_target target = {.port = 0};
	const char *colon = strrchr(text, ':');
	bool is_bracketed = text[0] == '[';
	struct addr addr;
	size_t len;

	if (!colon)
		return WEFT_EMALFORMED;
	target.port = port_parse(colon + 1);
	if (is_bracketed && (addr_parse(text, &addr) < 0 || colon[-1] != ']'))
		return WEFT_EMALFORMED;
	len = (size_t)(colon - text) - (is_bracketed ? 2 : 0);
	if (target.port == 0 || len >= sizeof(target.host))
		return WEFT_EMALFORMED;
	memcpy(target.host, text + is_bracketed, len);
	if (!is_bracketed && !host_is_name(target.host))
		return WEFT_EMALFORMED;
	*out_target = target;
	return 0;
}

/* lookup_watch keeps the list of what to poll; c-ares calls it for every socket. */
static void lookup_watch(void *arg, ares_socket_t fd, int is_readable, int is_writable)
{
	struct lookup *lookup = arg;
	short events = (short)((is_readable ? POLLIN : 0) | (is_writable ? POLLOUT : 0));
	unsigned i = LOOKUP_STOP_IDX + 1;

	while (i < lookup->fd_cnt && lookup->fds[i].fd != fd)
		i++;
	if (events && i < LOOKUP_FDS_MAX) {
		lookup->fds[i] = (struct pollfd){.fd = fd, .events = events};
		lookup->fd_cnt += i == lookup->fd_cnt;
	} else if (!events && i < lookup->fd_cnt) {
		lookup->fds[i] = lookup->fds[--lookup->fd_cnt];
	}
}

static void lookup_done(void *arg, int status, int timeout_cnt, struct ares_addrinfo *result)
{
	struct lookup *lookup = arg;

	(void)timeout_cnt;
	lookup->is_done = true;
	lookup->status = status;
	for (struct ares_addrinfo_node *node = result ? result->nodes : NULL;
	     node && lookup->cnt < lookup->cap; node = node->ai_next) {
		struct addr *addr = &lookup->addrs[lookup->cnt];

		if (addr_from_sockaddr(node->ai_addr, addr) < 0)
			continue;
		addr->port = lookup->port;
		lookup->cnt++;
	}
	if (result)
		ares_freeaddrinfo(result);
}

/* lookup_wait_ms: the time until c-ares or the caller wants to be called, in milliseconds. */
static int lookup_wait_ms(ares_channel_t *channel, uint64_t now_ns, uint64_t deadline_ns)
{
	uint64_t left_ms = (deadline_ns - now_ns) / NS_PER_MS + 1;
	struct timeval left = {.tv_sec = (time_t)(left_ms / 1000),
			       .tv_usec = (suseconds_t)(left_ms % 1000 * 1000)};
	struct timeval next;

	ares_timeout(channel, &left, &next);
	return (int)(next.tv_sec * 1000 + next.tv_usec / 1000 + 1);
}

static void lookup_process(struct lookup *lookup, ares_channel_t *channel)
{
	ares_fd_events_t events[LOOKUP_FDS_MAX];
	size_t cnt = 0;

	for (unsigned i = LOOKUP_STOP_IDX + 1; i < lookup->fd_cnt; i++) {
		short seen = lookup->fds[i].revents;

		if (!seen)
			continue;
		events[cnt].fd = lookup->fds[i].fd;
		events[cnt++].events = (seen & ~POLLOUT ? ARES_FD_EVENT_READ : 0u) |
				       (seen & POLLOUT ? ARES_FD_EVENT_WRITE : 0u);
	}
	(void)ares_process_fds(channel, events, cnt, ARES_PROCESS_FLAG_NONE);
}

/* lookup_run: 0 when c-ares is done, else WEFT_ETIMEOUT, WEFT_ECANCELLED or -errno. */
static int lookup_run(struct lookup *lookup, ares_channel_t *channel, uint64_t deadline_ns)
{
	while (!lookup->is_done) {
		uint64_t now_ns = clock_monotonic_ns();

		if (now_ns >= deadline_ns)
			return WEFT_ETIMEOUT;
		if (poll(lookup->fds, lookup->fd_cnt,
			 lookup_wait_ms(channel, now_ns, deadline_ns)) < 0 &&
		    errno != EINTR)
			return -errno;
		if (lookup->fds[LOOKUP_STOP_IDX].revents)
			return WEFT_ECANCELLED;
		lookup_process(lookup, channel);
	}
	return 0;
}

static int lookup_result(const struct lookup *lookup)
{
	switch (lookup->status) {
	case ARES_SUCCESS:
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
	case ARES_ENONAME:
		return lookup->cnt ? (int)lookup->cnt : WEFT_EABSENT;
	case ARES_ETIMEOUT:
		return WEFT_ETIMEOUT;
	case ARES_ENOMEM:
		return -ENOMEM;
	default:
		return WEFT_EUNREACHABLE;
	}
}

/* A channel for one look-up, which ask begins; 0 when c-ares is done. */
static int lookup_ask(struct lookup *lookup, uint64_t deadline_ns, int stop_fd,
		      void (*ask)(ares_channel_t *channel, struct lookup *lookup, const void *what),
		      const void *what)
{
	struct ares_options options = {
		.sock_state_cb = lookup_watch,
		.sock_state_cb_data = lookup,
		.timeout = LOOKUP_TIMEOUT_MS,
	};
	ares_channel_t *channel;
	int err;

	lookup->fds[LOOKUP_STOP_IDX] = (struct pollfd){.fd = stop_fd, .events = POLLIN};
	lookup->fd_cnt = LOOKUP_STOP_IDX + 1;
	/* Else even a look-up that begins after the stop would send a query. */
	if (poll(lookup->fds, 1, 0) > 0)
		return WEFT_ECANCELLED;
	if (ares_init_options(&channel, &options, ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS) !=
	    ARES_SUCCESS)
		return -ENOMEM;
	ask(channel, lookup, what);
	err = lookup_run(lookup, channel, deadline_ns);
	/* Reports what was not done as cancelled now, while lookup is there. */
	ares_destroy(channel);
	return err;
}

static void addrs_ask(ares_channel_t *channel, struct lookup *lookup, const void *what)
{
	const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
						  .ai_socktype = SOCK_STREAM};

	ares_getaddrinfo(channel, what, NULL, &hints, lookup_done, lookup);
}

int net_resolver_lookup(const struct resolver_target *target, uint64_t deadline_ns, int stop_fd,
			struct addr *out_addrs, unsigned cap)
{
	struct lookup lookup = {.port = target->port, .addrs = out_addrs, .cap = cap};
	int err = lookup_ask(&lookup, deadline_ns, stop_fd, addrs_ask, target->host);

	return err < 0 ? err : lookup_result(&lookup);
}

/* --- texts --- */

bool net_resolver_is_name(const char *text)
{
	return strlen(text) < RESOLVER_HOST_CAP && host_is_name(text);
}

/* The strings of a record, one behind the other. */
static void text_give(struct lookup *lookup, const ares_dns_rr_t *rr)
{
	const size_t string_cnt = ares_dns_rr_get_abin_cnt(rr, ARES_RR_TXT_DATA);
	char text[RESOLVER_TEXT_LEN_MAX];
	size_t len = 0;

	for (size_t i = 0; i < string_cnt; i++) {
		size_t part_len;
		const unsigned char *part =
			ares_dns_rr_get_abin(rr, ARES_RR_TXT_DATA, i, &part_len);

		if (!part || part_len > sizeof(text) - len)
			return;
		memcpy(text + len, part, part_len);
		len += part_len;
	}
	lookup->on_text(lookup->arg, text, len);
}

static void texts_done(void *arg, ares_status_t status, size_t timeout_cnt,
		       const ares_dns_record_t *record)
{
	struct lookup *lookup = arg;
	const size_t rr_cnt = record ? ares_dns_record_rr_cnt(record, ARES_SECTION_ANSWER) : 0;

	(void)timeout_cnt;
	lookup->is_done = true;
	lookup->status = (int)status;
	for (size_t i = 0; status == ARES_SUCCESS && i < rr_cnt && lookup->cnt < lookup->cap; i++) {
		const ares_dns_rr_t *rr =
			ares_dns_record_rr_get_const(record, ARES_SECTION_ANSWER, i);

		if (!rr || ares_dns_rr_get_type(rr) != ARES_REC_TYPE_TXT)
			continue;
		lookup->cnt++;
		text_give(lookup, rr);
	}
}

static void texts_ask(ares_channel_t *channel, struct lookup *lookup, const void *what)
{
	/* It calls texts_done in any case. */
	(void)ares_query_dnsrec(channel, what, ARES_CLASS_IN, ARES_REC_TYPE_TXT, texts_done, lookup,
				NULL);
}

int net_resolver_texts(const char *name, uint64_t deadline_ns, int stop_fd,
		       void (*fn)(void *arg, const char *text, size_t len), void *arg)
{
	struct lookup lookup = {.cap = RESOLVER_TEXTS_MAX, .on_text = fn, .arg = arg};
	int err = lookup_ask(&lookup, deadline_ns, stop_fd, texts_ask, name);

	if (err == 0)
		err = lookup_result(&lookup);
	return err > 0 || err == WEFT_EABSENT ? 0 : err;
}
