#include "kit/complain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void die(int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	flockfile(stderr);
	fputs("bench: ", stderr);
	vfprintf(stderr, format, args);
	fprintf(stderr, "%s%s\n", error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
	va_end(args);
	fflush(stderr);
	_exit(1); /* other threads run on: nothing of theirs is touched */
}
