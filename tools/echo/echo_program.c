/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft-echo SOCKET: the built-in service echo as a program. It has the very code of weftd,
 * userspace/builtin/echo.c, on the other side of the same seam: program_seam.c, by libweft.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/memory/arena.h"
#include "builtin/echo.h"
#include "program_seam.h"

static volatile sig_atomic_t is_over;

static void stop(int signal_number)
{
	is_over = signal_number;
}

static int serve(struct weft_client *client, const struct weft_offering *offering,
		 struct weft_error *error)
{
	struct weft_offer *offer;
	int err = weft_offer_open(client, offering, &offer, error);

	if (err < 0)
		return err;
	while (!is_over)
		(void)weft_client_dispatch(client, -1);
	weft_offer_close(offer);
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const read_only[] = {"*", NULL};
	struct echo echo = {.memory = NULL};
	struct program_seam seam = {.handler = &builtin_echo_handler, .ctx = &echo};
	const struct weft_offering offering = {.name = "echo",
					       .socket_path = argv[argc - 1],
					       .read_only = read_only,
					       .concurrency = ECHO_STREAM_MAX,
					       .handler = &program_seam_handler,
					       .ctx = &seam};
	struct weft_client *client = NULL;
	struct weft_error error = {.what = "memory", .why = "there is none"};
	struct arena arena;
	int err;

	(void)signal(SIGTERM, stop);
	if (argc != 2) {
		(void)fputs("usage: weft-echo SOCKET\n", stderr);
		return 2;
	}
	if (arena_open(&arena, ARENA_GROWS) < 0)
		return 1;
	err = builtin_echo_init(&echo, &arena);
	if (err == 0)
		err = weft_client_open(NULL, 5000, &client, &error);
	if (err == 0)
		err = serve(client, &offering, &error);
	if (err < 0)
		(void)fprintf(stderr, "weft-echo: %s: %s\n", error.what, error.why);
	weft_client_close(client);
	if (echo.memory)
		builtin_echo_fini(&echo);
	arena_close(&arena);
	return err < 0;
}
