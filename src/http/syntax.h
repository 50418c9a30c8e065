/*
 * syntax.h - which bytes may stand where in an HTTP message (RFC 9110 section 5.6).
 *
 * Threads:   pure functions; any thread.
 * Ownership: none.
 * Limits:    none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* tchar: header names, methods, list members. */
static inline bool http_is_token(char c)
{
	static const uint64_t bits[2] = {
		0x03ff6cfa00000000, /* ! # $ % & ' * + - . and digits */
		0x57ffffffc7fffffe, /* letters and ^ _ ` | ~ */
	};
	unsigned char byte = (unsigned char)c;
	return byte < 128 && (bits[byte >> 6] >> (byte & 63) & 1) != 0;
}

/* Header values: no control character but the tab; bytes beyond ASCII pass unread. */
static inline bool http_is_value(char c)
{
	unsigned char byte = (unsigned char)c;
	return (byte >= ' ' && byte != 0x7f) || byte == '\t';
}

/* The value of a hexadecimal digit, of either case; -1 for what is none. */
static inline int http_hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}
