/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a request to a server that takes a part of it, nothing, or is gone. */
#include <errno.h>
#include <sys/syscall.h>

#include "unit/provider/http_rig.h"

/* What the next sends on any socket come to; then the kernel's own word. */
static const int *send_errs;
static unsigned send_err_cnt;
static size_t send_len_max;

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	if (send_err_cnt) {
		send_err_cnt--;
		errno = *send_errs++;
		return -1;
	}
	if (send_len_max && len > send_len_max)
		len = send_len_max;
	return syscall(SYS_sendto, fd, data, len, flags, NULL, 0);
}

static void fail_sends(const int *errs, unsigned cnt)
{
	send_errs = errs;
	send_err_cnt = cnt;
}

/* A GET without a body; the server's end of its connection. */
static int get_accepted(struct web *web, struct prig_stream *stream, const char *path)
{
	api_http_open(web, stream, "GET", path, 0);
	service_channel_finish(stream->channel);
	return program_accept(&web->rig, &web->server);
}

static void test_a_head_is_sent_when_the_server_takes_it(void)
{
	static const int errs[] = {EAGAIN, EINTR, EAGAIN};
	struct prig_stream stream = {.body = NULL};
	char text[4096];
	struct web web;
	int fd;

	web_init(&web);
	fail_sends(errs, 3);
	fd = get_accepted(&web, &stream, "/a");
	CHECK(fd >= 0);
	program_hear(&web.rig, fd, text, sizeof(text), "\r\n\r\n");
	CHECK_EQ(send_err_cnt, 0);
	CHECK(strncmp(text, "GET /a HTTP/1.1\r\n", 17) == 0);
	CHECK_EQ(stream.ended_cnt, 0);
	close(fd);
	web_fini(&web);
}

static void test_a_head_goes_out_whole_in_pieces(void)
{
	struct prig_stream stream = {.body = NULL};
	char text[4096];
	struct web web;
	int fd;

	web_init(&web);
	send_len_max = 7;
	fd = get_accepted(&web, &stream, "/pieces");
	program_hear(&web.rig, fd, text, sizeof(text), "\r\n\r\n");
	send_len_max = 0;
	CHECK(strncmp(text, "GET /pieces HTTP/1.1\r\nHost: ", 28) == 0);
	CHECK_STR(text + strlen(text) - 4, "\r\n\r\n");
	close(fd);
	web_fini(&web);
}

/* A server that reads no more may still have answered: the exchange ends by its answer, or its end. */
static void test_a_server_that_takes_no_more_is_not_written_to_again(void)
{
	static const int errs[] = {EPIPE, EPIPE, EPIPE};
	struct prig_stream stream = {.body = NULL};
	struct web web;
	int fd;

	web_init(&web);
	fail_sends(errs, 3);
	fd = get_accepted(&web, &stream, "/a");
	CHECK(fd >= 0);
	prig_run(&web.rig);
	CHECK_EQ(send_err_cnt, 2); /* one try */
	fail_sends(NULL, 0);
	CHECK_EQ(stream.ended_cnt, 0);
	program_say(fd, "HTTP/1.1 408 Late\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 59);
	prig_run(&web.rig);
	CHECK_EQ(status_of(&stream), 408);
	CHECK_EQ(stream.ended_cnt, 1);
	close(fd);
	web_fini(&web);
}

int main(void)
{
	RUN(test_a_head_is_sent_when_the_server_takes_it);
	RUN(test_a_head_goes_out_whole_in_pieces);
	RUN(test_a_server_that_takes_no_more_is_not_written_to_again);
	return check_done();
}
