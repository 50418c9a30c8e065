#include "base/text.h"

static size_t text_from_digits(char *out, uint64_t value, unsigned base)
{
	char reversed[TEXT_U64_MAX];
	size_t len = 0;
	do {
		reversed[len++] = "0123456789abcdefghijklmnopqrstuvwxyz"[value % base];
		value /= base;
	} while (value != 0);
	for (size_t i = 0; i < len; i++)
		out[i] = reversed[len - 1 - i];
	return len;
}

size_t text_from_u64(char *out, uint64_t value)
{
	return text_from_digits(out, value, 10);
}

size_t text_from_base36(char *out, uint64_t value)
{
	return text_from_digits(out, value, 36);
}

size_t text_from_hex(char *out, uint64_t value, size_t digits)
{
	for (size_t i = 0; i < digits; i++)
		out[i] = "0123456789abcdef"[value >> 4 * (digits - 1 - i) & 15];
	return digits;
}

static bool digit_value(char c, unsigned base, unsigned *value)
{
	if (c >= '0' && c <= '9')
		*value = (unsigned)(c - '0');
	else if (c >= 'a' && c <= 'z')
		*value = (unsigned)(c - 'a') + 10;
	else
		return false;
	return *value < base;
}

static bool text_to_digits(struct slice text, unsigned base, uint64_t *value)
{
	if (text.len == 0)
		return false;
	uint64_t sum = 0;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit;
		if (!digit_value(text.at[i], base, &digit))
			return false;
		if (__builtin_mul_overflow(sum, (uint64_t)base, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)digit, &sum))
			return false;
	}
	*value = sum;
	return true;
}

bool text_to_u64(struct slice text, uint64_t *value)
{
	return text_to_digits(text, 10, value);
}

bool text_to_base36(struct slice text, uint64_t *value)
{
	return text_to_digits(text, 36, value);
}

/* Digits of the bytes, without padding. */
static size_t base64_digits(char *out, const unsigned char *in, size_t count, const char *digits)
{
	char *start = out;
	for (size_t i = 0; i < count; i += 3) {
		size_t left = count - i;
		unsigned bits = (unsigned)in[i] << 16;
		bits |= left > 1 ? (unsigned)in[i + 1] << 8 : 0;
		bits |= left > 2 ? (unsigned)in[i + 2] : 0;
		*out++ = digits[bits >> 18];
		*out++ = digits[bits >> 12 & 63];
		if (left > 1)
			*out++ = digits[bits >> 6 & 63];
		if (left > 2)
			*out++ = digits[bits & 63];
	}
	return (size_t)(out - start);
}

static const char base64_plain[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t text_from_base64(char *out, const void *bytes, size_t count)
{
	size_t len = base64_digits(out, bytes, count, base64_plain);
	while (len % 4 != 0)
		out[len++] = '=';
	return len;
}

size_t text_from_base64url(char *out, const void *bytes, size_t count)
{
	return base64_digits(out, bytes, count, base64_url);
}

/* What each ASCII character stands for; 64: nothing. */
/* clang-format off */
static const unsigned char base64url_values[128] = {
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 62, 64, 64,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 64, 64, 64,
	64, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 64, 64, 64, 64, 63,
	64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 64, 64, 64, 64, 64,
};
/* clang-format on */

static unsigned base64url_value(char c)
{
	return (unsigned char)c < 128 ? base64url_values[(unsigned char)c] : 64;
}

bool text_to_base64url(struct slice text, void *out)
{
	unsigned char *to = out;
	unsigned bits = 0, held = 0; /* bits that are no whole byte yet, and how many */
	if (text.len % 4 == 1)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned value = base64url_value(text.at[i]);
		if (value == 64)
			return false;
		bits = (bits << 6 | value) & 0xfff;
		held += 6;
		if (held >= 8) {
			held -= 8;
			*to++ = (unsigned char)(bits >> held);
		}
	}
	return (bits & ((1u << held) - 1)) == 0;
}
