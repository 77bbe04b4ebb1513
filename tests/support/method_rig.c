/* SPDX-License-Identifier: Apache-2.0 */
#include "support/method_rig.h"

#include <string.h>

#include "firewall/ingress.h"
#include "node/fabric/fabric.h"
#include "node/node_state.h"
#include "node/sharing/sharing.h"
#include "quic/quic.h"
#include "support/sim_local.h"
#include "support/json_path.h"

static void bail(const char *what)
{
	printf("# method_rig: %s\n", what);
	exit(1);
}

void method_rig_init(struct method_rig *rig, uint64_t seed)
{
	const struct mem_link link = {.delay_ns = 5 * NS_PER_MS};

	memset(rig, 0, sizeof(*rig));
	rig->role = CONTROL_ADMIN;
	sim_init(&rig->sim, seed, &link);
}

/* As of an empty weft.conf, so that a reload reads it again; the simulator's tables stay small. */
static void configure(struct method_rig *rig)
{
	struct config_ask ask = {.file = sim_path(&rig->sim, "weft.conf")};
	struct node_config *config = &rig->node->config;
	char message[CONFIG_MESSAGE_CAP];

	scratch_write(ask.file, "", 0);
	if (config_load(&ask, &rig->config, message) < 0)
		bail(message);
	config->worker_cnt = 1;
	config->fastpath = rig->config->fastpath;
	config->fabric = rig->config->fabric;
	config->sharing = rig->config->sharing;
	config->origin = rig->config->origin;
}

struct sim_node *method_rig_add(struct method_rig *rig)
{
	struct sim_node *node = sim_add(&rig->sim);

	if (!rig->node) {
		rig->node = node;
		sim_has_locals(node, "");
		configure(rig);
	}
	return node;
}

/* The parts that a simulated node does without, but methods show and change. */
static void parts_open(struct node *node)
{
	const struct ingress_params ingress = {.secret = {1, 2}, .session_cap = 64};
	struct firewall_params firewall;

	if (firewall_ingress_new(&ingress, &node->home->ingress) < 0)
		bail("no gate");
	firewall_ingress_set_cid_keys(node->home->ingress, quic_engine_cid_keys(node->home->quic));
	firewall = node_firewall_params(node);
	if (firewall_open(node->firewall, &firewall) < 0 || node_open_fastpath(node) < 0 ||
	    firewall_record_open(&node->firewall->record, &node->firewall->params) < 0)
		bail("no bans, no fast path, or no record of the last day");
}

void method_rig_start(struct method_rig *rig)
{
	for (unsigned i = 0; i < rig->sim.node_cnt; i++)
		if (!rig->sim.nodes[i].node)
			sim_start(&rig->sim.nodes[i]);
	parts_open(rig->node->node);
}

void method_rig_fini(struct method_rig *rig)
{
	json_decref(rig->answer);
	sim_fini(&rig->sim);
	config_free(rig->config);
}

static void on_answer(void *arg, const char *error, const json_t *parameters)
{
	struct method_rig *rig = arg;
	const char *last = error ? strrchr(error, '.') : NULL;

	snprintf(rig->error, sizeof(rig->error), "%s", last ? last + 1 : "");
	rig->answer = json_deep_copy(parameters);
	rig->code = (int)json_integer_value(json_object_get(rig->answer, "code"));
	rig->is_answered = true;
}

static bool is_answered(void *arg)
{
	return ((struct method_rig *)arg)->is_answered;
}

/* ' is ": a row is read more easily so. */
static json_t *parameters_of(const char *text)
{
	char *quoted = strdup(text ? text : "{}");
	json_t *json;

	for (char *c = quoted; c && *c; c++)
		if (*c == '\'')
			*c = '"';
	json = quoted ? json_loads(quoted, 0, NULL) : NULL;
	free(quoted);
	if (!json)
		bail(text);
	return json;
}

const char *method_ask(struct method_rig *rig, const char *method, const char *parameters)
{
	struct control_ask ask = {.role = rig->role,
				  .method = method,
				  .parameters = parameters_of(parameters),
				  .answered = on_answer,
				  .arg = rig};
	struct control_call *call;

	json_decref(rig->answer);
	rig->answer = NULL;
	rig->is_answered = false;
	/* As in a turn, which calls come in. */
	rig->node->node->home->now_ns = rig->sim.now_ns;
	if (control_ask(rig->node->node->api->control, &ask, rig->sim.now_ns, &call) < 0)
		bail("too many calls");
	json_decref(ask.parameters);
	sim_wake(rig->node);
	if (sim_run(&rig->sim, 60 * NS_PER_S, is_answered, rig))
		return rig->error;
	control_ask_leave(call);
	return "no answer";
}

const json_t *method_at(const struct method_rig *rig, const char *path)
{
	return json_path_at(rig->answer, path);
}

const char *method_text(const struct method_rig *rig, const char *path)
{
	return json_path_text(rig->answer, path);
}

long long method_number(const struct method_rig *rig, const char *path)
{
	return json_path_number(rig->answer, path);
}

size_t method_cnt(const struct method_rig *rig, const char *path)
{
	return json_array_size(method_at(rig, path));
}

void method_print(const struct method_rig *rig)
{
	char *text = rig->answer ? json_dumps(rig->answer, JSON_COMPACT) : NULL;

	printf("# %s %s\n", rig->error, text ? text : "no answer");
	free(text);
}

bool method_rows(struct method_rig *rig, const struct method_row *rows, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++) {
		const struct method_row *row = &rows[i];
		const char *error = method_ask(rig, row->method, row->parameters);
		bool is_right = strcmp(error, row->error ? row->error : "") == 0;

		if (is_right && row->path && row->text)
			is_right = strcmp(method_text(rig, row->path), row->text) == 0;
		else if (is_right && row->path)
			is_right = method_number(rig, row->path) == row->number;
		if (!is_right) {
			printf("# row %zu, %s(%s): want %s %s = %s %lld, got %s\n", i, row->method,
			       row->parameters ? row->parameters : "", row->error ? row->error : "",
			       row->path ? row->path : "", row->text ? row->text : "", row->number,
			       error);
			method_print(rig);
			return false;
		}
	}
	return true;
}
