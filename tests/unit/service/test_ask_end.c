/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller takes from how the stream of its call ended. */
#include "service/service_state.h"
#include "support/check.h"
#include "support/service_rig.h"

static struct srig rig;
static struct srig_provider at_b;

/* --- streams that end as the test says --- */

static struct {
	struct mesh_stream_open open; /* of the last */
	unsigned open_cnt;
} fake;

static int fake_open(struct mesh *mesh, const struct mesh_stream_open *open, uint64_t now_ns,
		     struct mesh_stream **out_stream)
{
	(void)mesh, (void)now_ns;
	fake.open = *open;
	fake.open_cnt++;
	*out_stream = (struct mesh_stream *)(void *)&fake;
	return 0;
}

static int fake_send(struct mesh_stream *stream, const struct mesh_stream_frame *frame,
		     const void *head, size_t head_len, const struct transport_span *tail)
{
	(void)stream, (void)frame, (void)head, (void)head_len;
	if (tail)
		tail->done(tail->arg);
	return 0;
}

static void fake_finish(struct mesh_stream *stream)
{
	(void)stream;
}

static int fake_peer(const struct mesh_stream *stream, struct mesh_stream_peer *out_peer)
{
	(void)stream, (void)out_peer;
	return WEFT_EABSENT;
}

static const struct mesh_stream_ops fake_ops = {
	.open = fake_open, .send = fake_send, .finish = fake_finish, .peer = fake_peer};

/* --- */

static bool call_echo(struct srig_ask *ask)
{
	struct service_target target = {.name = "echo", .method = "Do"};

	if (srig_call_with(&rig, ask, SRIG_A, &target, "abc", 3, NULL, 0) < 0)
		return false;
	srig_run(&rig, PAIR_S);
	srig_run(&rig, PAIR_S);
	return true;
}

/* After a call whose stream ends as end, the next one asks the overlay look_cnt times. */
static void check_looks_after(const struct mesh_stream_end *end, unsigned look_cnt)
{
	struct service *service;
	struct mesh_stream_seam own;
	struct srig_ask ask;
	unsigned get_cnt;

	at_b = (struct srig_provider){.mode = SRIG_ECHO};
	srig_init(&rig, 2, NULL);
	CHECK(srig_publish(&rig, SRIG_B, "echo"));
	CHECK(srig_offer(&rig, &at_b, SRIG_B, "echo"));
	CHECK(call_echo(&ask));
	CHECK_EQ(ask.answer.status, SERVICE_OK);
	srig_ask_fini(&ask);

	service = rig.nodes[SRIG_A].service;
	own = service->params.streams;
	service->params.streams.ops = &fake_ops;
	fake.open_cnt = 0;
	CHECK(call_echo(&ask));
	CHECK_EQ(fake.open_cnt, 1);
	CHECK_EQ(ask.cnt, 0);
	fake.open.events->ended(fake.open.arg, end, rig.net.now_ns);
	srig_run(&rig, PAIR_S);
	CHECK_EQ(ask.cnt, 1);
	CHECK(ask.answer.status != SERVICE_OK);
	srig_ask_fini(&ask);

	service->params.streams = own;
	get_cnt = rig.overlay.get_cnt;
	CHECK(call_echo(&ask));
	CHECK_EQ(ask.cnt, 1);
	CHECK_EQ(ask.answer.status, SERVICE_OK);
	srig_ask_fini(&ask);
	CHECK_EQ(rig.overlay.get_cnt, get_cnt + look_cnt);
	srig_fini(&rig);
}

/*
 * A caller whose provider is gone looks for others; an error of a present provider sends no caller
 * away.
 */
static void test_only_a_provider_that_is_gone_is_looked_for_anew(void)
{
	static const struct {
		int err;
		bool is_loss;
	} rows[] = {
		{WEFT_ETIMEOUT, true},	  {WEFT_EUNREACHABLE, true}, {WEFT_EWRONGKEY, true},
		{WEFT_ECLOSED, true},	  {WEFT_EREFUSED, false},    {WEFT_EBUSY, false},
		{WEFT_ECANCELLED, false}, {WEFT_ETOOLARGE, false},   {WEFT_EMALFORMED, false},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mesh_stream_end end = {.err = rows[i].err};

		check_looks_after(&end, rows[i].is_loss);
	}
}

int main(void)
{
	RUN(test_only_a_provider_that_is_gone_is_looked_for_anew);
	return check_done();
}
