/*
 * edge_loop.h - an edge on a loop, in the test's own thread, with one client: a socket whose other
 * end is the edge's. The test defines client_turn(); it is called from within loop_run().
 */
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include "edge_up.h"

#define TURNS_MAX 100000

static void client_turn(void); /* at the end of each turn of the worker */

static struct rule rule = {.pattern = "*", .history_size = 1, .history_ttl_ms = 60000};
static const struct rules rules = {&rule, 1};
static struct edge_node node = {.name = "node", .boot_id = 1};
static struct edge_settings settings = {
	.is_open = true,
	.connections_max = 10,
	.channels_max = 10,
	.message_bytes_max = 65536,
	.outbound_bytes_max = 1 << 20,
	.header_bytes_max = 16384,
	.header_timeout_ms = 60000,
	.idle_timeout_ms = 60000,
	.heartbeat_interval_ms = 60000,
	.heartbeat_timeout_ms = 60000,
	.rules = &rules,
};

static struct edge_common common;
static int client;
static struct buf answer; /* what came */
static bool has_more;     /* to do in the next turn, says the edge */

static inline void say(const char *request)
{
	CHECK(send(client, request, strlen(request), 0) == (ssize_t)strlen(request));
}

static void hear(void)
{
	char bytes[4096];
	ssize_t got = recv(client, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (got > 0)
		buf_append(&answer, bytes, (size_t)got);
}

static bool was_told(const char *what)
{
	return answer.len > 0 && memmem(answer.at, answer.len, what, strlen(what)) != NULL;
}

static bool on_after(struct loop_handler *by)
{
	(void)by;
	role_enter_worker();
	has_more = edge_after(edge);
	client_turn();
	return true; /* nobody rings when the client has something to do */
}

static void open_all(uint32_t workers)
{
	struct listen_address address;
	CHECK(listen_ip(&address, "127.0.0.1", 0));
	CHECK(listen_claim(&address) == 0);
	int listener = listen_open(&address, 60000);
	CHECK(listener >= 0);
	loop_open(1);
	edge = edge_create(&(struct edge_options){.node = &node,
	                                          .common = &common,
	                                          .settings = &settings,
	                                          .up = &up,
	                                          .loop = loop,
	                                          .workers = workers,
	                                          .descriptors_max = 1000});
	CHECK(edge != NULL);
	role_enter_worker();
	CHECK(edge_listen(edge, listener, false) == 0);
	client = socket(address.socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(connect(client, (struct sockaddr *)&address.socket, address.len) == 0);
}

static void close_all(void)
{
	close(client);
	buf_free(&answer);
	edge_destroy(edge);
	loop_close();
}
