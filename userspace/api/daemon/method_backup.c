/* SPDX-License-Identifier: Apache-2.0 */
/* BackupStore: a copy of the state folder, made in a job while the node goes on. Home worker. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread/jobs.h"
#include "config/config.h"
#include "api/methods.h"
#include "store/store.h"

struct backup {
	struct job job;
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	char path[CONFIG_PATH_CAP];
	int err;
};

static void backup_run(struct job *job)
{
	struct backup *backup = (struct backup *)job;

	backup->err = store_backup(backup->api->store, backup->path, "node.key");
}

static const char *advice_of(int err)
{
	switch (err) {
	case -EEXIST:
		return "name a folder that is not there yet";
	case WEFT_EDAMAGED:
		return "weft store check says where the damage is";
	default:
		return "name a place where the daemon may write, with room for all that is stored";
	}
}

static void backup_done(struct job *job)
{
	struct backup *backup = (struct backup *)job;

	if (backup->call && backup->err < 0)
		control_fail(backup->call, backup->err, backup->path, weft_err_text(backup->err),
			     advice_of(backup->err));
	else if (backup->call)
		api_reply(backup->call, backup_store);
	backup->api->is_checking = false;
	free(backup);
}

void api_backup_store(struct api *api, struct control_call *call,
		      const struct api_backup_store_in *in, uint64_t now_ns)
{
	struct backup *backup;
	int err = api->is_checking ? WEFT_EBUSY : 0;

	(void)now_ns;
	if (in->path[0] != '/' || strlen(in->path) >= CONFIG_PATH_CAP) {
		control_fail(call, WEFT_EMALFORMED, "path", "not an absolute path",
			     "name the folder from / on");
		return;
	}
	backup = err < 0 ? NULL : calloc(1, sizeof(*backup));
	if (backup) {
		backup->job = (struct job){.run = backup_run, .done = backup_done};
		backup->api = api;
		memcpy(backup->path, in->path, strlen(in->path));
		err = jobs_submit(api->home->jobs, &backup->job);
	} else if (err == 0) {
		err = -ENOMEM;
	}
	if (err < 0) {
		control_fail(call, err, "store", weft_err_text(err),
			     "a check or a backup is under way: wait for it");
		free(backup);
		return;
	}
	api->is_checking = true;
	control_hold(call, &backup->call);
}
