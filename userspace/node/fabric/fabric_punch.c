/* SPDX-License-Identifier: Apache-2.0 */
/* Hole punching as the built-in service hole-punch is handed it. Home worker. */
#include "mesh/mesh.h"
#include "node/fabric/fabric_state.h"
#include "node/node_state.h"
#include "punch/punch.h"

_Static_assert(BUILTIN_PUNCH_NAMED_MAX == PUNCH_NAMED_MAX, "all named addresses have room");

static int on_may(void *ctx, const uint8_t key[32])
{
	const struct node *node = ((struct fabric *)ctx)->node;

	return node->punch ? punch_may_ask(node->punch, key) : WEFT_EABSENT;
}

static int on_request(void *ctx, const uint8_t key[32], const struct addr *named, unsigned cnt,
		      uint64_t now_ns)
{
	const struct node *node = ((struct fabric *)ctx)->node;

	return node->punch ? punch_ask(node->punch, key, named, cnt, now_ns) : WEFT_EABSENT;
}

static enum builtin_punch_state state_of(const struct punch_view *view)
{
	if (view->is_under_way)
		return BUILTIN_PUNCH_UNDER_WAY;
	switch (view->outcome) {
	case PUNCH_MOVED:
		return BUILTIN_PUNCH_FOUND;
	case PUNCH_SILENT:
		return BUILTIN_PUNCH_SILENT;
	case PUNCH_NO_CANDIDATE:
		return BUILTIN_PUNCH_NO_ADDRESS;
	case PUNCH_NEVER:
	case PUNCH_UNANSWERED:
		break;
	}
	return BUILTIN_PUNCH_UNANSWERED;
}

/* The round's row may be another's by now: where its session leads is shown all the same. */
static void on_show(void *ctx, const uint8_t key[32], struct builtin_punch_view *out_view)
{
	const struct node *node = ((struct fabric *)ctx)->node;
	struct punch_tried tried;
	struct punch_view view;
	struct mesh_path path;

	*out_view = (struct builtin_punch_view){.state = BUILTIN_PUNCH_UNANSWERED};
	if (mesh_neighbour_ops.path(node->home->mesh, key, &path) &&
	    path.remote.transport == ADDR_UDP) {
		out_view->is_direct = true;
		addr_format(&path.remote, out_view->address);
	}
	if (!node->punch || !punch_show(node->punch, key, &view))
		return;
	out_view->state = state_of(&view);
	for (unsigned i = 0; punch_tried(node->punch, key, i, &tried); i++) {
		out_view->probed_cnt += tried.is_probed;
		out_view->answered_cnt += tried.is_answered;
	}
}

static void on_cancel(void *ctx, const uint8_t key[32])
{
	const struct node *node = ((struct fabric *)ctx)->node;

	if (node->punch)
		(void)punch_cancel(node->punch, key);
}

struct builtin_punch node_fabric_builtin_punch(struct fabric *fabric)
{
	return (struct builtin_punch){on_may, on_request, on_show, on_cancel, fabric};
}
