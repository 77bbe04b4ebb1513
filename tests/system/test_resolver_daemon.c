/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-ups over the wire: in a network namespace of its own, with a
 * resolv.conf that names the one thread that answers, or does not.
 */
#include "net/resolver.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "support/check.h"

#define ADDRS_CAP 4

static int server_fd = -1;

/* By hand: id and question are the query's, then as many A records as the name begins with. */
static size_t answer_write(const uint8_t *query, uint8_t *answer, size_t cap)
{
	unsigned record_cnt = query[13] >= '0' && query[13] <= '9' ? query[13] - '0' : 0;
	/* Of the question: what may stand behind it, an EDNS record, is left away. */
	size_t len = 12 + strlen((const char *)query + 12) + 1 + 4;
	bool is_a;

	if (len + 9 * 16 > cap)
		return 0;
	memcpy(answer, query, len);
	is_a = answer[len - 3] == 1;
	memcpy(answer + 2, "\x81\x80\0\1\0\0\0\0\0\0", 10);
	if (query[13] == 'x')
		answer[3] = 0x83; /* no such name */
	for (unsigned i = 0; is_a && i < record_cnt; i++) {
		memcpy(answer + len, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2", 15);
		answer[len + 15] = (uint8_t)(i + 1);
		len += 16;
		answer[7]++;
	}
	return len;
}

/* Behind the question: a record of two strings, one of TEXT_LONG letters, and one of a letter more. */
#define TEXT_LONG 1024u
static size_t texts_write(uint8_t *answer, size_t len)
{
	answer[7] = 3;
	memcpy(answer + len, "\xc0\x0c\0\x10\0\1\0\0\0\x3c\0\x6\3one\1-", 18);
	len += 18;
	for (unsigned letters = TEXT_LONG; letters <= TEXT_LONG + 1; letters++) {
		unsigned data_len = letters + (letters + 254) / 255;

		memcpy(answer + len, "\xc0\x0c\0\x10\0\1\0\0\0\x3c", 10);
		answer[len + 10] = (uint8_t)(data_len >> 8);
		answer[len + 11] = (uint8_t)data_len;
		len += 12;
		for (unsigned left = letters; left > 0;) {
			unsigned part = left < 255 ? left : 255;

			answer[len] = (uint8_t)part;
			memset(answer + len + 1, 'a', part);
			len += 1 + part;
			left -= part;
		}
	}
	return len;
}

static void *server_run(void *arg)
{
	uint8_t query[512], answer[4096];
	struct sockaddr_in from;

	(void)arg;
	for (;;) {
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(server_fd, query, sizeof(query) - 1, 0,
				     (struct sockaddr *)&from, &from_len);
		size_t len;

		if (n < 17 || query[13] == 's') /* silence */
			continue;
		query[n] = '\0';
		len = query[13] == 'g' ? 0 : answer_write(query, answer, sizeof(answer));
		if (query[13] == 'g') {
			memset(answer, 0xff, sizeof(answer));
			memcpy(answer, query, 2);
			len = 64;
		}
		if (query[13] == 't')
			len = texts_write(answer, len);
		(void)sendto(server_fd, answer, len, 0, (struct sockaddr *)&from, from_len);
	}
	return NULL;
}

static bool file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool loopback_up(void)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = ioctl(fd, SIOCSIFFLAGS, &ifr) == 0;

	close(fd);
	return ok;
}

static bool network_make(void)
{
	char path[] = "/tmp/weft-resolver-XXXXXX";
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(53)};
	int fd = mkstemp(path);
	pthread_t thread;
	bool ok;

	if (fd < 0)
		return false;
	close(fd);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ok = mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	     file_write(path, "nameserver 127.0.0.1\noptions attempts:1\n") &&
	     mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0 && loopback_up();
	unlink(path);
	server_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return ok && bind(server_fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 &&
	       pthread_create(&thread, NULL, server_run, NULL) == 0;
}

static int look_up(const char *text, uint64_t time_ns, struct addr addrs[static ADDRS_CAP])
{
	struct resolver_target target;
	int err = net_resolver_target_parse(text, &target);

	return err < 0 ? err
		       : net_resolver_lookup(&target, clock_monotonic_ns() + time_ns, -1, addrs,
					     ADDRS_CAP);
}

static void test_names_have_the_addresses_that_the_server_says(void)
{
	struct addr addrs[ADDRS_CAP];
	char text[ADDR_TEXT_CAP];

	CHECK_EQ(look_up("1.test:7", 10 * NS_PER_S, addrs), 1);
	CHECK_STR(addr_format(&addrs[0], text), "192.0.2.1:7");
	CHECK_EQ(look_up("3.test:7", 10 * NS_PER_S, addrs), 3);
	/* Nine are said, and there is room for four. */
	CHECK_EQ(look_up("9.test:7", 10 * NS_PER_S, addrs), ADDRS_CAP);
}

static void test_a_name_without_an_address_is_absent(void)
{
	struct addr addrs[ADDRS_CAP];

	CHECK_EQ(look_up("0.test:7", 10 * NS_PER_S, addrs), WEFT_EABSENT);
	CHECK_EQ(look_up("x.test:7", 10 * NS_PER_S, addrs), WEFT_EABSENT);
}

static void test_silence_ends_at_the_deadline(void)
{
	struct addr addrs[ADDRS_CAP];
	uint64_t began_ns = clock_monotonic_ns();

	CHECK_EQ(look_up("s.test:7", 100 * NS_PER_MS, addrs), WEFT_ETIMEOUT);
	CHECK(clock_monotonic_ns() - began_ns >= 100 * NS_PER_MS);
}

static void test_garbage_is_no_answer(void)
{
	struct addr addrs[ADDRS_CAP];

	CHECK(look_up("g.test:7", 200 * NS_PER_MS, addrs) < 0);
}

static char seen[4][TEXT_LONG + 8];
static unsigned seen_cnt;

static void on_text(void *arg, const char *text, size_t len)
{
	(void)arg;
	if (seen_cnt < 4)
		snprintf(seen[seen_cnt], sizeof(seen[0]), "%.*s", (int)len, text);
	seen_cnt++;
}

static int texts_of(const char *name, uint64_t time_ns)
{
	seen_cnt = 0;
	return net_resolver_texts(name, clock_monotonic_ns() + time_ns, -1, on_text, NULL);
}

static void test_texts_come_whole_and_those_that_are_too_long_not_at_all(void)
{
	CHECK_EQ(texts_of("t.test", 10 * NS_PER_S), 0);
	CHECK_EQ(seen_cnt, 2);
	CHECK_STR(seen[0], "one-");
	CHECK_EQ(strlen(seen[1]), TEXT_LONG);
	/* A name without a record, and one that is not there, have none. */
	CHECK_EQ(texts_of("0.test", 10 * NS_PER_S), 0);
	CHECK_EQ(seen_cnt, 0);
	CHECK_EQ(texts_of("x.test", 10 * NS_PER_S), 0);
	CHECK_EQ(texts_of("s.test", 100 * NS_PER_MS), WEFT_ETIMEOUT);
	CHECK(texts_of("g.test", 200 * NS_PER_MS) < 0);
	CHECK_EQ(seen_cnt, 0);
}

static void test_names_of_texts_are_bounded(void)
{
	char name[RESOLVER_HOST_CAP + 1];

	memset(name, 'a', sizeof(name));
	name[RESOLVER_HOST_CAP] = '\0';
	CHECK(!net_resolver_is_name(name));
	name[RESOLVER_HOST_CAP - 1] = '\0';
	CHECK(net_resolver_is_name(name));
	CHECK(!net_resolver_is_name(""));
	CHECK(!net_resolver_is_name("a b"));
	CHECK(!net_resolver_is_name("a/b"));
}

int main(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		SKIP_ALL("a network namespace needs root");
	if (!network_make()) {
		printf("1..1\nnot ok 1 - the network is made\n");
		return 1;
	}
	RUN(test_names_have_the_addresses_that_the_server_says);
	RUN(test_a_name_without_an_address_is_absent);
	RUN(test_silence_ends_at_the_deadline);
	RUN(test_garbage_is_no_answer);
	RUN(test_texts_come_whole_and_those_that_are_too_long_not_at_all);
	RUN(test_names_of_texts_are_bounded);
	return check_done();
}
