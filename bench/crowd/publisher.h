/*
 * publisher.h - a backend that publishes one message to each room by the server API.
 *
 * Threads:   the main one. It blocks until the server has answered.
 * Ownership: its connection is opened and closed within the call.
 * Limits:    PUBLISHER_ROOMS_MAX rooms, the most that one batch may have.
 */
#pragma once

#include <netinet/in.h>
#include <stdint.h>

#define PUBLISHER_ROOMS_MAX 1000u
#define CURSOR_BYTES 40

/* Message number `number` to all rooms; what comes back are their cursors behind it. */
void publisher_publish(const struct sockaddr_in *server, uint32_t rooms, uint32_t number,
                       char cursors[PUBLISHER_ROOMS_MAX][CURSOR_BYTES]);
