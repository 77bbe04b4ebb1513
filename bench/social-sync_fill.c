/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two state directories with the same posts, and folders with the same posts as files: for bench/social-sync.
 *
 *	social-sync_fill DIR POSTS NEW SECRETS
 *
 * Person 0 has DIR/a.state and DIR/a.files, person 1 those of b. POSTS are by the others, two thirds of
 * them public, and the rest for both persons and two more. a has NEW of them that b has not, spread over all
 * of the time. Each has SECRETS more posts that the other one may not have, which are no files. It prints the keys of the
 * authors. All are signed as they should be.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "unit/social/post_rig.h"

#define PATH_CAP      512u
#define SIDE_CNT      2u
#define TEXT_LEN      200u
#define AUTHOR_MIN    2u
#define SECRET_READER 4u       /* of each post that the other side may not have */
#define YEARS_BACK    2000000u /* minutes: behind any clock */

struct side {
	char dir[PATH_CAP], files[PATH_CAP];
	struct social_ground ground;
	struct store *store;
	struct post_store *posts;
};
static struct side sides[SIDE_CNT];
static uint32_t waiting_cnt;

static void die(const char *what)
{
	fprintf(stderr, "bench/social-sync_fill: %s\n", what);
	exit(1);
}

static void on_durable(void *arg, int err)
{
	(void)arg;
	if (err < 0)
		die("a put failed");
	waiting_cnt--;
}

static void turn(void)
{
	rig_now_ns += NS_PER_MS;
	timer_wheel_expire(&rig_timers, rig_now_ns);
	for (unsigned i = 0; i < SIDE_CNT; i++)
		(void)store_reap(sides[i].store);
}

static void side_open(struct side *side, const char *dir, unsigned person)
{
	struct post_store_params params = {.ground = &side->ground, .now_ns = rig_now_ns};
	char path[PATH_CAP + 16];

	snprintf(side->dir, sizeof(side->dir), "%s/%c.state", dir, 'a' + person);
	snprintf(side->files, sizeof(side->files), "%s/%c.files", dir, 'a' + person);
	snprintf(path, sizeof(path), "%s/node.key", side->dir);
	if (mkdir(side->dir, 0700) < 0 || mkdir(side->files, 0700) < 0 ||
	    node_key_save(rig_people[person], path, NULL) < 0)
		die("no folder");
	for (unsigned i = 0; i < 256; i++) {
		snprintf(path, sizeof(path), "%s/%02x", side->files, i);
		if (mkdir(path, 0700) < 0)
			die("no folder of files");
	}
	side->store = scratch_store(side->dir, false);
	side->ground = rig_ground;
	side->ground.store = side->store;
	social_posts_config_defaults(&params.config);
	params.config.post_cap = 1u << 20;
	if (social_posts_open(&params, &side->posts) < 0)
		die("the posts do not open");
}

static void file_write(const struct side *side, const struct rig_post *post)
{
	const struct post_parts *parts = &post->parts;
	char path[2 * PATH_CAP];
	FILE *file;
	int len = snprintf(path, sizeof(path), "%s/%02x/", side->files, post->id[0]);

	for (unsigned i = 1; i < POST_ID_LEN; i++)
		len += snprintf(path + len, sizeof(path) - (size_t)len, "%02x", post->id[i]);
	file = fopen(path, "w");
	if (!file ||
	    fwrite(parts->post, 1, parts->post_len + parts->claim_len + parts->visibility_len,
		   file) == 0 ||
	    fclose(file) != 0)
		die("no file");
}

static void side_put(struct side *side, const struct rig_post *post,
		     const struct judged_post *judged)
{
	const struct post_put put = {
		.parts = post->parts, .judged = judged, .share = POST_WANTED, .done = on_durable};
	int err;

	while ((err = social_posts_put(side->posts, &put, rig_now_ns)) == WEFT_EBUSY)
		turn();
	if (err < 0)
		die("a post is refused");
	waiting_cnt++;
}

/* only: the one side that gets it; SIDE_CNT: both. */
static void post_make(uint64_t number, unsigned only, unsigned readers)
{
	struct rig_post post = {.author =
					AUTHOR_MIN + (unsigned)(number % (RIG_PEOPLE - AUTHOR_MIN)),
				.minute = number - YEARS_BACK,
				.kind = readers ? VISIBILITY_RECIPIENTS : VISIBILITY_PUBLIC,
				.content_len = TEXT_LEN};
	struct judged_post *judged;
	bool is_secret = readers & 1u << SECRET_READER;

	for (unsigned person = 0; person < RIG_PEOPLE; person++)
		if (readers >> person & 1)
			post.readers[post.reader_cnt++] = person;
	rig_make(&post);
	if (social_post_judge(&post.parts, &judged) < 0)
		die("a post is none");
	for (unsigned i = 0; i < SIDE_CNT; i++)
		if (only == SIDE_CNT || only == i) {
			side_put(&sides[i], &post, judged);
			if (!is_secret)
				file_write(&sides[i], &post);
		}
	social_judged_free(judged);
	free(post.bytes);
	if (number % 64 == 0)
		turn();
}

int main(int argc, char **argv)
{
	uint32_t post_cnt, new_cnt, secret_cnt;

	if (argc != 5)
		die("DIR POSTS NEW SECRETS");
	post_cnt = (uint32_t)strtoul(argv[2], NULL, 0);
	new_cnt = (uint32_t)strtoul(argv[3], NULL, 0);
	secret_cnt = (uint32_t)strtoul(argv[4], NULL, 0);
	rig_begin();
	for (unsigned i = 0; i < SIDE_CNT; i++)
		side_open(&sides[i], argv[1], i);
	for (uint32_t i = 0; i < post_cnt; i++) {
		bool is_new = new_cnt && i % (post_cnt / new_cnt) == post_cnt / new_cnt / 2;

		post_make(i, is_new ? 0 : SIDE_CNT, i % 3 ? 0 : 3u | 1u << 2 | 1u << 3);
	}
	for (uint32_t i = 0; i < SIDE_CNT * secret_cnt; i++)
		post_make(i / SIDE_CNT, i % SIDE_CNT, 1u << i % SIDE_CNT | 1u << SECRET_READER);
	while (waiting_cnt)
		turn();
	for (unsigned person = AUTHOR_MIN; person < RIG_PEOPLE; person++) {
		for (unsigned i = 0; i < NODE_KEY_LEN; i++)
			printf("%02x", rig_key(person)[i]);
		printf("\n");
	}
	for (unsigned i = 0; i < SIDE_CNT; i++) {
		social_posts_close(sides[i].posts);
		store_close(sides[i].store);
	}
	rig_end();
	return 0;
}
