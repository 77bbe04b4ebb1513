/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A caller: greet NAME asks the service "greeter" for a greeting and prints it,
 * with who gave it.
 *
 *	cc greet.c $(pkg-config --cflags --libs weft) -o greet
 */
#include <stdio.h>
#include <string.h>
#include <weft/client.h>

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "world";
	struct weft_call_params params = {.target = {.service = "greeter", .version = "^1"},
					  .method = "Greet",
					  .payload = name,
					  .len = strlen(name),
					  .timeout_ms = 10000};
	struct weft_client *client;
	struct weft_reply *reply;
	struct weft_error error;
	int err = weft_client_open(NULL, 5000, &client, &error);

	if (err < 0) {
		fprintf(stderr, "greet: %s: %s\n%s\n", error.what, error.why, error.next);
		return 1;
	}
	err = weft_call(client, &params, &reply, &error);
	if (err < 0) {
		fprintf(stderr, "greet: %s: %s\n", error.what, error.why);
	} else if (reply->status != WEFT_CALL_OK) {
		fprintf(stderr, "greet: status %d: %s\n", (int)reply->status, reply->text);
		err = -1;
		weft_reply_free(reply);
	} else {
		printf("%.*s\n(%s, %llu us)\n", (int)reply->len, (const char *)reply->payload,
		       reply->provider, (unsigned long long)reply->took_us);
		weft_reply_free(reply);
	}
	weft_client_close(client);
	return err < 0;
}
