/* Where a secret lies: the kernel says of each mapping what it leaves out of core dumps. */
#include "base/secret.h"

#include <stdint.h>
#include <string.h>

/* Does the mapping that holds the address have this flag ("dd": not dumped)? */
static bool has_flag(const void *address, const char *flag)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	char line[512];
	bool is_ours = false, has = false;
	CHECK(maps != NULL);
	while (fgets(line, sizeof(line), maps) != NULL) {
		unsigned long from, to;
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			is_ours = (uintptr_t)address >= from && (uintptr_t)address < to;
		else if (is_ours && strncmp(line, "VmFlags:", 8) == 0)
			has = strstr(line, flag) != NULL;
	}
	fclose(maps);
	return has;
}

int main(void)
{
	struct secret secret = {0}, other = {0};
	char bytes[] = "a secret";

	printf("secret: it is a copy\n");
	CHECK(secret_make(&secret, slice_string(bytes)));
	CHECK(secret_make(&other, SLICE("another")));
	memset(bytes, 0, sizeof(bytes));
	CHECK(slice_is(secret_view(&secret), "a secret"));
	CHECK(slice_is(secret_view(&other), "another"));

	printf("secret: core dumps leave it out\n");
	CHECK(has_flag(secret.at, " dd"));
	CHECK(!has_flag(bytes, " dd"));

	printf("secret: one that was let go is none\n");
	secret_free(&secret);
	CHECK(secret.at == NULL);
	CHECK(secret_view(&secret).len == 0);
	secret_free(&secret);
	CHECK(slice_is(secret_view(&other), "another"));
	secret_free(&other);
	return 0;
}
