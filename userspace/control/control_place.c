/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose connection the control socket keeps when more come than it has
 * places: fair shares (base/fair/fair.h) of role > user > program. A connection
 * rests while a call runs or it watches; an idle one is what a program of
 * another user, or of a higher role, takes. Root and the daemon's own user
 * have ADMIN_PLACES in any case. Home worker.
 */
#include "control/control_place.h"

#include <sys/socket.h>

#include "base/arena.h"
#include "base/container_of.h"
#include "base/fair/load.h"
#include "base/random.h"
#include "control/control_server.h"

#define PLACE_LEVELS 2 /* user, program */
#define ADMIN_PLACES 4

/* Of a class below its floor others give way: a quarter each, and what admin needs. */
static const enum fair_class class_of_role[] = {
	[CONTROL_VIEW] = FAIR_UNKNOWN,
	[CONTROL_OPERATE] = FAIR_KNOWN,
	[CONTROL_ADMIN] = FAIR_CHOSEN,
};

static struct fair_config fair_config_of(uint32_t client_cap)
{
	return (struct fair_config){
		.name = "control.client_cap",
		.kind = FAIR_WORK,
		.cap_cnt = client_cap,
		.level_cnt = PLACE_LEVELS,
	};
}

size_t control_place_footprint(uint32_t client_cap)
{
	const struct fair_config config = fair_config_of(client_cap);

	return fair_footprint(&config);
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

int control_place_init(struct places *places, struct arena *arena, uint32_t client_cap)
{
	const struct fair_config config = fair_config_of(client_cap);
	struct random random;
	int err;

	random_init_system(&random);
	random_fill(&random, places->paths.secret, sizeof(places->paths.secret));
	err = fair_init(&places->fair, arena, &config, places->paths.secret);
	if (err == 0)
		err = fair_reserve(&places->fair, FAIR_CHOSEN,
				   min_u32(ADMIN_PLACES, client_cap / 2));
	if (err == 0)
		err = fair_reserve(&places->fair, FAIR_KNOWN, client_cap / 4);
	return err < 0 ? err : fair_reserve(&places->fair, FAIR_UNKNOWN, client_cap / 4);
}

/* A place is lost to others while its connection is idle: it is told so, and may come again. */
static void client_evict(struct control_client *client)
{
	const char *error;
	json_t *parameters = control_error_parameters(
		WEFT_EFULL, "control socket",
		"all places are taken, and this connection, of those who hold most "
		"of them, was idle longest",
		"connect again, or raise client_cap in section [control]", &error);
	size_t len;
	char *text = control_message_new(error, parameters, false, NULL, &len);

	if (text && control_client_backlog_len(client) == 0)
		(void)send(client->watch.fd, text, len + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	free(text);
	control_client_close(client);
}

int control_place_take(struct places *places, struct control_client *client,
		       const struct place_peer *peer, uint32_t *out_wait_ms)
{
	const uint64_t now_ns = client->control->now_ns;
	struct fair_path path;
	struct fair_item *victim;

	fair_path_start(class_of_role[peer->role], &path);
	fair_path_add(&places->paths, &path, &peer->uid, sizeof(peer->uid));
	fair_path_add(&places->paths, &path, &peer->pid, sizeof(peer->pid));
	switch (fair_take(&places->fair, &path, &client->place, now_ns, &victim)) {
	case FAIR_TAKEN_FROM:
		client_evict(container_of(victim, struct control_client, place));
		return 0;
	case FAIR_BUSY:
		*out_wait_ms = fair_not_before_ms(&places->fair, &path, now_ns);
		load_refuse(client->control->load, &(struct load_who){.uid = peer->uid},
			    places->fair.config.name, *out_wait_ms, now_ns);
		return WEFT_EFULL;
	default:
		return 0;
	}
}
