#include "auth/key_file.h"

#include "auth/jwks.h"
#include "auth/pem.h"

int key_file_read(struct key_set *set, struct slice text, struct buf *error)
{
	struct slice rest = text;
	while (rest.len > 0 && memchr(" \t\r\n", rest.at[0], 4) != NULL)
		rest = slice_after(rest, 1);
	bool is_json = rest.len > 0 && rest.at[0] == '{';
	return is_json ? jwks_read(set, text, error) : pem_read(set, text, error);
}
