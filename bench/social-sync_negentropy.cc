/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The comparison of 100,000 ids of which one side has 10 more, by negentropy: the C++ code that strfry has.
 * bench/social-sync.py makes it where NEGENTROPY is the folder cpp of github.com/hoytech/negentropy.
 *
 *	social-sync_negentropy POSTS NEW
 *
 * It prints, for each of its storages, bytes of the messages and milliseconds of the core, of both sides
 * together. Sessions, filters, and the posts themselves are no part of it.
 */
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>

#include "negentropy.h"
#include "negentropy/storage/BTreeMem.h"
#include "negentropy/storage/Vector.h"

static double core_ms()
{
	timespec at;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
	return (double)at.tv_sec * 1e3 + (double)at.tv_nsec / 1e6;
}

template <typename Storage>
static void run(const char *name, unsigned post_cnt, unsigned new_cnt)
{
	std::mt19937_64 dice(18);
	Storage has, lacks;

	for (unsigned i = 0; i < post_cnt; i++) {
		std::string id(32, '\0');

		for (unsigned at = 0; at < 32; at += 8) {
			uint64_t word = dice();
			memcpy(&id[at], &word, 8);
		}
		has.insert(1700000000 + i * 60, id);
		if (i % (post_cnt / new_cnt) != post_cnt / new_cnt / 2)
			lacks.insert(1700000000 + i * 60, id);
	}
	has.seal();
	lacks.seal();

	double since_ms = core_ms();
	negentropy::Negentropy<Storage> asker(lacks), answerer(has);
	std::vector<std::string> have, need;
	std::string message = asker.initiate();
	size_t sent = message.size(), received = 0;
	unsigned trips = 0;

	for (;;) {
		std::string answer = answerer.reconcile(message);

		trips++;
		received += answer.size();
		auto next = asker.reconcile(answer, have, need);
		if (!next)
			break;
		message = *next;
		sent += message.size();
	}
	printf("%s %zu %zu %.3f %u %zu\n", name, sent, received, core_ms() - since_ms, trips,
	       need.size());
}

int main(int argc, char **argv)
{
	unsigned post_cnt = argc > 1 ? (unsigned)strtoul(argv[1], nullptr, 0) : 100000;
	unsigned new_cnt = argc > 2 ? (unsigned)strtoul(argv[2], nullptr, 0) : 10;

	run<negentropy::storage::Vector>("vector", post_cnt, new_cnt);
	run<negentropy::storage::BTreeMem>("btree", post_cnt, new_cnt);
	return 0;
}
