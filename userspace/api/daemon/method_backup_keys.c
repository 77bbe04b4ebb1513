/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BackupKeys: a file with what makes this node the one it is (backup_file.h), made in a job,
 * which ends when its caller leaves. Home worker.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "blobs/blobs.h"
#include "shares/publish/publish.h"
#include "crypto/sealed_file.h"
#include "api/daemon/backup_file.h"
#include "api/methods.h"
#include "varlink/node.h"
#include "weft/version.h"

struct keys_backup {
	struct job job;
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	bool is_unwanted;	   /* atomic: the caller left */
	char path[CONFIG_PATH_CAP];
	char passphrase[SEALED_PASSPHRASE_CAP];
	json_t *head;
	char *settings;
	struct backup_result result;
	int err;
};

/* --- what is written beside the rows --- */

/* The head, as it is made. */
struct head {
	struct varlink_blocks blocks;
	struct api_backup_head out;
};

static void address_add(struct head *head, const struct addr *addr)
{
	if (!addr_is_wildcard(addr))
		varlink_push(&head->blocks, &head->out.addresses, api_addr(&head->blocks, addr));
}

static void addresses_add(struct head *head, const struct api *api)
{
	struct addr advertised[MESH_PEER_ADDRS_MAX];
	unsigned advertised_cnt = api->own_addrs(api->ctx, advertised);

	for (unsigned i = 0; i < advertised_cnt; i++)
		address_add(head, &advertised[i]);
	for (unsigned i = 0; i < api->home->bound_cnt; i++)
		address_add(head, &api->home->bound[i]);
}

static void published_add(struct head *head, const struct publisher *publisher)
{
	const struct published *share = NULL;

	while ((share = shares_publisher_next(publisher, share)))
		varlink_push(&head->blocks, &head->out.published,
			     {.name = varlink_text(&head->blocks, share->settings->name),
			      .path = varlink_text(&head->blocks, share->settings->path)});
}

static void shares_add(struct head *head, struct blobs *content)
{
	struct blobs_share_iter iter = {.content = content};
	struct blobs_share share;

	while (blobs_shares_next(&iter, &share))
		if (!share.is_published)
			varlink_push(&head->blocks, &head->out.shares,
				     varlink_text(&head->blocks, share.path));
}

static json_t *head_json(const struct api *api)
{
	struct head head = {.out = {.form = BACKUP_FORM,
				    .weft = WEFT_VERSION,
				    .schema = STORE_SCHEMA_VERSION,
				    .made_s = api_uint(api->wall_us(api->ctx) / 1000000),
				    .control = api->config->control_path}};
	char machine[256] = "";
	json_t *json;

	(void)gethostname(machine, sizeof(machine) - 1);
	head.out.machine = machine;
	head.out.node_id = api_id(&head.blocks, api->own_key);
	addresses_add(&head, api);
	if (api->follows)
		published_add(&head, api->publisher);
	if (api->home->content)
		shares_add(&head, api->home->content);
	json = api_backup_head_write(&head.out);
	varlink_blocks_free(&head.blocks);
	return json;
}

/* What differs from the defaults. NULL: no memory. */
static char *settings_text(const struct node_config *config)
{
	struct config_iter iter = {.config = config};
	struct config_setting setting;
	const char *section = "";
	char *text = NULL;
	FILE *out;
	size_t len;

	out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	while (config_next(&iter, &setting)) {
		if (strcmp(setting.source, "default") == 0)
			continue;
		if (strcmp(section, setting.section) != 0)
			fprintf(out, "[%s]\n", setting.section);
		section = setting.section;
		fprintf(out, "# from %s\n%s = %s\n", setting.source, setting.key, setting.value);
	}
	return fclose(out) == 0 ? text : NULL;
}

/* --- the job --- */

static bool keys_is_due(void *arg, size_t read_len)
{
	struct keys_backup *backup = arg;

	(void)read_len;
	return __atomic_load_n(&backup->is_unwanted, __ATOMIC_RELAXED);
}

static void keys_run(struct job *job)
{
	struct keys_backup *backup = (struct keys_backup *)job;
	const struct backup_ask ask = {
		.store = backup->api->store,
		.key = backup->api->key,
		.path = backup->path,
		.passphrase = backup->passphrase,
		.head = backup->head,
		.settings = backup->settings,
		.stop = {keys_is_due, backup},
	};

	backup->err = api_backup_write(&ask, &backup->result);
	explicit_bzero(backup->passphrase, sizeof(backup->passphrase));
}

static const char *advice_of(int err)
{
	switch (err) {
	case -EEXIST:
		return "a backup overwrites no file: name one that is not there yet";
	case -ENOMEM:
		return "sealing takes 256 MiB of memory for a second: allow them (MemoryMax, "
		       "ulimit -v)";
	case WEFT_EDAMAGED:
		return "weft store check says where the damage is";
	default:
		return "name a file where the daemon may write; under systemd that is its state "
		       "folder";
	}
}

static void keys_free(struct keys_backup *backup)
{
	if (!backup)
		return;
	explicit_bzero(backup->passphrase, sizeof(backup->passphrase));
	json_decref(backup->head);
	free(backup->settings);
	free(backup);
}

static void keys_done(struct job *job)
{
	struct keys_backup *backup = (struct keys_backup *)job;
	struct control_call *call = backup->call;

	if (call && backup->err < 0)
		control_fail(call, backup->err, backup->path, weft_err_text(backup->err),
			     advice_of(backup->err));
	else if (call)
		api_reply(call, backup_keys, .rows = api_uint(backup->result.row_cnt),
			  .bytes = api_uint(backup->result.byte_cnt));
	backup->api->is_checking = false;
	keys_free(backup);
}

static void keys_caller_left(void *arg)
{
	struct keys_backup *backup = arg;

	backup->call = NULL;
	__atomic_store_n(&backup->is_unwanted, true, __ATOMIC_RELAXED);
}

/* NULL: no memory. */
static struct keys_backup *keys_new(struct api *api, const char *path, const char *passphrase)
{
	struct keys_backup *backup = calloc(1, sizeof(*backup));

	if (!backup)
		return NULL;
	backup->job = (struct job){.run = keys_run, .done = keys_done};
	backup->api = api;
	snprintf(backup->path, sizeof(backup->path), "%s", path);
	snprintf(backup->passphrase, sizeof(backup->passphrase), "%s", passphrase);
	backup->head = head_json(api);
	backup->settings = settings_text(api->config);
	if (backup->head && backup->settings)
		return backup;
	keys_free(backup);
	return NULL;
}

void api_backup_keys(struct api *api, struct control_call *call,
		     const struct api_backup_keys_in *in, uint64_t now_ns)
{
	size_t len = strlen(in->passphrase);
	struct keys_backup *backup;
	int err;

	(void)now_ns;
	if (in->path[0] != '/' || strlen(in->path) >= CONFIG_PATH_CAP) {
		control_fail(call, WEFT_EMALFORMED, "path", "not an absolute path",
			     "name the file from / on");
		return;
	}
	if (len < SEALED_PASSPHRASE_LEN_MIN || len >= SEALED_PASSPHRASE_CAP) {
		control_fail(call, WEFT_EMALFORMED, "passphrase",
			     "not of 8 to 1023 bytes; it alone keeps every key of this node",
			     "take several words");
		return;
	}
	if (api->is_checking) {
		control_fail(call, WEFT_EBUSY, "store", weft_err_text(WEFT_EBUSY),
			     "a check or a backup is under way: wait for it");
		return;
	}
	backup = keys_new(api, in->path, in->passphrase);
	err = backup ? jobs_submit(api->home->jobs, &backup->job) : -ENOMEM;
	if (err < 0) {
		control_fail(call, err, "backup", weft_err_text(err), "try again in a moment");
		keys_free(backup);
		return;
	}
	backup->call = call;
	api->is_checking = true;
	control_on_gone(call, keys_caller_left, backup);
}
