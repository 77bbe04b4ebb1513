/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "tcp/line/tcp_line_text.h"

#define KEY "8jttg97hn61okct5m4yeqjsedb7s8ftq65mgro4gowqf1jp7tfqy"

static const struct {
	const char *text, *printed;
	unsigned cnt;
	uint32_t baud;
	bool has_key;
} good[] = {
	{"", "", 0, 0, false},
	{" , ", "", 0, 0, false},
	{"/dev/ttyS0", "/dev/ttyS0", 1, 0, false},
	{"/dev/ttyS0:9600", "/dev/ttyS0:9600", 1, 9600, false},
	{"/dev/ttyS0@" KEY, "/dev/ttyS0@" KEY, 1, 0, true},
	{"/dev/ttyS0:115200@" KEY, "/dev/ttyS0:115200@" KEY, 1, 115200, true},
	{"/dev/serial/by-path/pci-0:1-usb-0:2:1.0-port0", /* colons of its own */
	 "/dev/serial/by-path/pci-0:1-usb-0:2:1.0-port0", 1, 0, false},
	{"/a, /b /c,/d", "/a, /b, /c, /d", 4, 0, false},
};

static void test_lines_are_read_and_printed(void)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct tcp_config config = {0};
		const char *word;
		char text[512];
		size_t len;

		CHECK_EQ(tcp_line_text_parse(good[i].text, &config, &word, &len), 0);
		CHECK_EQ(config.line_cnt, good[i].cnt);
		CHECK_EQ(config.lines[0].baud, good[i].baud);
		CHECK_EQ(config.lines[0].has_key, good[i].has_key);
		(void)tcp_line_text_format(&config, text, sizeof(text));
		CHECK_EQ(strcmp(text, good[i].printed), 0);
	}
}

static void test_what_is_no_line_is_refused_and_nothing_changes(void)
{
	static const char *const bad[] = {
		"ttyS0",
		"/dev/ttyS0:9601",
		"/dev/ttyS0:",
		"/dev/ttyS0:99999999999",
		"/dev/ttyS0@",
		"/dev/ttyS0@" KEY "y",
		"@" KEY,
		":9600",
		"/dev/a, /dev/a",
		"/dev/a:9600, /dev/a",
		"/dev/ttyS0@8jttg97hn61okct5m4yeqj",
	};
	char long_path[TCP_LINE_PATH_CAP + 1];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct tcp_config config = {.line_cnt = 3};
		const char *word;
		size_t len;

		CHECK_EQ(tcp_line_text_parse(bad[i], &config, &word, &len), WEFT_EMALFORMED);
		CHECK_EQ(config.line_cnt, 3);
	}
	for (size_t path_len = TCP_LINE_PATH_CAP - 1; path_len <= TCP_LINE_PATH_CAP; path_len++) {
		struct tcp_config config = {0};
		const char *word;
		size_t len;

		memset(long_path, 'x', path_len);
		long_path[0] = '/';
		long_path[path_len] = '\0';
		CHECK_EQ(tcp_line_text_parse(long_path, &config, &word, &len),
			 path_len < TCP_LINE_PATH_CAP ? 0 : WEFT_EMALFORMED);
	}
}

static void test_one_line_too_many_is_refused(void)
{
	struct tcp_config config = {0};
	const char *word;
	size_t len;

	CHECK_EQ(tcp_line_text_parse("/a /b /c /d /e", &config, &word, &len), WEFT_ETOOLARGE);
	CHECK_EQ(config.line_cnt, 0);
}

int main(void)
{
	RUN(test_lines_are_read_and_printed);
	RUN(test_what_is_no_line_is_refused_and_nothing_changes);
	RUN(test_one_line_too_many_is_refused);
	return check_done();
}
