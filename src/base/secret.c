#include "base/secret.h"

#include <sys/mman.h>

bool secret_make(struct secret *secret, struct slice bytes)
{
	CHECK(bytes.len > 0);
	void *pages =
		mmap(NULL, bytes.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		return false;
	(void)madvise(pages, bytes.len, MADV_DONTDUMP); /* a kernel without it dumps them */
	memcpy(pages, bytes.at, bytes.len);
	*secret = (struct secret){pages, bytes.len};
	return true;
}

void secret_free(struct secret *secret)
{
	if (secret->at == NULL)
		return;
	explicit_bzero(secret->at, secret->len);
	CHECK(munmap(secret->at, secret->len) == 0);
	*secret = (struct secret){0};
}
