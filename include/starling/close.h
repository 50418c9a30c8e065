/* close.h - the reasons of close.def as an enum. */
#pragma once

enum close_reason {
#define CLOSE(name, code, reason, sentence) CLOSE_##name,
#include "starling/close.def"
#undef CLOSE
	CLOSE_COUNT
};

static inline const char *close_text(enum close_reason reason)
{
	static const char *const texts[] = {
#define CLOSE(name, code, reason, sentence) [CLOSE_##name] = reason,
#include "starling/close.def"
#undef CLOSE
	};
	return texts[reason];
}
