/*
 * replay.c - gives a fuzz target the inputs it knows, without a fuzzer.
 *
 * Arguments are files, or folders of files. Each input lies in an allocation of exactly its size,
 * so that AddressSanitizer sees a byte read behind it. Linked with one *_fuzz.c, that of the
 * program's name.
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void file_replay(const char *target, const char *path, size_t len)
{
	uint8_t *bytes = malloc(len);
	FILE *file = fopen(path, "rb");
	CHECK(file != NULL);
	CHECK(bytes != NULL || len == 0);
	CHECK(fread(bytes, 1, len, file) == len);
	CHECK(fgetc(file) == EOF);
	fclose(file);

	printf("%s: %s\n", target, path);
	LLVMFuzzerTestOneInput(bytes, len);
	free(bytes);
}

static void path_replay(const char *target, const char *path)
{
	struct stat about;
	CHECK(stat(path, &about) == 0);
	if (!S_ISDIR(about.st_mode)) {
		file_replay(target, path, (size_t)about.st_size);
		return;
	}
	struct dirent **names;
	int count = scandir(path, &names, NULL, alphasort);
	CHECK(count >= 0);
	for (int i = 0; i < count; i++) {
		char inner[PATH_MAX];
		int len = snprintf(inner, sizeof(inner), "%s/%s", path, names[i]->d_name);
		CHECK(len > 0);
		CHECK((size_t)len < sizeof(inner));
		if (names[i]->d_name[0] != '.')
			path_replay(target, inner);
		free(names[i]);
	}
	free(names);
}

/* "build/asan/tests/fuzz/json_fuzz" replays for "json". */
int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	char *target = strdup(slash != NULL ? slash + 1 : argv[0]);
	CHECK(target != NULL);
	char *ending = strstr(target, "_fuzz");
	if (ending != NULL)
		*ending = '\0';
	for (int i = 1; i < argc; i++)
		path_replay(target, argv[i]);
	free(target);
	return 0;
}
