/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of streams: endpoint_ask NODE NAME TEXT connects to an endpoint, sends TEXT, ends its
 * direction and prints all that comes back.
 *
 *	cc endpoint_ask.c $(pkg-config --cflags --libs weft) -o endpoint_ask
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft/client.h>

int main(int argc, char **argv)
{
	struct weft_connect_params params = {.timeout_ms = 10000};
	struct weft_client *client;
	struct weft_error error;
	char data[4096];
	int fd = -1;
	ssize_t n;

	if (argc < 4) {
		fprintf(stderr, "usage: endpoint_ask NODE NAME TEXT\n");
		return 2;
	}
	params.node = argv[1];
	params.name = argv[2];
	if (weft_client_open(NULL, 5000, &client, &error) < 0 ||
	    (fd = weft_connect(client, &params, &error)) < 0) {
		fprintf(stderr, "endpoint_ask: %s: %s\n", error.what, error.why);
		return 1;
	}
	if (send(fd, argv[3], strlen(argv[3]), MSG_NOSIGNAL) < 0)
		perror("endpoint_ask");
	shutdown(fd, SHUT_WR);
	while ((n = recv(fd, data, sizeof(data), 0)) > 0)
		fwrite(data, 1, (size_t)n, stdout);
	putchar('\n');
	close(fd);
	weft_client_close(client);
	return n < 0;
}
