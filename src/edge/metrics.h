/*
 * metrics.h - figures as text that Prometheus reads (exposition format 0.0.4).
 *
 * A family is announced once, by HELP and TYPE, and its values follow at once.
 *
 * Threads:   pure.
 * Ownership: none; `out` is the caller's, and broken where memory ran out.
 * Limits:    names, help and labels are written as they are: they are the program's own, with
 *            nothing in them that would have to be escaped.
 */
#pragma once

#include "base/buf.h"
#include "base/latency.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

void metrics_family(struct buf *out, const char *name, const char *type, const char *help);
/* `labels` as `name="value"`, joined by commas; empty: none. */
void metrics_value(struct buf *out, const char *name, const char *labels, uint64_t value);
/* The same with one label. */
void metrics_labelled(struct buf *out, const char *name, const char *label, const char *text,
                      uint64_t value);
/* The first one in millionths. */
void metrics_micro(struct buf *out, const char *name, const char *labels, uint64_t millionths);
/* Buckets, sum and count, in seconds. */
void metrics_latency(struct buf *out, const char *name, const char *labels,
                     const struct latency *latency);
