/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node is killed by SIGKILL while posts are put, get other readers and are deleted, again and again. It
 * notes in shared memory what it answered for. Behind each kill all of that holds, and each post that
 * is held is whole.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit/social/post_rig.h"

#define LIFE_CNT  12u
#define POST_MAX  20000u
#define AHEAD_MAX 64u /* changes that are not durable yet */

enum step { NONE, PUT_ASKED, PUT_DONE, MORE_ASKED, MORE_DONE };
enum fate { STAYS, GETS_READERS, IS_DELETED, FATE_CNT };

struct kept {
	uint8_t id[POST_ID_LEN];
	enum step step;
};
static struct shared {
	uint32_t cnt;
	struct kept posts[POST_MAX];
} *shared;
static uint32_t ahead_cnt;
static struct rig_post posts[POST_MAX];

static enum fate fate_of(uint32_t number)
{
	return number % FATE_CNT;
}

static void on_more(void *arg, int err)
{
	struct kept *kept = arg;

	ahead_cnt--;
	if (err == 0)
		kept->step = MORE_DONE;
}

static void more(struct kept *kept)
{
	uint32_t number = (uint32_t)(kept - shared->posts);
	struct rig_post *post = &posts[number];
	struct visibility *visibility = malloc(sizeof(*visibility));
	uint8_t bytes[1024];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct post_change_done done = {on_more, kept};
	struct post_deletion deletion;
	int err = 0;

	kept->step = MORE_ASKED;
	ahead_cnt++;
	if (fate_of(number) == GETS_READERS) {
		post->number = 1;
		(void)rig_readers(post, &w);
		if (!visibility || social_visibility_read(bytes, writer_len(&w), visibility) < 0)
			abort();
		err = social_posts_set_visibility(rig_posts,
						  &(struct post_readers){.visibility = visibility,
									 .bytes = bytes,
									 .len = writer_len(&w)},
						  done, rig_now_ns);
	} else {
		social_deletion_write(&w, &(struct post_deletion){.post = post->id, .time_ms = 1},
				      rig_people[1]);
		if (social_deletion_read(bytes, writer_len(&w), &deletion) < 0)
			abort();
		err = social_posts_remove(rig_posts,
					  &(struct post_removal){&deletion, bytes, writer_len(&w)},
					  done, rig_now_ns);
	}
	if (err < 0)
		abort();
	free(visibility);
}

static void on_put(void *arg, int err)
{
	struct kept *kept = arg;

	ahead_cnt--;
	if (err < 0)
		return;
	kept->step = PUT_DONE;
	if (fate_of((uint32_t)(kept - shared->posts)) != STAYS)
		more(kept);
}

static void put_one(void)
{
	uint32_t number = shared->cnt;
	struct kept *kept = &shared->posts[number];
	struct post_put put = {.share = POST_WANTED, .done = on_put, .arg = kept};
	struct judged_post *judged;

	posts[number] = (struct rig_post){.author = 1, .logical = number + 1, .minute = number};
	rig_make(&posts[number]);
	put.parts = posts[number].parts;
	if (social_post_judge(&put.parts, &judged) < 0)
		abort();
	put.judged = judged;
	memcpy(kept->id, posts[number].id, POST_ID_LEN);
	kept->step = PUT_ASKED;
	shared->cnt++;
	ahead_cnt++;
	if (social_posts_put(rig_posts, &put, rig_now_ns) < 0)
		abort();
	social_judged_free(judged);
	free(posts[number].bytes);
}

static void live(void)
{
	rig_up();
	for (;; rig_now_ns += NS_PER_MS) {
		const struct timespec pause = {.tv_nsec = 100000};

		timer_wheel_expire(&rig_timers, rig_now_ns);
		(void)store_reap(rig_store);
		if (ahead_cnt < AHEAD_MAX && shared->cnt < POST_MAX)
			put_one();
		else
			(void)nanosleep(&pause, NULL);
	}
}

/* The number of the readers of a whole post, or -1: it is not whole. */
static int64_t readers_number(const uint8_t *id)
{
	struct judged_post *judged;
	struct post_copy *copy;
	int64_t number = -1;

	if (social_posts_read(rig_posts, id, &copy) < 0)
		return -1;
	if (social_post_judge(&copy->parts, &judged) == 0) {
		number = memcmp(judged->id, id, POST_ID_LEN) == 0
				 ? (int64_t)judged->visibility.number
				 : -1;
		social_judged_free(judged);
	}
	social_post_copy_free(copy);
	return number;
}

static bool holds(uint32_t number)
{
	const struct kept *kept = &shared->posts[number];
	enum post_known known = social_posts_known(rig_posts, kept->id);
	int64_t readers = known == POST_HELD ? readers_number(kept->id) : 0;
	bool is_deleted = fate_of(number) == IS_DELETED;

	if (readers < 0)
		return false;
	switch (kept->step) {
	case PUT_ASKED:
		return known != POST_GONE && readers == 0;
	case PUT_DONE:
		return known == POST_HELD && readers == 0;
	case MORE_ASKED:
		return known == POST_HELD || (is_deleted && known == POST_GONE);
	case MORE_DONE:
		return is_deleted ? known == POST_GONE : known == POST_HELD && readers == 1;
	default:
		return false;
	}
}

static void check_life(void)
{
	uint32_t steps[MORE_DONE + 1] = {0}, held_cnt = 0;

	for (uint32_t i = 0; i < shared->cnt; i++) {
		CHECK(holds(i));
		steps[shared->posts[i].step]++;
		held_cnt += social_posts_known(rig_posts, shared->posts[i].id) == POST_HELD;
	}
	CHECK_EQ(social_posts_index(rig_posts)->row_cnt, held_cnt);
	printf("# put %u, not answered %u, of two changes %u not answered\n", shared->cnt,
	       steps[PUT_ASKED], steps[MORE_ASKED]);
}

static void test_what_was_answered_for_outlives_each_kill(void)
{
	rig_begin();
	rig_down();
	for (unsigned i = 0; i < LIFE_CNT; i++) {
		const struct timespec life = {.tv_nsec = (long)(20 + random_below(&rig_dice, 200)) *
							 1000000};
		pid_t child;

		rig_has_thread = true;
		child = fork();
		if (child == 0)
			live();
		(void)nanosleep(&life, NULL);
		CHECK_EQ(kill(child, SIGKILL), 0);
		CHECK_EQ(waitpid(child, NULL, 0), child);
		rig_has_thread = false;
		rig_up();
		check_life();
		CHECK(!check_failed);
		if (i + 1 < LIFE_CNT)
			rig_down();
	}
	CHECK(shared->cnt > LIFE_CNT);
	rig_end();
}

int main(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	RUN(test_what_was_answered_for_outlives_each_kill);
	return check_done();
}
