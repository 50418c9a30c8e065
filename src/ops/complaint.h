/*
 * complaint.h - one line that tells an operator what is wrong with what he wrote.
 *
 * Threads:   pure functions on the caller's buf.
 * Ownership: the caller's buf holds the line, without a newline at its end.
 * Limits:    text from outside is shown in printable ASCII and cut at COMPLAINT_TEXT_MAX bytes,
 *            so the line stays one line whatever was written.
 */
#pragma once

#include "base/buf.h"
#include "base/slice.h"

#define COMPLAINT_TEXT_MAX 240 /* a channel setting's full name fits */

void complaint_text(struct buf *line, struct slice text);  /* as it is, made harmless */
void complaint_quote(struct buf *line, struct slice text); /* the same in quotes */

/* The line, or what is said where there was no memory for it. */
struct slice complaint_of(const struct buf *line);
