/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server of streams: endpoint_echo NAME opens an endpoint and sends back what each stream brings,
 * one stream after the other.
 *
 *	cc endpoint_echo.c $(pkg-config --cflags --libs weft) -o endpoint_echo
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft/client.h>

static void echo(int fd)
{
	char data[65536];
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), 0)) > 0)
		for (ssize_t at = 0, sent; at < n; at += sent)
			if ((sent = send(fd, data + at, (size_t)(n - at), MSG_NOSIGNAL)) < 0)
				return;
}

int main(int argc, char **argv)
{
	struct weft_endpoint_params params = {.name = argc > 1 ? argv[1] : "echo",
					      .timeout_ms = 5000};
	struct weft_client *client = NULL;
	struct weft_endpoint *endpoint = NULL;
	char peer[WEFT_NODE_ID_CAP];
	struct weft_error error;
	int fd = -1;

	if (weft_client_open(NULL, 5000, &client, &error) < 0 ||
	    weft_endpoint_open(client, &params, &endpoint, &error) < 0) {
		fprintf(stderr, "endpoint_echo: %s: %s\n", error.what, error.why);
		return 1;
	}
	printf("%s\n", weft_endpoint_address(endpoint));
	fflush(stdout);
	while ((fd = weft_accept(endpoint, 0, peer, &error)) >= 0) {
		fprintf(stderr, "a stream of %.12s\n", peer);
		echo(fd);
		close(fd);
	}
	fprintf(stderr, "endpoint_echo: %s: %s\n", error.what, error.why);
	weft_endpoint_close(endpoint);
	weft_client_close(client);
	return 1;
}
