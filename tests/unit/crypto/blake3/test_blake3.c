/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/blake3/blake3.h"

#include <unistd.h>

#include "base/random.h"
#include "support/check.h"
#include "support/hex_digits.h"

#define VECTORS		"tests/vectors/blake3.txt"
#define VECTOR_LEN	131
#define VECTOR_KEY	"whats the Elvish word for friend"
#define VECTOR_CONTEXT	"BLAKE3 2019-12-27 16:29:52 test vectors context"
#define INPUT_LEN	(5u << 20)
#define RANDOM_CASE_CNT 24

static const char *const backends[] = {"portable", "sse41", "avx2", "avx512"};
static uint8_t input[INPUT_LEN];

static void fill_pattern(void)
{
	for (size_t i = 0; i < INPUT_LEN; i++)
		input[i] = (uint8_t)(i % 251);
}

struct vector {
	size_t len;
	uint8_t hash[VECTOR_LEN], keyed[VECTOR_LEN], derived[VECTOR_LEN];
};

static bool vector_parse(const char *line, struct vector *out_vector)
{
	char hash[2 * VECTOR_LEN + 1], keyed[2 * VECTOR_LEN + 1], derived[2 * VECTOR_LEN + 1];

	return sscanf(line, "%zu %262s %262s %262s", &out_vector->len, hash, keyed, derived) == 4 &&
	       hex_parse(hash, out_vector->hash) == VECTOR_LEN &&
	       hex_parse(keyed, out_vector->keyed) == VECTOR_LEN &&
	       hex_parse(derived, out_vector->derived) == VECTOR_LEN;
}

static void check_vector(const struct vector *v)
{
	uint8_t out[VECTOR_LEN];
	struct blake3 hash;

	blake3_hash(input, v->len, out);
	CHECK_MEM(out, v->hash, BLAKE3_HASH_LEN);
	blake3_init(&hash);
	blake3_update(&hash, input, v->len);
	blake3_final(&hash, out, VECTOR_LEN);
	CHECK_MEM(out, v->hash, VECTOR_LEN);
	blake3_init_keyed(&hash, (const uint8_t *)VECTOR_KEY);
	blake3_update(&hash, input, v->len);
	blake3_final(&hash, out, VECTOR_LEN);
	CHECK_MEM(out, v->keyed, VECTOR_LEN);
	blake3_keyed((const uint8_t *)VECTOR_KEY, input, v->len, out);
	CHECK_MEM(out, v->keyed, BLAKE3_HASH_LEN);
	blake3_derive_key(VECTOR_CONTEXT, input, v->len, out, VECTOR_LEN);
	CHECK_MEM(out, v->derived, VECTOR_LEN);
}

static void check_all_vectors(void)
{
	FILE *file = fopen(VECTORS, "r");
	char line[1024];
	unsigned cnt = 0;
	struct vector v;

	CHECK(file);
	while (fgets(line, sizeof(line), file)) {
		if (line[0] == '#')
			continue;
		CHECK(vector_parse(line, &v));
		check_vector(&v);
		if (check_failed) {
			printf("# %s, length %zu\n", blake3_backend_name(), v.len);
			return;
		}
		cnt++;
	}
	fclose(file);
	CHECK_EQ(cnt, 35);
}

/* Runs claim under every back end this machine has. */
static void each_backend(void (*claim)(void))
{
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]) && !check_failed; i++) {
		if (blake3_backend_force(backends[i]) < 0) {
			printf("# no %s here\n", backends[i]);
			continue;
		}
		CHECK_STR(blake3_backend_name(), backends[i]);
		claim();
		if (check_failed)
			printf("# with %s\n", backends[i]);
	}
}

static void test_official_vectors_hold_in_all_modes(void)
{
	fill_pattern();
	each_backend(check_all_vectors);
}

static size_t random_len(struct random *random)
{
	return (size_t)random_below(random, 1ull << random_below(random, 23)) % (INPUT_LEN + 1);
}

/* The hash of len bytes as the b3sum program prints it. */
static bool b3sum(const char *path, char out_hex[static 65])
{
	char command[256];
	FILE *pipe;
	bool ok;

	snprintf(command, sizeof(command), "b3sum --no-names %s", path);
	pipe = popen(command, "r");
	if (!pipe)
		return false;
	ok = fscanf(pipe, "%64s", out_hex) == 1;
	return pclose(pipe) == 0 && ok;
}

static void check_against_b3sum(const char *path, size_t len)
{
	char want[65];
	uint8_t want_hash[BLAKE3_HASH_LEN], got[BLAKE3_HASH_LEN];
	FILE *file = fopen(path, "w");

	CHECK(file);
	CHECK_EQ(fwrite(input, 1, len, file), len);
	CHECK_EQ(fclose(file), 0);
	CHECK(b3sum(path, want));
	CHECK_EQ(hex_parse(want, want_hash), sizeof(want_hash));
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
		if (blake3_backend_force(backends[i]) < 0)
			continue;
		blake3_hash(input, len, got);
		CHECK_MEM(got, want_hash, sizeof(got));
	}
}

static void test_random_lengths_equal_b3sum(void)
{
	char path[] = "/tmp/weft-blake3-XXXXXX";
	struct random random;
	int fd;

	if (system("command -v b3sum >/dev/null") != 0) {
		printf("# no b3sum here: not compared\n");
		return;
	}
	fd = mkstemp(path);
	CHECK(fd >= 0);
	close(fd);
	random_init_seeded(&random, 2026);
	random_fill(&random, input, INPUT_LEN);
	for (int i = 0; i < RANDOM_CASE_CNT && !check_failed; i++) {
		size_t len = random_len(&random);

		check_against_b3sum(path, len);
		if (check_failed)
			printf("# length %zu\n", len);
	}
	unlink(path);
}

static void check_steps(void)
{
	struct random random;

	random_init_seeded(&random, 7);
	for (int i = 0; i < 40; i++) {
		size_t len = random_len(&random), at = 0;
		uint8_t whole[BLAKE3_HASH_LEN], got[BLAKE3_HASH_LEN], middle[BLAKE3_HASH_LEN];
		struct blake3 hash;

		blake3_hash(input, len, whole);
		blake3_init(&hash);
		while (at < len) {
			size_t step = random_len(&random) % (len - at) + 1;

			blake3_update(&hash, input + at, step);
			at += step;
		}
		blake3_final(&hash, got, sizeof(got));
		CHECK_MEM(got, whole, sizeof(got));
		/* The hasher goes on after a result was taken. */
		blake3_final(&hash, middle, sizeof(middle));
		blake3_update(&hash, input, 1);
		blake3_final(&hash, got, sizeof(got));
		CHECK(memcmp(got, middle, sizeof(got)) != 0);
	}
}

static void test_steps_of_any_size_give_the_same_hash(void)
{
	each_backend(check_steps);
}

static void test_forcing_an_unknown_backend_is_refused(void)
{
	CHECK_EQ(blake3_backend_force("abacus"), WEFT_EABSENT);
}

int main(void)
{
	RUN(test_official_vectors_hold_in_all_modes);
	RUN(test_random_lengths_equal_b3sum);
	RUN(test_steps_of_any_size_give_the_same_hash);
	RUN(test_forcing_an_unknown_backend_is_refused);
	return check_done();
}
