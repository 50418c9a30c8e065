/* error.h - the errors of error.def: one list for HTTP answers and protocol messages. */
#pragma once

#include <stddef.h>

enum error_code {
#define ERROR(name, code, status) ERROR_##name,
#include "starling/error.def"
#undef ERROR
	ERROR_COUNT
};

static inline const char *error_text(enum error_code error)
{
	static const char *const texts[] = {
#define ERROR(name, code, status) [ERROR_##name] = code,
#include "starling/error.def"
#undef ERROR
	};
	return texts[error];
}

static inline int error_status(enum error_code error)
{
	static const int statuses[] = {
#define ERROR(name, code, status) [ERROR_##name] = status,
#include "starling/error.def"
#undef ERROR
	};
	return statuses[error];
}
