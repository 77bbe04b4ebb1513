/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to a program on a unix socket: connecting, bytes out, bytes in. */
#include "program_link.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define IN_LEN_MIN 4096

static struct provider *provider_of(const struct program_link *link)
{
	return link->active.offer->provider;
}

static void watch_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct program_link *link = container_of(watch, struct program_link, watch);

	(void)events;
	link->ready(link, now_ns);
}

int provider_program_link_open(struct program_link *link)
{
	int fd = provider_upstream_connect(&link->active.offer->addr);

	if (fd < 0)
		return fd;
	link->watch = (struct poller_watch){.ready = watch_ready, .fd = fd};
	link->is_connecting = true;
	link->is_reading = true;
	return 0;
}

void provider_program_link_close(struct program_link *link)
{
	struct provider *provider = provider_of(link);

	if (link->interest)
		poller_remove(provider->poller, &link->watch);
	if (link->watch.fd >= 0)
		close(link->watch.fd);
	link->interest = 0;
	link->watch.fd = -1;
	provider_queue_clear(&link->out);
	heap_release(provider->heap, link->in);
	link->in = NULL;
	link->in_len = link->in_cap = 0;
}

int provider_program_link_turn(struct program_link *link, size_t *out_sent_len)
{
	int64_t sent;
	int err;

	*out_sent_len = 0;
	if (link->is_connecting) {
		err = provider_upstream_connect_result(link->watch.fd);
		if (err < 0)
			return err;
		link->is_connecting = false;
	}
	sent = provider_queue_flush(&link->out, link->watch.fd);
	if (sent < 0)
		return (int)sent;
	*out_sent_len = (size_t)sent;
	return 0;
}

static bool in_reserve(struct program_link *link, size_t len_max)
{
	size_t cap = link->in_cap ? 2 * link->in_cap : IN_LEN_MIN;
	char *in;

	if (link->in_len < link->in_cap)
		return true;
	if (cap > len_max)
		cap = len_max;
	in = heap_resize(provider_of(link)->heap, link->in, cap);
	if (!in)
		return false;
	link->in = in;
	link->in_cap = cap;
	return true;
}

int provider_program_link_read(struct program_link *link, size_t len_max)
{
	ssize_t n;

	if (link->in_len >= len_max)
		return WEFT_ETOOLARGE;
	if (!in_reserve(link, len_max))
		return WEFT_EFULL;
	n = recv(link->watch.fd, link->in + link->in_len, link->in_cap - link->in_len,
		 MSG_DONTWAIT);
	if (n == 0)
		return WEFT_ECLOSED;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	link->in_len += (size_t)n;
	return 1;
}

int provider_program_link_watch(struct program_link *link)
{
	unsigned interest = 0;

	if (link->is_connecting || link->out.len)
		interest |= POLLER_OUT;
	if (link->is_reading && !link->is_connecting)
		interest |= POLLER_IN;
	return provider_upstream_watch(provider_of(link)->poller, &link->watch, &link->interest,
				       interest);
}

int provider_program_link_reply(struct program_link *link, struct program_reply *out_reply,
				size_t *out_len)
{
	const char *end = link->in_len ? memchr(link->in, '\0', link->in_len) : NULL;
	int err;

	if (!end)
		return 0;
	err = provider_program_reply_parse(link->in, (size_t)(end - link->in), out_reply);
	if (err < 0)
		return err;
	*out_len = (size_t)(end - link->in) + 1;
	return 1;
}
