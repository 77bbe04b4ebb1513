/* SPDX-License-Identifier: Apache-2.0 */
#include "base/monotonic.h"
#include "mesh/session/hello.h"
#include "mesh/mesh.h"
#include "service/trace.h"
#include "support/check.h"
#include "support/service_rig.h"

#define TRACE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static void test_a_traceparent_is_read_and_written(void)
{
	static const char *const bad[] = {
		"",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e47360-0f067aa0ba902b7-01",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7- 1",
	};
	char text[SERVICE_TRACE_TEXT_CAP];
	struct service_trace trace;

	CHECK(service_trace_parse(TRACE, &trace));
	CHECK_STR(service_trace_write(&trace, text), TRACE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!service_trace_parse(bad[i], &trace));
	CHECK_STR(service_trace_write(&trace, text), TRACE);
}

/* traced_call: one without a trace meets the provider first, and hears its HELLO. */
static void traced_call(struct srig *rig, unsigned to, struct srig_provider *provider)
{
	struct service_target target = {.name = "echo", .method = "Do"};
	struct srig_ask ask = {0};
	struct service_trace trace;

	CHECK(srig_offer(rig, provider, to, "echo"));
	CHECK_EQ(srig_once(rig, SRIG_A, to, "echo", 10), SERVICE_OK);
	CHECK(!provider->caller.has_trace);
	CHECK(service_trace_parse(TRACE, &trace));
	target.trace = &trace;
	target.provider = rig->nodes[to].key;
	CHECK_EQ(srig_call_with(rig, &ask, SRIG_A, &target, "x", 1, NULL, 0), 0);
	srig_run(rig, NS_PER_S);
	CHECK_EQ(ask.answer.status, SERVICE_OK);
	srig_ask_fini(&ask);
}

static void test_a_trace_reaches_the_handler_on_another_node(void)
{
	static struct srig_provider provider;
	char text[SERVICE_TRACE_TEXT_CAP];
	static struct srig rig;

	srig_init(&rig, 2, NULL);
	mesh_set_caps(rig.nodes[SRIG_B].mesh, MESH_CAP_TRACE);
	traced_call(&rig, SRIG_B, &provider);
	CHECK(provider.caller.has_trace);
	CHECK_STR(service_trace_write(&provider.caller.trace, text), TRACE);
	srig_fini(&rig);
}

static void test_an_older_provider_is_called_without_it(void)
{
	static struct srig_provider provider;
	static struct srig rig;

	srig_init(&rig, 2, NULL);
	mesh_set_caps(rig.nodes[SRIG_B].mesh, MESH_CAP_CONTENT_SEED);
	traced_call(&rig, SRIG_B, &provider);
	CHECK(!provider.caller.has_trace);
	srig_fini(&rig);
}

static void test_a_trace_reaches_a_handler_of_this_node(void)
{
	static struct srig_provider provider;
	static struct srig rig;

	srig_init(&rig, 2, NULL);
	traced_call(&rig, SRIG_A, &provider);
	CHECK(provider.caller.has_trace);
	srig_fini(&rig);
}

int main(void)
{
	RUN(test_a_traceparent_is_read_and_written);
	RUN(test_a_trace_reaches_the_handler_on_another_node);
	RUN(test_an_older_provider_is_called_without_it);
	RUN(test_a_trace_reaches_a_handler_of_this_node);
	return check_done();
}
