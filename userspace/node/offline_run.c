/* SPDX-License-Identifier: Apache-2.0 */
/* weftd --salvage and --restore: "weft store salvage" and "weft backup restore" run them. */
#include "node/offline_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "node/backup/backup.h"
#include "node/config/config.h"
#include "node/config/options.h"
#include "store/store.h"

static void finding_print(void *arg, const char *finding)
{
	(void)arg;
	fprintf(stderr, "%s\n", finding);
}

static int failed(const char *dir, int err)
{
	const char *advice = err == WEFT_EBUSY	  ? "; stop the weftd that has it open"
			     : err == WEFT_ENEWER ? "; use that version"
						  : "";

	fprintf(stderr, "weftd: %s: %s%s\n", dir, weft_err_text(err), advice);
	return err == WEFT_EDAMAGED || err == WEFT_ENEWER ? OPTIONS_EXIT_STORE : EXIT_FAILURE;
}

int node_offline_salvage(const struct node_config *config)
{
	struct store_salvage_result result;
	int err = store_salvage(config->state_dir, finding_print, NULL, &result);

	if (err < 0)
		return failed(config->state_dir, err);
	printf("%" PRIu64 " rows kept, %" PRIu64 " of them from behind damaged pages\n"
	       "%" PRIu64 " rows and what was on %" PRIu64 " pages left out\n"
	       "the damaged databases are in %s/%s: delete them when nothing is missed\n",
	       result.row_cnt, result.row_found_cnt, result.row_bad_cnt, result.page_bad_cnt,
	       config->state_dir, result.aside);
	if (result.has_lost_blobs)
		printf("start weftd and run weft store check --repair: it indexes what is stored "
		       "again\n");
	return EXIT_SUCCESS;
}

int node_offline_restore(const struct node_config *config, const char *backup, int passphrase_fd)
{
	struct store_restore_result result;
	struct stat st;
	int err;

	if (stat(backup, &st) == 0 && !S_ISDIR(st.st_mode))
		return node_backup_restore(config, backup, passphrase_fd);
	err = store_restore(backup, config->state_dir, "node.key", finding_print, NULL, &result);
	if (err < 0)
		return failed(result.is_of_backup ? backup : config->state_dir, err);
	printf("restored from %s\n", backup);
	if (result.aside[0])
		printf("what was stored is in %s/%s: delete it when nothing is missed\n",
		       config->state_dir, result.aside);
	return EXIT_SUCCESS;
}
