/*
 * config: a file, and in front of it, closed by a NUL byte, options, one a line. Whatever it is,
 * it is a config or a one-line complaint; CRLF line ends change nothing; and what a config
 * prints is as long as its keys.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "ops/config.h"

#define OPTIONS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t cut_options(struct slice lines, char **options)
{
	struct slice line;
	size_t count = 0;
	while (count < OPTIONS_MAX && slice_cut(&lines, '\n', &line)) {
		options[count] = config_copy(line);
		CHECK(options[count] != NULL);
		count++;
	}
	return count;
}

/* Leaves in `out` what is printed, or the complaint. */
static int read_config(struct slice text, const struct config_sources *sources, struct buf *out)
{
	struct config config;
	int result = config_parse_text(&config, text, sources, out);
	CHECK((result < 0) == (out->len > 0));
	if (result < 0) {
		CHECK(memchr(out->at, '\n', out->len) == NULL);
		return result;
	}
	CHECK(config.rules.count > 0);
	CHECK(strcmp(config.rules.list[config.rules.count - 1].pattern, "*") == 0);
	config_print(&config, out);

	size_t lines = 0;
	for (size_t i = 0; i < out->len; i++)
		lines += out->at[i] == '\n';
	CHECK(lines == CONFIG_KEY_COUNT + (config.rules.count - 1) * CONFIG_RULE_KEY_COUNT);
	config_free(&config);
	return result;
}

static void check_crlf(struct slice text, const struct config_sources *sources, int expected,
                       struct slice expected_out)
{
	struct buf crlf = {0}, out = {0};
	struct slice line;
	bool is_first = true;
	for (; slice_cut(&text, '\n', &line); is_first = false) {
		buf_string(&crlf, is_first ? "" : "\r\n");
		buf_slice(&crlf, line);
	}
	CHECK(read_config(buf_view(&crlf), sources, &out) == expected);
	CHECK(slice_equals(buf_view(&out), expected_out));
	buf_free(&crlf);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of((const char *)data, size), lines = slice_of(NULL, 0);
	if (size > 0 && memchr(data, '\0', size) != NULL)
		slice_cut(&text, '\0', &lines);

	char *options[OPTIONS_MAX];
	struct config_sources sources = {.file = "fuzz.conf", .options = options};
	sources.option_count = cut_options(lines, options);
	struct buf out = {0};
	int result = read_config(text, &sources, &out);
	if (text.len > 0 && memchr(text.at, '\r', text.len) == NULL)
		check_crlf(text, &sources, result, buf_view(&out));

	buf_free(&out);
	for (size_t i = 0; i < sources.option_count; i++)
		free(options[i]);
	return 0;
}
