/* SPDX-License-Identifier: Apache-2.0 */
#include "client/varlink.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "codec/json_heap.h"
#include "support/check.h"
#include "support/fail_alloc.h"

#define STEP_MAX 2000

/* Strings that jansson appends to its buffer piece by piece, and tables that grow. */
static const char message[] =
	"{\"parameters\":{\"text\":"
	"\"0123456789012345678901234567890123456789012345678901234567890\","
	"\"list\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18],\"a\":1,\"b\":2,\"c\":3,\"d\":4,"
	"\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":\"\\u00e4\\u00f6\\u00fc and a long tail of "
	"it\"}}";

static int message_take(struct varlink *varlink, json_t **out_json)
{
	int err = client_varlink_fill(varlink);

	return err < 0 ? err : client_varlink_take(varlink, out_json);
}

static void test_message_without_memory_is_refused_and_never_cut_short(void)
{
	json_t *whole = json_loads(message, 0, NULL);
	bool was_met = true;

	json_heap_begin();
	for (unsigned n = 1; was_met && n < STEP_MAX; n++) {
		struct varlink varlink;
		json_t *json = NULL;
		int fds[2], err;

		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		CHECK_EQ(write(fds[1], message, sizeof(message)), sizeof(message));
		client_varlink_adopt(&varlink, fds[0]);
		fail_alloc_arm(n, 1);
		err = message_take(&varlink, &json);
		was_met = fail_alloc_disarm();
		CHECK(err == -ENOMEM || (err == 1 && json_equal(json, whole)));
		json_decref(json);
		client_varlink_close(&varlink);
		close(fds[1]);
	}
	CHECK(!was_met);
	json_decref(whole);
	(void)json_heap_swap_lost(false);
}

static void test_message_that_lost_a_part_is_not_sent(void)
{
	struct varlink varlink;
	json_t *parameters;
	int fds[2];

	json_heap_begin();
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	client_varlink_adopt(&varlink, fds[0]);
	parameters = json_pack("{s:s}", "path", "/x");
	fail_alloc_arm(1, 1);
	json_object_set_new(parameters, "repair", json_string("all of it"));
	(void)fail_alloc_disarm();
	CHECK_EQ(client_varlink_send(&varlink, parameters), -ENOMEM);
	/* It was that one's alone. */
	CHECK_EQ(client_varlink_send(&varlink, parameters), 0);
	json_decref(parameters);
	client_varlink_close(&varlink);
	close(fds[1]);
}

static void *lose(void *arg)
{
	(void)arg;
	(void)json_heap_swap_lost(true);
	return NULL;
}

static void test_what_a_thread_lost_is_not_of_anothers_answer(void)
{
	pthread_t thread;

	(void)json_heap_swap_lost(false);
	CHECK_EQ(pthread_create(&thread, NULL, lose, NULL), 0);
	pthread_join(thread, NULL);
	CHECK(!json_heap_swap_lost(false));
}

int main(void)
{
	/* A shared jansson names the real malloc, and this program the wrapped one. */
	json_set_alloc_funcs(malloc, free);
	RUN(test_message_without_memory_is_refused_and_never_cut_short);
	RUN(test_message_that_lost_a_part_is_not_sent);
	RUN(test_what_a_thread_lost_is_not_of_anothers_answer);
	return check_done();
}
